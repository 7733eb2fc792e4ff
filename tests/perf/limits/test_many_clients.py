"""What a federation costs grows with who takes part, not with who is there; slow.

60,000 pictures of CIFAR's shape, the five networks of cnn5, every round with the checkpoint that `run` writes after it.
Turns of two federations alternate, for machines drift; what counts is the median over turns of their ratio.
"""

from itertools import count
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np
import pytest
import torch

from benchmark.config import FederationConfig
from benchmark.federation import Federation
from benchmark.measure.memory import PeakMemory
from benchmark.plugins import registry
from benchmark.schedule import Schedule
from benchmark.storage.checkpoint import Checkpoint
from benchmark.task import ClientData, Task

CPU = torch.device("cpu")
PICTURES, NETWORKS, TURNS = 60_000, 5, 15
GROWTH = 1.3
MOST_MEMORY = 3 * 2**30


pytestmark = pytest.mark.usefixtures("all_cores")


@pytest.fixture(scope="module")
def pictures():
    rng = np.random.default_rng(0)
    images = torch.from_numpy(rng.integers(0, 256, (PICTURES, 32, 32, 3), dtype=np.uint8))
    return images, torch.from_numpy(rng.integers(0, 10, PICTURES))


class Timed:
    """A federation of so many clients that is timed round by round; a fifth of a client's pictures are for testing."""

    def __init__(self, pictures, folder: Path, method: str, clients: int, each: int, **config: object) -> None:
        images, labels = pictures
        tests = round(0.2 * each)
        owned = torch.arange(clients * each).split(each)
        task = Task(
            images=images,
            labels=labels,
            mean=torch.full((3,), 127.5),
            std=torch.full((3,), 74.0),
            num_classes=10,
            clients=tuple(ClientData(i[tests:], i[:0], i[:tests]) for i in owned),
            line_up=registry.line_up("cnn5"),
            seed=0,
        )
        settings = FederationConfig(**{"clients": clients, "rounds": 10**6, "eval_every": 10**6} | config)
        self.federation = Federation(registry.method(method)[0], task, settings, CPU)
        folder.mkdir()
        self.checkpoint = Checkpoint(folder)
        self.federation.states.keep(folder)
        self._rounds = count(1)

    def round(self) -> tuple[float, dict]:
        """(seconds of the next round with its checkpoint, its record)."""
        start = perf_counter()
        record = self.federation.round(next(self._rounds))
        self.checkpoint.save(record["round"], self.federation.server, self.federation.states, None)
        return perf_counter() - start, record


def one_network_a_round(monkeypatch) -> None:
    """Participants of round t are clients with network t mod 5, so that pairs train the same one.

    They are new ones as long as there are as many as a round wants, later any.
    """

    def participants(self, t):
        alike = np.arange(t % NETWORKS, self.config.clients, NETWORKS)
        rng, size = np.random.default_rng(t), self.config.participants
        new = alike[t // NETWORKS * size :][:size]
        return sorted((new if len(new) == size else rng.choice(alike, size, replace=False)).tolist())

    monkeypatch.setattr(Schedule, "participants", participants)


@pytest.mark.parametrize("method", ["standalone", "fedmoe"])
def test_a_thousand_clients_cost_what_ten_do(method, pictures, tmp_path, monkeypatch):
    """1 of 10 clients with 4,800 training pictures beside 100 of 1,000 with 48: 300 steps of 16 either way."""
    one_network_a_round(monkeypatch)
    config = {"participation": 0.1, "batch_size": 16}
    few = Timed(pictures, tmp_path / "few", method, 10, PICTURES // 10, **config)
    many = Timed(pictures, tmp_path / "many", method, 1000, PICTURES // 1000, **config)
    ratios = []
    for _ in range(2 * NETWORKS + TURNS):  # afterwards all have taken part, and shapes are counted and warmed up
        (few_seconds, a), (many_seconds, b) = few.round(), many.round()
        assert sum(c["steps"] for c in a["clients"]) == sum(c["steps"] for c in b["clients"]) == 300
        ratios.append(many_seconds / few_seconds)
        print(f"10 clients: {few_seconds:.2f} s, 1,000 clients: {many_seconds:.2f} s")
    ratio, first = median(ratios[2 * NETWORKS :]), median(ratios[NETWORKS : 2 * NETWORKS])
    print(f"\n{method}: 1,000 clients / 10: {ratio:.2f} (limit {GROWTH}); {first:.2f} where all of the 1,000 are new")
    assert ratio < GROWTH


def test_ten_thousand_clients_cost_what_a_thousand_do(pictures, tmp_path, monkeypatch):
    """Ten participants with five training pictures each, all of them new in either federation."""
    one_network_a_round(monkeypatch)
    few = Timed(pictures, tmp_path / "few", "standalone", 1_000, 6, participation=0.01)
    many = Timed(pictures, tmp_path / "many", "standalone", 10_000, 6, participation=0.001)
    seconds = [(few.round()[0], many.round()[0]) for _ in range(60)][NETWORKS:]
    ratio = median(b / a for a, b in seconds)
    print(f"\n10,000 clients / 1,000: {ratio:.2f} (limit {GROWTH})")
    assert ratio < GROWTH


def test_ten_thousand_clients_fit_into_memory(pictures, tmp_path):
    """After some 1,100 of them have taken part, ten a round."""
    peak = PeakMemory(CPU)
    if peak.bytes is None:
        pytest.skip("the system does not tell what is resident")
    many = Timed(pictures, tmp_path / "many", "standalone", 10_000, 6, participation=0.001)
    for _ in range(120):
        many.round()
    took_part = len(many.federation.states)
    print(f"\n10,000 clients: {peak.bytes / 2**30:.2f} GiB (limit 3) after {took_part} have taken part")
    assert took_part > 1000
    assert peak.bytes < MOST_MEMORY
