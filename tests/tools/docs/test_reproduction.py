"""The published table beside ours: verdicts of crafted gains, and tables of stored runs."""

from dataclasses import replace

import pytest

from benchmark.plugins import registry
from benchmark.report.differences import Difference
from benchmark.report.frame import read_experiment
from benchmark.report.statistics import paired_t
from tools.docs import cells, reproduction

OURS = [80.0, 81.0, 82.0]


def gain_of(*points):
    """A gain with these points under seeds 0, 1, ..., tested as reports test it."""
    test = paired_t([a + b for a, b in zip(OURS, points, strict=False)], OURS[: len(points)])
    return Difference([*enumerate(points)], test, None, None)


NARROW, WIDE = gain_of(1.8, 2.0, 2.2), gain_of(1.0, 2.0, 3.0)
SITUATIONS = {
    "the interval holds it": (2.4, NARROW, True, None, "reproduced"),
    "above the interval": (2.6, NARROW, True, None, "not reproduced"),
    "below it": (1.4, NARROW, True, None, "not reproduced"),
    "a wide one holds it": (2.0, WIDE, True, None, "agrees, but ± 2.5 points is too wide to say"),
    "even a wide one does not": (5.0, WIDE, True, None, "not reproduced"),
    "still climbs": (2.0, NARROW, True, "not levelled", "not comparable: not levelled"),
    "two seeds": (2.0, gain_of(2.0, 2.1), True, "too few seeds", "not comparable: too few seeds"),
    "one seed": (2.0, gain_of(2.0), True, None, "not comparable: too few seeds"),
    "not run": (2.0, None, False, None, "not run"),
    "failed there, trains here": (None, gain_of(1.0), True, "too few seeds", "not reproduced: it trains here"),
    "fails in both": (None, gain_of(-30.0, -30.0, -30.0), False, None, "reproduced: it fails"),
    "fails here under one seed": (None, gain_of(-30.0), False, "too few seeds", "not comparable: too few seeds"),
}


@pytest.mark.parametrize(("published", "ours", "trains", "reason", "said"), SITUATIONS.values(), ids=SITUATIONS)
def test_a_verdict(published, ours, trains, reason, said):
    """Of 1, 2 and 3 points the mean is 2, the standard error 1/sqrt(3), Student's factor 4.303: 2 +- 2.48.

    Of 1.8, 2 and 2.2 points it is a fifth of that, 2 +- 0.50.
    """
    assert reproduction.verdict(published, ours, trains, reason) == said


@pytest.mark.parametrize(("dataset", "best", "fedkd"), [("cifar100", 2.80, 22.16), ("cifar10", 0.05, 16.38)])
def test_published_gains_are_those_that_are_known(dataset, best, fedkd):
    """With ten clients, over the best of the others and over FedKD: the abstract's largest, and the digest's least."""
    values = cells.published_values((dataset, 10))
    others = {name: values[name] for name in values.keys() - {"fedmoe", "fedgh", "fedtgp", "pfedes"}}
    assert values["fedmoe"] - max(v for v in others.values() if v != reproduction.FAILED) == pytest.approx(best)
    assert values["fedmoe"] - others["fedkd"] == pytest.approx(fedkd)


@pytest.mark.parametrize(
    ("published", "said"), [(None, "reproduced: it diverged"), (2.0, "diverged"), (0.0, "diverged")]
)
def test_who_does_not_end_here_is_not_taken_for_not_run(published, said):
    assert reproduction.verdict(published, None, False, None, "diverged") == said


def test_a_row_of_a_run_that_diverged(tmp_path, store):
    store(tmp_path, "standalone", [[6] * 10] * 60, dataset="cifar10", experiment="reference")
    broken = {"status": "diverged", "reason": "loss is nan", "dataset": "cifar10", "experiment": "reference"}
    store(tmp_path, "fml", [[6] * 10] * 60, **broken)
    text = reproduction.tables({"reference": read_experiment(tmp_path, "reference", {})})
    (row,) = (line for line in text.splitlines() if line.startswith("| `fml`"))
    assert row.endswith("| reproduced: it diverged |")


def test_every_published_method_has_all_cells_and_is_known():
    tables = cells.published()
    for table in (tables["pfedes"], tables["pfedmoe"]):
        for name in table.keys() - {"source"}:
            assert name in registry.catalogue("methods")
            assert len(table[name]) == len(tables["cells"])


