"""Observers see what passes, add to records, leave artefacts, and change nothing."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmark.api import Observer, Rows
from benchmark.channel import same
from benchmark.cli.arguments import request_of
from benchmark.config import FederationConfig
from benchmark.conformance.toy import ALIKE, CPU, make_task
from benchmark.errors import HookError
from benchmark.federation import Federation
from benchmark.method import Method
from benchmark.plugins import registry
from benchmark.run import runner
from benchmark.run.plan import plan
from benchmark.run.progress_display import display
from benchmark.storage.checkpoint import fingerprint
from benchmark.storage.verify import verify


class CountMessages(Observer):
    """How many messages passed in each round, in its record and as messages.npz."""

    count = 0

    def message(self, passage):
        self.count += 1

    def round_over(self, federation, record):
        record["observed"] = {"messages": self.count}
        self.count = 0

    def artefacts(self, federation, rounds):
        return {"messages": {"counts": np.array([r["observed"]["messages"] for r in rounds])}}


class Meddler(Observer):
    """Keeps what it sees, and draws at random."""

    def __init__(self):
        self.seen = []

    def message(self, passage):
        torch.rand(3)
        self.seen.append(passage)


def federation_of(name, *observers):
    method = registry.method(name)[0]
    config = FederationConfig(clients=3, rounds=2, batch_size=4, participation=0.7, lr=0.1)
    return Federation(method, make_task(line_up=ALIKE), config, CPU, observers=observers)


@pytest.mark.parametrize("name", ["fedmoe", "fedgen+server_steps=2", "standalone"])
def test_an_observer_changes_nothing_to_the_bit(name):
    alone, watched = federation_of(name), federation_of(name, Meddler(), CountMessages())
    for one, other in zip(alone.run(), watched.run(), strict=True):
        assert one["train_loss"] == other["train_loss"]
        assert (one["client_flops"], one["server_flops"]) == (other["client_flops"], other["server_flops"])
    assert fingerprint(alone.server, alone.states) == fingerprint(watched.server, watched.states)


def test_a_message_passes_with_round_direction_client_and_the_state_it_was_built_from():
    watching = Meddler()
    federation = federation_of("lg-fedavg", watching)
    before = federation.server
    record = federation.round(1)
    first, second = record["participants"]
    passed = [(tuple(p.round), p.direction, p.client) for p in watching.seen]
    turns = [((1, 2), direction, k) for k in (first, second) for direction in ("down", "up")]
    assert passed == turns
    down, up = watching.seen[:2]
    assert same(down.message, before) and down.source is before
    assert same(up.message["header"], federation.states[first]["header"])
    assert same(up.source, federation.states[first])


def test_an_observer_that_raises_says_where():
    class Clumsy(Observer):
        def message(self, passage):
            raise ValueError("what?")

    with pytest.raises(HookError, match=r"^client \d, round 1, Clumsy at download: ValueError: what\?$"):
        federation_of("lg-fedavg", Clumsy()).round(1)


@pytest.fixture
def counted(tmp_path, monkeypatch, write_data):
    """A function that executes a run of three rounds with an observer in this folder, and gives its folder."""
    monkeypatch.chdir(tmp_path)
    write_data(tmp_path)
    given = {"datasets": "tiny.npz", "partition": "iid", "models": "cnn1", "clients": "4", "rounds": "3"}
    given |= {"batch_size": "8", "participation": "0.5", "methods": "fedproto"}
    places = {"data": Path("data"), "results": Path("results"), "device": "cpu", "checkpoint_every": 0.0}
    request = request_of(None, given, None, ("run",), observers=(CountMessages,), **places)

    def execute():
        with display(quiet=True) as shown:
            (outcome,) = runner.execute_all(plan(request), request, shown)
        return outcome.path

    return execute


def check(folder):
    rounds = [json.loads(line) for line in (folder / "rounds.jsonl").read_text().splitlines()]
    assert [r["observed"] for r in rounds] == [{"messages": 4}] * 3  # down and up of two participants
    with np.load(folder / "messages.npz") as file:
        assert file["counts"].tolist() == [4, 4, 4]
    files = json.loads((folder / "run.json").read_text())["files"]
    assert files["messages.npz"]["bytes"] == (folder / "messages.npz").stat().st_size
    assert len(files["messages.npz"]["sha256"]) == 64
    assert verify(Path("results")) == ([], 1)


def test_a_run_keeps_what_an_observer_adds_and_leaves(counted):
    folder = counted()
    check(folder)
    (folder / "messages.npz").write_bytes(b"other")
    ((_, problem),) = verify(Path("results"))[0]
    assert problem == "messages.npz is not as it was written"


def test_an_interrupted_run_resumes_with_a_new_observer(counted, monkeypatch):
    original = Federation.round

    def interrupted(self, t):
        if t == 3:
            raise KeyboardInterrupt
        return original(self, t)

    with monkeypatch.context() as patch:
        patch.setattr(Federation, "round", interrupted)
        with pytest.raises(KeyboardInterrupt):
            counted()
    check(counted())


def test_the_servers_flops_are_counted_once_per_shape_of_what_it_is_sent(monkeypatch):
    """A product of the n rows that came, [n, 5], with its transpose. The aggregation runs twice when the participants'
    numbers of rows are new, and once when they are not.
    """
    calls = []

    class Products(Method):
        def statistics(self, client, batch):
            return {"counts": torch.nn.functional.one_hot(batch.y, 3).sum(0).float()}

        def upload(self, client, statistics):
            return {"rows": Rows(torch.ones(3, 5), statistics["counts"] > 0)}

        def aggregate(self, server, inbox):
            values, _ = inbox.rows("rows")
            calls.append(len(values))
            values @ values.T
            return server

    labels = ((0, 1), (1, 2), (0, 1, 2), (2,))
    task = make_task((9, 9, 9, 9), line_up=ALIKE, labels=labels)
    config = FederationConfig(clients=4, rounds=6, batch_size=4, participation=0.5)
    federation = Federation(Products(), task, config, CPU)
    known = set()
    for record in federation.run():
        sizes = tuple(len(labels[k]) for k in record["participants"])
        n = sum(sizes)
        assert record["server_flops"] == 2 * n * 5 * n
        assert calls == [n] * (1 + (sizes not in known))
        known.add(sizes)
        calls.clear()
    assert 1 < len(known) < 6
