"""The published table beside ours: verdicts of crafted gains, and a page of stored runs."""

import pytest

from benchmark.plugins import registry
from benchmark.report.differences import Difference
from benchmark.report.frame import read_experiment
from benchmark.report.statistics import paired_t
from tools.docs import reproduction

OURS = [80.0, 81.0, 82.0]


def gain_of(*points):
    """A gain with these points under seeds 0, 1, ..., tested as reports test it."""
    test = paired_t([a + b for a, b in zip(OURS, points, strict=False)], OURS[: len(points)])
    return Difference([*enumerate(points)], test, None, None)


SITUATIONS = {
    "the interval holds it": (2.0, gain_of(1.0, 2.0, 3.0), True, None, "reproduced"),
    "above the interval": (5.0, gain_of(1.0, 2.0, 3.0), True, None, "not reproduced"),
    "below it": (-2.0, gain_of(1.0, 2.0, 3.0), True, None, "not reproduced"),
    "still climbs": (2.0, gain_of(1.0, 2.0, 3.0), True, "not levelled", "not comparable: not levelled"),
    "one seed": (2.0, gain_of(2.0), True, None, "not comparable: one seed"),
    "not run": (2.0, None, False, None, "not run"),
    "failed there, trains here": (None, gain_of(1.0), True, None, "not reproduced: it trains here"),
    "failed there, trains here in few rounds": (
        None,
        gain_of(1.0),
        True,
        "too few rounds or seeds",
        "not reproduced: it trains here",
    ),
    "fails in both": (None, gain_of(-30.0), False, None, "reproduced: it fails"),
}


@pytest.mark.parametrize(("published", "ours", "trains", "unjudged", "said"), SITUATIONS.values(), ids=SITUATIONS)
def test_a_verdict(published, ours, trains, unjudged, said):
    """Of 1, 2 and 3 points the mean is 2, the standard error 1/sqrt(3), Student's factor 4.303: 2 +- 2.48."""
    assert reproduction.verdict(published, ours, trains, unjudged) == said


def test_published_gains_are_those_of_the_abstract():
    """2.80 points above the best of the others, and 22.16 above FedKD, both on CIFAR-100 with ten clients."""
    tables = reproduction.published()
    cell = tables["cells"].index(["cifar100", 10])
    others = {
        name: row[cell] for name, row in tables["pfedes"].items() if name not in ("source", "fedgh", "fedtgp", "pfedes")
    }
    best = max(value for value in others.values() if value != reproduction.FAILED)
    mine = tables["pfedmoe"]["fedmoe"][cell]
    assert mine - best == pytest.approx(2.80)
    assert mine - others["fedkd"] == pytest.approx(22.16)


def test_every_published_method_has_all_cells_and_is_known():
    tables = reproduction.published()
    for table in (tables["pfedes"], tables["pfedmoe"]):
        for name in table.keys() - {"source"}:
            assert name in registry.catalogue("methods")
            assert len(table[name]) == len(tables["cells"])


def test_a_table_of_stored_runs(tmp_path, store):
    """Two seeds: FedMoE is 1 and 3 points above Standalone, so 2 +- 12.71; the paper has 96.58 - 96.53."""
    assert reproduction.tables({}) == "None of the published cells has been run yet."
    for seed, more in enumerate([1, 3]):
        for label, right in (("standalone", [6] * 10), ("fedmoe", [6 + more, *[6] * 9])):
            store(tmp_path, label, [right] * 60, seed=seed, dataset="cifar10", experiment="reference")
    text = reproduction.tables({"reference": read_experiment(tmp_path, "reference", {})})
    assert text.startswith("### CIFAR-10, N = 10 (`results/reference`)\n\ncifar10, pathological:2, cnn5, N = 10")
    assert "| `standalone` | 96.53 | 60.00 |  |  |  |  |" in text
    assert "| `fedmoe` | 96.58 | 62.00 | +0.05 | +2.00 [-10.71, +14.71] | +2.00 [-10.71, +14.71] | reproduced |" in text
    assert "| `fml` | failed | – | – | – | – | not run |" in text


def test_claims_are_answered_by_intervals(tmp_path, store):
    """Under three seeds FedMoE is 1, 2 and 3 points above Standalone, 2 +- 2.48, and FML 10 below it."""
    nothing = reproduction.claims({}).splitlines()[2:]
    assert len(nothing) == len(reproduction.CLAIMS)
    assert all(line.endswith("| – | not run | not run | – |") for line in nothing)
    for seed, more in enumerate([1, 2, 3]):
        rows = {"standalone": [6] * 10, "fedmoe": [6 + more, *[6] * 9], "fml": [5] * 10}
        for label, right in rows.items():
            flops = 10**12 * (1 + (label == "fedmoe"))
            store(tmp_path, label, [right] * 60, seed=seed, dataset="cifar10", experiment="reference", flops=flops)
    text = reproduction.claims({"reference": read_experiment(tmp_path, "reference", {})})
    told, better, worse = (
        "+2.00 [-0.48, +4.48]: not told apart",
        "+12.00 [+9.52, +14.48]: yes",
        "-10.00 [-10.00, -10.00]: no",
    )
    start = "| Is FedMoE better than training alone? | CIFAR-10, N = 10 "
    assert f"{start}| {told} | {told} | 2.00 × |" in text
    assert f"| Is it better than FML? | CIFAR-10, N = 10 | {better} | {better} | 2.00 × |" in text
    assert f"better than training alone? | CIFAR-10, N = 10 | {worse}" in text
    assert "| Is FedKD? | – | not run | not run | – |" in text


@pytest.mark.parametrize(("rounds", "said"), [(40, "too few rounds or seeds"), (60, "not levelled")])
def test_what_cannot_be_compared_says_why(tmp_path, store, rounds, said):
    for label in ("standalone", "fedmoe"):
        climbing = [[3 + 6 * t // rounds] * 10 for t in range(rounds)]
        store(tmp_path, label, climbing, dataset="cifar10", experiment="reference")
    stored = {"reference": read_experiment(tmp_path, "reference", {})}
    assert f"| +0.00: {said} | +0.00: {said} |" in reproduction.claims(stored)
    assert f"| not comparable: {said} |" in reproduction.tables(stored)


def test_settings_that_differ_in_one_thing(tmp_path, store):
    """A rate is in the label, and a batch in the title: rows of both, and each gain over Standalone under the same."""
    assert reproduction.one_change({}) == "None of them has been run yet."
    for setting, right in (({}, 7), ({"lr": 0.1}, 4), ({"batch_size": 512}, 2)):
        for label, more in (("standalone", 0), ("fedmoe", 1)):
            store(tmp_path, label, [[right + more] * 2] * 60, experiment="one-change", **setting)
    text = reproduction.one_change({"one-change": read_experiment(tmp_path, "one-change", {})})
    assert "| batch 512 | 20.00 | +10.00 | +10.00 |  |" in text
    assert "| batch 64 | 70.00 | +10.00 | +10.00 |  |" in text
    assert "| batch 64, lr=0.1 | 40.00 | +10.00 | +10.00 |  |" in text
