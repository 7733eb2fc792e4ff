"""FedAPEN on two numbers, and the methods that it becomes."""

import copy
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice
from math import log, sqrt

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from benchmark.api import Batch, Client, ClientInfo, Phase
from benchmark.conformance.toy import federate, make_task
from methods.fedapen import FedAPEN
from methods.fml import FML
from methods.standalone import Standalone


@pytest.fixture
def client(fixed):
    """A client whose two networks say what is asked."""

    def saying(private, shared, mix: float) -> Client:
        parts = {
            "extractor": nn.Identity(),
            "header": fixed(private),
            "shared": fixed(shared),
            "mix": nn.ParameterDict({"weight": torch.tensor(mix)}),
        }
        return Client(ClientInfo(0, "fixed", 1), parts, {})

    return saying


EVEN, UNEVEN = (0.5, 0.5), (0.25, 0.75)


@pytest.fixture
def uneven_pair(client, logits):
    """The private network says even odds, the shared one uneven ones."""
    return partial(client, logits(*EVEN), logits(*UNEVEN))


FIRST_CLASS = Batch(torch.zeros(2, 1), torch.zeros(2, dtype=torch.int64))


def test_logits_are_mixed_not_probabilities(uneven_pair):
    """Half of each: odds of the square root of 1 x 1/3. Mixed probabilities would be 3/8 and 5/8."""
    mixture = FedAPEN().predict(uneven_pair(0.5), torch.zeros(1, 1)).softmax(1)
    assert mixture[0].tolist() == pytest.approx([1 / (1 + sqrt(3)), sqrt(3) / (1 + sqrt(3))])


def test_lambda_is_the_weight_of_the_private_network(uneven_pair):
    k = uneven_pair(1.0)
    assert FedAPEN().predict(k, torch.zeros(1, 1)).softmax(1)[0].tolist() == pytest.approx(EVEN)


def test_loss_by_hand(uneven_pair):
    """CE(P) = log 2, CE(M) = log 4, KL(M || P) = log 3^(3/4) / 2, KL(P || M) = log 2 / sqrt 3; and the mixture's
    cross-entropy, log (1 + sqrt 3), once for each network.
    """
    loss = FedAPEN().loss(uneven_pair(0.5), FIRST_CLASS)
    expected = log(2) + log(4) + log(3**0.75 / 2) + log(2 / sqrt(3)) + 2 * log(1 + sqrt(3))
    assert loss.item() == pytest.approx(expected)


def test_gradients_by_hand(uneven_pair):
    """A network's logits: softmax - one-hot, softmax - the other's softmax, and its share of the mixture's
    softmax - one-hot. With lambda 1/4 the odds of the mixture are 1 x 3^(-3/4).
    """
    k = uneven_pair(0.25)
    FedAPEN().loss(k, FIRST_CLASS).backward()
    q = 3**-0.75 / (1 + 3**-0.75)  # of the first class
    private, shared = (0.5 - 1) + (0.5 - 0.25) + 0.25 * (q - 1), (0.25 - 1) + (0.25 - 0.5) + 0.75 * (q - 1)
    torch.testing.assert_close(k.header.out.grad, torch.tensor([[private, -private]]))
    torch.testing.assert_close(k.shared.out.grad, torch.tensor([[shared, -shared]]))


def test_gradient_of_lambda_by_hand(client):
    """P says (log 3, 0), M (0, 0), lambda is 0: the mixture says 1/2 for the first class, so (1/2 - 1) log 3."""
    k = client(torch.tensor([[log(3), 0.0]]), torch.zeros(1, 2), 0.0)
    first, _ = FedAPEN().phases()
    first.loss(k, FIRST_CLASS).backward()
    assert k.mix["weight"].grad.item() == pytest.approx(-0.5 * log(3))


@pytest.mark.parametrize("outside, inside", [(1.7, 1.0), (-0.2, 0.0), (0.3, 0.3)])
def test_lambda_is_clamped(outside, inside, uneven_pair):
    k = uneven_pair(outside)
    with torch.no_grad():
        FedAPEN().project(k)
    assert k.mix["weight"].item() == pytest.approx(inside)


# What it becomes.


@dataclass(frozen=True)
class Rated(FML):
    """FML with a rate for each network."""

    private_lr: float = 0.1
    meme_lr: float = 0.1

    def phases(self):
        return (Phase(lr={"extractor": self.private_lr, "header": self.private_lr, "meme": self.meme_lr}),)


