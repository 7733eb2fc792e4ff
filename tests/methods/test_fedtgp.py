"""FedTGP: margin and contrast on a few points in the plane, and the round as Standalone, FedProto and its box."""

from math import exp, log, sqrt

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from benchmark.api import Batch, Inbox, Rows
from benchmark.channel import same
from benchmark.conformance.toy import federate, make_task
from benchmark.plugins import registry
from methods import fedtgp
from methods.fedproto import FedProto
from methods.fedtgp import FedTGP, gap, trainer_of
from methods.standalone import Standalone

BRIEF = FedTGP(server_epochs=2)


def test_loss_by_hand(rows, even_client):
    """Even logits: log 3. The squared distance (4, 0) to (3, 4) is 1 + 16, over d = 2."""
    known = rows([[0.0, 0.0], [3.0, 4.0], [0.0, 0.0]], [True, True, True])
    loss = FedTGP(prototype_weight=0.6).loss(even_client(known), Batch(torch.tensor([[4.0, 0.0]]), torch.tensor([1])))
    assert loss.item() == pytest.approx(log(3) + 0.6 * 17 / 2)


def test_gap_by_hand(rows):
    """To the nearest other: 3, 3 and 4. The largest is 4; the smallest is 3, the largest of all distances 5."""
    assert gap(rows([[0.0, 0.0], [3.0, 0.0], [3.0, 4.0]], [True] * 3)).item() == pytest.approx(4)


def test_gap_overlooks_classes_that_nobody_sent(rows):
    """Their rows are zeros: 14.1 away from both points, which are 5 apart."""
    points = rows([[10.0, 10.0], [0.0, 0.0], [13.0, 14.0]], [True, False, True])
    assert gap(points).item() == pytest.approx(5)


def identity_server(*prototypes):
    """A server whose trainer gives these prototypes (none negative): an embedding and two identities."""
    trainer = trainer_of(len(prototypes), 2)
    weights = {"0.weight": torch.tensor(prototypes)}
    for layer in "1", "3":
        weights |= {f"{layer}.weight": torch.eye(2), f"{layer}.bias": torch.zeros(2)}
    trainer.load_state_dict(weights)
    return {"trainer": trainer.state_dict(), "prototypes": Rows.none(len(prototypes), 2, torch.device("cpu"))}


def inbox(*tables):
    messages = {k: {"prototypes": table} for k, table in enumerate(tables)}
    return Inbox(messages, dict.fromkeys(messages, 1))


@pytest.fixture
def contrast(monkeypatch):
    """What the server minimises before its first step, on all that came."""
    losses = []
    monkeypatch.setattr(fedtgp, "fit", lambda module, loss, data, **how: losses.append(loss(*data).item()))

    def first_loss(method, *tables):
        method.aggregate(SERVER, inbox(*tables))
        return losses[0]

    return first_loss


SERVER = identity_server([0.0, 0.0], [3.0, 4.0])


@pytest.fixture
def one(rows):
    """Of class 0 alone: 4 away from its prototype in SERVER, 3 from the other."""
    return rows([[0.0, 4.0], [0.0, 0.0]], [True, False])


def test_contrast_by_hand(contrast, rows):
    """Class 0's mean is (0, 4), class 1's (0, 10): m = 6, and scores are -(4 + 6), -3 and -10, -(sqrt 45 + 6)."""
    two = rows([[0.0, 4.0], [0.0, 10.0]], [True, True])
    first = log(1 + exp(4 + 6 - 3))
    second = log(1 + exp(sqrt(45) + 6 - 10))
    assert contrast(FedTGP(), two) == pytest.approx((first + second) / 2)


def test_the_margin_is_between_means_of_the_participants(contrast, rows, one):
    """Two clients with class 0 at (0, 4) and (0, 8), one with class 1 at (0, 7): the means are 1 apart."""
    tables = one, rows([[0.0, 8.0], [0.0, 7.0]], [True, True])
    scores = 4 + 1 - 3, 8 + 1 - 5, sqrt(18) + 1 - 7
    expected = sum(log(1 + exp(score)) for score in scores) / 3
    assert contrast(FedTGP(), *tables) == pytest.approx(expected)


