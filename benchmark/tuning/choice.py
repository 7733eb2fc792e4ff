"""The choice among the trials of a method by validation accuracy, and what a smaller choice would have found."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb
from typing import NamedTuple

import numpy as np


@dataclass(frozen=True)
class Trial:
    """One trial of a method: its runs under all tuning seeds.

    status: done if all its runs are, else that of one that is not; "missing" if one has not ended yet
    validation, test: mean accuracy over clients, rounds and seeds in percent; None if it is not done
    flops: what its clients computed together, over all seeds
    """

    label: str
    status: str
    validation: float | None
    test: float | None
    flops: float


class Expected(NamedTuple):
    """Test accuracy in percent of the best of k trials on validation samples: mean and SD over the choice of the k."""

    mean: float
    sd: float


def ranked(trials: Sequence[Trial]) -> list[Trial]:
    """Return the trials that are done, the best on validation samples first, of equals the earliest."""
    done = [trial for trial in trials if trial.validation is not None]
    return sorted(done, key=lambda trial: -(trial.validation or 0.0))


def best(trials: Sequence[Trial]) -> Trial:
    """Return the choice among the trials: the best on validation samples; the first, the default, if none is done."""
    return next(iter(ranked(trials)), trials[0])


def expected_best(trials: Sequence[Trial]) -> list[Expected]:
    """Return what k trials out of these n are expected to find, for each k from 1 to n; nothing if no trial is done.

    All subsets of k trials are equally likely (Dodge et al. 2019, Section 3, without replacement): the trial with i
    better ones is the best of C(n - 1 - i, k - 1) of them. Trials that are not done lose, and subsets of nothing else
    are left out.
    """
    order, n = ranked(trials), len(trials)
    test = np.array([trial.test for trial in order], dtype=float)
    found = []
    for k in range(1, n + 1) if order else ():
        subsets = [comb(n - 1 - i, k - 1) for i in range(len(order))]
        share = np.array([count / sum(subsets) for count in subsets])
        mean = float(share @ test)
        found.append(Expected(mean, float(np.sqrt(share @ np.square(test - mean)))))
    return found
