"""FedL2G: losses and the guiding step by hand, Standalone without the guide, and its algorithm box by closed form."""

import copy
from dataclasses import replace
from math import exp, log

import pytest
import torch
from torch import nn
from torch.autograd.functional import jvp
from torch.func import functional_call

from benchmark.api import Batch, Client, ClientInfo, Inbox, Method, Phase, Rows
from benchmark.channel import same
from benchmark.conformance.toy import federate, make_task
from methods.fedl2g import FedL2G
from methods.standalone import Standalone

cross_entropy = nn.functional.cross_entropy


def linear(*weights: float) -> nn.Module:
    layer = nn.Linear(1, len(weights), bias=False)
    layer.weight.data = torch.tensor([[w] for w in weights])
    return layer


def embedding(*rows: list[float]) -> nn.Embedding:
    return nn.Embedding.from_pretrained(torch.tensor(rows), freeze=False)


def client(**parts) -> Client:
    received = {"weight": parts["guide"].weight.detach().clone()}
    return Client(ClientInfo(0, "linear", 1), parts, {"received": received})


def test_loss_by_hand():
    """Even scores: log 2. Distances: (1, 0) to (0, 0) is 1/2; (3, 2) to (3, 4) is 4/2."""
    header = nn.Linear(2, 2)
    nn.init.zeros_(header.weight)
    nn.init.zeros_(header.bias)
    held = client(extractor=nn.Identity(), header=header, guide=embedding([0.0, 0.0], [3.0, 4.0]))
    batch = Batch(torch.tensor([[1.0, 0.0], [3.0, 2.0]]), torch.tensor([0, 1]))
    assert FedL2G().loss(held, batch).item() == pytest.approx(log(2) + (0.5 + 2) / 2)


def test_guides_take_a_step_of_plain_descent_whatever_the_networks_optimiser_is():
    """A rate of 100 is for a small gradient: Adam would move each number by 100."""
    federation, _ = federate(FedL2G(), make_task(), rounds=1, optimizer="adam", lr=0.001)
    before = FedL2G().server_init(federation.task)["guide"]["weight"]
    assert float((federation.server["guide"]["weight"] - before).abs().max()) < 10


def test_quiz_loss_and_its_gradient_by_hand():
    """F(x) = a x, scores b F(x), with a = 1, b = (0, 0), v_0 = 3, eta = 0.1, a study sample (x = 1, y = 0).

    Even scores have no gradient for a but that of the guide, 2 (a - v_0) = -4: a' = 1.4. For b it is (-1/2, 1/2):
    b' = (0.05, -0.05). The quiz sample (x = 2, y = 1) has the scores (0.14, -0.14), so its loss is log(1 + e^0.28),
    p_0 = 1 / (1 + e^-0.28), and d loss / da' = 2 (b'_0 - b'_1) p_0 = 0.2 p_0. As da' / dv_0 = 0.1 x 2, the gradient
    is 0.04 p_0, and nothing for the class that the study batch lacks.
    """
    held = client(extractor=linear(1.0), header=linear(0.0, 0.0), guide=embedding([3.0], [7.0]))
    study = Batch(torch.tensor([[1.0]]), torch.tensor([0]))
    quiz = Batch(torch.tensor([[2.0]]), torch.tensor([1]))
    loss = FedL2G(inner_lr=0.1).quiz_loss(held, study, quiz)
    assert loss.item() == pytest.approx(log(1 + exp(0.28)))
    loss.backward()
    assert held.guide.weight.grad.flatten().tolist() == pytest.approx([0.04 / (1 + exp(-0.28)), 0])
    assert held.extractor.weight.tolist() == [[1.0]]  # the step ahead is only looked at


def test_sends_the_vectors_that_have_moved():
    held = client(extractor=linear(1.0), header=linear(0.0, 0.0), guide=embedding([3.0, 1.0], [7.0, 1.0]))
    held.guide.weight.data[1, 0] = 6.0
    message = FedL2G().upload(held, {})
    assert set(message) == {"guide"}
    assert message["guide"].present.tolist() == [False, True]
    assert message["guide"].values[1].tolist() == [6.0, 1.0]


def test_the_server_takes_the_mean_gradient_of_the_senders():
    """From 10 to 8 and to 6 is by 2 and by 4, so to 7, whatever the sizes; one sender; none."""
    messages = {
        0: {"guide": Rows(torch.tensor([[8.0], [4.0], [0.0]]), torch.tensor([True, True, False]))},
        3: {"guide": Rows(torch.tensor([[6.0], [0.0], [0.0]]), torch.tensor([True, False, False]))},
    }
    server = {"guide": {"weight": torch.tensor([[10.0], [5.0], [1.0]])}}
    new = FedL2G().aggregate(server, Inbox(messages, {0: 1, 3: 9}))
    assert new["guide"]["weight"].tolist() == [[7.0], [4.0], [1.0]]


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_only_vectors_of_own_classes_travel_up(weight_decay):
    """A vector is 6 numbers and an index of 4 bytes each; weight decay is for networks, and moves no vector."""
    task = make_task((8, 8), labels=[(0, 1), (1, 2)], num_classes=5)
    method = FedL2G(quiz=0.25)
    federation, records = federate(method, task, rounds=1, batch_size=8, weight_decay=weight_decay)
    classes = [set(task.labels[data.train[2:]].tolist()) for data in task.clients]
    assert [c["bytes_up"] for c in records[0]["clients"]] == [{"guide": len(own) * 7 * 4} for own in classes]
    assert [c["bytes_down"] for c in records[0]["clients"]] == [{"guide": 5 * 6 * 4}] * 2
    for k, own in enumerate(classes):
        moved = (federation.states[k]["guide"]["weight"] != federation.states[k]["received"]["weight"]).any(1)
        assert set(moved.nonzero()[:, 0].tolist()) == own
    assert same(federation.server["guide"]["weight"][3:], federation.states[0]["received"]["weight"][3:])


