"""Statistics of differences among methods: intervals, paired tests, profiles and average ranks over tasks."""

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import special, stats

SIGNIFICANT_DIGITS = 12
"""Significant digits to which scores are compared: 0.3 and 0.1 + 0.2 tie, and no score is known any better."""


class Interval(NamedTuple):
    """An estimate and its confidence interval, all in the unit of the values."""

    mean: float
    low: float
    high: float


class Paired(NamedTuple):
    """A paired t-test: n pairs, the mean difference with its interval in the unit of the values, two-sided p."""

    n: int
    mean: float
    low: float
    high: float
    p: float


class Described(NamedTuple):
    """n paired differences a - b as they are: their median, and the shares of pairs (0 to 1) with more, as much, less.

    The pairs may depend on each other, as the clients of a federation do, so this is no test.
    """

    n: int
    median: float
    better: float
    equal: float
    worse: float


class Ranks(NamedTuple):
    """Methods ranked on n tasks, 1 the best: average rank [methods], Friedman's test and Nemenyi's distance.

    chi2 is Friedman's statistic, f that of Iman and Davenport, whose p is given; two methods differ whose average
    ranks are further apart than critical_difference, which is in ranks.
    """

    average: np.ndarray
    chi2: float
    f: float
    p: float
    critical_difference: float
    n: int


def mean_interval(values: ArrayLike, level: float = 0.95) -> Interval | None:
    """Return the mean of independent values, such as seeds, with Student's interval; None for fewer than two values."""
    sample = np.asarray(values, dtype=float)
    if len(sample) < 2:
        return None
    if np.ptp(sample) == 0:  # the mean of equal values may differ from them in its last bit
        return Interval(*[float(sample[0])] * 3)
    mean, half = float(sample.mean()), _t_quantile(len(sample), level) * _standard_error(sample)
    return Interval(mean, mean - half, mean + half)