def test_tau_is_the_largest_margin(contrast, rows):
    """0.5, though the means are 6 apart."""
    two = rows([[0.0, 4.0], [0.0, 10.0]], [True, True])
    expected = (log(1 + exp(4.5 - 3)) + log(1 + exp(sqrt(45) + 0.5 - 10))) / 2
    assert contrast(FedTGP(margin=0.5), two) == pytest.approx(expected)


def test_with_one_class_alone_the_margin_is_tau(contrast, one):
    assert contrast(FedTGP(margin=2.0), one) == pytest.approx(log(1 + exp(4 + 2 - 3)))


def test_training_is_defined_where_a_prototype_sits_on_a_clients(rows):
    """The distance has no slope there; the square root in the authors' code gives NaN."""
    on_top = rows([[0.0, 0.0], [3.0, 4.0]], [True, True])
    server = FedTGP(server_epochs=3, server_lr=0.01).aggregate(SERVER, inbox(on_top))
    assert torch.isfinite(server["prototypes"].values).all()


def test_uploads_class_means_of_its_own_classes(rows, even_client, two_batches, uploaded):
    nothing_known = rows([[0.0, 0.0]] * 3, [False] * 3)
    message = uploaded(FedTGP(), even_client(nothing_known), two_batches)
    assert set(message) == {"prototypes"}
    assert message["prototypes"].present.tolist() == [True, False, True]
    assert message["prototypes"].values.tolist() == [[2.0, 4.0], [0.0, 0.0], [5.0, 5.0]]


def test_prototypes_are_of_the_trained_network_in_evaluation_mode(monkeypatch):
    seen, original = [], FedTGP.aggregate
    monkeypatch.setattr(FedTGP, "aggregate", lambda self, s, inbox: seen.append(inbox) or original(self, s, inbox))
    task = make_task((6,) * 3)
    federation, _ = federate(BRIEF, task, rounds=1)
    for k, table in enumerate(seen[0].of("prototypes")):
        own = federation.engine.load(k, federation.states[k])
        x, y = task.batch(task.clients[k].train)
        with torch.no_grad():
            r = own.extractor.eval()(x)
        assert table.present.nonzero()[:, 0].tolist() == y.unique().tolist()
        for j in y.unique().tolist():
            torch.testing.assert_close(table.values[j], r[y == j].mean(0))


def test_with_weight_zero_it_is_standalone(private):
    task = make_task()
    tied, _ = federate(FedTGP(prototype_weight=0, server_epochs=2), task, rounds=3)
    alone, _ = federate(Standalone(), task, rounds=3)
    assert same(private(tied.states), alone.states)


def test_the_first_round_is_that_of_fedproto(private):
    """Nobody is told the untrained prototypes."""
    task = make_task()
    trained, (record, later) = federate(BRIEF, task)
    averaged, (other, _) = federate(FedProto(), task)
    assert record["post_local"] == other["post_local"]
    assert record["bytes_up"] == other["bytes_up"]
    assert (record["bytes_down"], later["bytes_down"]) == (0, 3 * 3 * (6 * 4 + 4))
    (trained, _), (averaged, _) = (federate(method, task, rounds=1) for method in (BRIEF, FedProto()))
    assert same(private(trained.states), private(averaged.states))
    assert not same(trained.server["prototypes"], averaged.server["prototypes"])


def test_the_header_predicts_from_the_first_round_on():
    """HtFLlib predicts with prototypes alone, and nothing is right before there are any."""
    _, records = federate(BRIEF, make_task())
    assert list(FedTGP().predictors()) == ["header", "prototype"]
    assert sum(records[0]["post_local"]["correct"]) > 0
    assert records[0]["predictors"]["prototype"]["post_local"]["correct"] == [0, 0, 0]
    assert sum(records[0]["predictors"]["prototype"]["post_download"]["correct"]) > 0


