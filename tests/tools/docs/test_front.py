"""README's table, worked out by hand."""

from types import SimpleNamespace

import pytest

from benchmark.report.frame import read_experiment
from benchmark.storage.moments import DOWNLOAD, LOCAL
from tools.docs import front
from tools.docs.data_sets import data_sets
from tools.reference import MISSION

GLANCES = {name: {"Leaves the client": f"what {name} sends"} for name in ("fml", "standalone")}


CIFAR10 = {"dataset": "cifar10", "experiment": "reference"}


def read(results):
    return {name: read_experiment(results, name, {}) for name in front.SHOWN if (results / name).is_dir()}


def test_a_row_for_each_method_without_variants(tmp_path, store):
    """Sixteen rounds of ten clients: fml sends 1 MB up and 2 MB down in each, and computes three times as much."""
    for seed in (0, 1):
        right = [[5] * 5 + [6 + seed] * 5] * 8 + [[7] * 5 + [8 + seed] * 5] * 8
        of_fml = {"sent": (10**6, 2 * 10**6), "flops": 3 * 10**12}
        store(tmp_path, "fml", right, seed=seed, **of_fml, **CIFAR10)
        store(tmp_path, "fml+alpha=0.1", right, seed=seed, **CIFAR10)
        for name in {*MISSION} - {"fml"}:
            store(tmp_path, name, right, seed=seed, sent=(0, 0), flops=10**12, **CIFAR10)
    text = front.answer(read(tmp_path), GLANCES)
    # 75 and 80 %; 3 MB a round of ten clients
    assert "| [`fml`](docs/methods/fml.md) | what fml sends | 77.50 | 300 | 3.00 × |" in text
    assert "| [`standalone`](docs/methods/standalone.md) | what standalone sends | 77.50 | 0 | 1.00 × |" in text
    assert "`fml+alpha" not in text
    assert "| most frequent class of each client |  | 50.00 |  |  |" in text
    assert "CIFAR-10, N = 10: pathological:2, 16 rounds, 2 seeds, **too few rounds and seeds to rank**" in text
    told = "fedmoe +0.00; fedproto +0.00; fml +0.00; lg-fedavg +0.00."
    assert text.endswith(f"**CIFAR-10, N = 10:** not ranked; so far, in points beside standalone: {told}")


def test_only_some_cells_are_shown_and_a_short_comparison_gives_way_to_a_long_one(tmp_path, store):
    for name in MISSION:
        for rounds in (15, 16):
            store(tmp_path, name, [[5, 7] * 5] * rounds, **CIFAR10)
        store(tmp_path, name, [[5, 7] * 25] * 15, **CIFAR10)
        store(tmp_path, name, [[5, 7] * 5] * 15, dataset="cifar100", experiment="reference")
        store(tmp_path, name, [[5, 7] * 50] * 14, **CIFAR10)  # nobody can judge so few
        store(tmp_path, name, [[5, 7] * 5] * 15, dataset="mnist5k", experiment="mnist5k")
    text = front.answer(read(tmp_path), GLANCES)
    assert "| MNIST 5k, N = 10, % | CIFAR-10, N = 10, % | CIFAR-100, N = 10, % |" in text
    assert "CIFAR-10, N = 10: pathological:2, 16 rounds" in text
    assert "CIFAR-100, N = 10: pathological:2, 15 rounds" in text
    assert "N = 50" not in text and "N = 100" not in text


@pytest.mark.parametrize(
    ("climbing", "said"),
    [
        ((), "levelled"),
        (("fml",), "**fml has not levelled**"),
        (("fml", "standalone"), "**fml and standalone have not levelled**"),
        (("fml", "fedmoe+gate=static", "fedmoe+gate_lr=1"), "**fml and 2 variants have not levelled**"),
        (("fedmoe+gate=static",), "**1 variant has not levelled**"),
    ],
)
def test_the_caption_says_who_still_climbs(tmp_path, store, climbing, said):
    for name in {*MISSION, *climbing}:
        store(tmp_path, name, [[3 + 6 * t // 59 * (name in climbing)] * 10 for t in range(60)], **CIFAR10)
    glances = {name: {"Leaves the client": ""} for name in MISSION}
    text = front.answer(read(tmp_path), glances)
    assert f"CIFAR-10, N = 10: pathological:2, 60 rounds, 1 seed, {said}. Kilobytes" in text


def test_what_is_ranked_is_one_paragraph_and_what_is_not_another_which_leaves_out_most_variants(tmp_path, store):
    for name in (*MISSION, "fedmoe+gate=static", "fedmoe+federate=false"):
        for dataset in ("cifar10", "cifar100"):
            store(tmp_path, name, [[3 + 6 * t // 59] * 10 for t in range(60)], dataset=dataset, experiment="reference")
        store(tmp_path, name, [[6] * 10] * 60, dataset="mnist5k", experiment="mnist5k")
        store(tmp_path, name, [[6] * 100] * 60, **CIFAR10)
    table, _, ranked, unranked = front.answer(read(tmp_path), GLANCES).split("\n\n")
    assert len(table.splitlines()) == 2 + len(GLANCES) + 1
    assert [part in ranked for part in ("**MNIST 5k, N = 10:**", "**CIFAR-10, N = 100:**", "not ranked")] == [1, 1, 0]
    gains = "fedmoe +0.00; fedmoe+gate=static +0.00; fedproto +0.00; fml +0.00; lg-fedavg +0.00."
    assert unranked == " ".join(
        f"**{cell}, N = 10:** not ranked; so far, in points beside standalone: {gains}"
        for cell in ("CIFAR-10", "CIFAR-100")
    )


def test_what_is_not_ranked_says_who_can_be_told_from_standalone(tmp_path, store):
    """LG-FedAvg alone climbs. FedMoE is 19, 20 and 21 points above, FedProto equal under three seeds."""
    for seed in range(3):
        for name in MISSION:
            more = [1 + seed, *[2] * 9] if name == "fedmoe" else [0] * 10
            climbs = name == "lg-fedavg"
            store(tmp_path, name, [[5 + n - climbs * (t < 50) for n in more] for t in range(60)], seed=seed, **CIFAR10)
    text = front.answer(read(tmp_path), GLANCES)
    assert "fedmoe +20.00 [+17.52, +22.48] (above it); fedproto +0.00 [+0.00, +0.00] (not told apart from it);" in text


@pytest.mark.parametrize(("download", "said"), [(80.0, "80.00"), (81.5, "80.00 (81.50)"), (None, "80.00")])
def test_what_the_download_changes_is_in_brackets(download, said):
    """One seed with 80 % after local training."""
    found = {LOCAL.key("accuracy_mean"): [80.0], DOWNLOAD.key("accuracy_mean"): [download] if download else []}
    assert front.accuracy(SimpleNamespace(values=lambda label, name: found[name]), "fml") == said


def test_without_results_it_says_so():
    assert front.answer({}, GLANCES) == "There are no results in `results/mnist5k` or `results/reference`."


def test_data_sets_have_licence_place_and_fingerprint():
    rows = {line.split(" | ")[0].strip("| `"): line for line in data_sets().splitlines()[2:]}
    assert {"cifar10", "svhn", "mnist5k"} <= rows.keys()
    assert "| non-commercial use only | – |" in rows["svhn"]
    assert rows["mnist5k"].count("`") == 4
    assert "None" not in data_sets()
