"""FD on two or three numbers, as Standalone, and as its algorithm box."""

import copy
from math import log

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from benchmark.api import Batch, Client, ClientInfo, Inbox, Rows
from benchmark.channel import same
from benchmark.conformance.toy import federate, make_task
from methods.fd import FD
from methods.standalone import Standalone


def client(outputs: Rows | None = None) -> Client:
    """Its images are its logits."""
    parts = {"extractor": nn.Identity(), "header": nn.Identity()}
    return Client(ClientInfo(0, "identity", 2), parts, {"outputs": outputs})


@pytest.fixture
def halves(rows):
    """Even outputs for class 0; nobody else has class 1."""
    return rows([[0.5, 0.5], [0.0, 0.0]], [True, False])


def test_loss_by_hand(halves):
    """Outputs (1/4, 3/4) twice, of class 0 and of class 1; KL((1/2, 1/2) || (1/4, 3/4)) for the first alone."""
    batch = Batch(torch.tensor([[0.25, 0.75], [0.25, 0.75]]).log(), torch.tensor([0, 1]))
    classified = -(log(0.25) + log(0.75)) / 2
    divergence = 0.5 * log(0.5 / 0.25) + 0.5 * log(0.5 / 0.75)
    loss = FD(distillation_weight=0.6).loss(client(halves), batch)
    assert loss.item() == pytest.approx(classified + 0.6 * divergence / 2)


def test_the_second_term_pulls_as_the_papers_cross_entropy_does(halves, logits):
    """The gradient of CE(q, softmax z) in z is softmax z - q: here (1/4, 3/4) - (1/2, 1/2)."""
    z = logits(0.25, 0.75).requires_grad_()
    with_, without = (FD(weight).loss(client(halves), Batch(z, torch.tensor([0]))) for weight in (1.0, 0.0))
    (gradient,) = torch.autograd.grad(with_ - without, z)
    torch.testing.assert_close(gradient, torch.tensor([[-0.25, 0.25]]))


def test_a_class_that_nobody_else_has_adds_nothing(halves):
    """Not even a pull towards the sample's own logits, HtFLlib's fallback: loss and gradient are cross-entropy's."""
    z = torch.tensor([[3.0, -1.0]], requires_grad=True)
    loss, plain = FD().loss(client(halves), Batch(z, torch.tensor([1]))), F.cross_entropy(z, torch.tensor([1]))
    assert same(loss, plain)
    assert same(*(torch.autograd.grad(value, z)[0] for value in (loss, plain)))


def test_uploads_the_mean_output_of_each_of_its_classes(logits, uploaded, rows):
    """(1/5, 4/5) and (3/5, 2/5) have the mean (2/5, 3/5); the output of their mean logits would be (0.38, 0.62)."""
    images = [logits(0.2, 0.8), logits(0.6, 0.4) + 7]
    k = client(rows([[0.0] * 2] * 2, [False] * 2))
    message = uploaded(FD(), k, [Batch(x, torch.tensor([1])) for x in images])
    assert set(message) == {"outputs"}
    assert message["outputs"].present.tolist() == [False, True]
    torch.testing.assert_close(message["outputs"].values[1], torch.tensor([0.4, 0.6]))


def test_targets_are_probabilities_so_the_loss_is_never_negative(rows):
    """HtFLlib sends raw logits: targets such as (-30, -20), and a loss without a lower bound."""
    method, k = FD(distillation_weight=9.0), client(rows([[0.0] * 2] * 2, [False] * 2))
    batch = Batch(torch.tensor([[-30.0, -20.0], [40.0, 1.0]]), torch.tensor([0, 1]))
    outputs = method.upload(k, method.statistics(k, batch))["outputs"]
    assert (outputs.values >= 0).all()
    torch.testing.assert_close(outputs.values.sum(1), torch.ones(2))
    for z in ([[-30.0, -20.0]], [[40.0, 1.0]], [[0.0, 90.0]], [[-4e3, 4e3]]):
        for y in (0, 1):
            assert method.loss(client(outputs), Batch(torch.tensor(z), torch.tensor([y]))) >= 0


@pytest.fixture
def server(rows):
    """The server's state after a round of three clients and three classes; class 0 is everybody's, class 2 nobody's."""
    tables = {
        0: rows([[0.5, 0.25, 0.25], [0.25, 0.75, 0.0], [0.0] * 3], [True, True, False]),
        1: rows([[1.0, 0.0, 0.0], [0.0] * 3, [0.0] * 3], [True, False, False]),
        2: rows([[0.0, 0.5, 0.5], [0.0] * 3, [0.0] * 3], [True, False, False]),
    }
    return FD().aggregate(
        FD().server_init(make_task()), Inbox({k: {"outputs": t} for k, t in tables.items()}, {0: 1, 1: 5, 2: 9})
    )


