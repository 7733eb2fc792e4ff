"""What attacks reach, computed from their scores: areas, rates, intervals. This module imports no torch.

An attack's table has a row per score: who it is about (client), of which seed, and the truth.
"""

from collections.abc import Sequence

import numpy as np
from scipy import stats

BOOTSTRAP_DRAWS = 10_000
CONTROL_LEVEL = 0.9995
"""Level of the interval of chance that a control has to lie in: a table has dozens, and few may fail by chance."""
NOISE_MU = 1.0
"""Distance in standard deviations that one record makes in the control with known noise."""
LEAST_UNEVEN = 0.05
"""Total variation of a client's classes from the expected ones below which there is nothing to guess: clients of an iid
partition are 0.02 from them, and an attacker's own clients, of a hundred records each, 0.1."""


def auc(scores: np.ndarray, member: np.ndarray) -> float:
    """Return the area under the ROC curve: P(member's score > non-member's), a tie counting half; NaN without both.

    scores: [n]; member: [n] bool
    """
    positive, negative = int(member.sum()), int((~member).sum())
    if not positive or not negative:
        return float("nan")
    ranks = stats.rankdata(scores)[member].sum()
    return float((ranks - positive * (positive + 1) / 2) / (positive * negative))


def threshold_at(others: np.ndarray, fpr: float) -> float:
    """Return the lowest threshold that at most a share `fpr` of the scores [n] of non-members exceeds.

    One more non-member exceeds it with probability (floor(n fpr) + 1) / (n + 1), which for few is above fpr.
    """
    descending = np.sort(others)[::-1]
    return float(descending[int(np.floor(fpr * len(others)))]) if fpr < 1 else -np.inf


def tpr_at(scores: np.ndarray, member: np.ndarray, fpr: float) -> float:
    """Return the share of members above the lowest threshold that at most a share `fpr` of the non-members exceeds."""
    if member.all() or not member.any():
        return float("nan")
    return float((scores[member] > threshold_at(scores[~member], fpr)).mean())


def auc_deviation(members: int, others: int) -> float:
    """Return the standard deviation of an area that is chance: scores of both kinds are drawn from one distribution."""
    return float(np.sqrt((members + others + 1) / (12 * members * others))) if members and others else float("nan")


def chance_interval(members: int, others: int, level: float = CONTROL_LEVEL) -> tuple[float, float]:
    """Return the interval around 0.5 that an area of chance lies in with this probability."""
    half = float(stats.norm.ppf((1 + level) / 2)) * auc_deviation(members, others)
    return 0.5 - half, 0.5 + half


def cluster_interval(
    values: Sequence[float], level: float = 0.95, trials: int | None = None
) -> tuple[float, float] | None:
    """Return the expanded percentile bootstrap interval of the mean over clusters, such as the areas of (seed, client).

    It takes the percentiles by which Student's interval is wider than the normal one (Hesterberg 2015, The American
    Statistician 69(4)): with five clusters the plain percentiles cover 85 % and not 95. Shares that are 0, or 1, in all
    clusters have the bounds of Clopper and Pearson, as clusters that are alike say nothing of the spread. None for
    fewer than three clusters.

    trials: how many decisions the values are shares of, all clusters together; None: they are no shares
    """
    sample = np.asarray(values, dtype=float)
    n = len(sample)
    if n < 3:
        return None
    if trials and set(sample) in ({0.0}, {1.0}):
        bound = ((1 - level) / 2) ** (1 / trials)
        return (0.0, 1 - bound) if sample[0] == 0 else (bound, 1.0)
    tail = float(stats.norm.cdf(stats.t.ppf((1 - level) / 2, n - 1) * np.sqrt(n / (n - 1))))
    rng = np.random.default_rng(0)
    draws = sample[rng.integers(0, n, (BOOTSTRAP_DRAWS, n))]
    low, high = np.quantile(draws.mean(1), [tail, 1 - tail])
    return float(low), float(high)


def standardised(scores: np.ndarray, group: np.ndarray, calibration: np.ndarray) -> np.ndarray:
    """Return scores less the mean of their group's calibration rows, by the deviation of all calibration rows.

    scores: [n]; group: [n], such as classes; calibration: [n] bool, rows that are not judged afterwards
    """
    centred = scores.astype(float).copy()
    for g in np.unique(group):
        rows = group == g
        held = rows & calibration
        centred[rows] -= scores[held].mean() if held.any() else scores[rows].mean()
    deviation = centred[calibration].std() if calibration.any() else centred.std()
    return centred / deviation if deviation > 0 else np.zeros_like(centred)


def balanced_accuracy(truth: np.ndarray, guess: np.ndarray) -> float:
    """Return the mean of the shares found among what is present and among what is absent; NaN if all is one of them."""
    if truth.all() or not truth.any():
        return float("nan")
    return float((guess[truth].mean() + (~guess[~truth]).mean()) / 2)


def histogram_skill(truth: np.ndarray, estimate: np.ndarray, prior: np.ndarray) -> float:
    """Return 1 - TV(estimate, truth) / TV(prior, truth), of shares [C] of classes; 0 is chance.

    NaN if the prior is about the truth (`LEAST_UNEVEN`): there is nothing to guess.
    """
    wrong, blind = (float(np.abs(guess - truth).sum()) / 2 for guess in (estimate, prior))
    return 1 - wrong / blind if blind >= LEAST_UNEVEN else float("nan")
