"""Evaluation computes nothing twice, and gives what it would give if it did."""

import pytest
import torch
from torch import nn
from torch.func import functional_call

from benchmark.config import FederationConfig
from benchmark.conformance.toy import CPU, toy_task
from benchmark.engine.evaluation_cache import EvaluationCache
from benchmark.federation import Federation
from benchmark.plugins import registry
from methods.fedmoe import FedMoE
from methods.fedproto import FedProto
from methods.fml import FML

X = torch.rand(2, 3)


class Counted(nn.Linear):
    """Counts how often it computes."""

    def __init__(self):
        super().__init__(3, 3)
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        return super().forward(x)


def answering(cache, parts, images=X, client=0, batch="test"):
    return cache.answering(client, batch, images, parts)


def test_the_same_question_is_computed_once_until_the_client_has_trained():
    """Of the images, and of what a part has made of them."""
    cache, first, second = EvaluationCache(), Counted(), Counted()
    answers = []
    for _ in range(2):
        x = X.clone()  # the same images, drawn again
        with torch.no_grad(), answering(cache, {"first": first, "second": second}, x):
            answers += [second(first(x)), second(first(x))]
    assert (first.calls, second.calls) == (1, 1)
    assert all(answer is answers[0] for answer in answers)
    cache.forget(0)
    with torch.no_grad(), answering(cache, {"first": first}):
        first(X)
    assert first.calls == 2


def test_another_client_another_place_and_another_input_are_other_questions():
    cache, part = EvaluationCache(), Counted()
    for client, batch, given in [(0, "test", X), (1, "test", X), (0, "validation", X), (0, "test", X + 1)]:
        with torch.no_grad(), answering(cache, {"part": part}, client=client, batch=batch):
            part(given)
    assert part.calls == 4


def test_a_part_that_has_changed_or_is_lent_other_weights_computes():
    cache, part = EvaluationCache(), Counted()
    other = {"weight": torch.zeros(3, 3), "bias": torch.ones(3)}
    with torch.no_grad(), answering(cache, {"part": part}):
        own = part(X)
        assert torch.equal(functional_call(part, other, (X,)), torch.ones(2, 3))
        assert part(X) is own
    with torch.no_grad(), answering(cache, {}):
        part(X)
    assert part.calls == 3
    assert "forward" not in vars(part)


def test_what_is_beyond_the_limit_is_not_kept():
    cache, part = EvaluationCache(limit=30), Counted()  # an answer of 2 x 3 numbers takes 24 bytes
    for client in (0, 1, 0, 1):
        with torch.no_grad(), answering(cache, {"part": part}, client=client):
            part(X)
    assert part.calls == 3
    cache.forget(0)
    with torch.no_grad(), answering(cache, {"part": part}, client=1):
        part(X), part(X)
    assert part.calls == 4


@pytest.mark.parametrize("name", registry.catalogue("methods"))
def test_scores_are_those_of_an_evaluation_that_remembers_nothing(name):
    method, _ = registry.method(name)
    task = toy_task(method, (6, 6, 6, 6))
    config = FederationConfig(clients=4, rounds=4, batch_size=4, lr=0.1, participation=0.5)
    usual, forgetful = (Federation(method, task, config, CPU) for _ in range(2))
    forgetful.engine.cache = EvaluationCache(limit=0)
    for t in (1, 2, 3, 4):
        one, other = usual.round(t), forgetful.round(t)
        assert {k: one[k] for k in ("post_local", "post_download", "predictors")} == {
            k: other[k] for k in ("post_local", "post_download", "predictors")
        }


@pytest.mark.parametrize(
    "method, extractors, experts", [(FML(), [4, 2], []), (FedProto(), [4, 2], []), (FedMoE(), [4, 2], [8, 6])]
)
def test_how_often_parts_compute_in_an_evaluation(method, extractors, experts, monkeypatch):
    """Four clients, all new, then two that have trained; only FedMoE's expert is another after a download."""
    counts = {"extractor": 0, "expert": 0}
    task = toy_task(method, (6, 6, 6, 6))
    config = FederationConfig(clients=4, rounds=2, batch_size=4, participation=0.5)
    federation = Federation(method, task, config, CPU)
    forward = nn.Sequential.forward

    def counting(module, x):
        if not torch.is_grad_enabled() and x.dim() == 4:
            for parts in federation.engine._resident.values():
                for name in counts:
                    counts[name] += module is parts.get(name)
        return forward(module, x)

    found = []
    add_scores = federation.evaluation.add_scores

    def evaluation(*given):
        monkeypatch.setattr(nn.Sequential, "forward", counting)
        before = dict(counts)
        add_scores(*given)
        found.append({name: counts[name] - before[name] for name in counts})
        monkeypatch.setattr(nn.Sequential, "forward", forward)

    federation.evaluation.add_scores = evaluation
    for t in (1, 2):
        federation.round(t)
    assert [f["extractor"] for f in found] == extractors
    assert [f["expert"] for f in found][: len(experts)] == experts
