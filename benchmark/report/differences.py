"""Differences between methods and a reference, and which of them chance does not explain."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from benchmark.report.cells import NOTHING, Cell, Column, Table
from benchmark.report.frame import Comparison
from benchmark.report.notes import noted_table
from benchmark.report.statistics import Paired, Signed, holm, paired_t, signed_rank

LEVEL = 0.05
"""Differences with a corrected p-value below it are marked."""
OVER_SEEDS, OVER_CLIENTS = "†", "‡"
NO_TEST = [Cell(NOTHING)] * 8
"""The row of a method that can't be paired."""


def difference_table(comparison: Comparison, reference: str) -> Table | None:
    """Make the table of differences to the reference, a row per other method, over seeds and over clients.

    None if the reference has no runs, or not all of them are done.
    """
    if not comparison.of(reference):
        return None
    labels, over_seeds, over_clients = _tests(comparison, reference)
    seeds_p = _corrected([test.p if test else None for test in over_seeds])
    clients_p = _corrected([test.p if test else None for test in over_clients])
    tested = dict(zip(labels, zip(over_seeds, over_clients, seeds_p, clients_p, strict=True), strict=True))
    rows = [
        [Cell(label, label), *(_row(comparison, label, reference, *tested[label]) if label in tested else NO_TEST)]
        for label in comparison.methods
        if label != reference
    ]
    columns = [
        Column("Method"),
        Column("Difference", "high", "mean over seeds, in points of accuracy"),
        Column("95 % interval"),
        Column("p", None, "paired t-test over seeds, Holm-corrected"),
        Column("Seeds"),
        Column("Median of clients", "high", "median over clients and seeds of the difference"),
        Column("Clients better off [%]", "high"),
        Column("p over clients", None, "Wilcoxon signed-rank over clients and seeds, Holm-corrected"),
        Column("Pairs"),
    ]
    seeds = max((len(comparison.paired(label, reference)) for label in labels), default=0)
    text = (
        f"Differences to {reference} in points of accuracy, paired: {comparison.selection}. "
        + ("Over seeds: paired t-test and its interval. " if seeds > 1 else "One seed: no test over seeds. ")
        + "Over clients: Wilcoxon signed-rank test of all pairs of a client with itself; the clients of one run share "
        "a federation, so it speaks of these federations only. p-values are Holm-corrected over the rows."
    )
    return noted_table(comparison, "differences", f"Differences to {reference}", text, columns, rows)


def _row(
    comparison: Comparison,
    label: str,
    reference: str,
    t: Paired | None,
    w: Signed | None,
    seeds_p: float | None,
    clients_p: float | None,
) -> list[Cell]:
    pairs = comparison.paired(label, reference)
    mean = float(np.mean([a.summary["accuracy_mean"] - b.summary["accuracy_mean"] for a, b in pairs]))
    return [
        Cell(f"{mean:+.2f}", mean),
        Cell(f"[{t.low:+.2f}, {t.high:+.2f}]", t.mean) if t else Cell(NOTHING),
        _p(seeds_p),
        Cell(str(len(pairs)), len(pairs)),
        Cell(f"{w.median:+.2f}", w.median) if w else Cell(NOTHING),
        Cell(f"{100 * w.better:.0f}", 100 * w.better) if w else Cell(NOTHING),
        _p(clients_p),
        Cell(str(w.n), w.n) if w else Cell(NOTHING),
    ]


@lru_cache(maxsize=4)
def _tests(comparison: Comparison, reference: str) -> tuple[list[str], list, list]:
    """Return (labels, paired t-tests over seeds, signed-rank tests over clients) of the methods that can be paired."""
    labels = [label for label in comparison.complete if label != reference and comparison.paired(label, reference)]
    labels = [
        label
        for label in labels
        if all(len(run.clients) for pair in comparison.paired(label, reference) for run in pair)
    ]
    over_seeds, over_clients = [], []
    for label in labels:
        ours, theirs = zip(*comparison.paired(label, reference), strict=True)
        over_seeds.append(
            paired_t([run.summary["accuracy_mean"] for run in ours], [run.summary["accuracy_mean"] for run in theirs])
        )
        over_clients.append(
            signed_rank(np.concatenate([run.clients for run in ours]), np.concatenate([run.clients for run in theirs]))
        )
    return labels, over_seeds, over_clients


def _corrected(p_values: Sequence[float | None]) -> list[float | None]:
    """Apply Holm's correction to the p-values that are not None."""
    corrected = iter(holm([p for p in p_values if p is not None]))
    return [None if p is None else next(corrected) for p in p_values]


def marks_of(comparison: Comparison, reference: str) -> dict[str, str]:
    """Return label -> the marks of its differences to the reference."""
    if not comparison.of(reference):
        return {}
    labels, over_seeds, over_clients = _tests(comparison, reference)
    marks = dict.fromkeys(labels, "")
    for tests, mark in ((over_seeds, OVER_SEEDS), (over_clients, OVER_CLIENTS)):
        for label, p in zip(labels, _corrected([test.p if test else None for test in tests]), strict=True):
            marks[label] += mark if p is not None and p < LEVEL else ""
    return marks


def _p(value: float | None) -> Cell:
    if value is None:
        return Cell(NOTHING)
    return Cell("< 0.001" if value < 0.001 else f"{value:.3f}", value)
