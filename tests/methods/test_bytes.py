"""What every method sends per participant and round on CIFAR-10 and CIFAR-100, against the literature's numbers.

The literature counts four bytes a number. A row of a table (a prototype, a class's outputs, a header's row) travels
with its class, four bytes more: those are written out as `+ rows * INDEX`.
"""

from dataclasses import dataclass

import pytest
import torch

from benchmark.api import Client
from benchmark.channel import nbytes
from benchmark.config import FederationConfig
from benchmark.conformance.toy import noise_task
from benchmark.federation import Federation
from benchmark.method import initial_parts
from benchmark.plugins import registry
from benchmark.schedule import Schedule
from benchmark.task import ClientData, Task
from methods.fedkd import FedKD

INDEX = 4


def cifar_shaped(num_classes: int, line_up: str) -> Task:
    """Noise of 3 x 32 x 32. Client k has two samples of each of the classes k Y ... k Y + Y - 1 (modulo C) in turn to
    train on, Y = 2 of 10 or 10 of 100, and one to test on. Every class has two owners.
    """
    each = num_classes // 10 if num_classes == 100 else 2
    clients = 2 * num_classes // each
    own = (torch.arange(clients)[:, None] * each + torch.arange(each)) % num_classes
    labels = torch.cat([own, own, own[:, :1]], 1)
    indices = torch.arange(labels.numel()).view(clients, -1)
    owned = [ClientData(k[:-1], k[:0], k[-1:]) for k in indices]
    return noise_task(
        labels.flatten(), owned, shape=(3, 32, 32), num_classes=num_classes, line_up=registry.line_up(line_up)
    )


TASKS = {(line_up, classes): cifar_shaped(classes, line_up) for line_up in ("cnn5", "cnn1") for classes in (10, 100)}


@dataclass(frozen=True)
class OnceAll(Schedule):
    """A first round of all clients, so that the server hears of every class; then two of them."""

    def participants(self, round: int) -> list[int]:
        return list(range(self.task.num_clients)) if round == 1 else [0, 1]


@dataclass(frozen=True)
class AlwaysTwo(Schedule):
    """Two clients."""

    def participants(self, round: int) -> list[int]:
        return [0, 1]


def sent(method: str, task: Task, schedule: type[Schedule], rounds: int) -> set[tuple[int, int]]:
    """(up, down) of the participants of the last of these rounds, before any evaluation is due."""
    config = FederationConfig(clients=task.num_clients, rounds=9, eval_every=9)
    federation = Federation(registry.method(method)[0], task, config, torch.device("cpu"), schedule=schedule)
    record = [federation.round(t) for t in range(1, rounds + 1)][-1]
    assert len(record["clients"]) == 2
    return {(sum(c["bytes_up"].values()), sum(c["bytes_down"].values())) for c in record["clients"]}


WEIGHTS = [  # both ways: numbers in what travels, C = 10 and C = 100; bytes up and down together in the literature
    ("standalone", "cnn5", (0, 0), (0, 0)),
    ("fedavg", "cnn1", (2_621_558, 2_666_648), (20_972_464, 21_333_184)),
    ("fedprox", "cnn1", (2_621_558, 2_666_648), (20_972_464, 21_333_184)),
    ("fedper", "cnn1", (2_616_548, 2_616_548), (20_932_384, 20_932_384)),
    ("fedrep", "cnn1", (2_616_548, 2_616_548), (20_932_384, 20_932_384)),
    ("lg-fedavg", "cnn5", (5_010, 50_100), (40_080, 400_800)),
    ("fml", "cnn5", (670_058, 715_148), (5_360_464, 5_721_184)),
    ("fedapen", "cnn5", (670_058, 715_148), (5_360_464, 5_721_184)),
    ("fedmrl", "cnn5", (465_658, 474_748), (3_725_264, 3_797_984)),
    ("fedmrl+small_width=250", "cnn5", (542_308, 564_898), (4_338_464, 4_519_184)),
    ("fedmrl+small_width=500", "cnn5", (670_058, 715_148), (5_360_464, 5_721_184)),
    ("fedmoe", "cnn5", (665_048, 665_048), (5_320_384, 5_320_384)),
    ("fedmoe", "cnn1", (2_616_548, 2_616_548), (20_932_384, 20_932_384)),
    ("pfedafm", "cnn5", (665_048, 665_048), (5_320_384, 5_320_384)),
    ("pfedes", "cnn5", (443, 443), (3_544, 3_544)),
]


@pytest.mark.parametrize("name, line_up, numbers, literature", WEIGHTS, ids=[f"{m}-{z}" for m, z, *_ in WEIGHTS])
def test_weights_that_travel_both_ways(name, line_up, numbers, literature):
    """From the first round on."""
    for classes, n, total in zip((10, 100), numbers, literature, strict=True):
        assert sent(name, TASKS[line_up, classes], AlwaysTwo, rounds=1) == {(4 * n, 4 * n)}
        assert 2 * 4 * n == total


