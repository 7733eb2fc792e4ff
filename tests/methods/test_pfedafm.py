"""pFedAFM: the mixture on two numbers, Standalone with alpha at one, and its algorithm box by hand."""

import copy
from dataclasses import replace
from math import log

import pytest
import torch
from torch import nn

from benchmark.api import Batch, Client, ClientInfo
from benchmark.channel import same
from benchmark.conformance.toy import federate, make_task
from methods.pfedafm import PFedAFM
from methods.standalone import Standalone


@pytest.fixture
def client(fixed):
    """F = (4, 8), G = (2, 0), a header that takes the representation for the scores, and the alpha that is asked."""

    def holding(*alpha: float) -> Client:
        parts = {
            "extractor": fixed([[4.0, 8.0]]),
            "expert": fixed([[2.0, 0.0]]),
            "header": nn.Identity(),
            "mix": nn.ParameterDict({"weight": torch.tensor(alpha)}),
        }
        return Client(ClientInfo(0, "fixed", 1), parts, {})

    return holding


def test_mixture_by_hand(client):
    """(0.25 x 4 + 0.75 x 2, 0.5 x 8 + 0.5 x 0): a weight for each number, not for each sample."""
    assert PFedAFM().predict(client(0.25, 0.5), torch.zeros(1, 1)).tolist() == [[2.5, 4.0]]
    assert PFedAFM().predict(client(1.0, 0.0), torch.zeros(1, 1)).tolist() == [[4.0, 0.0]]


def test_gradient_of_alpha_by_hand(client):
    """(p - 1[y]) (F - G), by number: scores (3, 3 - log 3) are p = (3/4, 1/4)."""
    held = client(0.5, (3 - log(3)) / 8)
    PFedAFM().loss(held, Batch(torch.zeros(1, 1), torch.tensor([0]))).backward()
    assert held.mix["weight"].grad.tolist() == pytest.approx([(0.75 - 1) * (4 - 2), 0.25 * (8 - 0)])


def test_the_expert_is_trained_alone_under_the_header(client):
    """alpha = 0: cross-entropy of the scores (2, 0), without the private extractor."""
    loss = PFedAFM().expert_loss(client(0.25, 0.5), Batch(torch.zeros(1, 1), torch.tensor([1])))
    assert loss.item() == pytest.approx(2 + log(1 + torch.tensor(-2.0).exp().item()))


def test_alpha_is_put_back_into_the_unit_interval(client):
    held = client(-0.5, 1.5)
    with torch.no_grad():
        PFedAFM().project(held)
    assert held.mix["weight"].tolist() == [0.0, 1.0]


def test_alpha_begins_at_one_and_stays_in_the_unit_interval():
    """With a rate so large that some weights come to both ends."""
    federation, _ = federate(PFedAFM(mix_lr=10.0), make_task(), rounds=1)
    after = torch.cat([state["mix"]["weight"] for state in federation.states.values()])
    assert (after.min(), after.max()) == (0, 1)
    assert ((after > 0) & (after < 1)).any()
    for k in range(3):
        assert federation.engine.initial_state(k)["mix"]["weight"].tolist() == [1.0] * 6


def test_alpha_is_each_clients_own():
    """Official code keeps one Parameter for all, so that each client has what the last one made of it.

    Here a client's alpha depends on no other's: without an exchange it is what it would be in a federation of one.
    """

    class Unfederated(PFedAFM):
        def shares(self):
            return ()

    task = make_task()
    together, _ = federate(Unfederated(mix_lr=1.0), task, rounds=2)
    alone, _ = federate(Unfederated(mix_lr=1.0), replace(task, clients=task.clients[:1]), rounds=2)
    first, second, third = (state["mix"]["weight"] for state in together.states.values())
    assert not any(same(a, b) for a, b in ((first, second), (second, third), (first, third)))
    assert same(together.states[0], alone.states[0])


