"""Cells, columns and tables, as plain values."""

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
    """

    text: str
    value: float | str | None = None
    note: str | None = None


class Column(NamedTuple):
    """One column: its title and a hint that explains it.

    better: whether high or low values are good; None if neither is, and then no value is marked
    """

    title: str
    better: Literal["high", "low"] | None = None
    hint: str = ""


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


def mean_cell(values: Sequence[float], form: str = "{:.4g}") -> Cell:
    """Make a cell with the mean of the values; an empty one if there are none."""
    return Cell(form.format(np.mean(values)), float(np.mean(values))) if values else Cell(NOTHING)


def spread_cell(values: Sequence[float], marks: str = "") -> Cell:
    """Make a cell with the mean, and ± half its 95 % interval if there are several values."""
    interval = mean_interval(values)
    cell = mean_cell(values, "{:.2f}")
    half = f" ± {(interval.high - interval.low) / 2:.2f}" if interval else ""
    return cell._replace(text=f"{cell.text}{half} {marks}".rstrip())
