"""The report of an experiment on disk: tables, figures, a page to read (report.md) and one to use (index.html)."""

import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from benchmark.devices.profile import Profile
from benchmark.errors import RequestError, tell, unknown
from benchmark.report.across import write_across
from benchmark.report.aggregate import accuracy_matrix, aggregate_table, ranking_table
from benchmark.report.answer import answer_of, overall_answer
from benchmark.report.cells import Table
from benchmark.report.costs import budget_table, cost_table
from benchmark.report.device_part import write_devices
from benchmark.report.differences import DEFAULT_REFERENCE, difference_tables
from benchmark.report.document import Part, headline, intro, page_document
from benchmark.report.drawing import Drawn
from benchmark.report.figures import PLOTS, write_figures
from benchmark.report.fonts import undrawable
from benchmark.report.forest import write_forest
from benchmark.report.formats import as_markdown, as_text, commands, notes_of, summaries, write_table
from benchmark.report.frame import Comparison, colour_order, on_all_cores, read_experiment
from benchmark.report.html import render
from benchmark.report.looks import Style
from benchmark.report.notes import footnotes
from benchmark.report.paper import PAPERS, SCREEN
from benchmark.report.privacy import write_privacy
from benchmark.report.sentences import sentences
from benchmark.report.tables import accuracy_table, main_table
from benchmark.report.tuning import write_tuning
from benchmark.storage.files import claim, storing, write_whole
from benchmark.storage.moments import MOMENTS
from benchmark.storage.run_folder import run_folders
from benchmark.tuning.record import Tuning, has_trials, read_tunings

NEW = ".new-"
"""Prefix of the name of a folder that is not complete yet."""
PARALLEL_FROM_COMPARISONS = 3
"""Draw with several processes from this many comparisons on."""
LETTERS_SHOWN = 12
"""Letters without a font that are named."""
ALL_FIGURES_UP_TO_COMPARISONS = 30
"""With more comparisons each has the figure of its answer only, unless all figures are asked for."""


@dataclass(frozen=True)
class ReportOptions:
    """Options of a report.

    targets: accuracy in percent whose cost is given, by data set, '' for all others
    reference: label of the method that the others are compared with; None: standalone, if there is one
    budgets: bytes and FLOPs within which accuracies are given; if there are none, powers of ten
    moment: name of the moment whose accuracies are shown; None: all that are stored, the first as the primary one
    style: name of the paper that figures are drawn for; None: the report's own page
    all_figures: all figures of every comparison, however many there are
    devices: profiles on which seconds are given
    command: the command line that writes the report, shown beside its tables
    """

    targets: Mapping[str, float] = field(default_factory=dict)
    reference: str | None = None
    budgets: Mapping[str, Sequence[float]] = field(default_factory=lambda: {"bytes": (), "flops": ()})
    moment: str | None = None
    style: str | None = None
    all_figures: bool = False
    command: str = ""
    devices: Sequence[Profile] = ()


def write_report(results: Path, reports: Path, experiments: Sequence[str], options: ReportOptions) -> list[Path]:
    """Write reports/<experiment>/ anew for these experiments, or for all but trials of a tuning, and return the pages.

    Raises RequestError if there are no results, or damaged ones; then nothing is written.
    """
    found = sorted({folder.path.relative_to(results).parts[0] for folder in run_folders(results, experiments)})
    if not experiments:
        found = [name for name in found if not has_trials(results / name)] or found
    if not found:
        raise RequestError(f"there are no results in {results}; `run` makes some")
    moment = next((moment for moment in MOMENTS if moment.name == options.moment), None)
    read = {name: read_experiment(results, name, options.targets, moment=moment) for name in found}
    tunings = {name: read_tunings(results, name) for name in found}
    everything = [comparison for comparisons in read.values() for comparison in comparisons]
    _check_options(options, everything)
    _tell_of_fonts(everything)
    pages = []
    for name, comparisons in read.items():
        with storing(reports / name):
            (reports / name).mkdir(parents=True, exist_ok=True)
        with claim(reports / name / ".claim", patient=True), storing(reports / name):
            pages.append(_write(reports / name, name, comparisons, options, tunings[name]))
    return pages


def _check_options(options: ReportOptions, comparisons: Sequence[Comparison]) -> None:
    """Raise RequestError if the options name a method or a data set that is not among the results."""
    if options.reference is not None and options.reference not in (labels := set(colour_order(comparisons))):
        raise unknown("method", options.reference, labels)
    datasets = {comparison.dataset for comparison in comparisons}
    for name in options.targets:
        if name and name not in datasets:
            raise unknown("data set", name, datasets)
    stored = {moment.name: moment for comparison in comparisons for moment in comparison.stored_moments}
    if options.moment is not None and stored and options.moment not in stored:
        (asked,) = (moment for moment in MOMENTS if moment.name == options.moment)
        there = " or ".join(stored)
        raise RequestError(
            f"no run was evaluated {asked.words}, so --moment {asked.name} has nothing to show; {there} has"
        )


def _tell_of_fonts(comparisons: Sequence[Comparison]) -> None:
    """Say if figures will lack letters of names, which tables and the page have."""
    names = [*(comparison.title for comparison in comparisons), *colour_order(comparisons)]
    if letters := undrawable(names):
        shown = letters if len(letters) <= LETTERS_SHOWN else letters[:LETTERS_SHOWN] + "…"
        tell(f"no font here has {shown}: figures have boxes in their place; install one, such as Noto Sans CJK")


