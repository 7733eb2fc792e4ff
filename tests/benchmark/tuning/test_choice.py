"""The choice among trials, and Dodge's expectation against an enumeration of all subsets."""

from itertools import combinations

import numpy as np
import pytest

from benchmark.tuning.choice import Trial, best, expected_best


def trial(label, validation, test=None, status="done"):
    test = validation if test is None else test
    return Trial(label, status, validation, test, 1e12)


LOST = Trial("lost", "diverged", None, None, 1e12)


def test_the_best_on_validation_is_chosen_whatever_its_test_accuracy():
    assert best([trial("a", 50, 99), trial("b", 60, 10), trial("c", 55, 100)]).label == "b"


def test_of_equals_the_earliest_is_chosen():
    assert best([trial("a", 50), trial("b", 60), trial("c", 60)]).label == "b"


def test_what_diverged_loses_and_the_default_stays_if_all_did():
    assert best([LOST, trial("a", 1)]).label == "a"
    assert best([Trial("default", "diverged", None, None, 0), LOST]).label == "default"


def test_expectations_by_hand():
    """Of three trials: pairs have 20, 30, 30; the deviations from 80 / 3 are 20 / 3, 10 / 3, 10 / 3."""
    found = expected_best([trial("a", 1, 10), trial("b", 2, 20), trial("c", 3, 30)])
    assert found == [pytest.approx(pair) for pair in [(20, np.sqrt(200 / 3)), (80 / 3, np.sqrt(200) / 3), (30, 0)]]


@pytest.mark.parametrize("lost", [0, 1, 3])
@pytest.mark.parametrize("seed", range(4))
def test_expectations_are_those_of_all_subsets(seed, lost):
    rng = np.random.default_rng(seed)
    trials = [trial(str(i), float(v), float(t)) for i, (v, t) in enumerate(rng.integers(0, 4, (5, 2)))]  # with ties
    trials = [*trials, *[LOST] * lost]
    order = [trials[i] for i in rng.permutation(len(trials))]
    for k, found in enumerate(expected_best(order), start=1):
        tests = [chosen.test for some in combinations(order, k) if (chosen := best(some)).test is not None]
        assert found == pytest.approx((np.mean(tests), np.std(tests)))
    assert len(expected_best(order)) == len(order)


def test_there_is_no_expectation_without_a_trial_that_is_done():
    assert expected_best([LOST, LOST]) == []
