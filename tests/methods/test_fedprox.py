"""FedProx: the proximal term on two numbers, FedAvg without it, and its algorithm box by hand."""

from math import log

import pytest
import torch
from torch import nn

from benchmark.api import Batch, Client, ClientInfo
from benchmark.channel import same
from benchmark.compatibility import unsupported
from benchmark.conformance.toy import ALIKE, federate, make_task
from benchmark.method import initial_parts
from methods.fedavg import FedAvg
from methods.fedprox import FedProx


def linear(*weights: float) -> nn.Module:
    layer = nn.Linear(1, len(weights), bias=False)
    layer.weight.data = torch.tensor([[w] for w in weights])
    return layer


def client() -> Client:
    """Extractor 3 with anchor 1, header (2, 2) with anchor (2, 5)."""
    anchors = {
        "extractor_anchor": {"weight": torch.tensor([[1.0]])},
        "header_anchor": {"weight": torch.tensor([[2.0], [5.0]])},
    }
    return Client(ClientInfo(0, "linear", 1), {"extractor": linear(3.0), "header": linear(2.0, 2.0)}, anchors)


BATCH = Batch(torch.zeros(1, 1), torch.tensor([0]))  # an input of 0: cross-entropy log 2, without a gradient


def test_loss_by_hand():
    """||w - w^t||^2 = (3 - 1)^2 + (2 - 2)^2 + (2 - 5)^2 = 13."""
    assert FedProx(mu=0.2).loss(client(), BATCH).item() == pytest.approx(log(2) + 0.2 / 2 * 13)


def test_gradient_by_hand():
    """mu (w - w^t): 0.2 (2), 0.2 (0, -3)."""
    held = client()
    FedProx(mu=0.2).loss(held, BATCH).backward()
    assert held.extractor.weight.grad.flatten().tolist() == pytest.approx([0.4])
    assert held.header.weight.grad.flatten().tolist() == pytest.approx([0, -0.6])


def test_the_anchor_is_what_came_and_stays_while_training():
    task = make_task(line_up=ALIKE)
    federation, _ = federate(FedProx(mu=1.0), task, rounds=1)
    first = FedProx().server_init(task)
    for state in federation.states.values():
        for part in ("extractor", "header"):
            assert same(state[f"{part}_anchor"], dict(first[part]))
            assert not same(state[part], state[f"{part}_anchor"])


def test_the_anchor_does_not_travel():
    _, records = federate(FedProx(), make_task(line_up=ALIKE), rounds=1)
    _, averaged = federate(FedAvg(), make_task(line_up=ALIKE), rounds=1)
    for way in ("bytes_up", "bytes_down"):
        assert [c[way] for c in records[0]["clients"]] == [c[way] for c in averaged[0]["clients"]]


def test_with_mu_zero_it_is_fedavg(private):
    task = make_task(line_up=ALIKE)
    held, records = federate(FedProx(mu=0), task, rounds=3, participation=0.7)
    free, free_records = federate(FedAvg(), task, rounds=3, participation=0.7)
    assert same(held.server, free.server)
    assert same(private(held.states), free.states)
    assert [r["post_local"] for r in records] == [r["post_local"] for r in free_records]


def test_a_large_mu_holds_clients_back():
    task = make_task(line_up=ALIKE)

    def away(mu):
        federation, _ = federate(FedProx(mu=mu), task, rounds=1)
        first = FedProx().server_init(task)
        return sum(
            (state[part][key] - first[part][key]).square().sum().item()
            for state in federation.states.values()
            for part in ("extractor", "header")
            for key in first[part]
        )

    assert away(8) < away(2) < away(0)


def test_equals_the_algorithm_box_written_by_hand(passes):
    """Two rounds of three clients in plain PyTorch, the gradient of the proximal term added as a formula.

    Close and not equal to the bit: automatic differentiation multiplies in another order.
    """
    task = make_task((4, 4, 8), line_up=ALIKE)
    federation, _ = federate(FedProx(mu=0.5), task, rounds=2)
    parts = initial_parts(FedProx(), task, None)
    net = nn.Sequential(parts["extractor"], parts["header"])
    w = [parameter.detach().clone() for parameter in net.parameters()]
    for t in (1, 2):
        mean = [torch.zeros_like(tensor) for tensor in w]
        for k, share in enumerate((0.25, 0.25, 0.5)):
            with torch.no_grad():
                for parameter, start in zip(net.parameters(), w, strict=True):
                    parameter.copy_(start)
            for x, y in next(passes(federation, k, t)):
                gradients = torch.autograd.grad(nn.functional.cross_entropy(net(x), y), list(net.parameters()))
                with torch.no_grad():
                    for parameter, gradient, start in zip(net.parameters(), gradients, w, strict=True):
                        parameter -= 0.1 * (gradient + 0.5 * (parameter - start))
            mean = [m + share * parameter.detach() for m, parameter in zip(mean, net.parameters(), strict=True)]
        w = mean
    found = [*federation.server["extractor"].values(), *federation.server["header"].values()]
    for tensor, expected in zip(found, w, strict=True):
        torch.testing.assert_close(tensor, expected)


def test_refuses_several_architectures():
    reason = unsupported(FedProx(), make_task())
    assert reason == "it shares the extractor, which differs between linear and convolution"
    assert unsupported(FedProx(), make_task(line_up=ALIKE)) is None