def test_every_class_has_a_prototype_whoever_took_part():
    """HtFLlib's FedProto forgets the classes that no participant of the round has, and can't predict them."""
    task = make_task(labels=[(0,), (1,), (2,)])
    federation, records = federate(BRIEF, task, participation=0.1, rounds=3)
    assert len({tuple(r["participants"]) for r in records}) > 1
    prototypes = federation.server["prototypes"]
    assert prototypes.present.tolist() == [True] * 3
    assert (prototypes.values != 0).any(1).all()
    assert torch.isfinite(prototypes.values).all()


def test_the_trainer_goes_on_from_round_to_round():
    """One that stands still gives the prototypes of its initial weights for ever; one that trains moves throughout."""
    task = make_task()
    still, _ = federate(FedTGP(server_lr=1e-30, server_epochs=2), task, rounds=3)
    start = still._first_server["trainer"]
    assert same(still.server["trainer"], start)
    e, w, b, v, c = start.values()
    values = (e @ w.T + b).relu() @ v.T + c
    torch.testing.assert_close(still.server["prototypes"].values, values)
    once, twice = (federate(BRIEF, task, rounds=t)[0].server["trainer"] for t in (1, 2))
    assert all(not same(start[key], once[key]) and not same(once[key], twice[key]) for key in start)


def test_it_needs_one_width():
    reason = FedTGP().unsupported(make_task((4,) * 4, line_up=registry.line_up("vision4-native")))
    assert "resnet18 512, mobilenet_v2 1280" in reason


def test_equals_the_algorithm_box_written_by_hand(clients_of, passes, step, state_of, private):
    """Two rounds of three clients in plain PyTorch, with Eq. 10 of the paper row by row.

    Not to the bit: sums and distances are computed in another order. All prototypes fit into one batch, so the order
    that the server draws does not matter.
    """
    task = make_task((4, 6, 8))
    federation, _ = federate(FedTGP(prototype_weight=0.4, server_epochs=4, server_lr=0.2), task, rounds=2)
    clients = clients_of(federation)
    e, w, b, v, c = (tensor.clone().requires_grad_() for tensor in federation._first_server["trainer"].values())
    g = None
    for t in (1, 2):
        sent = []
        for k, parts in enumerate(clients):
            net = nn.Sequential(*parts.values()).train()
            optimiser = torch.optim.SGD(net.parameters(), lr=0.1)
            for x, y in next(passes(federation, k, t)):
                r = net[0](x)
                loss = F.cross_entropy(net[1](r), y)
                if g is not None:
                    loss = loss + 0.4 * sum((r[i] - g[j]).pow(2).sum() / 6 for i, j in enumerate(y)) / len(y)
                step(optimiser, loss)
            x, y = task.batch(task.clients[k].train)
            with torch.no_grad():
                r = net.eval()[0](x)
            sent += [(r[y == j].mean(0), j) for j in y.unique().tolist()]
        owned = sorted({j for _, j in sent})
        means = {j: torch.stack([row for row, i in sent if i == j]).mean(0) for j in owned}
        margin = min(100, max(min((means[j] - means[i]).norm() for i in owned if i != j) for j in owned))
        optimiser = torch.optim.SGD([e, w, b, v, c], lr=0.2)
        for _ in range(4):
            g = [(row @ w.T + b).relu() @ v.T + c for row in e]
            losses = []
            for row, j in sent:
                near = [(-(row - g[i]).norm() - margin * (i == j)).exp() for i in range(3)]
                losses.append(-(near[j] / sum(near)).log())
            step(optimiser, torch.stack(losses).mean())
        g = [((row @ w.T + b).relu() @ v.T + c).detach() for row in e]
    torch.testing.assert_close(federation.server["prototypes"].values, torch.stack(g))
    expected = {k: state_of(parts) for k, parts in enumerate(clients)}
    torch.testing.assert_close(private(federation.states), expected)
