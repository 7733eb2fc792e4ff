"""README's table, worked out by hand."""

from types import SimpleNamespace

import pytest

from benchmark.report.frame import read_experiment
from benchmark.storage.moments import DOWNLOAD, LOCAL
from tools.docs import front
from tools.docs.data_sets import data_sets
from tools.reference import MISSION

GLANCES = {name: {"Leaves the client": f"what {name} sends"} for name in ("fml", "standalone")}


@pytest.fixture
def stored(tmp_path, store):
    """Sixteen rounds of two clients: fml sends 1 MB up and 2 MB down in each, and computes three times as much."""
    results = tmp_path / "results"
    for seed in (0, 1):
        right = [[5, 6 + seed]] * 8 + [[7, 8 + seed]] * 8
        store(results, "fml", right, seed=seed, sent=(10**6, 2 * 10**6), flops=3 * 10**12, experiment="reference")
        store(results, "fml+alpha=0.1", right, seed=seed, experiment="reference")
        for name in {*MISSION} - {"fml"}:
            store(results, name, right, seed=seed, sent=(0, 0), flops=10**12, experiment="reference")
    return {"reference": read_experiment(results, "reference", {})}


def test_a_row_for_each_method_without_variants(stored):
    text = front.answer(stored, GLANCES)
    # 75 and 80 %: t of one degree of freedom 12.706 times 2.5; 3 MB a round of two clients
    assert "| [`fml`](docs/methods/fml.md) | what fml sends | 77.50 ± 31.77 | 1500 | 3.00 × |" in text
    assert "| [`standalone`](docs/methods/standalone.md) | what standalone sends | 77.50 ± 31.77 | 0 | 1.00 × |" in text
    assert "`fml+alpha" not in text
    assert "| most frequent class of each client |  | 50.00 |  |  |" in text
    assert "digits, N = 2: pathological:2, 16 rounds, 2 seeds, **too few rounds and seeds to rank**" in text
    assert "**digits, N = 2:** not ranked; so far, in points beside standalone: fedmoe +0.00" in text


def test_numbers_of_clients_are_columns_of_their_own_and_a_short_comparison_gives_way_to_a_long_one(tmp_path, store):
    for name in MISSION:
        for rounds in (15, 16):
            store(tmp_path, name, [[5, 7]] * rounds, experiment="reference")
        store(tmp_path, name, [[5, 7, 9]] * 15, experiment="reference")
        store(tmp_path, name, [[5, 7, 9, 9]] * 14, experiment="reference")  # nobody can judge so few
    text = front.answer({"reference": read_experiment(tmp_path, "reference", {})}, GLANCES)
    assert "| digits, N = 2, % | digits, N = 3, % |" in text
    assert "digits, N = 2: pathological:2, 16 rounds" in text
    assert "digits, N = 3: pathological:2, 15 rounds" in text
    assert "N = 4" not in text


@pytest.mark.parametrize(("last", "said"), [(3, "levelled"), (9, "**not levelled**")])
def test_curves_that_climb_are_told_from_level_ones(tmp_path, store, last, said):
    for name in MISSION:
        store(tmp_path, name, [[3 + (last - 3) * t // 59, 5] for t in range(60)], experiment="reference")
    text = front.answer({"reference": read_experiment(tmp_path, "reference", {})}, GLANCES)
    assert f"digits, N = 2: pathological:2, 60 rounds, 1 seed, {said}. Kilobytes" in text


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