def _write(
    folder: Path, name: str, comparisons: Sequence[Comparison], options: ReportOptions, tunings: Sequence[Tuning]
) -> Path:
    style = Style(colour_order(comparisons), PAPERS[options.style] if options.style else SCREEN)
    with _exchanged(folder) as new:
        every_kind = options.all_figures or len(comparisons) <= ALL_FIGURES_UP_TO_COMPARISONS
        kinds = list(PLOTS) if every_kind else []
        work = partial(_files, options=options, kinds=kinds, style=style, folder=new, tunings=tunings)
        written = on_all_cores(work, comparisons, few=PARALLEL_FROM_COMPARISONS)
        parts = dict(zip([comparison.name for comparison in comparisons], written, strict=True))
        again = options.command or f"python -m benchmark report --experiment {name}"
        across = _across(again, comparisons, options, style, new)
        reference = options.reference or DEFAULT_REFERENCE
        page = render(page_document(name, comparisons, parts, across, new, style, again, reference))
    text = _markdown(name, comparisons, parts, across)
    write_whole(folder / "report.md", lambda file: file.write(text.encode()))
    write_whole(folder / "index.html", lambda file: file.write(page.encode()))
    return folder / "index.html"


@contextmanager
def _exchanged(folder: Path) -> Iterator[Path]:
    """Yield a new folder with tables/ and figures/, which replace the old ones when the block ends."""
    for left in folder.glob(f"{NEW}*"):  # by a process that was killed
        shutil.rmtree(left)
    with tempfile.TemporaryDirectory(dir=folder, prefix=NEW) as new:
        for part in ("tables", "figures"):
            (Path(new) / part).mkdir()
        yield Path(new)
        for part in ("tables", "figures"):
            shutil.rmtree(folder / part, ignore_errors=True)
            (Path(new) / part).replace(folder / part)


def _files(
    comparison: Comparison,
    options: ReportOptions,
    kinds: Sequence[str],
    style: Style,
    folder: Path,
    tunings: Sequence[Tuning],
) -> Part:
    """Write the tables and figures of one comparison."""
    made = [*commands(comparison), *([options.command] if options.command else [])]
    summaries(comparison).to_csv(folder / "tables" / f"{comparison.name}-runs.csv", index=False)
    reference = options.reference or DEFAULT_REFERENCE
    tables = _tables(comparison, reference, options) if comparison.complete else []
    written = [(write_table(table, comparison.name, made, folder / "tables"), table) for table in tables]
    more = [
        write_tuning(comparison, tunings, style, made, folder),
        write_devices(comparison, options.devices, reference, style, made, folder),
        write_privacy(comparison, style, made, folder),
    ]
    written += [table for part in more for table in part.tables]
    figures = write_figures(comparison, kinds, style, folder / "figures")
    figures += [figure for part in more for figure in part.figures]
    answer = answer_of(comparison, reference)
    lead = write_forest(answer, f"{comparison.name}-differences", comparison.title, style, folder / "figures")
    charts = {kind: data for part in more for kind, data in (part.charts or {}).items()}
    return Part(written, figures, sentences(answer), lead, charts, answer)


def _tables(comparison: Comparison, reference: str, options: ReportOptions) -> list[Table]:
    """Make the tables of one comparison, without those that would have no rows."""
    made = (
        main_table(comparison, reference),
        accuracy_table(comparison),
        *difference_tables(comparison, reference),
        cost_table(comparison),
        budget_table(comparison, options.budgets),
    )
    return [table for table in made if table and table.rows]


def _across(again: str, comparisons: Sequence[Comparison], options: ReportOptions, style: Style, folder: Path) -> Part:
    """Write the tables and figures of all comparisons together."""
    reference = options.reference or DEFAULT_REFERENCE
    made = (
        aggregate_table(comparisons, reference),
        accuracy_matrix(comparisons, reference),
        ranking_table(comparisons),
    )
    tables = [(write_table(table, "across", [again], folder / "tables"), table) for table in made if table]
    figures = write_across(comparisons, style, folder / "figures")
    answer = overall_answer(comparisons, reference)
    if answer is None:
        none = f"There is no answer over all: no other method is done beside {reference} in all comparisons."
        return Part(tables, figures, [none] if len(comparisons) > 1 else [])
    lead = write_forest(answer, "across-differences", "", style, folder / "figures")
    return Part(tables, figures, sentences(answer), lead, facts=answer)


def _markdown(name: str, comparisons: Sequence[Comparison], parts: Mapping[str, Part], across: Part) -> str:
    beside = "`index.html` beside this file has it all to sort and to explore."
    first = headline(parts, across)
    blocks = [f"# {as_text(name)}", *_answer(first), " ".join(intro(comparisons)), beside]
    for comparison in comparisons:
        part = parts[comparison.name]
        blocks += [f"## {as_text(comparison.heading)}", as_text(comparison.title)]
        blocks += [*(_answer(part) if part is not first else ()), *_section(part)]
        if not part.tables:
            blocks += [f"- {as_text(note)}" for note in footnotes(comparison)]
        blocks += ["Made with:", *(f"    {line}" for line in commands(comparison))]
    if across.tables or across.figures:
        blocks += ["## Across comparisons", *_section(across)]
    return "\n\n".join(blocks) + "\n"


def _section(part: Part) -> Iterator[str]:
    for _, table in part.tables:
        yield f"### {table.title}"
        yield as_markdown(table)
        yield as_text(table.caption)
        yield from (f"- {as_text(note)}" for note in notes_of(table))
    for drawn in part.figures:
        yield f"### {as_text(drawn.title)}"
        yield _figure(drawn)


def _answer(part: Part) -> Iterator[str]:
    """Yield the sentences of an answer, each a paragraph, and its figure."""
    yield from map(as_text, part.answer)
    yield from map(_figure, part.lead)


def _figure(drawn: Drawn) -> str:
    stem, title, text = drawn
    return f"![{as_text(title)}](<figures/{stem}.png>)\n\n{text} ([PDF](<figures/{stem}.pdf>))"
