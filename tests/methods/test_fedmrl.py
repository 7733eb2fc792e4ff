"""FedMRL on two numbers, and the methods that it becomes."""

import copy
from dataclasses import dataclass
from math import exp, log

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from benchmark.api import Batch, Client, ClientInfo, Method, Phase
from benchmark.channel import same
from benchmark.conformance.toy import federate, make_task
from benchmark.method import initial_parts
from benchmark.models.line_up import Architecture, LineUp
from benchmark.plugins import registry
from methods.fedmrl import FedMRL
from methods.standalone import Standalone

SHARED = ("small_extractor", "small_header")


def linear(*rows) -> nn.Linear:
    layer = nn.Linear(len(rows[0]), len(rows), bias=False)
    layer.weight.data = torch.tensor(rows)
    return layer


@pytest.fixture
def client(fixed):
    """G(x) = 5, F(x) = (3, 7), so r = P (5, 3, 7) = (5 + 7, 3 - 7) = (12, -4), of which the small header sees 12."""
    parts = {
        "small_extractor": fixed([[5.0]]),
        "extractor": fixed([[3.0, 7.0]]),
        "projector": linear((1.0, 0.0, 1.0), (0.0, 1.0, -1.0)),
        "small_header": linear((0.5,), (0.25,)),
        "header": linear((0.0, 0.5), (0.0, 1.0)),
    }
    return Client(ClientInfo(0, "fixed", 1), parts, {})


def test_the_shared_representation_stands_first(client):
    assert FedMRL().representation(client, torch.zeros(1, 1)).tolist() == [[12.0, -4.0]]


def test_loss_by_hand(client):
    """The small header says (6, 3), the private one (-2, -4): for the first class log(1 + e^-3) + log(1 + e^-2)."""
    batch = Batch(torch.zeros(1, 1), torch.tensor([0]))
    expected = log(1 + exp(-3)) + log(1 + exp(-2))
    assert FedMRL().loss(client, batch).item() == pytest.approx(expected)


def test_a_client_predicts_with_the_private_header_on_all_of_it(client):
    assert FedMRL().predict(client, torch.zeros(1, 1)).tolist() == [[-2.0, -4.0]]


def wide(input_shape, width):
    return nn.Sequential(nn.Flatten(), nn.Linear(50, width), nn.ReLU())


@pytest.mark.parametrize("asked, d1", [(4, 4), (6, 6), (100, 6)])
def test_matryoshka_dimensions(asked, d1):
    """Private widths are 6 and 9. The small network and its header have d_1 numbers, the projector takes
    d_1 + d_k to d_k: d_1 is the same for all, and no wider than the narrowest.
    """
    private, small = (Architecture("a", wide, 6), Architecture("b", wide, 9)), Architecture("small", wide, 7)
    task = make_task(line_up=LineUp("two", "two widths", private, small, min_size=4))
    for k, d in enumerate((6, 9, 6)):
        parts = initial_parts(FedMRL(small_width=asked), task, k)
        assert parts["small_extractor"](torch.zeros(2, 2, 5, 5)).shape == (2, d1)
        assert parts["small_header"].weight.shape == (3, d1)
        assert parts["projector"].weight.shape == (d, d1 + d)
        assert parts["projector"].bias.shape == (d,)


def test_the_projector_has_the_parameters_of_the_literature():
    """(100 + 500) 500 + 500 on the paper's networks, at d_1 = 100."""
    task = make_task((4,), line_up=registry.line_up("cnn5"), shape=(3, 32, 32))
    projector = initial_parts(FedMRL(), task, 0)["projector"]
    assert sum(p.numel() for p in projector.parameters()) == 300_500


def test_each_loss_reaches_both_extractors():
    """Without the private header's, or without the small one's, they still learn."""
    task = make_task((4,))
    for silenced in ("header", "small_header"):
        parts = initial_parts(FedMRL(small_width=4), task, 0)
        nn.init.zeros_(parts[silenced].weight)
        client = Client(task.infos[0], parts, {})
        FedMRL().loss(client, Batch(*task.batch(task.clients[0].train))).backward()
        for extractor in ("extractor", "small_extractor"):
            assert any(p.grad.abs().sum() > 0 for p in parts[extractor].parameters())


# Defects of public code.


def test_the_trained_projector_is_kept():
    """HtFLlib never stores it: every round and every test starts from the random one."""
    task = make_task()
    federation, records = federate(FedMRL(small_width=4), task, rounds=1)
    initial = [federation.engine.initial_state(k)["projector"] for k in range(3)]
    once = [copy.deepcopy(federation.states[k]["projector"]) for k in range(3)]
    for k, data in enumerate(task.clients):
        own = federation.client(k)
        assert same(dict(own.projector.state_dict()), once[k])
        assert not same(once[k], initial[k])
        for part in own.parts.values():
            part.eval()
        x, y = task.batch(data.test)
        with torch.no_grad():
            r = F.linear(torch.cat([own.small_extractor(x), own.extractor(x)], 1), **once[k])
            right = int((own.header(r).argmax(1) == y).sum())
        assert records[0]["post_local"]["correct"][k] == right
    federation.states[0]["projector"] = {name: w + 1 for name, w in once[0].items()}
    federation.round(2)
    away = (federation.states[0]["projector"]["bias"] - initial[0]["bias"]).mean().item()
    assert away > 0.5  # it went on from where it stood, one to the right


