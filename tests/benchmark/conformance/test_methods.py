"""Each check of a method catches what it is for: a sound method, broken in one way, fails that check and no other."""

import re

import pytest

from benchmark.compatibility import unsupported
from benchmark.conformance import training
from benchmark.conformance.methods import CHECKS
from benchmark.conformance.suite import Broken, Check, run_checks
from benchmark.conformance.toy import ALIKE, HEADS, MIXED, SHAPE, federate, make_task, toy_task
from benchmark.plugins import registry

SOUND = '''"""Mine: an expert that all share is added to one's own extractor. Nobody, 2024, arXiv 0000.00000.

Client k holds                                      trained   travels
    extractor, header   F_k, H_k                       x
    expert              G                              x      up, down

One round, for the participants S:
    local   minimise CE(H_k(F_k(x) + G(x)), y)

Departures from the paper: there is no paper.
"""

import random
from dataclasses import dataclass
from math import prod
from typing import Generic, TypeVar

import torch
from torch import nn

from benchmark.api import Inspection, Method, Phase

ANCHOR = nn.Linear(2, 2)


@dataclass(frozen=True)
class Mine(Method):
    """For tests."""

    def shares(self):
        return ("expert",)

    def parts(self, model, task):
        return super().parts(model, task) | {"expert": task.small_model(model.width).extractor}

    def unsupported(self, task):
        return task.width_mismatch

    def represent(self, client, x):
        return client.extractor(x) + client.expert(x)

    def predict(self, client, x):
        return client.header(self.represent(client, x))

    def loss(self, client, batch):
        return super().loss(client, batch)

    def inspect(self, client, x):
        return Inspection({"half": torch.full_like(x[:, 0, 0, 0], 0.5)}, {"sum": self.represent(client, x)})
'''

PARTS = '{"expert": task.small_model(model.width).extractor'
LOSS = "return super().loss(client, batch)"


def part(module):
    """One part more."""
    return PARTS, f'{{"spare": {module}, {PARTS[1:]}'


def hook(signature, *lines):
    """One hook more."""
    text = "\n        ".join([f"    def {signature}:", *lines])
    return "    def inspect", f"{text}\n\n    def inspect"


def aggregate(*lines):
    return hook("aggregate(self, server, inbox)", *lines)


STILL = hook("phases(self)", 'return (Phase(trains=("extractor", "header")),)')
OWN_NETWORKS = """torch.manual_seed(0)
        net, expert = (nn.Sequential(nn.Flatten(), nn.Linear(prod(task.input_shape), model.width)) for _ in range(2))
        return {"extractor": net, "header": nn.Linear(model.width, task.num_classes), "expert": expert}
"""
BROKEN = {  # what is wrong with it: (the check that finds it, in its words, (this, becomes that), ...)
    "another class name": ("file", "the file is called mine and the class Yours", ("class Mine", "class Yours")),
    "a second base": ("file", "inherits from Method, Generic, not", ("(Method):", "(Method, Generic[TypeVar('T')]):")),
    "a hook in capitals": (
        "file",
        r"Mine has Shares, which is no hook; did you mean shares\?",
        ("def shares", "def Shares"),
    ),
    "no departures": ("docstring", "not say: Departures from the paper$", ("Departures from the paper", "By the way")),
    "no arXiv id": ("docstring", "not say: arXiv$", (", arXiv 0000.00000", "")),
    "images of two channels alone": (
        "any-line-up",
        r"on mixed: client 0, round 1, training, phase 0: RuntimeError: .* channels.* \(mine.py, line \d+\)",
        part("nn.Conv2d(2, 2, 1)"),
        ("client.expert(x)", "client.expert(client.spare(x))"),
    ),
    "a reason without words": (
        "any-line-up",
        "on heads: unsupported gives ' '",
        ("return task.width_mismatch", 'return " " if task.header_mismatch else None'),
    ),
    "batches of three at least": (
        "odd-clients",
        "with a client with one sample: client 0, round 1, training, phase 0: IndexError",
        (LOSS, f"{LOSS} + 0 * batch.x[2].sum()"),
    ),
    "a part that nobody uses": (
        "trained-parts",
        "spare.weight of client 0 has not changed, and spare is trained",
        part("nn.Linear(2, 2)"),
    ),
    "a part that is not trained and changes": (
        "trained-parts",
        "expert.1.weight of client 0 has changed, and expert is not trained",
        STILL,
        (LOSS, f"with torch.no_grad():\n            next(client.expert.parameters()).mul_(0.9)\n        {LOSS}"),
    ),
    "predictions that see the batch": (
        "predictions",
        "header scores a sample of client 0 differently",
        ("self.represent(client, x))", "self.represent(client, x) - x.mean())"),
    ),
    "scores that are NaN": (
        "predictions",
        "header gives NaN",
        ("return client.header(", "return (1 if client.header.training else torch.nan) * client.header("),
    ),
    "one weight for all samples": (
        "inspection",
        "the weight 'half' is",
        ("torch.full_like(x[:, 0, 0, 0], 0.5)", "torch.ones(1)"),
    ),
    "a loss that waits": ("device", "item", (LOSS, f"assert batch.y.max() < 1000\n        {LOSS}")),
    "a mask of samples": ("device", "nonzero", (LOSS, f"{LOSS} + 0 * batch.x[batch.y > 0].sum()")),
    "a tensor on another device": (
        "device",
        "device",
        (LOSS, f"{LOSS} + torch.zeros(len(batch.y)).add(batch.y).sum() * 0"),
    ),
    "the server's state in place": (
        "aggregate",
        "changes the server's state in place",
        aggregate('next(iter(server["expert"].values())).zero_()', "return super().aggregate(server, inbox)"),
    ),
    "the inbox in place": (
        "aggregate",
        "changes the inbox in place",
        aggregate('next(iter(inbox.of("expert")[0].values())).zero_()', "return super().aggregate(server, inbox)"),
    ),
    "double precision": (
        "sent-bytes",
        "more travels as torch.float64",
        hook(
            "upload(self, client, statistics)",
            "more = torch.zeros(1, dtype=torch.float64)",
            'return super().upload(client, statistics) | {"more": more}',
        ),
    ),
    "a record's message of another kind": (
        "record-message",
        "give other names or shapes than an upload has, decoded",
        hook("record_message(self, client, statistics)", 'return {"expert": client.header.state_dict()}'),
    ),
    "one module for all": ("memory", "new modules of client 0 and client 1 share memory", part("ANCHOR"), STILL),
    "random numbers of its own": (
        "reproducible",
        "the same seed gives other weights",
        (LOSS, f"{LOSS} * random.random()"),
    ),
    "networks of its own": (
        "another-seed",
        "seeds 0 and 1 give the same weights",
        ("return super().parts(model, task) | " + PARTS + "}", OWN_NETWORKS.strip()),
    ),
    "memory beside the states": (
        "resume",
        "the state of the server is another when the run goes on",
        aggregate(
            "rounds = self.__dict__.get('rounds', 0) + 1",
            "object.__setattr__(self, 'rounds', rounds)",
            "(mean,) = super().aggregate(server, inbox).values()",
            'return {"expert": {name: tensor / rounds for name, tensor in mean.items()}}',
        ),
    ),
}


