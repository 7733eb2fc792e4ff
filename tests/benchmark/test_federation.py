"""Bytes on CIFAR-shaped data equal to the table of the literature; the round as a whole."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from benchmark import registry
from benchmark.config import FederationConfig
from benchmark.engine.eager import EagerEngine
from benchmark.federation import Federation
from benchmark.method import Method
from benchmark.partition import draw
from benchmark.task import ClientData, Task

ROW = 500 * 4 + 4


def cifar_shaped(num_classes: int, clients: int = 10) -> Task:
    """Noise in CIFAR's shape, few samples per class, divided as the paper does."""
    labels = np.repeat(np.arange(num_classes), 200 // num_classes * 3)
    pathological = registry.partition("pathological", num_classes)
    division = draw(pathological, dataset="noise", labels=labels, clients=clients, validation=0, seed=0)
    images = np.random.default_rng(0).integers(0, 256, (len(labels), 32, 32, 3), dtype=np.uint8)
    return Task(
        images=torch.from_numpy(images),
        labels=torch.from_numpy(labels),
        mean=torch.full((3,), 127.5),
        std=torch.full((3,), 60.0),
        num_classes=num_classes,
        clients=tuple(ClientData(*map(torch.from_numpy, splits)) for splits in division.splits),
        line_up=registry.line_up("cnn5"),
        seed=0,
    )


@pytest.fixture(scope="module", params=[10, 100], ids=["cifar10", "cifar100"])
def task(request):
    return cifar_shaped(request.param)


@pytest.mark.parametrize(
    "name, ten, hundred",
    [
        ("fedmoe", (2_660_192, 2_660_192), (2_660_192, 2_660_192)),
        ("fml", (2_680_232, 2_680_232), (2_860_592, 2_860_592)),
        ("lg-fedavg", (20_040, 20_040), (200_400, 200_400)),
        ("standalone", (0, 0), (0, 0)),
        ("fedproto", (2 * ROW, 10 * ROW), (10 * ROW, 100 * ROW)),
    ],
)
def test_bytes_per_participant_and_round(task, name, ten, hundred):
    """(up, down). FedProto's from its second round on: in the first no prototype is known."""
    federation = Federation(
        registry.method(name)[0], task, FederationConfig(rounds=2, eval_every=2), torch.device("cpu")
    )
    _, record = federation.run()
    expected = ten if task.num_classes == 10 else hundred
    for client in record["clients"]:
        assert (sum(client["bytes_up"].values()), sum(client["bytes_down"].values())) == expected
    assert record["bytes_up"] + record["bytes_down"] == 10 * sum(expected)


def test_the_tables_of_the_literature_are_these_sums():
    assert 2 * 2_660_192 == 5_320_384
    assert (2 * 2_680_232, 2 * 2_860_592) == (5_360_464, 5_721_184)
    assert (2 * 20_040, 2 * 200_400) == (40_080, 400_800)
    assert (2 * ROW + 10 * ROW, 10 * ROW + 100 * ROW) == (4_000 + 20_000 + 12 * 4, 20_000 + 200_000 + 110 * 4)


def test_only_participants_send_and_train_but_all_are_evaluated(make_task, federate):
    federation, records = federate(registry.method("fedmoe")[0], make_task((6,) * 10), participation=0.3, rounds=2)
    for record in records:
        assert len(record["participants"]) == len(record["clients"]) == 3
        assert [c["id"] for c in record["clients"]] == record["participants"]
        assert len(record["post_local"]["correct"]) == len(record["post_download"]["total"]) == 10
    assert set(federation.states) == set(records[0]["participants"]) | set(records[1]["participants"])


def test_all_methods_meet_the_same_participants_and_those_of_one_phase_the_same_steps(make_task, federate, alike):
    participants, steps = set(), set()
    for name in registry.names("methods"):
        method, task = registry.method(name)[0], make_task((6, 7, 9, 5), line_up=alike)
        _, records = federate(method, task, participation=0.5, rounds=3)
        participants.add(tuple(tuple(r["participants"]) for r in records))
        if len(method.phases()) == 1:
            steps.add(tuple(c["steps"] for r in records for c in r["clients"]))
    assert len(participants) == len(steps) == 1


def test_evaluation_is_due_every_so_often_and_at_the_end(make_task, federate):
    _, records = federate(registry.method("standalone")[0], make_task(), rounds=5, eval_every=2)
    assert ["post_local" in r for r in records] == [False, True, False, True, True]
    assert [r["eval_seconds"] > 0 for r in records] == [False, True, False, True, True]


def test_evaluation_changes_nothing(make_task, federate, same, alike):
    for name in registry.names("methods"):
        often, _ = federate(registry.method(name)[0], make_task(line_up=alike), rounds=2)
        once, _ = federate(registry.method(name)[0], make_task(line_up=alike), rounds=2, eval_every=2)
        assert same(often.states, once.states)
        assert same(often.server, once.server)


def test_a_client_that_never_took_part_holds_the_servers_first_message(make_task, federate, same):
    task = make_task((6,) * 6)
    method = registry.method("fedmoe")[0]
    federation, _ = federate(method, task, participation=0.1, rounds=1)
    absent = next(k for k in range(6) if k not in federation.states)
    assert same(federation.state(absent)["expert"], dict(method.server_init(task)["expert"]))
    assert not same(federation.server["expert"], dict(method.server_init(task)["expert"]))


def test_correct_counts_are_those_of_the_predictions(make_task, federate):
    task = make_task()
    federation, records = federate(registry.method("standalone")[0], task)
    for k, data in enumerate(task.clients):
        client = federation.engine.load(k, federation.states[k])
        client.extractor.eval()
        x, y = task.batch(data.test)
        right = int((client.header(client.extractor(x)).argmax(1) == y).sum())
        assert records[-1]["post_local"]["correct"][k] == right


def test_what_a_method_draws_on_the_server_is_seeded(make_task, federate, same):
    """Under one seed the same, whatever torch's own generator is at; and counting draws nothing."""

    @dataclass(frozen=True)
    class Noisy(Method):
        def shares(self):
            return ("header",)

        def aggregate(self, server, inbox):
            mean = super().aggregate(server, inbox)
            return {"header": {name: w + torch.randn_like(w) for name, w in mean["header"].items()}}

    servers = []
    for _ in range(2):
        torch.rand(1)
        servers.append(federate(Noisy(), make_task(line_up=registry.line_up("cnn1"), shape=(1, 16, 16)))[0].server)
    assert same(*servers)


def test_clients_that_have_not_changed_are_not_evaluated_again(make_task, federate, monkeypatch):
    """Four clients, one in each round: all are evaluated at first, later who took part; and all after a download."""
    counted = []
    original = EagerEngine.evaluate
    monkeypatch.setattr(EagerEngine, "evaluate", lambda self, c, i: counted.append(c.info.id) or original(self, c, i))
    federate(registry.method("standalone")[0], make_task((6,) * 4), participation=0.1, rounds=3)
    assert len(counted) == 4 + 1 + 1
    counted.clear()
    federate(registry.method("lg-fedavg")[0], make_task((6,) * 4), participation=0.1, rounds=3)
    assert len(counted) == 8 + 5 + 5
