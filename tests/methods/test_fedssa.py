"""FedSSA: fused and averaged rows on two numbers, as Standalone and as LG-FedAvg, and its algorithm box by hand."""

import copy
from math import sqrt

import pytest
import torch
from torch import nn

from benchmark.api import Client, ClientInfo, Inbox, Progress
from benchmark.channel import same
from benchmark.conformance.toy import federate, make_task
from methods.fedssa import FedSSA, table
from methods.lg_fedavg import LGFedAvg
from methods.standalone import Standalone


def info(t: int, k: int = 0) -> ClientInfo:
    """Client k in the round that the paper calls t."""
    return ClientInfo(k, "linear", 1, Progress(t + 1, 10))


def test_the_schedule_of_the_own_row():
    """T = 2: mu_0 (1, cos 45 degrees, 0), then 0 and never negative again."""
    assert [FedSSA(mu=0.5).own_weight(t) for t in range(5)] == pytest.approx([0.5, 0.5 / sqrt(2), 0, 0, 0])
    assert FedSSA(mu=0.8, stable_round=3).own_weight(2) == pytest.approx(0.4)  # cos 60 degrees


STATE = {"header": {"weight": torch.tensor([[2.0, 4.0], [6.0, 8.0]]), "bias": torch.tensor([10.0, 20.0])}}


@pytest.mark.parametrize("t, mu", [(0, 0.5), (1, 0.5 / sqrt(2)), (2, 0.0), (7, 0.0)])
def test_fusion_by_hand(t, mu, rows):
    """Row 0 has come and is (1, 2 | 3): (1 + mu 2, 2 + mu 4 | 3 + mu 10). Row 1 has not come and stays."""
    message = {"rows": rows([[1.0, 2.0, 3.0], [0.0, 0.0, 0.0]], [True, False])}
    header = FedSSA().receive(STATE, message, info(t))["header"]
    assert header["weight"][0].tolist() == pytest.approx([1 + 2 * mu, 2 + 4 * mu])
    assert header["bias"][0].item() == pytest.approx(3 + 10 * mu)
    assert header["weight"][1].tolist() == [6.0, 8.0]
    assert header["bias"][1].item() == 20.0


def test_fusion_leaves_what_was_held_alone(rows):
    """In the official script for one architecture rows are scaled in place in a dict that all clients share."""
    held, message = copy.deepcopy(STATE), {"rows": rows([[1.0, 2.0, 3.0]] * 2, [True, True])}
    first = FedSSA().receive(held, message, info(0))
    again = FedSSA().receive(held, message, info(0))
    assert held["header"]["weight"].tolist() == STATE["header"]["weight"].tolist()
    assert message["rows"].values.tolist() == [[1.0, 2.0, 3.0]] * 2
    assert first["header"]["weight"].tolist() == again["header"]["weight"].tolist() == [[2.0, 4.0], [4.0, 6.0]]


def test_sends_the_rows_of_the_classes_that_it_has():
    header = nn.Linear(2, 3)
    client = Client(info(0), {"extractor": nn.Identity(), "header": header}, {}, torch.tensor([4, 0, 1]))
    message = FedSSA().upload(client, {})
    assert set(message) == {"rows"}
    assert message["rows"].present.tolist() == [True, False, True]
    assert message["rows"].values[2].tolist() == [*header.weight[2].tolist(), header.bias[2].item()]


def test_the_mean_is_over_owners_alone_and_other_rows_stay(rows):
    """Class 0: (1 + 4) / 2, whatever the sizes; class 1: the one that has it; class 2: nobody's, so it stays."""
    messages = {
        1: {"rows": rows([[1.0], [9.0], [9.0]], [True, False, False])},
        2: {"rows": rows([[4.0], [6.0], [9.0]], [True, True, False])},
    }
    owns = torch.tensor([[False, False, True], [False, True, False], [False] * 3])
    server = {"rows": rows([[0.0], [0.0], [7.0]], [False, False, True]), "owns": owns}
    new = FedSSA().aggregate(server, Inbox(messages, {1: 1, 2: 5}))
    assert new["rows"].values.tolist() == [[2.5], [6.0], [7.0]]
    assert new["rows"].present.tolist() == [True, True, True]
    assert new["owns"].tolist() == [[False, False, True], [True, False, False], [True, True, False]]


def test_a_client_gets_known_rows_of_classes_that_it_has_sent(rows):
    owns = torch.tensor([[True, False, True], [False, False, False]])
    server = {"rows": rows([[1.0], [2.0], [0.0]], [True, True, False]), "owns": owns}
    assert FedSSA().download(server, info(1, k=0))["rows"].present.tolist() == [True, False, False]
    assert FedSSA().download(server, info(1, k=1))["rows"].present.tolist() == [False, False, False]