def test_a_projector_survives_rounds_of_others():
    federation, records = federate(FedMRL(small_width=4), make_task((6,) * 6), participation=0.1, rounds=2)
    (first,), (second,) = (record["participants"] for record in records)
    assert first != second
    again, _ = federate(FedMRL(small_width=4), make_task((6,) * 6), participation=0.1, rounds=1)
    assert same(again.states[first], federation.states[first])


def test_the_average_averages():
    """The authors' code keeps references to one network: what its server calls the mean is the last client's."""
    federation, _ = federate(FedMRL(small_width=4), make_task((4, 4, 8)), rounds=1)
    states = [federation.states[k] for k in range(3)]
    for part in SHARED:
        for name, mean in federation.server[part].items():
            first, second, third = (state[part][name] for state in states)
            assert not torch.equal(first, third)
            torch.testing.assert_close(mean, 0.25 * first + 0.25 * second + 0.5 * third)
            assert not torch.allclose(mean, third)
            assert not torch.allclose(mean, (first + second + third) / 3)  # nor HtFLlib's plain mean


def test_the_headline_is_with_the_locally_trained_small_network():
    """HtFLlib judges a client with the server's new one; that is `post_download` here."""
    task = make_task()
    federation, records = federate(FedMRL(small_width=4), task)
    for moment, small in (("post_local", {}), ("post_download", federation.server)):
        for k, data in enumerate(task.clients):
            own = federation.engine.load(k, federation.states[k] | small)
            assert federation.engine.evaluate(own, data.test, "test", ())["header"] == records[-1][moment]["correct"][k]


def test_only_the_small_network_travels_with_its_header():
    federation, records = federate(FedMRL(small_width=4), make_task())
    assert set(federation.server) == set(records[0]["clients"][0]["bytes_up"]) == set(SHARED)


# What it becomes.


@dataclass(frozen=True)
class Wired(FedMRL):
    """FedMRL with a projector that passes some of its inputs through, and one header that says nothing."""

    passes: str = "private"

    def parts(self, model, task):
        parts = super().parts(model, task)
        own, d = parts["projector"].weight, model.width
        small = parts["projector"].in_features - d
        with torch.no_grad():
            parts["projector"].bias.zero_()
            own.zero_()[:, small:].fill_diagonal_(self.passes == "private")
            own[:, :small].fill_diagonal_(self.passes == "shared")
            for parameter in parts["small_header" if self.passes == "private" else "header"].parameters():
                parameter.zero_()
        return parts

    def phases(self):
        return (Phase(trains=("extractor", "header") if self.passes == "private" else SHARED),)


def test_with_a_projector_that_passes_the_private_side_it_is_standalone(private):
    """To the bit: the other side is multiplied by 0, and a header of zeros sends nothing back."""
    task = make_task()
    wired, _ = federate(Wired(small_width=4), task, rounds=3)
    alone, _ = federate(Standalone(), task, rounds=3)
    assert same(private(wired.states), alone.states)


@dataclass(frozen=True)
class FedAvgOfTheSmall(Method):
    def parts(self, model, task):
        small = task.small_model()
        return {"small_extractor": small.extractor, "small_header": small.header}

    def shares(self):
        return SHARED

    def predict(self, client, x):
        return client.small_header(client.small_extractor(x))


def test_with_a_projector_that_passes_the_shared_side_it_is_fedavg_of_the_small_network():
    """To the bit, with d_1 = d."""
    task = make_task()
    wired, _ = federate(Wired(small_width=6, passes="shared"), task, rounds=3)
    averaged, _ = federate(FedAvgOfTheSmall(), task, rounds=3)
    assert same(wired.server, averaged.server)
    for k, state in wired.states.items():
        assert same({part: state[part] for part in SHARED}, averaged.states[k])


def test_equals_the_algorithm_box_written_by_hand(clients_of, passes, step, weighted_mean, state_of):
    """Two rounds of three clients in plain PyTorch: no harness but the initial weights and the order of samples."""
    d1 = 4
    federation, _ = federate(FedMRL(small_width=d1), make_task((4, 4, 8)), rounds=2)
    clients = clients_of(federation)
    small = {part: copy.deepcopy(clients[0][part].state_dict()) for part in SHARED}
    for t in (1, 2):
        for k, client in enumerate(clients):
            for part in SHARED:
                client[part].load_state_dict(small[part])
            optimiser = torch.optim.SGD([w for part in client.values() for w in part.parameters()], lr=0.1, fused=True)
            for x, y in next(passes(federation, k, t)):
                r = client["projector"](torch.cat([client["small_extractor"](x), client["extractor"](x)], 1))
                loss = F.cross_entropy(client["small_header"](r[:, :d1]), y) + F.cross_entropy(client["header"](r), y)
                step(optimiser, loss)
        for part in SHARED:
            small[part] = weighted_mean([client[part].state_dict() for client in clients], (4, 4, 8))
    assert same(federation.server, small)
    for k, client in enumerate(clients):
        assert same(federation.states[k], state_of(client))
