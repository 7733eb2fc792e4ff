"""pFedES: a proxy of 443 numbers, its loss on two numbers, Standalone without it, and its algorithm box by hand."""

from math import log

import pytest
import torch
from torch import nn

from benchmark.api import Batch, Client, ClientInfo
from benchmark.channel import same
from benchmark.conformance.toy import federate, make_task
from benchmark.method import initial_parts
from methods.pfedes import PFedES
from methods.standalone import Standalone


def proxy(task) -> nn.Module:
    return initial_parts(PFedES(), task, 0)["proxy"]


def test_the_proxy_is_the_papers():
    """3 x 3 convolutions 3 -> 8 -> 3: 216 + 8 + 216 + 3 parameters, 3544 bytes both ways; images keep their size."""
    net = proxy(make_task(shape=(3, 7, 5)))
    assert sum(p.numel() for p in net.parameters()) == 443
    assert 2 * 4 * 443 == 3544
    assert net(torch.randn(2, 3, 7, 5)).shape == (2, 3, 7, 5)


def test_the_proxy_travels_alone():
    _, records = federate(PFedES(), make_task(shape=(3, 5, 5)))
    for client in records[1]["clients"]:
        assert client["bytes_up"] == client["bytes_down"] == {"proxy": 4 * 443}


class Negative(nn.Module):
    def forward(self, x):
        return -x


def test_losses_by_hand():
    """Scores log(1/4, 3/4) of label 0, and of the altered image, whose sign is turned, log(3/4, 1/4)."""
    parts = {"extractor": nn.Identity(), "header": nn.Linear(1, 2), "proxy": Negative()}
    parts["header"].weight.data = torch.tensor([[-log(3) / 2], [log(3) / 2]])
    parts["header"].bias.data.zero_()
    client = Client(ClientInfo(0, "linear", 1), parts, {})
    batch = Batch(torch.ones(1, 1), torch.tensor([0]))
    plain, altered = log(4), log(4 / 3)
    assert PFedES().altered_loss(client, batch).item() == pytest.approx(altered)
    assert PFedES(mu=0.3).loss(client, batch).item() == pytest.approx(0.3 * altered + 0.7 * plain)
    assert PFedES().predict(client, batch.x).softmax(1)[0].tolist() == pytest.approx([0.25, 0.75])  # of the image


def test_with_mu_zero_it_is_standalone(private):
    """But for running means: they see both versions of the images, so the third client is compared by its weights."""
    task = make_task()
    altered, _ = federate(PFedES(mu=0), task, rounds=3)
    alone, _ = federate(Standalone(), task, rounds=3)
    for k in (0, 1):
        assert same(private(altered.states)[k], alone.states[k])
    mine, theirs = altered.states[2], alone.states[2]
    assert same(mine["header"], theirs["header"])
    for key in ("1.weight", "1.bias", "2.weight", "2.bias"):
        assert same(mine["extractor"][key], theirs["extractor"][key])
    assert mine["extractor"]["2.num_batches_tracked"] == 2 * theirs["extractor"]["2.num_batches_tracked"]


def test_the_proxy_moves_in_the_second_phase_alone_and_the_private_network_in_the_first(private):
    class FirstPhase(PFedES):
        def phases(self):
            return super().phases()[:1]

    task = make_task()
    first, _ = federate(FirstPhase(), task, rounds=1)
    both, _ = federate(PFedES(), task, rounds=1)
    start = PFedES().server_init(task)
    assert same(first.server, {"proxy": dict(start["proxy"])})
    assert same(private(first.states), private(both.states))
    for k in range(3):
        initial = both.engine.initial_state(k)
        assert not same(private(both.states)[k], private({k: initial})[k])
        assert not same(both.states[k]["proxy"], dict(start["proxy"]))


def test_the_mean_is_weighted_with_samples():
    """Of 4, 4 and 8 samples: a quarter, a quarter, a half; not the last client's, as where references are kept."""
    federation, _ = federate(PFedES(), make_task((4, 4, 8)), rounds=1)
    for key, tensor in federation.server["proxy"].items():
        first, second, third = (state["proxy"][key] for state in federation.states.values())
        torch.testing.assert_close(tensor, first / 4 + second / 4 + third / 2)
        assert not torch.equal(tensor, third)


def test_the_proxy_may_have_passes_of_its_own():
    task = make_task((8,))
    (_, one), (_, three) = (federate(PFedES(proxy_epochs=n), task, rounds=1) for n in (None, 3))
    assert (one[0]["clients"][0]["steps"], three[0]["clients"][0]["steps"]) == (2 + 2, 2 + 6)


def test_equals_the_algorithm_box_written_by_hand(clients_of, passes, step, weighted_mean, state_of):
    """Two rounds of three clients in plain PyTorch; what stands still is in evaluation mode."""
    task = make_task((4, 4, 8))
    federation, _ = federate(PFedES(mu=0.3), task, rounds=2)
    clients = clients_of(federation)
    shared = initial_parts(PFedES(), task, None)["proxy"].state_dict()
    cross_entropy = nn.functional.cross_entropy
    for t in (1, 2):
        for k, client in enumerate(clients):
            client["proxy"].load_state_dict(shared)
            net, altered = nn.Sequential(client["extractor"], client["header"]), client["proxy"]
            drawn = passes(federation, k, t)
            optimiser = torch.optim.SGD(net.train().parameters(), lr=0.1, fused=True)
            altered.requires_grad_(False)
            for x, y in next(drawn):
                step(optimiser, 0.3 * cross_entropy(net(altered(x)), y) + 0.7 * cross_entropy(net(x), y))
            optimiser = torch.optim.SGD(altered.requires_grad_(True).parameters(), lr=0.1, fused=True)
            net.eval()
            for x, y in next(drawn):
                step(optimiser, cross_entropy(net(altered(x)), y))
        shared = weighted_mean([client["proxy"].state_dict() for client in clients], (4, 4, 8))
    assert same(federation.server, {"proxy": shared})
    for k, client in enumerate(clients):
        assert same(federation.states[k], state_of(client))
