"""What surrounds training: messages, aggregation, partitions, checkpoints, reports."""

from itertools import count

import numpy as np
import pytest
import torch

from benchmark.channel import Channel, Rows
from benchmark.plugins import registry
from benchmark.report.write import ReportOptions, write_report
from benchmark.storage.checkpoint import Checkpoint
from datasets.partitions import dirichlet, pathological

CLIENTS = 10


@pytest.fixture
def weights(make_federation):
    """The weights that FedMoE sends."""
    return {"expert": make_federation("fedmoe", clients=1, train=8, test=8).state(0)["expert"]}


@pytest.fixture
def prototypes():
    """The rows that FedProto sends, of a hundred classes, half of them present."""
    return {"prototypes": Rows(torch.rand(100, 500), torch.arange(100) % 2 == 0)}


def exchanged(message, times: int = 1) -> Channel:
    """A channel that has carried the message down and up, to and from every client, so many times."""
    for _ in range(times):
        channel = Channel(dict.fromkeys(range(CLIENTS), 100))
        for client in range(CLIENTS):
            channel.up(client, channel.down(client, message))
    return channel


@pytest.mark.benchmark(group="messages")
def test_weights_travel(normalised, kernels, weights):
    normalised(lambda: exchanged(weights, 2), kernels.memory, rounds=15)


@pytest.mark.benchmark(group="messages")
def test_rows_travel(normalised, kernels, prototypes):
    normalised(lambda: exchanged(prototypes, 20), kernels.memory, rounds=15)


@pytest.mark.benchmark(group="aggregation")
def test_mean_of_weights(normalised, kernels, weights):
    method, inbox = registry.method("fedmoe")[0], exchanged(weights).inbox()
    normalised(lambda: [method.aggregate(weights, inbox) for _ in range(4)], kernels.memory, rounds=15)


@pytest.mark.benchmark(group="aggregation")
def test_mean_of_rows(normalised, kernels, prototypes):
    method, inbox = registry.method("fedproto")[0], exchanged(prototypes).inbox()
    normalised(lambda: [method.aggregate(prototypes, inbox) for _ in range(40)], kernels.memory, rounds=15)


@pytest.mark.benchmark(group="partition")
@pytest.mark.parametrize(
    "partition, parameter",
    [(pathological.partition, 2), (dirichlet.partition, 0.3)],
    ids=["pathological:2", "dirichlet:0.3"],
)
def test_partition(partition, parameter, normalised, kernels):
    """CIFAR-10 among a hundred clients."""
    labels = np.random.default_rng(0).permutation(np.arange(60_000) % 10)
    normalised(
        lambda: [partition(labels, 100, np.random.default_rng(seed), parameter) for seed in range(3)],
        kernels.interpreter,
        rounds=15,
    )


@pytest.mark.benchmark(group="checkpoint")
def test_checkpoint(normalised, kernels, make_federation, tmp_path):
    """Five clients, each of its own network, all of which have changed."""
    federation = make_federation("standalone", clients=5, train=16, test=8, batch_size=16)
    federation.round(1)
    checkpoint, numbers = Checkpoint(tmp_path), count(1)
    federation.states.keep(tmp_path)

    def change_and_save() -> None:
        for k, state in list(federation.states.items()):
            federation.states[k] = state
        checkpoint.save(next(numbers), federation.server, federation.states, None)

    normalised(
        change_and_save,
        kernels.storage,
        rounds=15,
    )


@pytest.mark.benchmark(group="report")
def test_report(normalised, kernels, store, tmp_path):
    """One comparison of three methods with two seeds and twenty rounds."""
    for label in ("fedmoe", "fml", "standalone"):
        for seed in range(2):
            store(tmp_path / "results", label, [(5 + t % 3, 6, 7, 8) for t in range(20)], seed=seed)
    normalised(
        lambda: write_report(tmp_path / "results", tmp_path / "reports", ["exp"], ReportOptions()),
        kernels.interpreter,
        rounds=3,
        repeats=10,
    )
