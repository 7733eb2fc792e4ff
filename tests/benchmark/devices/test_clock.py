"""The clock against numbers worked out by hand, and against a check that was made independently of this code."""

import json
from pathlib import Path
from time import perf_counter

import numpy as np
import pytest

from benchmark.devices.clock import Rates, joules, seconds_of_rounds
from benchmark.devices.envelope import envelope
from benchmark.devices.fastest import GRID_POINTS, speed_map
from benchmark.devices.profile import profile
from benchmark.devices.stored_work import StoredWork
from benchmark.report.frame import read_experiment

ROOT = Path(__file__).parents[3]


def test_two_clients_and_two_rounds_by_hand(two_by_two, slow):
    """Client 0: 0.5 + 8 * 1,000 / 8,000 + 8 + 0.5 + 8 * 500 / 4,000 = 11; client 1: 0.5 + 4 + 1 + 0.5 + 4 = 10;
    the server 400 / 200 = 2. Then client 1: nothing down, so no waiting for it, 6 + 0.5 + 0.5 = 7, and 2.
    """
    assert seconds_of_rounds(two_by_two, Rates.of(slow)).tolist() == [13.0, 9.0]


def test_with_infinite_bandwidth_and_no_round_trip_flops_over_rate_are_left(two_by_two, slow):
    at = Rates.of(slow)._replace(down=np.inf, up=np.inf, round_trip=0.0)
    assert seconds_of_rounds(two_by_two, at).tolist() == [8_000 / 1_000 + 400 / 200, 6_000 / 1_000 + 400 / 200]


def test_bandwidth_is_in_bits_and_decimal(two_by_two):
    """2,000 bytes up at one Mbit/s are 16 ms."""
    at = Rates(np.inf, 1e6, 0.0, np.inf, np.inf)
    assert seconds_of_rounds(two_by_two, at) == pytest.approx([0.016, 0.002], rel=1e-12)
    assert profile("cable").up == 1_000_000
    assert profile("cable").round_trip == 0.028


def test_rates_may_differ_by_client_and_by_point_of_a_grid(two_by_two, slow):
    flops = np.array([1_000.0, np.inf])[two_by_two.clients]  # client 1 computes in no time
    assert seconds_of_rounds(two_by_two, Rates.of(slow)._replace(flops=flops)).tolist() == [13.0, 3.0]
    many = np.array([1_000.0, 2_000.0])[:, np.newaxis, np.newaxis]
    assert seconds_of_rounds(two_by_two, Rates.of(slow)._replace(flops=many)).tolist() == [[13.0, 9.0], [11.5, 6.0]]


def test_the_second_clock_takes_seconds_for_flops(two_by_two, slow):
    """On a machine of 2,000 FLOP/s: 1 s is 2 s on a device of 1,000 FLOP/s, the server's 0.5 s are 5 s at 200."""
    at = Rates.of(slow)._replace(down=np.inf, up=np.inf, round_trip=0.0)
    assert seconds_of_rounds(two_by_two.timed(2_000), at).tolist() == [2 + 5, 6 + 5]


def test_energy_is_that_of_all_participants(two_by_two, slow):
    assert joules(two_by_two, slow) is None
    sources = {**slow.sources, "joules_per_flop": "x", "joules_per_byte": "x"}
    charged = slow.model_copy(update={"joules_per_flop": 2.0, "joules_per_byte": 10.0, "sources": sources})
    assert joules(two_by_two, charged).tolist() == [2 * 9_000 + 10 * 7_500, 2 * 6_000 + 10 * 250]


def test_works_are_cut_and_joined(two_by_two, slow):
    assert len(two_by_two.first(1).flops) == 1
    twice = StoredWork.joined([two_by_two.first(1), two_by_two])
    assert seconds_of_rounds(twice, Rates.of(slow)).tolist() == [13.0, 13.0, 9.0]
    none = StoredWork.of([{"clients": [], "server_flops": 100, "server_seconds": 0.0}])
    assert seconds_of_rounds(none, Rates.of(slow)).tolist() == [0.5]


@pytest.fixture(scope="module")
def catalogue():
    found = read_experiment(ROOT / "results", "catalogue", {"cifar10": 75.0}, few=1000)
    return next(comparison for comparison in found if comparison.setting["models"] == "cnn5")


def to_target(comparison, label):
    (run,) = comparison.of(label)
    row = run.cost_to(comparison.target)
    return None if row is None else run.work.first(int(row["round"]))


@pytest.mark.parametrize("name, seconds", [("lan", 34), ("cable", 238), ("3g", 367), ("2g", 10_239)])
def test_fedmoe_in_the_catalogue(catalogue, name, seconds):
    """To 75 % at 50 GFLOP/s, as a calculation outside of this project has it."""
    assert round(seconds_of_rounds(to_target(catalogue, "fedmoe"), Rates.of(profile(name))).sum()) == seconds


def test_stored_work_is_what_rounds_say(catalogue):
    (run,) = catalogue.of("fedmoe")
    (file,) = (ROOT / "results" / "catalogue" / "cifar10" / "fedmoe").glob("*/rounds.jsonl")
    records = [json.loads(line) for line in file.read_text().splitlines()]
    assert run.work.flops.sum(axis=1).tolist() == [record["client_flops"] for record in records]
    assert run.work.bytes_up.sum(axis=1).tolist() == [record["bytes_up"] for record in records]


def test_the_map_of_the_whole_catalogue_takes_less_than_two_seconds(catalogue):
    works = [to_target(catalogue, label) for label in catalogue.complete]
    started = perf_counter()
    found = speed_map([[work] if work else None for work in works], profile("cable"))
    assert perf_counter() - started < 2
    assert found.seconds.shape == (len(works), GRID_POINTS, GRID_POINTS)
    slowest_link, fastest_link = found.fastest[0], found.fastest[-1]
    standalone, fedl2g = (catalogue.complete.index(label) for label in ("standalone", "fedl2g"))
    assert slowest_link[-1] == standalone  # fast devices, slow links: what sends nothing
    assert fastest_link[0] == fedl2g  # slow devices, fast links: what computes least


def test_a_map_agrees_with_the_clock_and_knows_who_never_arrives(two_by_two, slow):
    found = speed_map([[two_by_two, two_by_two.first(1)], None], slow)
    middle = GRID_POINTS // 2
    assert found.flops[middle] == pytest.approx(slow.flops)
    at = Rates.of(slow)._replace(up=found.up[3], down=2 * found.up[3])
    both = np.mean([seconds_of_rounds(work, at).sum() for work in (two_by_two, two_by_two.first(1))])
    assert found.seconds[0, 3, middle] == pytest.approx(both)
    assert (found.fastest == 0).all()
    assert (speed_map([None], slow).fastest == -1).all()


def test_an_envelope_says_what_the_clock_says(catalogue, two_by_two, slow):
    """Of the two clients by hand neither is always the slower one in round 1; client 1 is in round 2."""
    found = envelope(two_by_two, slow)
    assert (len(found.rounds), len(found.rounds[0])) == (1, 2)
    cable = profile("cable")
    for work, at in (
        (two_by_two, slow),
        (to_target(catalogue, "fedmoe"), cable),
        (to_target(catalogue, "fd+collect=after"), cable),
    ):
        for factor, flops in ((1, at.flops), (0.001, at.flops), (50, 100 * at.flops), (0.2, at.flops / 30)):
            rates = Rates.of(at)._replace(down=factor * at.down, up=factor * at.up, flops=flops)
            seconds = envelope(work, at).seconds(flops, factor * at.up)
            assert seconds == pytest.approx(seconds_of_rounds(work, rates).sum(), rel=1e-12)