@pytest.mark.parametrize(
    "mix, mutual",
    [
        (1.0, Rated(alpha=2 / 3, beta=1 / 2, private_lr=0.3, meme_lr=0.2)),  # 2 CE + KL for P, CE + KL for M
        (0.0, Rated(alpha=1 / 2, beta=2 / 3, private_lr=0.2, meme_lr=0.3)),  # CE + KL for P, 2 CE + KL for M
    ],
)
def test_with_lambda_at_an_end_it_is_fml(mix, mutual):
    """The mixture is one of the networks then, which meets its labels a second time. Rounding differs: sums of terms
    here, multiples of weighted ones there.
    """
    task = make_task()
    ensemble, _ = federate(FedAPEN(adaptability=0, mix=mix, mix_lr=1e-30), task, rounds=2)
    pair, _ = federate(mutual, task, rounds=2)
    for k, state in ensemble.states.items():
        assert state["mix"]["weight"].item() == pytest.approx(mix, abs=1e-20)
        for mine, theirs in (("extractor", "extractor"), ("header", "header"), ("shared", "meme")):
            for name, w in state[mine].items():
                torch.testing.assert_close(w, pair.states[k][theirs][name], rtol=1e-4, atol=1e-5)


@dataclass(frozen=True)
class Twins(FedAPEN):
    """A shared network that is the private one's twin and shared with nobody."""

    def shares(self):
        return ()

    def parts(self, model, task):
        shared = nn.Sequential(copy.deepcopy(model.extractor), copy.deepcopy(model.header))
        return super().parts(model, task) | {"shared": shared}


def test_with_a_twin_it_is_standalone_at_one_and_a_half_times_the_rate():
    """Two that agree teach each other nothing, and half of the mixture's gradient is each one's. Not to the bit,
    because the gradient of a KL of equal outputs is the rounding of their softmax.
    """
    task = make_task()
    ensemble, _ = federate(Twins(adaptability=0), task, rounds=2)
    alone, _ = federate(Standalone(), task, rounds=2, lr=0.15)
    for k, state in ensemble.states.items():
        assert state["mix"]["weight"].item() == 0.5  # neither is better
        for part, weights in alone.states[k].items():
            for name, w in weights.items():
                torch.testing.assert_close(state[part][name], w, rtol=1e-4, atol=1e-5)


def test_equals_the_algorithm_box_written_by_hand(clients_of, passes, weighted_mean, state_of):
    """Two rounds of three clients in plain PyTorch, with the two losses on their own, each for its own network.

    Not to the bit: here two backward passes stand where the method has one.
    """
    task, slice_ = make_task((8, 8, 16)), 0.25
    method = FedAPEN(adaptability=slice_, mix_epochs=3, mix_lr=0.5)
    federation, _ = federate(method, task, rounds=2)
    clients = clients_of(federation)
    shared, mixes = copy.deepcopy(clients[0]["shared"].state_dict()), [torch.tensor(0.5) for _ in range(3)]
    for t in (1, 2):
        for k, client in enumerate(clients):
            client["shared"].load_state_dict(shared)
            for part in client.values():
                part.eval()
            drawn = passes(federation, k, t, (0.0, slice_))
            for x, y in chain.from_iterable(islice(drawn, 3)):
                with torch.no_grad():
                    p, m = client["header"](client["extractor"](x)), client["shared"](x)
                    q = (mixes[k] * p + (1 - mixes[k]) * m).softmax(1)
                    gradient = ((q - F.one_hot(y, 3)) * (p - m)).sum(1).mean()
                    mixes[k] = (mixes[k] - 0.5 * gradient).clamp(0, 1)
            own = [*client["extractor"].parameters(), *client["header"].parameters()]
            small = list(client["shared"].parameters())
            for part in client.values():
                part.train()
            for x, y in next(passes(federation, k, t, (slice_, 1.0))):
                p, m, share = client["header"](client["extractor"](x)), client["shared"](x), mixes[k]
                s_p, s_m = p.softmax(1), m.softmax(1)
                of_private = F.cross_entropy(p, y) + (s_m.detach() * (s_m.detach() / s_p).log()).sum() / len(y)
                of_private = of_private + F.cross_entropy(share * p + (1 - share) * m.detach(), y)
                of_shared = F.cross_entropy(m, y) + (s_p.detach() * (s_p.detach() / s_m).log()).sum() / len(y)
                of_shared = of_shared + F.cross_entropy(share * p.detach() + (1 - share) * m, y)
                gradients = torch.autograd.grad(of_private, own), torch.autograd.grad(of_shared, small)
                with torch.no_grad():
                    for w, gradient in zip([*own, *small], [*gradients[0], *gradients[1]], strict=True):
                        w -= 0.1 * gradient
        shared = weighted_mean([client["shared"].state_dict() for client in clients], (8, 8, 16))
    torch.testing.assert_close(federation.server["shared"], shared, rtol=1e-4, atol=1e-5)
    for k, client in enumerate(clients):
        torch.testing.assert_close(federation.states[k]["mix"]["weight"], mixes[k], rtol=1e-4, atol=1e-5)
        for part in ("extractor", "header", "shared"):
            torch.testing.assert_close(federation.states[k][part], state_of(client)[part], rtol=1e-4, atol=1e-5)