def test_travels_as_rows_of_own_classes():
    """A row is 6 weights, a bias and an index of 4 bytes each; in the first round none is known."""
    task = make_task((8, 8, 8), labels=[(0, 1), (1, 2), (2,)])
    _, records = federate(FedSSA(), task)
    sizes = [2 * 8 * 4, 2 * 8 * 4, 1 * 8 * 4]
    assert [c["bytes_up"] for r in records for c in r["clients"]] == [{"rows": size} for size in 2 * sizes]
    assert [c["bytes_down"] for c in records[0]["clients"]] == [{"rows": 0}] * 3
    assert [c["bytes_down"] for c in records[1]["clients"]] == [{"rows": size} for size in sizes]


def test_with_disjoint_classes_and_mu_zero_it_is_standalone():
    """Each row has one owner, who gets it back."""
    task = make_task((8, 8, 8), labels=[(0, 1), (2,), (3, 4)], num_classes=5)
    fused, records = federate(FedSSA(mu=0), task, rounds=3)
    alone, alone_records = federate(Standalone(), task, rounds=3)
    for k, state in alone.states.items():
        assert same({part: fused.states[k][part] for part in state}, state)
    assert [r["post_local"] for r in records] == [r["post_local"] for r in alone_records]
    assert [r["post_download"] for r in records] == [r["post_local"] for r in records]


class PlainLGFedAvg(LGFedAvg):
    """LG-FedAvg with a mean that counts clients, not samples, and clients that start from headers of their own."""

    def download(self, server, client):
        return {} if client.progress.round == 1 else super().download(server, client)

    def aggregate(self, server, inbox):
        sent = inbox.of("header")
        return {"header": {key: sum(header[key] for header in sent) / len(sent) for key in sent[0]}}


def test_with_all_classes_everywhere_and_mu_zero_it_is_lg_fedavg():
    """From the second round on; in the first FedSSA has no row to send. To the bit as two numbers have one sum."""
    task = make_task((12, 15))
    assert all(len(set(task.labels[data.train].tolist())) == 3 for data in task.clients)
    fused, records = federate(FedSSA(mu=0), task, rounds=4)
    shared, shared_records = federate(PlainLGFedAvg(), task, rounds=4)
    assert same(fused.server["rows"].values, table(shared.server["header"]))
    for k, state in shared.states.items():
        assert same({part: fused.states[k][part] for part in state}, state)
    assert [r["post_download"] for r in records] == [r["post_download"] for r in shared_records]


def test_equals_the_algorithm_box_written_by_hand(clients_of, passes, step, state_of, private):
    """Four rounds of three clients in plain PyTorch, row by row. Close: the harness adds rows in another order.

    Clients of one architecture hold networks of their own here; in the official script for several architectures the
    first round of a client starts from the weights of whichever client of its architecture was trained last.
    """
    task = make_task((8, 6, 7, 9), labels=[(0, 1), (0, 1, 2), (2,), (1, 2)])
    federation, _ = federate(FedSSA(), task, rounds=4)
    clients = clients_of(federation)
    classes = [sorted(set(task.labels[data.train].tolist())) for data in task.clients]
    known: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}
    for t, mu in enumerate((0.5, 0.5 / sqrt(2), 0.0, 0.0), start=1):
        for k, client in enumerate(clients):
            header = client["header"]
            with torch.no_grad():
                for j in known.keys() & classes[k]:
                    header.weight[j] = known[j][0] + mu * header.weight[j]
                    header.bias[j] = known[j][1] + mu * header.bias[j]
            net = nn.Sequential(client["extractor"], header)
            optimiser = torch.optim.SGD(net.parameters(), lr=0.1)
            for x, y in next(passes(federation, k, t)):
                step(optimiser, nn.functional.cross_entropy(net(x), y))
        for j in range(3):
            owners = [client["header"] for client, own in zip(clients, classes, strict=True) if j in own]
            weights, biases = [h.weight[j].detach() for h in owners], [h.bias[j].detach() for h in owners]
            known[j] = (torch.stack(weights).mean(0), torch.stack(biases).mean(0))
    for j, (weight, bias) in known.items():
        torch.testing.assert_close(federation.server["rows"].values[j], torch.cat([weight, bias[None]]))
    expected = {k: state_of(client) for k, client in enumerate(clients)}
    torch.testing.assert_close(private(federation.states), expected)
