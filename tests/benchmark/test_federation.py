"""The round as a whole."""

from dataclasses import dataclass

import pytest
import torch

from benchmark.api import Progress, RoundNumber
from benchmark.channel import same
from benchmark.config import FederationConfig
from benchmark.conformance.toy import ALIKE, federate, make_task
from benchmark.engine.eager import EagerEngine
from benchmark.federation import Federation
from benchmark.method import Method, Phase
from benchmark.plugins import registry
from benchmark.storage.checkpoint import Checkpoint


def test_only_participants_send_and_train_but_all_are_evaluated():
    federation, records = federate(registry.method("fedmoe")[0], make_task((6,) * 10), participation=0.3, rounds=2)
    for record in records:
        assert len(record["participants"]) == len(record["clients"]) == 3
        assert [c["id"] for c in record["clients"]] == record["participants"]
        assert len(record["post_local"]["correct"]) == len(record["post_download"]["total"]) == 10
    assert set(federation.states) == set(records[0]["participants"]) | set(records[1]["participants"])


def test_all_methods_meet_the_same_participants_and_those_of_one_phase_the_same_steps():
    participants, steps = set(), set()
    for name in registry.catalogue("methods"):
        method, task = registry.method(name)[0], make_task((6, 7, 9, 5), line_up=ALIKE)
        _, records = federate(method, task, participation=0.5, rounds=3)
        participants.add(tuple(tuple(r["participants"]) for r in records))
        if len(method.phases()) == 1:
            steps.add(tuple(c["steps"] for r in records for c in r["clients"]))
    assert len(participants) == len(steps) == 1


def test_evaluation_is_due_every_so_often_and_at_the_end():
    _, records = federate(registry.method("standalone")[0], make_task(), rounds=5, eval_every=2)
    assert ["post_local" in r for r in records] == [False, True, False, True, True]
    assert [r["eval_seconds"] > 0 for r in records] == [False, True, False, True, True]


def test_evaluation_changes_nothing():
    for name in registry.catalogue("methods"):
        often, _ = federate(registry.method(name)[0], make_task(line_up=ALIKE), rounds=2)
        once, _ = federate(registry.method(name)[0], make_task(line_up=ALIKE), rounds=2, eval_every=2)
        assert same(often.states, once.states)
        assert same(often.server, once.server)


def test_a_client_that_never_took_part_holds_the_servers_first_message():
    task = make_task((6,) * 6)
    method = registry.method("fedmoe")[0]
    federation, _ = federate(method, task, participation=0.1, rounds=1)
    absent = next(k for k in range(6) if k not in federation.states)
    assert same(federation.state(absent)["expert"], dict(method.server_init(task)["expert"]))
    assert not same(federation.server["expert"], dict(method.server_init(task)["expert"]))


def test_correct_counts_are_those_of_the_predictions():
    task = make_task()
    federation, records = federate(registry.method("standalone")[0], task)
    for k, data in enumerate(task.clients):
        client = federation.engine.load(k, federation.states[k])
        client.extractor.eval()
        x, y = task.batch(data.test)
        right = int((client.header(client.extractor(x)).argmax(1) == y).sum())
        assert records[-1]["post_local"]["correct"][k] == right


def test_what_a_method_draws_on_the_server_is_seeded():
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


def test_clients_that_have_not_changed_are_not_evaluated_again(monkeypatch):
    """Four clients, one in each round: all are evaluated at first, later who took part; and all after a download."""
    counted = []
    original = EagerEngine.evaluate
    monkeypatch.setattr(
        EagerEngine, "evaluate", lambda self, c, *of: counted.append(c.info.id) or original(self, c, *of)
    )
    federate(registry.method("standalone")[0], make_task((6,) * 4), participation=0.1, rounds=3)
    assert len(counted) == 4 + 1 + 1
    counted.clear()
    federate(registry.method("lg-fedavg")[0], make_task((6,) * 4), participation=0.1, rounds=3)
    assert len(counted) == 8 + 5 + 5