def test_alpha_stays_with_a_client_that_does_not_take_part():
    task = make_task()
    federation, _ = federate(PFedAFM(mix_lr=1.0), task, rounds=6, participation=0.4)
    latest = {k: t for t in range(1, 7) for k in federation.schedule.participants(t)}
    k, t = min(latest.items(), key=lambda item: item[1])
    assert t < 6
    before, _ = federate(PFedAFM(mix_lr=1.0), task, rounds=t, participation=0.4)
    assert same(before.states[k], federation.states[k])


def test_the_mean_is_a_mean():
    """Official code averages references to one network, which gives the last client's."""
    federation, _ = federate(PFedAFM(), make_task((4, 4, 8)), rounds=1)
    for key, tensor in federation.server["expert"].items():
        first, second, third = (state["expert"][key] for state in federation.states.values())
        assert not torch.equal(first, third)
        torch.testing.assert_close(tensor, first / 4 + second / 4 + third / 2)


def test_each_phase_trains_its_own_parts():
    class FirstPhase(PFedAFM):
        def phases(self):
            return super().phases()[:1]

    task = make_task()
    first, _ = federate(FirstPhase(mix_lr=1.0), task, rounds=1)
    both, _ = federate(PFedAFM(mix_lr=1.0), task, rounds=1)
    start = PFedAFM().server_init(task)["expert"]
    for k in range(3):
        before, between, after = both.engine.initial_state(k), first.states[k], both.states[k]
        assert same(between["expert"], dict(start))
        assert not same(after["expert"], dict(start))
        for part in ("extractor", "header", "mix"):
            assert not same(before[part], between[part])
            assert same(between[part], after[part])


def test_with_alpha_at_one_it_is_standalone():
    """Steps too small to move a one leave F + 0 G; the small extractor has a phase of its own."""
    task = make_task()
    mixed, records = federate(PFedAFM(mix_lr=1e-30), task, rounds=3)
    alone, alone_records = federate(Standalone(), task, rounds=3)
    for k, state in alone.states.items():
        assert same({part: mixed.states[k][part] for part in state}, state)
    assert [r["post_local"] for r in records] == [r["post_local"] for r in alone_records]


def test_the_expert_alone_travels():
    """The extractor of the small network: 50 x 6 + 6 numbers. The official dict has its unused header, too."""
    _, records = federate(PFedAFM(), make_task())
    for sent in records[1]["clients"]:
        assert sent["bytes_up"] == sent["bytes_down"] == {"expert": 4 * 306}


def test_equals_the_algorithm_box_written_by_hand(clients_of, passes, step, weighted_mean, state_of):
    """Two rounds of three clients in plain PyTorch, alpha with a rate of its own."""
    federation, _ = federate(PFedAFM(mix_lr=2.0), make_task((4, 4, 8)), rounds=2)
    clients = clients_of(federation)
    shared = copy.deepcopy(clients[0]["expert"].state_dict())
    for t in (1, 2):
        for k, parts in enumerate(clients):
            extractor, header, expert = (parts[name] for name in ("extractor", "header", "expert"))
            alpha = parts["mix"]["weight"]
            expert.load_state_dict(shared)
            drawn = passes(federation, k, t)
            rates = [{"params": p.parameters(), "lr": lr} for p, lr in ((extractor, 0.1), (header, 0.1))]
            optimiser = torch.optim.SGD([*rates, {"params": [alpha], "lr": 2.0}], fused=True)
            for x, y in next(drawn):
                r = alpha * extractor(x) + (1 - alpha) * expert(x).detach()
                step(optimiser, nn.functional.cross_entropy(header(r), y))
                alpha.data.clamp_(0, 1)
            optimiser = torch.optim.SGD(expert.parameters(), lr=0.1, fused=True)
            for x, y in next(drawn):
                step(optimiser, nn.functional.cross_entropy(header(expert(x)), y))
        shared = weighted_mean([parts["expert"].state_dict() for parts in clients], (4, 4, 8))
    assert same(federation.server, {"expert": shared})
    for k, parts in enumerate(clients):
        assert same(federation.states[k], state_of(parts))
