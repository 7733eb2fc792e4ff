"""The report of an experiment: one Markdown page over its tables and figures."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmark.errors import RequestError
from benchmark.record import run_folders
from benchmark.report.figures import Style, write_figures
from benchmark.report.frame import Comparison, colour_order, read_experiment
from benchmark.report.tables import accuracy_table, as_markdown, caption, commands, footnotes, main_table, write_tables


def write_report(results: Path, reports: Path, experiments: Sequence[str], targets: Mapping[str, float]) -> list[Path]:
    """Write reports/<experiment>/ anew for these experiments, or for all; the pages.

    Raises RequestError where there are no results.
    """
    found = sorted({folder.path.relative_to(results).parts[0] for folder in run_folders(results, experiments)})
    if not found:
        raise RequestError(f"there are no results in {results}; `run` makes some")
    pages = []
    for name in found:
        comparisons = read_experiment(results, name, targets)
        pages.append(_write(reports / name, name, comparisons))
    return pages


def _write(folder: Path, name: str, comparisons: Sequence[Comparison]) -> Path:
    tables, figures = folder / "tables", folder / "figures"
    for old in (tables, figures):
        shutil.rmtree(old, ignore_errors=True)
        old.mkdir(parents=True)
    style = Style(colour_order(comparisons))
    sections = [f"# {name}\n"]
    for comparison in comparisons:
        write_tables(comparison, tables)
        sections.append(_section(comparison, write_figures(comparison, style, figures)))
    page = folder / "report.md"
    page.write_text("\n".join(sections), encoding="utf-8")
    return page


def _section(comparison: Comparison, figures: Sequence[tuple[str, str]]) -> str:
    blocks = [f"## {comparison.name}", as_markdown(main_table(comparison)), caption(comparison)]
    blocks += [f"- {line}" for line in footnotes(comparison)]
    blocks += ["### Accuracy in detail [%]", as_markdown(accuracy_table(comparison))]
    blocks += [f"![{text}](<figures/{stem}.png>)\n\n{text} ([PDF](<figures/{stem}.pdf>))." for stem, text in figures]
    blocks += ["Made with:", *(f"    {line}" for line in commands(comparison))]
    return "\n\n".join(blocks) + "\n"
