"""Statistics of differences among methods: intervals, paired tests, aggregates over tasks and average ranks."""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

SIGNIFICANT_DIGITS = 12
"""Significant digits to which scores are compared: 0.3 and 0.1 + 0.2 tie, and no score is known any better."""
EXACT_PAIRS = 13
"""Largest number of pairs for which all signings, 2 to the power of their number, are enumerated."""


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


class Signed(NamedTuple):
    """A signed-rank test: n pairs, the median difference, the share of pairs (0 to 1) with a > b, two-sided p."""

    n: int
    median: float
    better: float
    p: float


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
    if np.ptp(sample) == 0:  # scipy gives nan if nothing varies
        return Interval(*[float(sample[0])] * 3)
    mean = sample.mean()
    low, high = stats.t.interval(level, len(sample) - 1, loc=mean, scale=stats.sem(sample))
    return Interval(float(mean), float(low), float(high))


def intervals(scores: np.ndarray, level: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
    """Return Student's intervals of many means: [points, runs] -> (low, high), [points] each; NaN for one run."""
    points, runs = scores.shape
    if runs < 2:
        return np.full(points, np.nan), np.full(points, np.nan)
    mean = scores.mean(1)
    half = stats.t.ppf((1 + level) / 2, runs - 1) * scores.std(1, ddof=1) / np.sqrt(runs)
    return mean - half, mean + half


def paired_t(a: ArrayLike, b: ArrayLike, level: float = 0.95) -> Paired | None:
    """Return Student's paired t-test of the differences a - b; None for fewer than two pairs.

    p is 1 if no pair differs and 0 if all differ by the same amount.
    """
    differences = _differences(a, b)
    interval = mean_interval(differences, level)
    if interval is None:
        return None
    if np.ptp(differences) == 0:  # scipy gives nan and warns
        return Paired(len(differences), *interval, float(differences[0] == 0))
    return Paired(len(differences), *interval, float(stats.ttest_1samp(differences, 0).pvalue))


def signed_rank(a: ArrayLike, b: ArrayLike) -> Signed | None:
    """Return Wilcoxon's signed-rank test of the differences a - b; None for fewer than two pairs.

    The ranks of pairs that do not differ are split evenly between the two sides (zero_method 'zsplit', as in Demšar
    2006), so p grows with their number and is 1 if no pair differs. p is exact for up to EXACT_PAIRS
    pairs, and for up to 50 that all differ, no two by the same amount; else it is that of the normal distribution.
    """
    differences = _differences(a, b)
    if len(differences) < 2:
        return None
    if len(differences) <= EXACT_PAIRS:  # scipy's wilcoxon does the same if there are ties, one signing at a time
        signed = np.sign(differences) * stats.rankdata(np.abs(differences))
        p = stats.permutation_test([signed], np.sum, permutation_type="samples", n_resamples=2**EXACT_PAIRS).pvalue
    else:
        p = stats.wilcoxon(differences, zero_method="zsplit").pvalue
    return Signed(len(differences), float(np.median(differences)), float((differences > 0).mean()), float(p))


def holm(p_values: Sequence[float]) -> list[float]:
    """Return the p-values of a family of tests, adjusted by Holm's step-down method, in the order given."""
    order = np.argsort(p_values, kind="stable")
    factors = np.arange(len(order), 0, -1)
    adjusted = np.empty(len(order))
    adjusted[order] = np.minimum(np.maximum.accumulate(factors * np.asarray(p_values, dtype=float)[order]), 1)
    return adjusted.tolist()


def interquartile_mean(values: ArrayLike, axis: int | None = None) -> Any:
    """Return the mean of the middle half of the values, or along an axis; of 4 k + r values, k go at each end."""
    return stats.trim_mean(np.asarray(values, dtype=float), 0.25, axis=axis)


def bootstrap_interval(
    scores: Iterable[ArrayLike],
    statistic: Callable[..., Any] = interquartile_mean,
    level: float = 0.95,
    repetitions: int = 2000,
    seed: int = 0,
) -> Interval:
    """Return a statistic of all runs of all tasks, and its percentile interval by stratified bootstrap.

    scores has one array [runs] per task, which may differ in length; runs are drawn anew within each task, tasks stay
    (Agarwal et al. 2021). statistic takes an array and an axis, as numpy.mean does; it sees all runs alike, so
    a task with more runs weighs more.
    """
    tasks = _tasks(scores)
    generator = np.random.default_rng(seed)
    drawn = [task[generator.integers(len(task), size=(repetitions, len(task)))] for task in tasks]
    estimate, *resampled = statistic(np.vstack([np.concatenate(tasks), np.hstack(drawn)]), axis=1)
    low, high = np.quantile(resampled, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(estimate), float(low), float(high))


def performance_profile(scores: Iterable[ArrayLike], thresholds: ArrayLike) -> np.ndarray:
    """Return the share of runs (0 to 1) that score above each threshold [thresholds], averaged over tasks.

    scores has one array [runs] per task; each task weighs the same, however many runs it has. This is the run-score
    distribution of Agarwal et al. 2021.
    """
    above = np.asarray(thresholds, dtype=float)
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
    costs, scores = np.asarray(cost, dtype=float), np.asarray(score, dtype=float)
    no_worse = (costs[:, None] <= costs) & (scores[:, None] >= scores)  # [one, other]: one is no worse than other
    return np.logical_not((no_worse & ~no_worse.T).any(0)).tolist()


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
    tasks = [np.asarray(task, dtype=float) for task in scores]
    if not tasks or not all(len(task) for task in tasks):
        raise ValueError("there is nothing to aggregate without a task, and without a run of each task")
    return tasks