def intervals(scores: np.ndarray, level: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
    """Return Student's intervals of many means: [points, runs] -> (low, high), [points] each; NaN for one run."""
    points, runs = scores.shape
    if runs < 2:
        return np.full(points, np.nan), np.full(points, np.nan)
    mean = scores.mean(1)
    half = _t_quantile(runs, level) * scores.std(1, ddof=1) / np.sqrt(runs)
    return mean - half, mean + half


def paired_t(a: ArrayLike, b: ArrayLike, level: float = 0.95) -> Paired | None:
    """Return Student's paired t-test of the differences a - b; None for fewer than two pairs.

    p is 1 if no pair differs. If all differ by the same amount, as few scores that come in steps may, there is no
    variance to test with, and p is the chance that all n agree in sign: 2^(1 - n).
    """
    differences = _differences(a, b)
    interval = mean_interval(differences, level)
    if interval is None:
        return None
    if np.ptp(differences) == 0:
        return Paired(len(differences), *interval, 1.0 if differences[0] == 0 else 2.0 ** (1 - len(differences)))
    t = interval.mean / _standard_error(differences)
    return Paired(len(differences), *interval, float(2 * special.stdtr(len(differences) - 1, -abs(t))))


def detectable(test: Paired, tests: int, level: float = 0.05) -> float:
    """Return from which size on a paired t-test tells a difference from 0 in the strictest of so many tests by Holm.

    In the unit of the values, by the standard error that the test has found.
    """
    half = (test.high - test.low) / 2
    return half * _t_quantile(test.n, 1 - level / tests) / _t_quantile(test.n, 0.95)


def has_width(test: Paired) -> bool:
    """Return whether an interval says something: not where all pairs differ by the same amount, which is not 0."""
    return test.low < test.high or test.mean == 0


def describe(a: ArrayLike, b: ArrayLike) -> Described | None:
    """Return what the differences a - b are like; None if there are none."""
    differences = _differences(a, b)
    if not len(differences):
        return None
    shares = [float(np.mean(np.sign(differences) == sign)) for sign in (1, 0, -1)]
    return Described(len(differences), float(np.median(differences)), *shares)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return the p-values of a family of tests, adjusted by Holm's step-down method, in the order given."""
    order = np.argsort(p_values)
    factors = np.arange(len(order), 0, -1)
    adjusted = np.empty(len(order))
    adjusted[order] = np.minimum(np.maximum.accumulate(factors * np.asarray(p_values)[order]), 1)
    return adjusted.tolist()


def performance_profile(scores: Iterable[ArrayLike], thresholds: ArrayLike) -> np.ndarray:
    """Return the share of runs (0 to 1) that score above each threshold [thresholds], averaged over tasks.

    scores has one array [runs] per task; each task weighs the same, however many runs it has. This is the run-score
    distribution of Agarwal et al. 2021.
    """
    above = np.asarray(thresholds)
    return np.mean([(task[:, None] > above).mean(0) for task in _tasks(scores)], axis=0)


def average_ranks(scores: ArrayLike, level: float = 0.05) -> Ranks | None:
    """Rank methods by scores [tasks, methods], higher being better; None for fewer than two tasks or methods.

    The formulas are those of Demšar 2006, which do not correct for ties: with ties they err towards no difference.
    scipy's friedmanchisquare corrects and wants three methods, so it is not used. p is no less than the chance that
    all tasks agree on one order by luck, which is the least p that ranks can have; F's tail falls below it when
    tasks are few.
    """
    table = np.asarray(scores, dtype=float)
    n, k = table.shape
    if n < 2 or k < 2:
        return None
    average = np.mean([stats.rankdata(-task.round(_decimals(task))) for task in table], axis=0)
    chi2 = 12 * n * float(np.square(average - (k + 1) / 2).sum()) / (k * (k + 1))
    most = n * (k - 1)  # chi2 if all tasks agree
    f = (n - 1) * chi2 / (most - chi2) if chi2 < most else math.inf
    p = max(float(stats.f.sf(f, k - 1, (k - 1) * (n - 1))), 1 / math.factorial(k) ** (n - 1))
    q = float(stats.studentized_range.ppf(1 - level, k, np.inf)) / math.sqrt(2)
    return Ranks(average, chi2, f, p, q * math.sqrt(k * (k + 1) / (6 * n)), n)


def cliques(average: ArrayLike, critical_difference: float) -> list[tuple[int, ...]]:
    """Return the bars of a critical-difference diagram: largest groups of methods no further apart than that.

    Each has the indices of at least two methods into average [methods], the best rank first.
    """
    ranks = np.asarray(average, dtype=float)
    order = np.argsort(ranks, kind="stable")
    groups: list[tuple[int, ...]] = []
    reached = 0
    for start, first in enumerate(order):
        end = int(np.searchsorted(ranks[order] - ranks[first], critical_difference, side="right"))
        if end > max(reached, start + 1):  # else it is one method, or part of the group before
            groups.append(tuple(order[start:end].tolist()))
            reached = end
    return groups


def pareto(cost: ArrayLike, score: ArrayLike) -> list[bool]:
    """Return which points [points] no other beats: none costs no more and scores no less, one of them strictly."""
    costs, scores = np.asarray(cost), np.asarray(score)
    no_worse = (costs[:, None] <= costs) & (scores[:, None] >= scores)  # [one, other]: one is no worse than other
    return np.logical_not((no_worse & ~no_worse.T).any(0)).tolist()


def _t_quantile(n: int, level: float) -> float:
    """Return the quantile of Student's t that an interval of the mean of n values reaches, in standard errors."""
    return float(special.stdtrit(n - 1, (1 + level) / 2))


def _standard_error(sample: np.ndarray) -> float:
    return float(sample.std(ddof=1)) / math.sqrt(len(sample))


def _differences(a: ArrayLike, b: ArrayLike) -> np.ndarray:
    """Return a - b [pairs] without the noise of the last bits, which would break ties and make zeros differ."""
    pairs = np.array(list(zip(np.asarray(a, dtype=float), np.asarray(b, dtype=float), strict=True))).reshape(-1, 2)
    return (pairs[:, 0] - pairs[:, 1]).round(_decimals(pairs))


def _decimals(values: np.ndarray) -> int:
    """Return the number of decimals that leaves the largest value SIGNIFICANT_DIGITS significant digits."""
    largest = np.abs(values).max(initial=0)
    return SIGNIFICANT_DIGITS - math.ceil(math.log10(largest)) if largest > 0 else 0


def _tasks(scores: Iterable[ArrayLike]) -> list[np.ndarray]:
    """Return the scores of each task as an array [runs]. Raises ValueError if there are none."""
    tasks = [np.asarray(task) for task in scores]
    if not tasks or not all(len(task) for task in tasks):
        raise ValueError("there is nothing to aggregate without a task, and without a run of each task")
    return tasks
