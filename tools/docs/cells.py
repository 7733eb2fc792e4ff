"""The published cells, a data set and a number of clients each, as stored results have them."""

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmark.report.cells import NOTHING, interval_text
from benchmark.report.differences import Difference
from benchmark.report.frame import LEAST_SEEDS, Comparison
from benchmark.report.levelling import THIRD_ROUNDS, still_moves, too_few, trend
from benchmark.report.statistics import Paired
from benchmark.storage.moments import Moment
from tools.docs.blocks import TITLES
from tools.docs.costs import REFERENCE

LINE_UP = "cnn5"
DIGITS = ("mnist5k", 10)
"""A cell that nobody has published, and every machine can run in minutes."""
DIGITS_RESULTS = DIGITS[0]
"""The folder of its results, named after the data set."""
MAIN_RESULTS = "reference"
"""The folder of results that claims are answered from."""
TOO_FEW_SEEDS = "too few seeds"
NOT_RUN = "not run"
SIDES = ("above", "below", "not told apart from")
NONE_YET = "None of them has been run yet."
PRECISE = 1.0
"""Half the widest interval in points that reproduces a gain: wider ones hold most of the gains that are published."""
Stored = Mapping[str, Sequence[Comparison]]
"""Experiment -> its comparisons."""


@cache
def published() -> dict[str, Any]:
    """Return the published tables as their file has them."""
    return tomllib.loads(Path(__file__).with_name("published.toml").read_text(encoding="utf-8"))


def published_tables() -> Iterator[dict[str, Any]]:
    """Yield the table of each source: method -> its value in each cell, and the source in words."""
    return (table for table in published().values() if isinstance(table, dict))


def published_cells() -> list[tuple[str, int]]:
    """Return the data set and the number of clients of each cell, in the order of the tables."""
    return [(dataset, clients) for dataset, clients in published()["cells"]]


def published_values(cell: tuple[str, int]) -> dict[str, Any]:
    """Return method -> its published accuracy in a cell in percent, or "failed"."""
    i = published_cells().index(cell)
    return {name: row[i] for table in published_tables() for name, row in table.items() if name != "source"}


def of_cell(comparisons: Sequence[Comparison], dataset: str, clients: int) -> Comparison | None:
    """Return the comparison with the most rounds of a published cell that has Standalone's runs."""
    found = [
        c
        for c in comparisons
        if (c.dataset, c.setting["clients"], c.setting["models"]) == (dataset, clients, LINE_UP) and c.of(REFERENCE)
    ]
    return max(found, key=lambda c: c.setting["rounds"], default=None)


def long_enough(comparison: Comparison) -> bool:
    """Return whether its rounds suffice to say whether curves have levelled, whatever its seeds."""
    return comparison.setting["rounds"] // comparison.setting.get("eval_every", 1) >= 3 * THIRD_ROUNDS


def long_cells(stored: Stored) -> Iterator[tuple[str, Comparison]]:
    """Yield the title and the comparison of each published cell of results/reference that was run long enough."""
    for cell in published_cells():
        comparison = of_cell(stored.get(MAIN_RESULTS, ()), *cell)
        if comparison and long_enough(comparison):
            yield cell_title(*cell), comparison


def stretches(rounds: np.ndarray, number: int) -> np.ndarray:
    """Return in which of so many equal stretches, counted from 1, each of the evaluated rounds [evaluated] is."""
    return np.ceil(number * rounds / rounds[-1]).astype(int)


def cell_title(dataset: str, clients: int) -> str:
    """Return what a cell is called."""
    return f"{TITLES.get(dataset, dataset)}, N = {clients}"


def gain_text(ours: Difference | None) -> str:
    """Return a gain in points, with its interval from as many seeds on as a test needs."""
    if ours is None:
        return NOTHING
    enough = ours.test and len(ours.by_seed) >= LEAST_SEEDS
    return f"{ours.mean:+.2f}" + (f" {interval_text(ours.test.low, ours.test.high)}" if enough and ours.test else "")


@lru_cache(maxsize=256)
def unlevelled_at(comparison: Comparison, moment: Moment) -> dict[str, str]:
    """Return label -> why the method's curve at a moment counts as not levelled, of those that do."""
    return replace(comparison, moments=[moment]).unlevelled


def if_precise(test: Paired, said: str) -> str:
    """Return what is said of an interval that holds a published difference, unless it holds many others, too."""
    half = (test.high - test.low) / 2
    return said if half <= PRECISE else f"agrees, but ± {half:.1f} points is too wide to say"


def side_of(ours: Difference) -> str:
    """Return on which side of the method that it is compared with another is, unless chance explains it: of SIDES."""
    above, below, neither = SIDES
    return neither if not ours.marked else above if ours.mean > 0 else below


class Judged(NamedTuple):
    """Whether a difference between two methods answers which is better.

    reason: why nothing can be said of it, None if something can; note: what has to be read with an answer, or ""
    """

    reason: str | None
    note: str = ""


def judged(
    comparison: Comparison, moment: Moment, ours: Difference, label: str, other: str, size: bool = False
) -> Judged:
    """Return whether something can be said of a difference between these methods at a moment.

    Their curves at that moment have to have levelled, or to climb alike, and seeds have to be as many as a test needs.
    If the difference still grows, only its size is open. size: whether it is asked for
    """
    unlevelled = unlevelled_at(comparison, moment)
    reasons = [unlevelled[name] for name in (label, other) if name in unlevelled]
    note = ""
    if reasons and too_few(reasons):
        return Judged("too few rounds or seeds")
    if reasons:
        curve = difference_curve(comparison, moment, label, other)
        moves, grows = still_moves(*curve), trend(*curve).rise * ours.mean > 0
        if moves and too_few([moves]):
            return Judged("not levelled")
        if moves and (size or not grows):
            return Judged(f"not levelled, {moves}")
        note = f", {moves or 'climbing alike'}"
    return Judged(None, note) if len(ours.by_seed) >= LEAST_SEEDS else Judged(TOO_FEW_SEEDS)


def difference_curve(comparison: Comparison, moment: Moment, label: str, other: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the rounds [evaluated], and the difference of two methods in each under each seed: [seeds, evaluated]."""
    pairs = [[run.means(moment) for run in pair] for pair in comparison.paired(label, other)]
    rounds = sorted(set.intersection(*(set(means) for pair in pairs for means in pair)))
    return np.array(rounds), np.array([[ours[t] - theirs[t] for t in rounds] for ours, theirs in pairs])