@dataclass(frozen=True)
class Diary(Method):
    """Notes which round each hook is told of."""

    log: list

    def note(self, hook, client, progress):
        self.log.append((hook, client, tuple(progress)))

    def download(self, server, client):
        self.note("download", client.id, client.progress)
        return {"word": torch.zeros(1)}

    def receive(self, state, message, client):
        self.note("receive", client.id, client.progress)
        return super().receive(state, message, client)

    def loss(self, client, batch):
        self.note("loss", client.info.id, client.info.progress)
        return super().loss(client, batch)

    def upload(self, client, statistics):
        self.note("upload", client.info.id, client.info.progress)
        return {"word": torch.zeros(1)}

    def aggregate(self, server, inbox):
        self.note("aggregate", None, inbox.progress)
        return server


def test_every_hook_is_told_which_round_it_is():
    """A round's hooks have its number, from 1 on, of how many; the download after it is the next round's."""
    method = Diary([])
    config = FederationConfig(clients=2, rounds=2, batch_size=4)
    federation = Federation(method, make_task((4, 4)), config, torch.device("cpu"))
    for t in (1, 2):
        method.log.clear()
        federation.round(t)
        last = max(i for i, (hook, *_) in enumerate(method.log) if hook == "aggregate")
        during, after = method.log[: last + 1], method.log[last + 1 :]
        for hook in ("download", "receive", "loss", "upload", "aggregate"):
            assert {(t, 2)} <= {progress for name, _, progress in during if name == hook}
        assert {progress for name, _, progress in during if name in ("loss", "upload", "aggregate")} == {(t, 2)}
        first, *evaluated = [(name, client) for name, client, progress in after if progress == (t + 1, 2)]
        assert first == ("download", 0)  # whether there is any
        assert evaluated == [(name, k) for k in (0, 1) for name in ("download", "receive")]


@pytest.mark.parametrize("round_, rounds, share", [(1, 4, 0.25), (4, 4, 1.0), (1, 1, 1.0)])
def test_progress_is_the_share_of_the_rounds(round_, rounds, share):
    assert RoundNumber(round_, rounds).share == share
    assert Progress is RoundNumber


@dataclass(frozen=True)
class Anchored(Method):
    """Keeps what came as weights beside its header, and never trains them."""

    def shares(self):
        return ("header",)

    def receive(self, state, message, client):
        return state | message | {"anchor": message["header"]}

    def loss(self, client, batch):
        away = (client.header.weight - client.anchor["weight"]).square().sum()
        return super().loss(client, batch) + away

    def phases(self):
        return (Phase(samples=((0.0, 0.5),)), Phase(steps=1))


def test_weights_held_as_a_value_survive_rounds():
    """The anchor is what the server sent at the beginning of the round, in which the header has moved."""
    federation, _ = federate(Anchored(), make_task(line_up=ALIKE), rounds=1)
    sent = federation.server
    federation.round(2)
    for k, state in federation.states.items():
        assert same(state["anchor"], sent["header"])
        assert not same(state["header"], state["anchor"])
        assert "anchor" not in federation.client(k).parts


def test_weights_held_as_a_value_survive_checkpoints(tmp_path):
    """One of three takes part, so two go on from what they held rounds ago."""
    whole, records = federate(Anchored(), make_task(line_up=ALIKE), rounds=4, participation=0.4)
    first, again = (Federation(Anchored(), make_task(line_up=ALIKE), whole.config, whole.device) for _ in range(2))
    checkpoint = Checkpoint(tmp_path)
    for t in (1, 2, 3):
        checkpoint.save(first.round(t)["round"], first.server, first.states, None)
    again.server = checkpoint.restore(checkpoint.manifest(), again.states, again.device)
    assert same(again.states, first.states)
    record = again.round(4)
    assert same(again.states, whole.states)
    assert same(again.server, whole.server)
    assert record["train_loss"] == records[3]["train_loss"]
