"""What methods lose beside Standalone, by what the records say, and what evaluation costs beside training."""

import os
from collections.abc import Iterator
from statistics import median

import pytest
import torch

METHODS = ["fedmoe", "fml", "fedproto"]
TURNS = 7
RATES = {"one thread": 0.92, "all cores": 0.85}
"""FLOPs per second of local work, as a share of Standalone's: in a grid a run has one thread, alone it has them all."""
EVALUATION = 0.2
"""Seconds of evaluation, as a share of those of training."""


@pytest.fixture(scope="module", params=RATES)
def threads(request) -> Iterator[str]:
    """How many threads a run has."""
    torch.set_num_threads(1 if request.param == "one thread" else os.cpu_count() or 1)
    yield request.param
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def rates(make_federation, threads):
    """Method -> its FLOPs per second in each turn, statistics over local data included; the methods take turns."""
    federations = {method: make_federation(method, clients=5, train=512, test=8) for method in ["standalone", *METHODS]}
    found = {method: [] for method in federations}
    for turn in range(1, TURNS + 2):
        for method, federation in federations.items():
            record = federation.round(turn)
            found[method].append(record["client_flops"] / record["client_seconds"])
    return {method: values[1:] for method, values in found.items()}


@pytest.mark.parametrize("method", METHODS)
def test_a_method_computes_as_fast_as_standalone(method, rates, threads):
    pairs = zip(rates[method], rates["standalone"], strict=True)
    share = median(mine / alone for mine, alone in pairs)
    print(f"\n{method}, {threads}: {share:.3f} of Standalone's FLOPs per second, at least {RATES[threads]}")
    assert share >= RATES[threads]


@pytest.mark.parametrize("method", ["standalone", *METHODS])
def test_evaluation_costs_little(method, make_federation, all_cores):
    """All of a hundred clients every five rounds, a tenth taking part in a round, CIFAR-10 divided among them."""
    federation = make_federation(method, clients=100, train=480, test=120, participation=0.1, eval_every=5)
    records = [federation.round(t) for t in range(1, 21)][5:]  # first, a hundred clients are made and evaluated
    share = sum(r["eval_seconds"] for r in records) / sum(r["client_seconds"] for r in records)
    print(f"\n{method}: evaluation / training {share:.3f}, less than {EVALUATION}")
    assert share < EVALUATION