def test_quiz_samples_never_train_the_network():
    """With other pictures in the quiz set the vectors go elsewhere; the networks hear of it from the server alone."""
    task = make_task((8, 8, 8))
    images = task.images.clone()
    for data in task.clients:
        images[data.train[:2]] = 255 - images[data.train[:2]]
    method = FedL2G(quiz=0.25)
    (one, _), (other, _) = (federate(method, t, rounds=1) for t in (task, replace(task, images=images)))
    for k in range(3):
        for part in ("extractor", "header"):
            assert same(one.states[k][part], other.states[k][part])
        assert not same(one.states[k]["guide"], other.states[k]["guide"])


def test_without_the_guide_it_is_standalone_on_the_study_set():
    class Unguided(FedL2G):
        def loss(self, client, batch):
            return Method.loss(self, client, batch)

    class OnTheStudySet(Standalone):
        def phases(self):
            return (Phase(samples=((0.1, 1.0),)),)

    task = make_task((17, 11, 20))
    unguided, records = federate(Unguided(), task, rounds=3)
    alone, alone_records = federate(OnTheStudySet(), task, rounds=3)
    for k, state in alone.states.items():
        assert same({part: unguided.states[k][part] for part in state}, state)
    assert [r["post_local"] for r in records] == [r["post_local"] for r in alone_records]


def gradient(parts, study, quiz, eta: float) -> torch.Tensor:
    """d quiz loss / dv_j = 2 eta / (n d) times the sum over study samples of class j of J g.

    J: of the representation by the extractor's weights, before the step; g: of the quiz loss by these, after it.
    """
    extractor, header, guide = (copy.deepcopy(parts[name]) for name in ("extractor", "header", "guide"))
    ahead = copy.deepcopy(nn.Sequential(extractor, header))
    representation = ahead[0](study.x)
    distance = (representation - guide.weight[study.y].detach()).square().mean()
    (cross_entropy(ahead[1](representation), study.y) + distance).backward()
    torch.optim.SGD(ahead.parameters(), lr=eta).step()
    g = torch.autograd.grad(cross_entropy(ahead(quiz.x), quiz.y), list(ahead[0].parameters()))
    names, w = zip(*((name, parameter.detach()) for name, parameter in extractor.named_parameters()), strict=True)
    _, moved = jvp(lambda *w: functional_call(extractor, dict(zip(names, w, strict=True)), study.x), w, g)  # J g [n, d]
    return 2 * eta / moved.numel() * torch.zeros_like(guide.weight).index_add(0, study.y, moved)


def test_running_means_of_a_few_steps_do_no_harm():
    """The step ahead goes by the batch's; the client's own are those of its training alone, and stand still in it."""
    task, normalised = make_task((8,) * 3), 2
    federation, _ = federate(FedL2G(), task, rounds=1)
    assert federation.states[normalised]["extractor"]["2.num_batches_tracked"] == 2
    held = federation.client(normalised)
    held.extractor[2].running_mean.fill_(-1e30)
    x, y = task.batch(task.clients[normalised].train)
    assert federation.method.quiz_loss(held, Batch(x[2:], y[2:]), Batch(x[:2], y[:2])).isfinite()
    assert (held.extractor[2].running_mean == -1e30).all()


def test_equals_the_algorithm_box_written_by_hand(clients_of, passes, step, state_of, private):
    """Two rounds of three clients in plain PyTorch. Close: the guiding step is the closed form, not double backward."""
    task = make_task((16, 12, 20))
    method = FedL2G(quiz=0.25, inner_lr=0.3, guide_lr=20.0)
    federation, _ = federate(method, task, rounds=2)
    clients = clients_of(federation)
    quiz, study = (0.0, 0.25), (0.25, 1.0)
    v = first = federation.method.download(federation._first_server, task.infos[0])["guide"]["weight"]
    for t in (1, 2):
        steps = []
        for k, parts in enumerate(clients):
            parts["guide"].weight.data = v.clone()
            net = nn.Sequential(parts["extractor"], parts["header"]).train()
            optimiser = torch.optim.SGD(net.parameters(), lr=0.1)
            drawn = passes(federation, k, t, study)
            for x, y in next(drawn):
                representation = net[0](x)
                distance = (representation - v[y]).square().mean()
                step(optimiser, cross_entropy(net[1](representation), y) + distance)
            batches = next(drawn)[0], next(passes(federation, k, t, quiz))[0]
            steps.append(gradient(parts, *(Batch(x, y) for x, y in batches), eta=0.3))
        senders = sum((step != 0).any(1, keepdim=True).int() for step in steps)
        v = v - 20.0 * sum(steps) / senders.clamp_min(1)
    torch.testing.assert_close(federation.server["guide"]["weight"], v)
    assert (v - first).abs().max() > 0.01
    expected = private({k: state_of(parts) for k, parts in enumerate(clients)})
    torch.testing.assert_close(private(federation.states), expected)
