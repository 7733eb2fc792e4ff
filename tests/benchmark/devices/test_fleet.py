"""Random fleets: what is drawn, and what follows."""

import numpy as np
import pytest

from benchmark.devices.clock import Rates, seconds_of_rounds
from benchmark.devices.fleet import FLEET_DRAWS, Fleets, draw_fleets, fleet_seconds, probability_before
from benchmark.devices.profile import profile


def test_a_fleet_of_equal_devices_is_the_profile(two_by_two, slow):
    same = [np.full((3, 2), value) for value in (slow.down, slow.up, slow.round_trip, slow.flops)]
    assert fleet_seconds(two_by_two, Fleets(*same, slow.server_flops)).tolist() == [22.0] * 3


def test_each_client_has_its_own_device(two_by_two, slow):
    """Client 1, alone in round 2, is twice as fast in the second draw: 3 s less there, and round 1 waits for 0."""
    same = [np.full((2, 2), value) for value in (slow.down, slow.up, slow.round_trip)]
    flops = np.array([[1_000.0, 1_000.0], [1_000.0, 2_000.0]])
    assert fleet_seconds(two_by_two, Fleets(*same, flops, slow.server_flops)).tolist() == [22.0, 19.0]


def test_draws_are_the_same_each_time_and_have_the_spread_of_phones():
    profiles = [profile("cable"), profile("2g")]
    first, second = draw_fleets(profiles, 50), draw_fleets(profiles, 50)
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    assert first.down.shape == (FLEET_DRAWS, 50)
    assert np.mean(first.down == profiles[0].down) == pytest.approx(0.5, abs=0.02)
    assert set(np.unique(first.up)) == {p.up for p in profiles}
    low, median, high = np.percentile(first.flops, (10, 50, 90))
    assert median == pytest.approx(50e9, rel=0.05)
    assert high / low == pytest.approx(465 / 66, rel=0.05)  # of the phones' seconds, and so of their rates


def test_the_probability_of_being_first():
    a, b = np.array([1.0, 2.0, np.inf, np.inf]), np.array([2.0, 2.0, 5.0, np.inf])
    assert probability_before(a, b) == (1 + 0.5 + 0 + 0.5) / 4
    assert probability_before(a, b) + probability_before(b, a) == 1


def test_rounds_without_a_client_cost_nothing_of_it(two_by_two, slow):
    """Client 0 is not in round 2; where its place is padded, a slow device of its own must not count."""
    same = [np.full((1, 2), value) for value in (slow.down, slow.up, slow.round_trip)]
    flops = np.array([[1.0, 1_000.0]])
    seconds = fleet_seconds(two_by_two, Fleets(*same, flops, slow.server_flops))
    assert seconds.tolist() == [0.5 + 1 + 8_000 + 0.5 + 1 + 2 + 9]
    assert seconds_of_rounds(two_by_two, Rates.of(slow)).sum() == 22
