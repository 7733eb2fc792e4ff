"""What FedMoE's gate has learned, a part of docs/reproduction.md: the weights of inspected runs, early and late."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

from benchmark.report.cells import NOTHING
from benchmark.report.stored_run import StoredRun
from tools.docs.blocks import markdown_table
from tools.docs.cells import NONE_YET, Stored, long_cells
from tools.docs.claims import METHOD

SHARED_EXPERT = "shared expert"
"""What FedMoE calls the one of its two experts that travels, whose weight is shown; the other has the rest."""


def gate(stored: Stored) -> str:
    """Return a row for the first and the last inspected round of each cell and variant of FedMoE whose gate learns."""
    rows = []
    for title, comparison in long_cells(stored):
        for label in sorted(label for label in comparison.complete if label.partition("+")[0] == METHOD):
            inspected = [run for run in comparison.of(label) if run.weights]
            rows += _rows(title, label, inspected) if inspected else []
    heads = ["cell", "method", "seeds", "round", "mean of clients", "lowest client", "highest client"]
    heads += ["between a client's classes", "rank correlation with the first"]
    return markdown_table(heads, rows, left=2) if rows else NONE_YET


def _rows(title: str, label: str, runs: Sequence[StoredRun]) -> list[list[str]]:
    """Return those of one method, none if all weights are alike: such a gate is static.

    Clients are of all seeds together; correlations are means over seeds, if any.
    """
    rounds = sorted(set.intersection(*(set(run.weights) for run in runs)))
    first, last = ([GateWeights.of(run.weights[t][SHARED_EXPERT]) for run in runs] for t in (rounds[0], rounds[-1]))
    if np.ptp([of.means for of in first + last]) == 0 and not any(of.apart.any() for of in first + last):
        return []
    moving = [(a.means, b.means) for a, b in zip(first, last, strict=True) if np.ptp(a.means) and np.ptp(b.means)]
    kept = f"{np.mean([stats.spearmanr(a, b).statistic for a, b in moving]):.2f}" if moving else NOTHING
    found = []
    for t, weights, correlation in ((rounds[0], first, NOTHING), (rounds[-1], last, kept)):
        means, apart = (np.concatenate(of) for of in zip(*weights, strict=True))
        numbers = [means.mean(), means.min(), means.max(), apart.mean()]
        found.append([title, f"`{label}`", str(len(runs)), str(t), *(f"{x:.2f}" for x in numbers), correlation])
    return found


class GateWeights(NamedTuple):
    """The weight that each client's gate gives to the shared expert, and how far it differs between classes: [N]."""

    means: np.ndarray
    apart: np.ndarray

    @classmethod
    def of(cls, by_client: Sequence[Mapping[str, float]]) -> "GateWeights":
        """Return those of one round, given per client the mean weight of each class's test samples."""
        classes = [[*by_class.values()] for by_class in by_client]
        return cls(np.array([np.mean(of) for of in classes]), np.array([np.ptp(of) for of in classes]))
