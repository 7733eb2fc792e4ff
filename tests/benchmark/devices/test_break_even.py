"""Break-even points, worked out by hand and found again by the clock."""

import numpy as np
import pytest

from benchmark.devices.break_even import break_even_factor, energy_ratio
from benchmark.devices.clock import Rates, seconds_of_rounds


def at_factor(work, rates, factor):
    return seconds_of_rounds(work, rates._replace(down=rates.down * factor, up=rates.up * factor)).sum()


def test_one_client_by_hand(work_of, slow):
    """1 s of waiting, 2 s of computing, 3 s of travelling: for 4.5 s bandwidth is 3 / (4.5 - 3) = 2 times as high."""
    work = work_of([(0, 2_000, 1_000, 1_000)])
    assert break_even_factor(work, Rates.of(slow), 4.5) == pytest.approx(2)


@pytest.mark.parametrize("limit", [15.6, 19.0, 22.0, 100.0, 1e6])
def test_the_clock_shows_the_limit_there(two_by_two, slow, limit):
    """Without travelling 15.5 s are left. The slowest in round 1 is client 1 at little bandwidth, client 0 at much."""
    two_by_two.server_flops[:] = 0
    factor = break_even_factor(two_by_two, Rates.of(slow), limit)
    assert at_factor(two_by_two, Rates.of(slow), factor) == pytest.approx(limit, rel=1e-12)


def test_many_random_clients(work_of, slow):
    rng = np.random.default_rng(0)
    made = [[(k, *rng.integers(1, 10_000, 3).tolist()) for k in range(20)] for _ in range(30)]
    work, rates = work_of(*made), Rates.of(slow)
    for factor in (0.01, 0.5, 1.0, 3.0, 200.0):
        assert break_even_factor(work, rates, at_factor(work, rates, factor)) == pytest.approx(factor, rel=1e-9)


def test_never_and_always(work_of, two_by_two, slow):
    silent = work_of([(0, 2_000, 0, 0)])
    assert break_even_factor(silent, Rates.of(slow), 3.0) == 0
    assert break_even_factor(silent, Rates.of(slow), 2.0) is None
    instant = at_factor(two_by_two, Rates.of(slow), np.inf)
    assert break_even_factor(two_by_two, Rates.of(slow), instant) is None


def test_energy(work_of, two_by_two):
    """15,000 FLOPs and 7,750 bytes beside a reference of 22,750 FLOPs and none: a byte may cost a FLOP's energy."""
    reference = work_of([(0, 22_750, 0, 0)])
    assert energy_ratio(two_by_two, reference) == 1.0
    assert energy_ratio(two_by_two, work_of([(0, 1, 0, 0)])) == 0.0
    assert energy_ratio(reference, reference) is None
