"""Footnotes of tables: runs that are missing, not done, or not what they seem."""

from collections.abc import Sequence

from benchmark.report.cells import Cell, Column, Table
from benchmark.report.frame import Comparison


def footnotes(comparison: Comparison) -> list[str]:
    """Return a line for each run that is not done, for seeds that a method does not have, and for each remark."""
    lines = [
        f"{run.label}, seed {run.seed}: {run.run['status']}" + (f" ({run.run['reason']})" if run.run["reason"] else "")
        for run in sorted(comparison.not_done, key=lambda run: (run.label, run.seed))
    ]
    for label in comparison.complete:
        if missing := sorted({*comparison.seeds} - {run.seed for run in comparison.of(label)}):
            lines.append(f"{label}, seed {', '.join(map(str, missing))}: not run")
    return lines + [f"{run.label}, seed {run.seed}: {remark}" for run in comparison.done for remark in run.remarks]


def noted_table(
    comparison: Comparison, name: str, title: str, caption: str, columns: Sequence[Column], rows: Sequence[list[Cell]]
) -> Table:
    """Make a table of one comparison, its first column methods; a method's footnotes stand at its first number."""
    noted = [
        [method, first._replace(note=first.note or _of(comparison, method.text)), *others]
        for method, first, *others in rows
    ]
    return Table(name, title, comparison.title, caption, columns, noted, footnotes(comparison))


def _of(comparison: Comparison, label: str) -> str | None:
    return "; ".join(line for line in footnotes(comparison) if line.startswith(f"{label}, seed ")) or None
