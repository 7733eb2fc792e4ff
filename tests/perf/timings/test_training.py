"""Training, whole rounds and evaluation, by what the records say they took."""

from itertools import count

import pytest

METHODS = ["standalone", "fedmoe", "fml", "fedproto"]
"""One that trains a network alone, one that trains two, one with two losses, one with statistics."""


def per_step(record: dict) -> float:
    """Seconds of training per step."""
    clients = record["clients"]
    return sum(client["seconds"]["training"] for client in clients) / sum(client["steps"] for client in clients)


def rounds_of(federation):
    """A function that does the next round, the first of which is behind it."""
    numbers = count(1)
    federation.round(next(numbers))
    return lambda: federation.round(next(numbers))


@pytest.mark.benchmark(group="training step")
@pytest.mark.parametrize("method", METHODS)
def test_step(method, normalised, kernels, make_federation):
    """Two steps of each of the five networks."""
    federation = make_federation(method, clients=5, train=128, test=8)
    normalised(rounds_of(federation), kernels.arithmetic, rounds=7, of=per_step)


@pytest.mark.benchmark(group="round")
@pytest.mark.parametrize("method", ["standalone", "fedmoe"])
def test_round(method, normalised, kernels, make_federation):
    """Ten clients that take one step each and are evaluated."""
    federation = make_federation(method, clients=10, train=64, test=32, eval_every=1)
    normalised(rounds_of(federation), kernels.arithmetic, rounds=7)


@pytest.mark.benchmark(group="evaluation")
@pytest.mark.parametrize("method", ["standalone", "fedmoe", "fedproto"])
def test_evaluation(method, normalised, kernels, make_federation):
    """Ten clients with 100 test samples each."""
    federation = make_federation(method, clients=10, train=16, test=100, batch_size=16, eval_every=1)
    normalised(rounds_of(federation), kernels.arithmetic, rounds=5, of=lambda record: record["eval_seconds"])
