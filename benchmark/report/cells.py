"""What tables are made of."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np

from benchmark.report.statistics import mean_interval

NOTHING = "–"


class Cell(NamedTuple):
    """text as it is printed; value to rank and sort by, None where there is none; note: why it is empty."""

    text: str
    value: float | str | None = None
    note: str | None = None


class Column(NamedTuple):
    """better: whether high or low values are good; None where neither is, and nothing is marked."""

    title: str
    better: Literal["high", "low"] | None = None
    hint: str = ""


@dataclass(frozen=True)
class Table:
    """One table: its first column names the rows. setting and caption together say what its numbers are."""

    name: str
    title: str
    setting: str
    caption: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    notes: Sequence[str] = field(default=())

    def ranked(self, place: int) -> list[tuple[int, int]]:
        """(row, column) of the best values (place 0) or the second best (1) of each column where one is better."""
        found = []
        for j, column in enumerate(self.columns):
            values = {i: row[j].value for i, row in enumerate(self.rows) if isinstance(row[j].value, float | int)}
            distinct = sorted({*values.values()}, key=float, reverse=column.better == "high")  # type: ignore[arg-type]
            if column.better and len(distinct) > max(1, place):
                found += [(i, j) for i, value in values.items() if value == distinct[place]]
        return found


def mean_cell(values: Sequence[float], form: str = "{:.4g}") -> Cell:
    """The mean; nothing where there is no value."""
    return Cell(form.format(np.mean(values)), float(np.mean(values))) if values else Cell(NOTHING)


def spread_cell(values: Sequence[float], marks: str = "") -> Cell:
    """Mean, and ± half its interval where there are several."""
    interval = mean_interval(values)
    cell = mean_cell(values, "{:.2f}")
    half = f" ± {(interval.high - interval.low) / 2:.2f}" if interval else ""
    return cell._replace(text=f"{cell.text}{half} {marks}".rstrip())