def test_a_table_of_stored_runs(tmp_path, store):
    """Three seeds: FedMoE is 1, 2 and 3 points above Standalone, so 2 +- 2.48; the paper has 96.58 - 96.53."""
    assert reproduction.tables({}) == "None of the published cells has been run yet."
    for seed, more in enumerate([1, 2, 3]):
        for label, right in (("standalone", [6] * 10), ("fedmoe", [6 + more, *[6] * 9])):
            store(tmp_path, label, [right] * 60, seed=seed, dataset="cifar10", experiment="reference")
    text = reproduction.tables({"reference": read_experiment(tmp_path, "reference", {})})
    assert text.startswith("### CIFAR-10, N = 10 (`results/reference`)\n\ncifar10, pathological:2, cnn5, N = 10")
    assert "| `standalone` | 96.53 | 60.00 | -36.53 | 3 |  |  |  |  |" in text
    gain = "+2.00 [-0.48, +4.48]"
    said = "agrees, but ± 2.5 points is too wide to say"
    assert f"| `fedmoe` | 96.58 | 62.00 | -34.58 | 3 | +0.05 | {gain} | {gain} | {said} |" in text
    assert "| `fml` | failed | – | – | – | – | – | – | not run |" in text


def test_what_the_folder_lacks_is_taken_from_the_catalogue_if_it_is_trained_alike(tmp_path, store):
    """FedKD is 20 points above the Standalone of its own folder; FD and FedGH were run otherwise, or without any."""
    which = {"dataset": "cifar10", "momentum": 0.9}
    for seed in range(2):
        for label in ("standalone", "fml"):
            store(tmp_path, label, [[6] * 10] * 60, seed=seed, experiment="reference", **which)
    for label, right in (("standalone", 4), ("fedkd", 6), ("fml", 9)):
        store(tmp_path, label, [[right] * 10] * 60, experiment="catalogue", **which)
    for label in ("standalone", "fd"):
        store(tmp_path, label, [[6] * 10] * 60, experiment="catalogue", batch_size=32, **which)
    names = ("reference", "catalogue")
    text = reproduction.tables({name: read_experiment(tmp_path, name, {}) for name in names})
    assert "| `fedkd` | 80.20 | 60.00 | -20.20 | 1 | -16.33 | +20.00 | +20.00 | not comparable: too few seeds |" in text
    assert "| `fml` | failed | 60.00 | – | 2 |" in text
    assert "| `fd` | 96.21 | – | – | – | -0.32 | – | – | not run |" in text
    assert text.endswith("\n\nFrom `results/catalogue`, beside the Standalone there: `fedkd`.")


@pytest.mark.parametrize(
    ("experiment", "said"), [("lab", "not within 1.5 points"), ("reference", ""), ("lab-short", "")]
)
def test_only_runs_of_full_length_have_to_come_near(tmp_path, store, experiment, said):
    store(tmp_path, "standalone", [[9] * 10] * 60, dataset="cifar10", experiment=experiment)
    text = reproduction.tables({experiment: read_experiment(tmp_path, experiment, {})})
    assert f"| `standalone` | 96.53 | 90.00 | -6.53 | 1 |  |  |  | {said} |" in text


def test_standalone_is_near_within_the_limit(tmp_path, store):
    """Of a hundred clients 25 get all right and 75 nine of ten; 91.97 is published."""
    right = [10] * 25 + [9] * 75
    store(tmp_path, "standalone", [right] * 20, dataset="cifar10", experiment="lab")
    text = reproduction.tables({"lab": read_experiment(tmp_path, "lab", {})})
    assert "| `standalone` | 91.97 | 92.50 | +0.53 | 1 |  |  |  | within 1.5 points |" in text


