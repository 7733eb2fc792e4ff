"""FedProto on two or three numbers, and as Standalone."""

from math import log

import pytest
import torch

from benchmark.api import Batch, Inbox
from benchmark.channel import same
from benchmark.conformance.toy import federate, make_task
from methods.fedproto import FedProto
from methods.standalone import Standalone


@pytest.fixture
def known(rows):
    return rows([[0.0, 0.0], [3.0, 4.0], [0.0, 0.0]], [True, True, False])


def test_loss_by_hand(even_client, known):
    """Even logits: log 3. Distances: (1, 0) to (0, 0) is 1/2; (3, 2) to (3, 4) is 4/2; class 2 has no prototype."""
    batch = Batch(torch.tensor([[1.0, 0.0], [3.0, 2.0], [9.0, 9.0]]), torch.tensor([0, 1, 2]))
    loss = FedProto(prototype_weight=0.6).loss(even_client(known), batch)
    assert loss.item() == pytest.approx(log(3) + 0.6 * (0.5 + 2 + 0) / 3)


def test_uploads_class_means_of_its_own_classes(even_client, known, two_batches, uploaded):
    message = uploaded(FedProto(), even_client(known), two_batches)
    assert set(message) == {"prototypes"}
    assert message["prototypes"].present.tolist() == [True, False, True]
    assert message["prototypes"].values.tolist() == [[2.0, 4.0], [0.0, 0.0], [5.0, 5.0]]


@pytest.fixture
def aggregate(rows):
    """The prototypes after a round of two clients, who send these counts beside theirs."""
    tables = rows([[1.0], [9.0], [0.0]], [True, False, False]), rows([[4.0], [6.0], [0.0]], [True, True, False])
    server = {"prototypes": rows([[0.0], [0.0], [7.0]], [False, False, True])}

    def after(method, counts=({}, {})):
        messages = {k: {"prototypes": tables[k], **counts[k]} for k in (0, 1)}
        return method.aggregate(server, Inbox(messages, {0: 1, 1: 5}))["prototypes"]

    return after


def test_a_global_prototype_is_the_plain_mean_of_its_owners(aggregate):
    assert aggregate(FedProto()).values[:2].tolist() == [[2.5], [6.0]]


def test_or_weighted_with_the_number_of_samples_of_the_class(aggregate):
    counts = [{"counts": torch.tensor(n)} for n in ([3.0, 0.0, 0.0], [1.0, 2.0, 0.0])]
    got = aggregate(FedProto(weighting="samples"), counts)
    assert got.values[:2].tolist() == [[1.75], [6.0]]


def test_prototypes_survive_rounds_without_a_participant(aggregate):
    got = aggregate(FedProto())
    assert got.present.tolist() == [True, True, True]
    assert got.values[2].tolist() == [7.0]


def test_nearest_prototype_ignores_classes_without_one(even_client, known):
    scores = FedProto().nearest_prototype(even_client(known), torch.tensor([[0.1, 0.0], [3.0, 3.0]]))
    assert scores.argmax(1).tolist() == [0, 1]
    assert scores[:, 2].tolist() == [-torch.inf, -torch.inf]


def test_before_any_prototype_is_known_nothing_is_right():
    _, records = federate(FedProto(), make_task())
    assert records[0]["predictors"]["prototype"]["post_local"]["correct"] == [0, 0, 0]
    assert sum(records[0]["predictors"]["prototype"]["post_download"]["correct"]) > 0


def test_with_weight_zero_it_is_standalone(private):
    task = make_task()
    tied, _ = federate(FedProto(prototype_weight=0), task, rounds=3)
    alone, _ = federate(Standalone(), task, rounds=3)
    assert same(private(tied.states), alone.states)


def test_prototypes_can_be_of_the_trained_network_in_evaluation_mode():
    task = make_task((6,) * 3)
    federation, _ = federate(FedProto(collect="after"), task, rounds=1)
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
