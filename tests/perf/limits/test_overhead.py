"""What the harness costs beside the loop that an expert writes by hand, and how near training is to what a machine can.

Standalone rounds on CIFAR-shaped data, batch 64, ten clients of the five networks, one client a round. The bare loop
is a good one: the same networks, channels last, all data on the device as normalised floats, no loader, fused SGD, no
bookkeeping. Both do the same steps in turn, client by client, for machines drift; what counts is the median over the
turns of their ratio.
"""

import os
import subprocess
import sys
from pathlib import Path
from statistics import mean, median
from time import perf_counter

import pytest
import torch
from torch import nn

from benchmark.measure.clock import matrix_product_rate

CPU = torch.device("cpu")
CORES = os.cpu_count() or 1
CLIENTS, SAMPLES, BATCH, TURNS = 10, 4800, 64, 20
LIMIT = 1.03
"""The harness's time in units of the bare loop's."""
FLOOR = 0.55
"""Training's FLOPs per second, as a share of a matrix product's in single precision."""


class BareLoop:
    """Nets, tensors and three nested loops."""

    def __init__(self, task):
        self.x, self.y = task.batch(torch.arange(len(task.labels)))
        self.owned = [data.train for data in task.clients]
        models = [task.local_model(k) for k in range(CLIENTS)]
        nets = [nn.Sequential(model.extractor, model.header) for model in models]
        self.nets = [net.to(memory_format=torch.channels_last) for net in nets]

    def round(self, participants):
        for net, owned in ((self.nets[k], self.owned[k]) for k in participants):
            optimiser = torch.optim.SGD(net.parameters(), lr=0.01, fused=True)
            for indices in owned[torch.randperm(SAMPLES)].split(BATCH):
                optimiser.zero_grad()
                nn.functional.cross_entropy(net(self.x[indices]), self.y[indices]).backward()
                optimiser.step()


@pytest.fixture(scope="module")
def measured(make_federation, all_cores):
    """Medians over the turns: harness / bare loop, and training / matrix product."""
    federation = make_federation("standalone", CLIENTS, SAMPLES, 8, participation=0.1)
    bare, ratios, shares = BareLoop(federation.task), [], []
    for t in range(1, CLIENTS + 1):
        federation.round(t)  # builds the modules, counts, warms up
    for t in range(CLIENTS + 1, CLIENTS + TURNS + 1):
        start = perf_counter()
        record = federation.round(t)
        harness = perf_counter() - start
        start = perf_counter()
        bare.round(record["participants"])
        ratios.append(harness / (perf_counter() - start))
        shares.append(record["client_flops"] / record["client_seconds"] / matrix_product_rate(CPU, repeats=3))
    return median(ratios), median(shares)


def test_the_harness_costs_nothing(measured):
    print(f"\nharness / bare loop: {measured[0]:.3f}, at most {LIMIT}")
    assert measured[0] <= LIMIT


def test_training_is_near_the_matrix_product(measured):
    """As a grid is run: on each core a run with one thread, all at once; one run with all cores is told as well."""
    script = Path(__file__).with_name("matrix_product_share.py")
    runs = [subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True) for _ in range(CORES)]
    share = mean(float(run.communicate()[0]) for run in runs)
    print(f"\ntraining / matrix product: {share:.3f}, at least {FLOOR}; one run with all cores: {measured[1]:.3f}")
    assert share >= FLOOR
