"""Metrics are what scikit-learn and hand-worked numbers say."""

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, roc_auc_score, roc_curve

from benchmark.privacy.metrics import (
    auc,
    auc_deviation,
    balanced_accuracy,
    chance_interval,
    cluster_interval,
    histogram_skill,
    standardised,
    threshold_at,
    tpr_at,
)


@pytest.fixture
def scored():
    """300 scores with ties, of which 90 are members'."""
    rng = np.random.default_rng(3)
    member = np.arange(300) < 90
    return np.round(rng.normal(size=300) + 0.6 * member, 1), member


def test_area_is_that_of_scikit_learn(scored):
    assert auc(*scored) == pytest.approx(roc_auc_score(scored[1], scored[0]), abs=1e-12)


@pytest.mark.parametrize("fpr", [0.0, 0.01, 0.05, 0.2])
def test_rate_at_false_alarms_is_that_of_scikit_learns_curve(scored, fpr):
    alarms, hits, _ = roc_curve(scored[1], scored[0], drop_intermediate=False)
    assert tpr_at(*scored, fpr) == pytest.approx(hits[alarms <= fpr].max(), abs=1e-12)


def test_rate_by_hand():
    """Of ten others one may be above: the threshold is the second highest, 8, and members 9 and 11 are above it."""
    scores = np.array([11, 9, 8, 3, *range(10)], dtype=float)
    member = np.arange(14) < 4
    assert tpr_at(scores, member, 0.1) == 0.5
    assert tpr_at(scores, member, 0.0) == 0.25


def test_chance_has_the_spread_of_chance():
    rng = np.random.default_rng(0)
    member = np.arange(60) < 20
    areas = [auc(rng.normal(size=60), member) for _ in range(2000)]
    assert np.std(areas) == pytest.approx(auc_deviation(20, 40), rel=0.05)
    low, high = chance_interval(20, 40, 0.95)
    assert np.mean([low <= area <= high for area in areas]) == pytest.approx(0.95, abs=0.02)


@pytest.mark.parametrize("clusters", [5, 15])
def test_interval_over_clusters_covers(clusters):
    """Plain percentiles of five clusters' means cover 85 %."""
    rng = np.random.default_rng(1)
    found = [cluster_interval(rng.normal(0.6, 0.05, clusters)) for _ in range(300)]
    assert np.mean([low <= 0.6 <= high for low, high in found]) > 0.92
    assert cluster_interval([0.5, 0.6]) is None


def test_shares_that_are_all_alike_have_an_interval():
    """Clopper and Pearson: of five trials without a hit the share is up to 1 - 0.025^(1/5) = 0.522."""
    assert cluster_interval([0.0] * 5, trials=5) == (0.0, pytest.approx(0.5218, abs=1e-4))
    assert cluster_interval([1.0] * 5, trials=5) == (pytest.approx(0.4782, abs=1e-4), 1.0)
    assert cluster_interval([0.0] * 5, trials=20) == (0.0, pytest.approx(1 - 0.025**0.05))
    assert cluster_interval([0.0] * 5) == (0.0, 0.0)  # decibels that are all 0 are no shares


def test_a_threshold_lets_as_few_pass_as_it_says():
    """Of 199 others one may be above, so it is the second highest; of 50 none."""
    assert threshold_at(np.arange(199.0), 0.01) == 197
    assert threshold_at(np.arange(50.0), 0.01) == 49
    assert threshold_at(np.arange(50.0), 1) == -np.inf


def test_balanced_accuracy_is_that_of_scikit_learn():
    truth, guess = np.array([1, 1, 0, 0, 0, 1], bool), np.array([1, 0, 0, 1, 0, 1], bool)
    assert balanced_accuracy(truth, guess) == pytest.approx(balanced_accuracy_score(truth, guess))
    assert np.isnan(balanced_accuracy(np.ones(4, bool), np.ones(4, bool)))


def test_skill_by_hand():
    truth, prior = np.array([[0.5, 0.5, 0.0]]), np.array([[0.2, 0.4, 0.4]])
    assert histogram_skill(truth, truth, prior) == 1
    assert histogram_skill(truth, prior, prior) == 0
    assert histogram_skill(truth, np.array([[0.5, 0.3, 0.2]]), prior) == pytest.approx(0.5)  # 0.4 of 0.8 remain
    assert np.isnan(histogram_skill(truth, prior, truth))


def test_shares_that_are_as_expected_can_t_be_guessed_any_better():
    even = np.full(4, 0.25)
    nearly, uneven = (even + np.array([more, -more, 0, 0]) for more in (0.04, 0.06))
    assert np.isnan(histogram_skill(nearly, uneven, even))
    assert histogram_skill(uneven, even, even) == 0


def test_standardised_takes_the_scale_from_calibration_rows_alone():
    scores, group = np.array([1.0, 3.0, 9.0, 10.0, 12.0, 0.0]), np.array([0, 0, 0, 1, 1, 1])
    calibration = np.array([1, 1, 0, 1, 1, 0], bool)  # means 2 and 11, deviation 1
    np.testing.assert_allclose(standardised(scores, group, calibration), [-1, 1, 7, -1, 1, -11])