@pytest.mark.parametrize(("rounds", "said"), [(40, "too few rounds or seeds"), (60, "not levelled")])
def test_what_cannot_be_compared_says_why(tmp_path, store, rounds, said):
    for label, climb in (("standalone", 0), ("fedmoe", 6)):
        climbing = [[3 + climb * t // rounds] * 10 for t in range(rounds)]
        store(tmp_path, label, climbing, dataset="cifar10", experiment="reference")
    stored = {"reference": read_experiment(tmp_path, "reference", {})}
    assert f"| not comparable: {said}" in reproduction.tables(stored)


def test_a_verdict_says_if_curves_climb_alike(tmp_path, store):
    """Both are the same under three seeds, and climb: [0, 0] does not hold the 0.05 points that are published."""
    for seed in range(3):
        for label in ("standalone", "fedmoe"):
            climbing = [[2 + 6 * t // 60] * 10 for t in range(60)]
            store(tmp_path, label, climbing, seed=seed, dataset="cifar10", experiment="reference")
    stored = {"reference": read_experiment(tmp_path, "reference", {})}
    assert "| not reproduced, climbing alike |" in reproduction.tables(stored)


def test_settings_that_differ_in_one_thing(tmp_path, store):
    """A rate is in a label, and a batch in a comparison: rows of both below the one without, under the same seed."""
    assert reproduction.one_change({}) == reproduction.NONE_YET
    for seed, right in ((0, 7), (1, 3)):
        for label, more in (("standalone", 0), ("fedmoe", 1)):
            which = {"seed": seed, "dataset": "cifar10", "experiment": "reference", "momentum": 0.9}
            store(tmp_path, label, [[right + more] * 10] * 60, **which)
    for setting, right in ((CLIPPED, 5), (FAST, 4), (LARGE, 2), (USUAL, 6)):
        for label, more in (("standalone", 0), ("fedmoe", 1)):
            curve = [[right + more - (setting == FAST and t < 50)] * 10 for t in range(60)]
            store(tmp_path, label, curve, dataset="cifar10", experiment="one-change", **setting)
    stored = {name: read_experiment(tmp_path, name, {}) for name in ("reference", "one-change")}
    assert reproduction.one_change({"reference": stored["reference"]}) == reproduction.NONE_YET
    assert reproduction.one_change(stored).splitlines()[2:] == [
        "| levelled | 70.00 | 70.00 | +10.00 | +10.00 |  |",
        "| batch 512 | 20.00 | 20.00 | +10.00 | +10.00 |  |",
        "| clip norm 50.0 | 50.00 | 50.00 | +10.00 | +10.00 |  |",
        "| lr 0.1, momentum 0.0 | 40.00 | 40.00 | +10.00 | +10.00 | standalone, fedmoe |",
    ]


USUAL = {"momentum": 0.9}
CLIPPED = USUAL | {"clip_norm": 50.0}
FAST = {"momentum": 0.0, "lr": 0.1}
LARGE = USUAL | {"batch_size": 512}


def test_too_few_rounds_to_judge_are_no_climb(tmp_path, store):
    for experiment, setting in (("reference", {}), ("one-change", {"batch_size": 512})):
        for label in ("standalone", "fedmoe"):
            store(tmp_path, label, [[6] * 10] * 9, dataset="cifar10", experiment=experiment, **setting)
    stored = {name: read_experiment(tmp_path, name, {}) for name in ("reference", "one-change")}
    assert reproduction.one_change(stored).splitlines()[-1] == "| batch 512 | 60.00 | 60.00 | +0.00 | +0.00 |  |"


def test_moments_and_clients_that_an_accuracy_may_be_of(tmp_path, store):
    """All clients have 50 %, and 100 in the first round, which is the best on test data; the participants have 90."""
    assert reproduction.moments({}) == reproduction.NONE_YET
    curve = [[10] * 10, *[[5] * 10] * 14]
    store(tmp_path, "standalone", curve, dataset="cifar10", experiment="reference")
    store(tmp_path, "fedmoe+gate=static", curve, dataset="cifar10", experiment="reference")
    (found,) = read_experiment(tmp_path, "reference", {})
    found = replace(found, runs=[replace(run, participants=90.0) for run in found.runs])
    (row,) = reproduction.moments({"reference": [found]}).splitlines()[2:]
    assert row == "| CIFAR-10, N = 10 | `standalone` | 1 | 50.00 | 50.00 | 90.00 | 100.00 |"


def test_gains_in_each_quarter_of_the_rounds(tmp_path, store):
    """In rounds 1 to 4 FedMoE is 10 points above under one seed, 20 under the other, in 5 to 12 equal, then below."""
    for seed in range(2):
        store(tmp_path, "standalone", [[6] * 10] * 16, seed=seed, dataset="cifar10", experiment="reference")
        right = [*[7 + seed] * 4, *[6] * 8, *[5] * 4]
        store(tmp_path, "fedmoe", [[n] * 10 for n in right], seed=seed, dataset="cifar10", experiment="reference")
    text = reproduction.over_rounds({"reference": read_experiment(tmp_path, "reference", {})})
    assert text.endswith("| CIFAR-10, N = 10 | `fedmoe` | 2 | +15.00 | +0.00 | +0.00 | -10.00 |")
    assert reproduction.over_rounds({}) == reproduction.NONE_YET
