"""The leaderboard of the page: the main tables of all comparisons, with ranks, differences and fronts beside them."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from benchmark.report.cells import NOTHING, Cell, Column, Table
from benchmark.report.costs import fronts
from benchmark.report.differences import OVER_SEEDS, Difference, differences, not_told_apart
from benchmark.report.frame import Comparison
from benchmark.report.tables import accuracy_column
from benchmark.storage.moments import Moment

SHOWN_COSTS = ("Sent [MB]", "Computed [TFLOP]")
"""Columns of the main table that are shown unless others are chosen, beside accuracies and what is added here."""
CAPTION = (
    "Bold: not told apart from the best by a paired t-test over seeds, Holm-corrected, where all curves have levelled. "
    "Rank: 1 for all that are not told apart from the best; none with one seed, or before curves have levelled. Front: "
    "no method is as accurate for fewer bytes, or FLOPs. Other marks stand under each comparison."
)


class BoardColumn(NamedTuple):
    """A column of one comparison's leaderboard: its cell by label, who is bold, and whether it is shown at first."""

    column: Column
    cells: Mapping[str, Cell]
    bold: Sequence[str] = ()
    shown: bool = True


def leaderboard(comparisons: Sequence[Comparison], mains: Mapping[str, Table], reference: str) -> dict[str, Any]:
    """Return the leaderboard as the page's document has it; mains: the main table of each comparison that has one."""
    boards = [(c, _board(c, mains[c.name], reference)) for c in comparisons if c.name in mains]
    columns = {_key(each.column.title): each for _, board in boards for each in board}
    place = {"key": "comparison", "title": "Comparison", "hint": "", "numeric": False, "better": None, "shown": True}
    heads = [_head(key, each) for key, each in columns.items()]
    if len(boards) > 1:
        heads.insert(next(i for i, head in enumerate(heads) if head["key"] == "method") + 1, place)
    rows = [
        {"comparison": comparison.name, "label": label, "cells": _cells(board, label) | _where(comparison.heading)}
        for comparison, board in boards
        for label in comparison.methods
    ]
    return {"caption": CAPTION, "columns": heads, "rows": rows}


def _board(comparison: Comparison, main: Table, reference: str) -> list[BoardColumn]:
    """Return the columns of one comparison: the rank, and those of the main table, accuracies with differences."""
    found = {column.title: {row[0].text: row[i] for row in main.rows} for i, column in enumerate(main.columns)}
    accuracies = {accuracy_column(moment).title: moment for moment in comparison.moments}
    board = [_rank_column(comparison)]
    for column in main.columns:
        if column.title in accuracies:
            board += _accuracy_columns(comparison, accuracies[column.title], found[column.title], reference)
        else:
            shown = column.title in ("Method", *SHOWN_COSTS)
            board.append(BoardColumn(column, found[column.title], shown=shown))
    return [*board, _front_column(comparison)]


def _accuracy_columns(
    comparison: Comparison, moment: Moment, cells: Mapping[str, Cell], reference: str
) -> list[BoardColumn]:
    first = not_told_apart(comparison, moment) if has_ranks(comparison) else []
    column = Column(f"Difference {moment.words}", "high", f"to {reference}, in points, paired by seed, 95 % interval")
    found = {label: _difference(difference) for label, difference in differences(comparison, reference, moment).items()}
    return [BoardColumn(accuracy_column(moment), cells, first), BoardColumn(column, found)]


def _difference(difference: Difference) -> Cell:
    test, mark = difference.test, f" {OVER_SEEDS}" if difference.marked else ""
    half = f" ± {(test.high - test.low) / 2:.2f}" if test else ""
    return Cell(f"{difference.mean:+.2f}{half}{mark}", difference.mean)


def has_ranks(comparison: Comparison) -> bool:
    """Return whether ranks mean anything: curves have levelled, and there are seeds to tell methods apart by."""
    return comparison.ranked and len(comparison.seeds) > 1


def _rank_column(comparison: Comparison) -> BoardColumn:
    first = not_told_apart(comparison, comparison.moment) if has_ranks(comparison) else []
    ranked = [label for label in comparison.methods if comparison.mean(label) is not None] if first else []
    ranks = {label: 1 if label in first else place for place, label in enumerate(ranked, start=1)}
    column = Column("Rank", "low", "1: not told apart from the best")
    return BoardColumn(column, {label: Cell(str(rank), rank) for label, rank in ranks.items()})


def _front_column(comparison: Comparison) -> BoardColumn:
    words = {"bytes": "bytes", "flops": "FLOPs"}
    on = {
        label: [words[cost] for cost, front in fronts(comparison).items() if label in front]
        for label in comparison.methods
    }
    cells = {label: Cell(", ".join(names), len(names)) for label, names in on.items() if names}
    return BoardColumn(Column("Front", "high", "no other method is as accurate for less"), cells)


def _where(heading: str) -> dict[str, Any]:
    return {"comparison": {"text": heading, "value": heading, "note": None, "bold": False}}


def _head(key: str, each: BoardColumn) -> dict[str, Any]:
    title, better, hint = each.column.title, each.column.better, each.column.hint
    numeric = key not in ("method", "comparison")
    return {"key": key, "title": title, "hint": hint, "numeric": numeric, "better": better, "shown": each.shown}


def _cells(board: Sequence[BoardColumn], label: str) -> dict[str, Any]:
    found = {_key(each.column.title): (each, each.cells.get(label, Cell(NOTHING))) for each in board}
    return {
        key: {"text": cell.text, "value": cell.value, "note": cell.note, "bold": label in each.bold}
        for key, (each, cell) in found.items()
    }


def _key(title: str) -> str:
    return title.lower().replace(" ", "_")
