"""Published cells among stored runs, and what can be said of a gain there."""

from types import SimpleNamespace

import pytest

from benchmark.report.differences import differences
from benchmark.report.frame import read_experiment
from benchmark.storage.moments import DOWNLOAD, LOCAL
from tools.docs import cells


def test_a_cell_is_its_longest_comparison_with_standalone(tmp_path, store):
    for rounds, label in ((2, "standalone"), (3, "standalone"), (4, "fedmoe")):
        store(tmp_path, label, [[6] * 10] * rounds, dataset="cifar10")
    found = cells.of_cell(read_experiment(tmp_path, "exp", {}), "cifar10", 10)
    assert found.setting["rounds"] == 3
    assert cells.of_cell([found], "cifar10", 50) is None
    assert cells.of_cell([found], "cifar100", 10) is None


@pytest.mark.parametrize(("rounds", "every", "enough"), [(14, 1, False), (15, 1, True), (140, 10, False)])
def test_rounds_are_enough_if_five_are_evaluated_in_the_last_third(rounds, every, enough):
    comparison = SimpleNamespace(setting={"rounds": rounds, "eval_every": every})
    assert cells.long_enough(comparison) == enough


@pytest.mark.parametrize(
    ("seeds", "said"),
    [(1, "+2.00"), (2, "+2.00"), (3, "+2.00 [+2.00, +2.00]")],
)
def test_a_gain_has_an_interval_from_three_seeds_on(tmp_path, store, seeds, said):
    for seed in range(seeds):
        for label, right in (("standalone", [6] * 10), ("fedmoe", [8, *[6] * 9])):
            store(tmp_path, label, [right], seed=seed)
    (found,) = read_experiment(tmp_path, "exp", {})
    assert cells.gain_text(differences(found, "standalone", LOCAL)["fedmoe"]) == said
    assert cells.gain_text(None) == "–"


def test_nothing_is_said_of_curves_that_climb_at_that_moment_or_of_two_seeds(tmp_path, store):
    """FedMoE climbs after the download alone, by ten points in round 50 of 60, which is in the last third.

    A step between 9 and 11 of 20 rounds has the slope 10 x 49.5 / 665, and 20 times that are 14.9 points.
    """

    def climbing(record):
        return {"post_download": {"correct": [7 if record["round"] < 50 else 8] * 10, "total": [10] * 10}}

    for seed in range(2):
        store(tmp_path, "standalone", [[6] * 10] * 60, seed=seed)
        store(tmp_path, "fedmoe", [[7] * 10] * 60, seed=seed, of_round=climbing)
    (found,) = read_experiment(tmp_path, "exp", {})
    said = {}
    for moment in (LOCAL, DOWNLOAD):
        gain = differences(found, "standalone", moment)["fedmoe"]
        said[moment] = cells.judged(found, moment, gain, "fedmoe", "standalone", size=True).reason
    rises = "not levelled, the difference rises by 14.9 points over the last third"
    assert said == {LOCAL: "too few seeds", DOWNLOAD: rises}


CLIMB = [t // 5 for t in range(45)]
RISES = "the difference rises by 13.4 points over the last third"


@pytest.mark.parametrize(
    ("standalone", "fedmoe", "size", "answer"),
    [
        (CLIMB, [n + 1 for n in CLIMB], True, (None, ", climbing alike")),
        ([1] * 45, [n + 1 for n in CLIMB], False, (None, f", {RISES}")),
        ([1] * 45, [n + 1 for n in CLIMB], True, (f"not levelled, {RISES}", "")),
        ([10] * 45, CLIMB, False, (f"not levelled, {RISES}", "")),
    ],
)
def test_what_a_difference_answers_before_curves_have_levelled(tmp_path, store, standalone, fedmoe, size, answer):
    """FedMoE climbs by ten points every fifth of 45 rounds: as Standalone does, or away from it, or towards it."""
    for seed in range(3):
        store(tmp_path, "standalone", [(1, n) for n in standalone], seed=seed)
        store(tmp_path, "fedmoe", [(1, n) for n in fedmoe], seed=seed)
    (found,) = read_experiment(tmp_path, "exp", {})
    gain = differences(found, "standalone", LOCAL)["fedmoe"]
    assert cells.judged(found, LOCAL, gain, "fedmoe", "standalone", size) == answer
