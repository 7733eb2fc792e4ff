"""FedProto on two or three numbers, and as Standalone."""

from math import log

import pytest
import torch
from torch import nn

from benchmark.api import Batch, Client, ClientInfo, Inbox, Rows
from methods.fedproto import FedProto
from methods.standalone import Standalone


def rows(values, present):
    return Rows(torch.tensor(values), torch.tensor(present))


def client(prototypes: Rows) -> Client:
    header = nn.Linear(2, 3)
    nn.init.zeros_(header.weight)
    nn.init.zeros_(header.bias)
    return Client(
        ClientInfo(0, "identity", 3), {"extractor": nn.Identity(), "header": header}, {"prototypes": prototypes}
    )


KNOWN = rows([[0.0, 0.0], [3.0, 4.0], [0.0, 0.0]], [True, True, False])


def test_loss_by_hand():
    """Even logits: log 3. Distances: (1, 0) to (0, 0) is 1/2; (3, 2) to (3, 4) is 4/2; class 2 has no prototype."""
    batch = Batch(torch.tensor([[1.0, 0.0], [3.0, 2.0], [9.0, 9.0]]), torch.tensor([0, 1, 2]))
    loss = FedProto(prototype_weight=0.6).loss(client(KNOWN), batch)
    assert loss.item() == pytest.approx(log(3) + 0.6 * (0.5 + 2 + 0) / 3)


def test_uploads_class_means_of_its_own_classes():
    method, k = FedProto(), client(KNOWN)
    batches = [
        Batch(torch.tensor([[1.0, 3.0], [5.0, 5.0]]), torch.tensor([0, 2])),
        Batch(torch.tensor([[3.0, 5.0]]), torch.tensor([0])),
    ]
    sums = [method.statistics(k, batch) for batch in batches]
    message = method.upload(k, {name: sums[0][name] + sums[1][name] for name in sums[0]})
    assert set(message) == {"prototypes"}
    assert message["prototypes"].present.tolist() == [True, False, True]
    assert message["prototypes"].values[0].tolist() == [2.0, 4.0]
    assert message["prototypes"].values[2].tolist() == [5.0, 5.0]


def aggregate(method, **extra):
    messages = {
        0: {"prototypes": rows([[1.0], [9.0], [0.0]], [True, False, False])},
        1: {"prototypes": rows([[4.0], [6.0], [0.0]], [True, True, False])},
    }
    for k, counts in extra.get("counts", {}).items():
        messages[k]["counts"] = torch.tensor(counts)
    server = {"prototypes": rows([[0.0], [0.0], [7.0]], [False, False, True])}
    return method.aggregate(server, Inbox(messages, {0: 1, 1: 5}))["prototypes"]


def test_a_global_prototype_is_the_plain_mean_of_its_owners():
    assert aggregate(FedProto()).values[:2].tolist() == [[2.5], [6.0]]


def test_or_weighted_with_the_number_of_samples_of_the_class():
    got = aggregate(FedProto(weighting="samples"), counts={0: [3.0, 0.0, 0.0], 1: [1.0, 2.0, 0.0]})
    assert got.values[:2].tolist() == [[1.75], [6.0]]


def test_prototypes_survive_rounds_without_a_participant():
    got = aggregate(FedProto())
    assert got.present.tolist() == [True, True, True]
    assert got.values[2].tolist() == [7.0]


def test_nearest_prototype_ignores_classes_without_one():
    scores = FedProto().nearest_prototype(client(KNOWN), torch.tensor([[0.1, 0.0], [3.0, 3.0]]))
    assert scores.argmax(1).tolist() == [0, 1]
    assert scores[:, 2].tolist() == [-torch.inf, -torch.inf]


def test_before_any_prototype_is_known_nothing_is_right(make_task, federate):
    _, records = federate(FedProto(), make_task())
    assert records[0]["predictors"]["prototype"]["post_local"]["correct"] == [0, 0, 0]
    assert sum(records[0]["predictors"]["prototype"]["post_download"]["correct"]) > 0


def test_with_weight_zero_it_is_standalone(make_task, federate, same):
    task = make_task()
    tied, _ = federate(FedProto(prototype_weight=0), task, rounds=3)
    alone, _ = federate(Standalone(), task, rounds=3)
    for k, state in tied.states.items():
        assert same({part: state[part] for part in ("extractor", "header")}, alone.states[k])


def test_prototypes_are_of_the_trained_network_in_evaluation_mode(make_task, federate):
    task = make_task((6,) * 3)
    federation, _ = federate(FedProto(), task, rounds=1)
    means = []
    for k in range(3):
        own = federation.engine.load(k, federation.states[k])
        x, y = task.batch(task.clients[k].train)
        own.extractor.eval()
        with torch.no_grad():
            means.append({c: own.extractor(x)[y == c].mean(0) for c in y.unique().tolist()})
    for label in range(3):
        owners = [mean[label] for mean in means if label in mean]
        torch.testing.assert_close(federation.server["prototypes"].values[label], torch.stack(owners).mean(0))
