"""What the harness costs beside the loop that an expert writes by hand. Run with `make perf`.

Standalone rounds on CIFAR-shaped data, batch 64, ten clients of the five networks, one client a round. The bare loop
is a good one: the same networks, channels last, all data on the device as normalised floats, no loader, fused SGD, no
bookkeeping. Both do the same steps in turn, client by client, for machines drift; what counts is the median over the
turns of their ratio.
"""

import os
from statistics import median
from time import perf_counter

import numpy as np
import pytest
import torch
from torch import nn

from benchmark import registry
from benchmark.config import FederationConfig
from benchmark.cost import matrix_product_rate
from benchmark.federation import Federation
from benchmark.task import ClientData, Task
from methods.standalone import Standalone

CPU = torch.device("cpu")
CLIENTS, SAMPLES, BATCH, TURNS = 10, 4800, 64, 30
LIMIT = 1.05
FLOOR = 0.5


@pytest.fixture(scope="module", autouse=True)
def all_cores():
    """The suite's conftest asks for one thread."""
    torch.set_num_threads(os.cpu_count() or 1)
    yield
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def federation():
    rng = np.random.default_rng(0)
    images = torch.from_numpy(rng.integers(0, 256, (CLIENTS * SAMPLES, 32, 32, 3), dtype=np.uint8))
    owned = torch.arange(CLIENTS * SAMPLES).split(SAMPLES)
    task = Task(
        images=images,
        labels=torch.from_numpy(rng.integers(0, 10, len(images))),
        mean=torch.full((3,), 127.5),
        std=torch.full((3,), 74.0),
        num_classes=10,
        clients=tuple(ClientData(indices, indices[:0], indices[:8]) for indices in owned),
        line_up=registry.line_up("cnn5"),
        seed=0,
    )
    config = FederationConfig(clients=CLIENTS, participation=0.1, rounds=10**6, eval_every=10**6, batch_size=BATCH)
    federation = Federation(Standalone(), task, config, CPU)
    for t in range(CLIENTS):
        federation.round(t)  # builds the modules, counts, warms up
    return federation


class BareLoop:
    """Nets, tensors and three nested loops."""

    def __init__(self, federation: Federation) -> None:
        task = federation.task
        every = torch.arange(len(task.labels))
        self.x, self.y = task.batch(every)
        self.owned = [data.train for data in task.clients]
        parts = [federation.engine._new_parts(k) for k in range(CLIENTS)]
        self.nets = [nn.Sequential(p["extractor"], p["header"]) for p in parts]

    def round(self, participants: list[int]) -> None:
        for net, owned in ((self.nets[k], self.owned[k]) for k in participants):
            optimiser = torch.optim.SGD(net.parameters(), lr=0.01, fused=True)
            for indices in owned[torch.randperm(SAMPLES)].split(BATCH):
                optimiser.zero_grad()
                nn.functional.cross_entropy(net(self.x[indices]), self.y[indices]).backward()
                optimiser.step()


def test_the_harness_costs_nothing(benchmark, federation):
    bare, ratios, fractions = BareLoop(federation), [], []

    def turn() -> None:
        start = perf_counter()
        record = federation.round(CLIENTS + len(ratios))
        harness = perf_counter() - start
        start = perf_counter()
        bare.round(record["participants"])
        ratios.append(harness / (perf_counter() - start))
        fractions.append(record["client_flops"] / record["client_seconds"] / matrix_product_rate(CPU))

    benchmark.pedantic(turn, rounds=TURNS, warmup_rounds=1)
    ratio, fraction = median(ratios[1:]), median(fractions[1:])
    benchmark.extra_info.update(ratio=ratio, fraction_of_sgemm=fraction)
    print(f"\nharness / bare loop: {ratio:.3f} (limit {LIMIT}); training at {fraction:.2f} of sgemm (expected {FLOOR})")
    assert ratio <= LIMIT
