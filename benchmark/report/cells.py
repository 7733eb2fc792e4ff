"""Cells, columns and tables, as plain values."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np

from benchmark.report.statistics import mean_interval

NOTHING = "–"


class Cell(NamedTuple):
    """One cell of a table.

    text: as it is printed; value: to rank and sort by, None if there is none
    note: its footnote, such as why it is empty
    interval: low and high end of the value's 95 % interval; sd: standard deviation of what the value is a mean of
    """

    text: str
    value: float | str | None = None
    note: str | None = None
    interval: tuple[float, float] | None = None
    sd: float | None = None


class Column(NamedTuple):
    """One column: its title and a hint that explains it.

    better: whether high or low values are good; None if neither is, and then no value is marked
    short: its title in print; if any column has one, only those with one are printed
    aligned: whether its numbers are printed with as many decimals as each other, so that they stand in a line
    """

    title: str
    better: Literal["high", "low"] | None = None
    hint: str = ""
    aligned: bool = False
    short: str = ""


@dataclass(frozen=True)
class Table:
    """One table: its first column names the rows. setting and caption together say what its numbers are.

    foot: rows below the others that are no methods, and rank with none; order: whether rows are ranked at all
    """

    name: str
    title: str
    setting: str
    caption: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    notes: Sequence[str] = field(default=())
    foot: Sequence[Sequence[Cell]] = field(default=())
    order: bool = True

    @property
    def lines(self) -> list[Sequence[Cell]]:
        """All rows as they are printed."""
        return [*self.rows, *self.foot]

    def ranked(self, place: int) -> list[tuple[int, int]]:
        """Return (row, column) of the best values (place 0) or the second best (1) of each column that is ranked."""
        found = []
        for j, column in enumerate(self.columns):
            values = {i: row[j].value for i, row in enumerate(self.rows) if isinstance(row[j].value, float | int)}
            distinct = sorted({*values.values()}, key=float, reverse=column.better == "high")  # type: ignore[arg-type]
            if self.order and column.better and len(distinct) > max(1, place):
                found += [(i, j) for i, value in values.items() if value == distinct[place]]
        return found


MOST_DECIMALS = 3
"""Decimals of a column's numbers; what is smaller is printed as less than that."""


def align(columns: Sequence[Column], rows: Sequence[Sequence[Cell]]) -> list[list[Cell]]:
    """Print the numbers of each aligned column with the same decimals: three digits of the least, if they fit."""
    decimals = {}
    for j, column in enumerate(columns):
        values = [value for row in rows if isinstance(value := row[j].value, float)]
        if column.aligned and values:
            decimals[j] = _decimals_of(values)
    return [[_with_decimals(cell, decimals.get(j)) for j, cell in enumerate(row)] for row in rows]


def _decimals_of(values: Sequence[float]) -> int:
    sizes = [abs(value) for value in values if value]
    if not sizes or all(value.is_integer() for value in values):
        return 0
    return min(max(2 - math.floor(math.log10(min(sizes))), 0), MOST_DECIMALS)


def _with_decimals(cell: Cell, decimals: int | None) -> Cell:
    if decimals is None or not isinstance(cell.value, float):
        return cell
    text = f"{cell.value:.{decimals}f}"
    tiny = cell.value and not float(text)
    return cell._replace(text=f"< {10.0**-decimals:.{decimals}f}" if tiny else text)


def note_numbers(table: Table) -> dict[tuple[int, int], int]:
    """Return (row, column) of the cells with a note -> the note's number; equal notes share one."""
    noted = {(i, j): cell.note for i, row in enumerate(table.lines) for j, cell in enumerate(row) if cell.note}
    order = list(dict.fromkeys(noted.values()))
    return {place: order.index(note) + 1 for place, note in noted.items()}


def notes_of(table: Table) -> list[str]:
    """Return the footnotes in the order of their numbers in the cells, then those that belong to no cell."""
    numbered = {cell.note: number for (i, j), number in note_numbers(table).items() if (cell := table.lines[i][j])}
    said = "; ".join(note or "" for note in numbered)
    return [f"{number}: {note}" for note, number in numbered.items()] + [n for n in table.notes if n not in said]


def interval_text(low: float, high: float) -> str:
    """Return an interval of differences, in points: [-1.93, +0.58]."""
    return f"[{low:+.2f}, {high:+.2f}]"


def mean_cell(values: Sequence[float], form: str = "{:.4g}") -> Cell:
    """Make a cell with the mean of the values; an empty one if there are none."""
    return Cell(form.format(np.mean(values)), float(np.mean(values))) if values else Cell(NOTHING)


def spread_cell(values: Sequence[float], marks: str = "") -> Cell:
    """Make a cell with the mean, and ± half its 95 % interval if there are several values."""
    interval = mean_interval(values)
    cell = mean_cell(values, "{:.2f}")
    if interval is None:
        return cell._replace(text=f"{cell.text} {marks}".rstrip())
    text = f"{cell.text} ± {(interval.high - interval.low) / 2:.2f} {marks}".rstrip()
    return cell._replace(text=text, interval=(interval.low, interval.high), sd=float(np.std(values, ddof=1)))
