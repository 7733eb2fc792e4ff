"""FedMoE: the gate, the mixture on two numbers, and the methods that it becomes with its gate fixed."""

import copy
from dataclasses import dataclass

import pytest
import torch
from torch import nn

from benchmark.api import Client, ClientInfo, SwitchNorm2d
from benchmark.channel import same
from benchmark.conformance.toy import ALIKE, federate, make_task
from methods.fedmoe import FedMoE, Gate
from methods.fedper import FedPer
from methods.standalone import Standalone


def test_gate_gives_two_weights_per_sample_that_sum_to_one():
    gate = Gate((3, 8, 8), width=5)
    for mode in (True, False):
        a = gate.train(mode)(torch.randn(7, 3, 8, 8))
        assert a.shape == (7, 2)
        assert (a > 0).all()
        torch.testing.assert_close(a.sum(1), torch.ones(7))


def test_gate_layers_stand_in_the_order_that_keeps_the_sum():
    order = [SwitchNorm2d, nn.Flatten, nn.Linear, nn.BatchNorm1d, nn.Sigmoid, nn.Linear, nn.Softmax]
    assert [type(layer) for layer in Gate((3, 32, 32), 64)] == order


def test_gate_has_the_linear_parameters_of_the_literature():
    """3072 x 64 + 64 + 64 x 2 + 2, what facts and public implementations count for width 64."""
    linear = [p for layer in Gate((3, 32, 32), 64) if isinstance(layer, nn.Linear) for p in layer.parameters()]
    assert sum(p.numel() for p in linear) == 196_802


def test_mixture_by_hand(fixed):
    """0.25 x (2, 0) + 0.75 x (4, 8) = (3.5, 6), and the header doubles it."""
    header = nn.Linear(2, 2, bias=False)
    header.weight.data = 2 * torch.eye(2)
    parts = {
        "gate": fixed([[0.25, 0.75]]),
        "expert": fixed([[2.0, 0.0]]),
        "extractor": fixed([[4.0, 8.0]]),
        "header": header,
    }
    client = Client(ClientInfo(0, "fixed", 1), parts, {})
    assert FedMoE().predict(client, torch.zeros(1, 1)).tolist() == [[7.0, 12.0]]


def test_with_the_gate_on_the_private_expert_it_is_standalone(private):
    task = make_task()
    mixed, mixed_records = federate(FedMoE(gate="static", expert_weight=0), task, rounds=3)
    alone, alone_records = federate(Standalone(), task, rounds=3)
    assert same(private(mixed.states), alone.states)
    assert [r["post_local"] for r in mixed_records] == [r["post_local"] for r in alone_records]


@dataclass(frozen=True)
class FedPerOfTheSmallNetwork(FedPer):
    """FedPer whose extractor starts where FedMoE's shared expert does: the small network has initial weights apart."""

    def parts(self, model, task):
        return super().parts(model, task) | {"extractor": task.small_model().extractor}


def test_with_the_gate_on_the_shared_expert_and_one_architecture_it_is_fedper():
    task = make_task(line_up=ALIKE)
    mixed, _ = federate(FedMoE(gate="static", expert_weight=1), task, rounds=3)
    fedper, _ = federate(FedPerOfTheSmallNetwork(), task, rounds=3)
    assert same(mixed.server["expert"], fedper.server["extractor"])
    for k, state in mixed.states.items():
        assert same({"extractor": state["expert"], "header": state["header"]}, fedper.states[k])


def test_unfederated_sends_nothing_and_starts_from_the_same_experts():
    task = make_task()
    apart, records = federate(FedMoE(federate=False), task, rounds=1)
    together, _ = federate(FedMoE(), task, rounds=1)
    assert records[0]["bytes_up"] == records[0]["bytes_down"] == 0
    assert apart.server == {}
    assert same(apart.states, together.states)  # before the first mean they are the same run
    assert not same(
        federate(FedMoE(federate=False), task, rounds=2)[0].states, federate(FedMoE(), task, rounds=2)[0].states
    )


def test_static_gate_is_even_and_holds_no_weights():
    federation, _ = federate(FedMoE(gate="static"), make_task(), rounds=1)
    assert federation.states[0]["gate"] == {}
    client = federation.engine.load(0, federation.states[0])
    assert client.gate(torch.zeros(3, 2, 5, 5)).tolist() == [[0.5, 0.5]] * 3


def test_gate_has_a_rate_of_its_own():
    task = make_task()
    (slow, _), (fast, _) = (federate(FedMoE(gate_lr=rate), task, rounds=1) for rate in (1e-30, 1.0))
    start = slow.engine.initial_state(0)["gate"]
    for key in ("2.weight", "5.weight"):
        assert same(slow.states[0]["gate"][key], start[key])
        assert not same(fast.states[0]["gate"][key], start[key])


def test_only_the_expert_travels():
    federation, records = federate(FedMoE(), make_task())
    assert set(federation.server) == {"expert"}
    assert set(records[0]["clients"][0]["bytes_up"]) == {"expert"}


@pytest.mark.parametrize("weight", [-0.1, 1.1])
def test_weight_of_the_static_gate_is_a_fraction(weight):
    from benchmark.errors import RequestError
    from benchmark.plugins import registry

    with pytest.raises(RequestError, match="expert_weight of fedmoe"):
        registry.method(f"fedmoe+gate=static+expert_weight={weight}")


def test_equals_the_algorithm_box_written_by_hand(clients_of, passes, step, weighted_mean, state_of):
    """Two rounds of three clients in plain PyTorch: no harness but the initial weights and the order of samples."""
    federation, _ = federate(FedMoE(gate_lr=0.03), make_task((4, 4, 8)), rounds=2)
    clients = clients_of(federation)
    theta = copy.deepcopy(clients[0]["expert"].state_dict())
    for t in (1, 2):
        for k, client in enumerate(clients):
            client["expert"].load_state_dict(theta)
            rates = [
                {"params": part.parameters(), "lr": 0.03 if name == "gate" else 0.1} for name, part in client.items()
            ]
            optimiser = torch.optim.SGD(rates, fused=True)
            for x, y in next(passes(federation, k, t)):
                a = client["gate"](x)
                r = a[:, [0]] * client["expert"](x) + a[:, [1]] * client["extractor"](x)
                step(optimiser, nn.functional.cross_entropy(client["header"](r), y))
        theta = weighted_mean([client["expert"].state_dict() for client in clients], (4, 4, 8))
    assert same(federation.server, {"expert": theta})
    for k, client in enumerate(clients):
        assert same(federation.states[k], state_of(client))