@pytest.fixture(autouse=True)
def few_cases(monkeypatch):
    """Of line-ups and odd clients, those that a method here fails on: for all of them there are the real methods."""
    line_ups = [(toy, SHAPE) for toy in (MIXED, ALIKE, HEADS)] + [(MIXED, (1, 5, 5))]
    monkeypatch.setattr(training, "line_ups", lambda: line_ups)
    alone = "a client with one sample"
    monkeypatch.setattr(training, "ODD", {alone: training.ODD[alone]})


@pytest.fixture
def method(tmp_path):
    """The sound method with changes."""

    def changed(*changes):
        text = SOUND
        for this, that in changes:
            assert this in text
            text = text.replace(this, that)
        (tmp_path / "mine.py").write_text(text)
        return registry.method(str(tmp_path / "mine.py"))[0]

    return changed


def test_a_sound_method_passes(method):
    assert [(r.check.name, r.problem) for r in run_checks(CHECKS, method()) if r.verdict != "holds"] == []


@pytest.mark.parametrize("check, words, changes", [(c, w, p) for c, w, *p in BROKEN.values()], ids=BROKEN)
def test_a_broken_method_fails_the_check_for_it(method, check, words, changes):
    broken = {r.check.name: r.problem for r in run_checks(CHECKS, method(*changes)) if r.verdict == "broken"}
    assert list(broken) == [check]
    (problem,) = broken.values()
    assert re.search(words, problem), problem
    assert "\n" not in problem


def test_every_check_has_a_method_that_fails_it():
    assert {check for check, *_ in BROKEN.values()} == {check.name for check in CHECKS}


def test_a_method_that_does_not_run_is_told_so_once(method):
    results = run_checks(CHECKS, method((LOSS, "return client.nothing")))
    assert [r.check.name for r in results if r.verdict == "broken"] == ["any-line-up"]
    unseen = [r for r in results if r.verdict == "not examined"]
    assert len(unseen) == len(CHECKS) - 3
    assert {r.problem for r in unseen} == {"any-line-up comes first"}


def test_a_method_for_one_architecture_is_examined_where_clients_have_one(method):
    one = method(
        ("self.represent(client, x))", "self.represent(client, x))"), ('("expert",)', '("extractor", "expert")')
    )
    assert unsupported(one, make_task()) is not None
    assert toy_task(one).line_up is ALIKE
    assert {r.verdict for r in run_checks(CHECKS, one)} == {"holds"}


def test_a_method_for_no_toy_says_why(method):
    with pytest.raises(Broken, match="mixed: too small; alike: too small"):
        toy_task(method(("return task.width_mismatch", 'return "too small"')))


def test_what_a_method_prints_is_no_output(capsys):
    run_checks([Check("loud", "", lambda _: print("here"))], None)
    assert capsys.readouterr() == ("", "here\n")


def test_a_method_is_the_same_after_its_runs(method):
    """What it remembers beside the states stays with the copy that ran."""
    mine = method(*BROKEN["memory beside the states"][2:])
    federate(mine, make_task())
    assert vars(mine) == {}
