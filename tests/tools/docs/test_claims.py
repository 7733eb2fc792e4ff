"""Claims, answered by crafted differences and by stored runs."""

import pytest

from benchmark.report.differences import Difference
from benchmark.report.frame import read_experiment
from benchmark.report.statistics import paired_t
from tools.docs.claims import CLAIMS, claims, told

OURS = [80.0, 81.0, 82.0]


def difference(p, *points):
    """A difference of these points under seeds 0, 1 and 2, with a corrected p-value."""
    test = paired_t([a + b for a, b in zip(OURS, points, strict=True)], OURS)
    return Difference([*enumerate(points)], test, p, None)


@pytest.mark.parametrize(
    ("ours", "points", "said"),
    [
        (difference(0.04, 1.0, 2.0, 3.0), None, "yes"),
        (difference(0.04, -1.0, -2.0, -3.0), None, "no"),
        (difference(0.06, 1.0, 2.0, 3.0), None, "not told apart"),
        (difference(0.04, 1.8, 2.0, 2.2), 2.4, "yes"),
        (difference(0.04, 1.0, 2.0, 3.0), 4.4, "agrees, but ± 2.5 points is too wide to say"),
        (difference(0.04, 1.0, 2.0, 3.0), 4.6, "by less"),
        (difference(0.04, 1.0, 2.0, 3.0), -0.6, "by more"),
    ],
)
def test_an_answer(ours, points, said):
    """Of 1, 2 and 3 points the mean is 2, the standard error 1/sqrt(3), Student's factor 4.303: 2 +- 2.48.

    Of 1.8, 2 and 2.2 points it is a fifth of that.
    """
    assert told(ours, points) == said


def test_what_was_not_run_says_so():
    rows = claims({}).splitlines()[2:]
    assert len(rows) == len(CLAIMS)
    assert all(row.endswith("| – | not run | not run | – | – |") for row in rows)


def test_claims_are_answered_by_corrected_tests(tmp_path, store):
    """FedMoE is 1, 2 and 3 points above Standalone (p = 0.074), FML 9, 10 and 11 below it (p = 0.003, twice that)."""
    for seed, more in enumerate([1, 2, 3]):
        rows = {"standalone": [6] * 10, "fedmoe": [6 + more, *[6] * 9], "fml": [5] * 9 + [7 - more]}
        for label, right in rows.items():
            flops = 10**12 * (1 + (label == "fedmoe"))
            sent = (0, 0) if label == "standalone" else (10**7, 10**7)
            which = {"seed": seed, "dataset": "cifar10", "experiment": "reference"}
            store(tmp_path, label, [right] * 60, flops=flops, sent=sent, **which)
    text = claims({"reference": read_experiment(tmp_path, "reference", {})})
    told_apart, worse = "+2.00 [-0.48, +4.48]: not told apart", "-10.00 [-12.48, -7.52]: no"
    start = "| Is FedMoE better than training alone? | CIFAR-10, N = 10 "
    assert f"{start}| {told_apart} | {told_apart} | 2.00 × | 1.2 / 0 |" in text
    assert f"better than training alone? | CIFAR-10, N = 10 | {worse} | {worse} | 1.00 × | 1.2 / 0 |" in text
    assert "| Is FedMoE better than FML? | CIFAR-10, N = 10 | +12.00 [+" in text
    assert "| Is it better than FedKD by the 22.16 points published? | – | not run | not run | – | – |" in text


@pytest.mark.parametrize(
    ("rounds", "seeds", "climb", "said"),
    [(40, 1, 0, "too few rounds or seeds"), (60, 1, 6, "not levelled"), (60, 2, 0, "too few seeds")],
)
def test_what_cannot_be_compared_says_why(tmp_path, store, rounds, seeds, climb, said):
    for label in ("standalone", "fedmoe"):
        for seed in range(seeds):
            begins, climbs = (3, climb) if label == "fedmoe" else (9, 0)
            curve = [[begins + climbs * t // rounds] * 10 for t in range(rounds)]
            store(tmp_path, label, curve, seed=seed, dataset="cifar10", experiment="reference")
    text = claims({"reference": read_experiment(tmp_path, "reference", {})})
    first = text.splitlines()[2]
    assert first.count(f": {said}") == 2


def test_an_answer_says_if_curves_climb_alike(tmp_path, store):
    """Both climb by 20 points over the last third of 60 rounds, FedMoE 19, 20 or 21 points above the other."""
    for seed in range(3):
        for label, more in (("standalone", [0] * 10), ("fedmoe", [1 + seed, *[2] * 9])):
            curve = [[2 + 6 * t // 60 + n for n in more] for t in range(60)]
            store(tmp_path, label, curve, seed=seed, dataset="cifar10", experiment="reference")
    text = claims({"reference": read_experiment(tmp_path, "reference", {})})
    assert "| +20.00 [+17.52, +22.48]: yes, climbing alike |" in text


def test_a_claim_about_one_published_cell_is_asked_there_alone(tmp_path, store):
    """FedMoE is 30 points above FedKD under each of three seeds: more than 22.16."""
    for seed in range(3):
        for label, right in (("standalone", 6), ("fedmoe", 7), ("fedkd", 4)):
            for dataset in ("cifar10", "cifar100"):
                store(tmp_path, label, [[right] * 10] * 60, seed=seed, dataset=dataset, experiment="reference")
    text = claims({"reference": read_experiment(tmp_path, "reference", {})})
    asked = [row for row in text.splitlines() if "22.16" in row]
    (row,) = asked
    assert row.startswith("| Is it better than FedKD by the 22.16 points published? | CIFAR-100, N = 10 | +30.00 [")
    assert ": by more |" in row
