"""The round as a whole."""

from dataclasses import dataclass

import torch

from benchmark import registry
from benchmark.engine.eager import EagerEngine
from benchmark.method import Method


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
