"""Epsilon, delta and mu are what dp-accounting and the closed form's own limits say."""

from math import sqrt
from statistics import NormalDist

import pytest

from benchmark.defence.accounting import MOST_OF_A_RECORD, NoisePromise, delta_of, epsilon_of, largest_area, mu_of


@pytest.mark.parametrize(
    ("epsilon", "mu", "area"), [(1, 0.27, 0.58), (2, 0.50, 0.64), (4, 0.925, 0.74), (8, 1.67, 0.88)]
)
def test_mu_and_the_largest_area_of_an_epsilon(epsilon, mu, area):
    """At a delta of 1e-5, worked out apart, of messages or zeros."""
    assert mu_of(epsilon, 1e-5) == pytest.approx(mu, abs=0.005)
    assert largest_area(mu_of(epsilon, 1e-5)) == pytest.approx(area, abs=0.005)


def test_the_largest_area_of_a_record_is_that_of_two_points_at_both_ends_of_the_ball():
    """Two messages that are each other's negative are two norms apart: N(-1, 1.5) and N(1, 1.5)."""
    promise = NoisePromise(1.0, 1e-5, 1, sigma=1.5)
    apart = NormalDist(2, 1.5 * sqrt(2))  # the difference of a draw with the record and one without
    assert largest_area(MOST_OF_A_RECORD * promise.mu) == pytest.approx(1 - apart.cdf(0))


@pytest.mark.parametrize(("epsilon", "rounds", "sigma"), [(1, 20, 16.7), (8, 20, 2.7), (8, 100, 6.0), (16, 100, 3.4)])
def test_noise_of_an_epsilon_over_rounds(epsilon, rounds, sigma):
    promise = NoisePromise.of(epsilon, 1e-5, rounds)
    assert promise.sigma == pytest.approx(sigma, abs=0.06)
    assert promise.mu == pytest.approx(sqrt(rounds) * promise.one_message_mu)
    assert f"over {rounds} rounds without sampling" in promise.words and "not covered" in promise.words


@pytest.mark.parametrize("mu", [0.1, 0.5, 1.0, 2.0, 4.0])
@pytest.mark.parametrize("delta", [1e-5, 1e-3])
def test_epsilon_is_dp_accountings(mu, delta):
    accounting = pytest.importorskip("dp_accounting")
    assert epsilon_of(mu, delta) == pytest.approx(accounting.get_epsilon_gaussian(1 / mu, delta), abs=1e-3)


@pytest.mark.parametrize(("epsilon", "rounds"), [(1, 20), (8, 20), (8, 100)])
def test_noise_over_rounds_keeps_to_epsilon_by_dp_accountings_composition(epsilon, rounds):
    """Its accountant by privacy loss distributions composes the rounds one after the other."""
    accounting = pytest.importorskip("dp_accounting")
    accountant = accounting.pld.PLDAccountant(value_discretization_interval=1e-4)
    sigma = NoisePromise.of(epsilon, 1e-5, rounds).sigma
    accountant.compose(accounting.SelfComposedDpEvent(accounting.GaussianDpEvent(sigma), rounds))
    assert accountant.get_epsilon(1e-5) == pytest.approx(epsilon, abs=2e-3)


def test_there_and_back():
    for epsilon in (0.5, 3, 20):
        assert epsilon_of(mu_of(epsilon, 1e-6), 1e-6) == pytest.approx(epsilon, rel=1e-6)
    assert epsilon_of(0.01, 0.5) == 0
    assert delta_of(0, 2 * 1.0) == pytest.approx(0.6827, abs=1e-4)  # total variation of N(0, 1) and N(2, 1)


def test_an_epsilon_that_promises_nothing_is_refused():
    with pytest.raises(ValueError, match="promises nothing"):
        mu_of(1e6, 1e-5)
    with pytest.raises(ValueError, match="leaves nothing but noise; ask for a larger one"):
        mu_of(1e-7, 1e-8)