def told(server, k):
    return FD().download(server, ClientInfo(k, "linear", 1))["outputs"]


def test_a_client_gets_the_mean_of_the_others_without_its_own(server):
    """Class 0: three owners, each gets the mean of the other two. Class 1: client 0 alone has it."""
    means = [[0.5, 0.25, 0.25], [0.25, 0.375, 0.375], [0.75, 0.125, 0.125]]
    assert [told(server, k).values[0].tolist() for k in range(3)] == means
    assert [told(server, k).present.tolist() for k in range(3)] == [
        [True, False, False],
        [True, True, False],
        [True, True, False],
    ]
    assert [told(server, k).values[1].tolist() for k in (1, 2)] == [[0.25, 0.75, 0.0]] * 2


def test_what_a_client_has_sent_stays_until_it_sends_again(server, rows):
    new = rows([[0.0, 1.0, 0.0], [0.0] * 3, [0.0, 0.0, 1.0]], [True, False, True])
    server = FD().aggregate(server, Inbox({1: {"outputs": new}}, {1: 5}))
    assert told(server, 0).values.tolist() == [[0.0, 0.75, 0.25], [0.0] * 3, [0.0, 0.0, 1.0]]
    assert told(server, 2).values.tolist() == [[0.25, 0.625, 0.125], [0.25, 0.75, 0.0], [0.0, 0.0, 1.0]]
    assert told(server, 1).present.tolist() == [True, True, False]


def test_with_weight_zero_it_is_standalone(private):
    task = make_task()
    distilled, _ = federate(FD(distillation_weight=0), task, rounds=3)
    alone, _ = federate(Standalone(), task, rounds=3)
    assert same(private(distilled.states), alone.states)


@pytest.mark.parametrize(
    "sizes, labels, down",
    [((7,), None, 0), ((7, 5, 9), [(0,), (1,), (2,)], 3 * 2 * (3 * 4 + 4))],
    ids=["one client", "disjoint classes"],
)
def test_without_a_common_class_it_is_standalone(sizes, labels, down, private):
    """Nothing comes back of what a client has sent itself; with a plain mean over all it would learn from itself.

    With disjoint classes three clients get two rows each, of three numbers and an index, for classes they don't have.
    """
    task = make_task(sizes, labels=labels)
    distilled, records = federate(FD(distillation_weight=5.0), task, rounds=3)
    alone, _ = federate(Standalone(), task, rounds=3)
    assert same(private(distilled.states), alone.states)
    assert [r["bytes_down"] for r in records] == [0, down, down]
    assert all(r["bytes_up"] for r in records)


def test_with_common_classes_it_is_not(private):
    task = make_task()
    distilled, _ = federate(FD(), task)
    alone, _ = federate(Standalone(), task)
    assert not same(private(distilled.states), alone.states)


@pytest.mark.parametrize("collect", ["during", "after"])
def test_equals_the_algorithm_box_written_by_hand(clients_of, passes, step, collect):
    """Two rounds of three clients in plain PyTorch, not to the bit: the means are summed in another order.

    Outputs are those that were trained on, each before its step; or of the trained network in evaluation mode.
    """
    task = make_task((4, 6, 8))
    federation, _ = federate(FD(distillation_weight=0.7, collect=collect), task, rounds=2)
    nets = [nn.Sequential(*parts.values()) for parts in clients_of(federation)]
    sent = [{} for _ in nets]
    for t in (1, 2):
        before = copy.deepcopy(sent)
        for k, net in enumerate(nets):
            others = [outputs for i, outputs in enumerate(before) if i != k]
            optimiser = torch.optim.SGD(net.train().parameters(), lr=0.1)
            taken = []
            for x, y in next(passes(federation, k, t)):
                scores = net(x)
                taken.append((scores.detach().softmax(1), y))
                loss = F.cross_entropy(scores, y)
                for z, j in zip(scores, y.tolist(), strict=True):
                    if known := [outputs[j] for outputs in others if j in outputs]:
                        q = torch.stack(known).mean(0)
                        loss = loss + 0.7 * (q * (q.log() - z.log_softmax(0))).sum() / len(y)
                step(optimiser, loss)
            outputs, y = map(torch.cat, zip(*taken, strict=True))
            if collect == "after":
                x, y = task.batch(task.clients[k].train)
                with torch.no_grad():
                    outputs = net.eval()(x).softmax(1)
            sent[k] = {j: outputs[y == j].mean(0) for j in y.unique().tolist()}
    for k, net in enumerate(nets):
        state = federation.states[k]
        for part, module in zip(("extractor", "header"), net, strict=True):
            torch.testing.assert_close(state[part], dict(module.state_dict()))
        assert federation.server["present"][k].nonzero()[:, 0].tolist() == sorted(sent[k])
        for j, output in sent[k].items():
            torch.testing.assert_close(federation.server["sent"][k, j], output)