GENERATOR = {c: (c + 32) * 512 + 512 + 512 * 500 + 500 for c in (10, 100)}  # FedGen's, after 32 numbers of noise


@pytest.mark.parametrize(
    "name, schedule, ten, hundred",
    [
        # Y vectors of C numbers up, C of them down
        ("fd", OnceAll, (80 + 2 * INDEX, 400 + 10 * INDEX), (4_000 + 10 * INDEX, 40_000 + 100 * INDEX)),
        # Y prototypes of 500 numbers up, C of them down
        ("fedproto", OnceAll, (4_000 + 2 * INDEX, 20_000 + 10 * INDEX), (20_000 + 10 * INDEX, 200_000 + 100 * INDEX)),
        (
            "fedtgp+server_epochs=1",
            AlwaysTwo,
            (4_000 + 2 * INDEX, 20_000 + 10 * INDEX),
            (20_000 + 10 * INDEX, 200_000 + 100 * INDEX),
        ),
        # Y mean representations up, a header down
        ("fedgh", AlwaysTwo, (4_000 + 2 * INDEX, 20_040), (20_000 + 10 * INDEX, 200_400)),
        # Y rows of 501 numbers both ways
        ("fedssa", AlwaysTwo, (4_008 + 2 * INDEX,) * 2, (20_040 + 10 * INDEX,) * 2),
        # Y vectors of 500 numbers up, a whole table of C down
        ("fedl2g", AlwaysTwo, (4_000 + 2 * INDEX, 20_000), (20_000 + 10 * INDEX, 200_000)),
        # header and C counts up; header, generator and C shares down
        (
            "fedgen+server_steps=1",
            AlwaysTwo,
            (20_040 + 40, 20_040 + 4 * GENERATOR[10] + 40),
            (200_400 + 400, 200_400 + 4 * GENERATOR[100] + 400),
        ),
    ],
)
def test_tables_by_class(name, schedule, ten, hundred):
    """In the second round: in the first the server knows of no class yet. How long it trains changes no byte."""
    assert sent(name, TASKS["cnn5", 10], schedule, rounds=2) == {ten}
    assert sent(name, TASKS["cnn5", 100], schedule, rounds=2) == {hundred}


def of_rank(r: int, like: torch.Tensor) -> torch.Tensor:
    """A weight with r singular values of 1, which all count at 95 % as long as r is below 20."""
    matrix = torch.zeros(len(like), like[0].numel())
    matrix[range(r), range(r)] = 1.0
    return matrix.view(like.shape)


def test_fedkd_sends_factors_and_biases():
    """sum over layers of r (m + n + 1), and the biases, of an update whose ranks are known."""
    task, method = TASKS["cnn5", 10], FedKD(energy_end=0.95)
    parts = initial_parts(method, task, 0)
    start = {name: torch.zeros_like(w) for name, w in parts["student"].state_dict().items()}
    matrices = [name for name, w in start.items() if w.dim() > 1]
    assert [tuple(start[name].flatten(1).shape) for name in matrices] == [
        (16, 75),
        (32, 400),
        (500, 800),
        (500, 500),
        (10, 500),
    ]
    ranks = dict(zip(matrices, (2, 3, 5, 7, 9), strict=True))
    moved = {name: of_rank(ranks[name], w) if name in ranks else w + 1 for name, w in start.items()}
    parts["student"].load_state_dict(moved)
    message = method.upload(Client(task.infos[0], parts, {"reference": start}), {})
    layers = 2 * (16 + 75 + 1) + 3 * (32 + 400 + 1) + 5 * (500 + 800 + 1) + 7 * (500 + 500 + 1) + 9 * (10 + 500 + 1)
    biases = 16 + 32 + 500 + 500 + 10
    assert nbytes(message["update"]) == 4 * (layers + biases)


@pytest.mark.parametrize("classes, total", [(10, 5_360_464), (100, 5_721_184)])
def test_fedkd_without_factors_sends_the_small_network(classes, total):
    """Down to who has none before, and up where no layer is cheaper in factors: what a random update is."""
    task, method = TASKS["cnn5", classes], FedKD(energy_start=1.0, energy_end=1.0)
    message = method.download(method.server_init(task), task.infos[0])
    assert set(message) == {"student"}
    parts = initial_parts(method, task, 0)
    update = method.upload(Client(task.infos[0], parts, {"reference": of_noise(message["student"])}), {})
    assert nbytes(message["student"]) == nbytes(update["update"]) == total / 2


def of_noise(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    draw = torch.Generator().manual_seed(0)
    return {name: torch.randn(w.shape, generator=draw) for name, w in weights.items()}
