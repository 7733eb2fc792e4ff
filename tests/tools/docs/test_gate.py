"""The gate's weights early and late, of crafted inspections."""

import pytest

from benchmark.report.frame import read_experiment
from tools.docs.gate import gate


def weights(*by_client):
    return {"shared expert": [{"0": a, "1": b} for a, b in by_client]}


CELL = {"dataset": "cifar10", "experiment": "reference"}
FIRST = weights((0.1, 0.1), (0.5, 0.5), (0.9, 0.9))
KEPT, TURNED = weights((0.0, 0.4), (0.3, 0.5), (0.6, 0.6)), weights((0.6, 0.6), (0.3, 0.5), (0.0, 0.4))
EQUAL = weights(*[(0.5, 0.5)] * 3)
"""Of KEPT: means of 0.2, 0.4 and 0.6, with classes 0.4, 0.2 and 0 apart; of TURNED the other way round."""


@pytest.fixture
def stored(tmp_path, store):
    """Three clients, sixteen rounds: the second and last are inspected, but for seed 2. Seed 3 has a static gate."""
    for seed, last in enumerate([KEPT, TURNED, None, EQUAL]):
        label = "fedmoe+gate=static" if last == EQUAL else "fedmoe"
        store(tmp_path, "standalone", [[6] * 3] * 16, seed=seed, **CELL)
        seen = {2: {"inspection": EQUAL if last == EQUAL else FIRST}, 16: {"inspection": last}} if last else {}
        store(tmp_path, label, [[6] * 3] * 16, seed=seed, of_round=lambda r, of=seen: of.get(r["round"], {}), **CELL)
    return {"reference": read_experiment(tmp_path, "reference", {})}


def test_weights_of_all_clients_and_correlations_of_each_seed(stored, monkeypatch):
    """In the end one seed keeps the order of its clients, the other turns it round: 1 and -1, 0 on average."""
    monkeypatch.setattr("tools.docs.cells.published_cells", lambda: [("cifar10", 3)])
    first, last = gate(stored).splitlines()[2:]  # no row of the static gate, whose weights never move
    assert first == "| CIFAR-10, N = 3 | `fedmoe` | 2 | 2 | 0.50 | 0.10 | 0.90 | 0.00 | – |"
    assert last == "| CIFAR-10, N = 3 | `fedmoe` | 2 | 16 | 0.40 | 0.20 | 0.60 | 0.20 | 0.00 |"


def test_without_inspected_runs_it_says_so(stored):
    assert gate({}) == gate(stored) == "None of them has been run yet."  # of three clients nothing is published
