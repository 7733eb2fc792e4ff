"""FML on two numbers, and as Standalone beside FedAvg."""

from dataclasses import dataclass
from math import log

import pytest
import torch
from torch import nn

from benchmark.api import Batch, Client, ClientInfo, Method
from benchmark.channel import same
from benchmark.conformance.toy import federate, make_task
from methods.fml import FML
from methods.standalone import Standalone


def test_loss_by_hand(fixed, logits):
    private, meme = fixed(logits(0.5, 0.5)), fixed(logits(0.25, 0.75))
    parts = {"extractor": nn.Identity(), "header": private, "meme": meme}
    client = Client(ClientInfo(0, "fixed", 1), parts, {})
    kl_meme_private = 0.25 * log(0.5) + 0.75 * log(1.5)
    kl_private_meme = 0.5 * log(2) + 0.5 * log(0.5 / 0.75)
    expected = 0.3 * log(2) + 0.7 * kl_meme_private + 0.8 * log(4) + 0.2 * kl_private_meme
    loss = FML(alpha=0.3, beta=0.8).loss(client, Batch(torch.zeros(1, 1), torch.tensor([0])))
    assert loss.item() == pytest.approx(expected)


@dataclass(frozen=True)
class FedAvgOfTheMeme(Method):
    def parts(self, model, task):
        small = task.small_model()
        return {"meme": nn.Sequential(small.extractor, small.header)}

    def shares(self):
        return ("meme",)

    def predict(self, client, x):
        return client.meme(x)


def test_without_distillation_it_is_standalone_beside_fedavg_of_the_meme(private):
    task = make_task()
    mutual, _ = federate(FML(alpha=1, beta=1), task, rounds=3)
    alone, _ = federate(Standalone(), task, rounds=3)
    averaged, _ = federate(FedAvgOfTheMeme(), task, rounds=3)
    assert same(mutual.server, averaged.server)
    assert same(private(mutual.states), alone.states)
    for k, state in mutual.states.items():
        assert same(state["meme"], averaged.states[k]["meme"])


def test_distillation_changes_both():
    task = make_task()
    a, _ = federate(FML(alpha=1, beta=1), task, rounds=1)
    b, _ = federate(FML(alpha=0.5, beta=0.5), task, rounds=1)
    assert not same(a.states[0]["header"], b.states[0]["header"])
    assert not same(a.server, b.server)
