"""FedGen: the generator's objective on two headers, label shares by counts, the round as LG-FedAvg and as its box."""

from math import exp, log

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from benchmark.api import Batch, Client, ClientInfo, Inbox
from benchmark.channel import same
from benchmark.conformance.toy import federate, make_task
from benchmark.method import initial_parts
from benchmark.plugins import registry
from benchmark.seeds import torch_seeded
from methods import fedgen
from methods.fedgen import FedGen, Generator
from methods.lg_fedavg import LGFedAvg

BRIEF = {"server_steps": 3, "hidden": 8}


def header(*weights):
    """Of width 1, without biases."""
    return {"weight": torch.tensor([[w] for w in weights]), "bias": torch.zeros(len(weights))}


def constant(value: float, num_classes: int = 2) -> Generator:
    """A generator that makes the representation (value) of every label and noise."""
    generator = Generator(num_classes, noise=32, hidden=512, width=1)
    for parameter in generator.parameters():
        nn.init.zeros_(parameter)
    nn.init.constant_(generator.layers[2].bias, value)
    return generator


def inbox(*, headers, counts):
    """Client 0 has one sample, client 1 three."""
    messages = {k: {"header": headers[k], "counts": torch.tensor(counts[k])} for k in range(2)}
    return Inbox(messages, {0: 1, 1: 3})


SERVER = {"header": header(0.0, 0.0), "generator": constant(1.0).state_dict(), "labels": torch.tensor([0.5, 0.5])}
INBOX = inbox(headers=[header(2.0, 0.0), header(0.0, 4.0)], counts=[[1.0, 0.0], [0.0, 3.0]])


@pytest.fixture
def fitted(monkeypatch):
    """What aggregate hands to fit: module, loss, data."""
    handed = {}

    def fit(module, loss, data, **how):
        handed.update(module=module, loss=loss, data=data, **how)

    monkeypatch.setattr(fedgen, "fit", fit)
    return handed


def test_agreement_of_two_headers_by_hand(fitted):
    """Logits of 1: (2, 0) and (0, 4), in the plain mean (1, 2). A mean of outputs, or one by samples, is another."""
    FedGen().aggregate(SERVER, INBOX)
    assert fitted["loss"](torch.tensor([0])).item() == pytest.approx(log(1 + exp(1)))
    assert fitted["loss"](torch.tensor([0, 1, 1])).item() == pytest.approx((log(1 + exp(1)) + 2 * log(1 + exp(-1))) / 3)


def test_the_server_trains_on_labels_of_the_participants(fitted):
    """100 batches of 64, of class 1 alone where nobody has sent another."""
    FedGen().aggregate(SERVER, inbox(headers=INBOX.of("header"), counts=[[0.0, 1.0], [0.0, 3.0]]))
    (drawn,) = fitted["data"]
    assert drawn.tolist() == [1] * 6400
    assert (fitted["epochs"], fitted["batch_size"], fitted["lr"]) == (1, 64, 0.1)


def test_one_step_of_the_generator_by_hand():
    """One unit, label 0, a mean header (1, -1): the slope in the representation is (p - 1) - (1 - p), p of (1, -1)."""
    method = FedGen(server_steps=1, server_batch_size=5, server_lr=0.5)
    server = SERVER | {"generator": constant(1.0).state_dict()}
    mean = inbox(headers=[header(2.0, 0.0), header(0.0, -2.0)], counts=[[1.0, 0.0], [3.0, 0.0]])
    p = 1 / (1 + exp(-2))
    after = method.aggregate(server, mean)["generator"]
    assert after["layers.2.bias"].item() == pytest.approx(1 + 0.5 * 2 * (1 - p))


def test_label_shares_are_of_all_the_participants_samples():
    """(3, 1, 0) and (1, 5, 0) are 4 and 6 of 10; in the beginning, all classes are alike."""
    server = SERVER | {"generator": constant(1.0, num_classes=3).state_dict()}
    sent = inbox(headers=[header(1.0, 0.0, 0.0)] * 2, counts=[[3.0, 1.0, 0.0], [1.0, 5.0, 0.0]])
    assert FedGen(server_steps=1).aggregate(server, sent)["labels"].tolist() == pytest.approx([0.4, 0.6, 0.0])


def test_all_classes_are_alike_in_the_beginning():
    assert FedGen().server_init(make_task())["labels"].tolist() == pytest.approx([1 / 3] * 3)


def test_the_header_is_the_mean_by_samples():
    """1/4 (2, 0) + 3/4 (0, 4) = (0.5, 3)."""
    assert FedGen(server_steps=1).aggregate(SERVER, INBOX)["header"]["weight"].tolist() == [[0.5], [3.0]]


def client(generator, labels) -> Client:
    """Its images are its representations, of width 1; its logits are (x, -x)."""
    linear = nn.Linear(1, 2)
    linear.load_state_dict(header(1.0, -1.0))
    parts = {"extractor": nn.Identity(), "header": linear, "generator": generator}
    return Client(ClientInfo(0, "identity", 2), parts, {"labels": torch.tensor(labels)})


@pytest.mark.parametrize("labels, score", [([1.0, 0.0], -4), ([0.0, 1.0], 4)])
def test_loss_by_hand(labels, score):
    """Own samples 0 have log 2. The generated representation 2 has the logits (2, -2): right for 0, wrong for 1."""
    batch = Batch(torch.zeros(5, 1), torch.tensor([0, 1, 0, 1, 1]))
    loss = FedGen(generated_weight=0.6).loss(client(constant(2.0), labels), batch)
    assert loss.item() == pytest.approx(log(2) + 0.6 * log(1 + exp(score)))


def test_uploads_how_many_samples_of_each_class_it_has(uploaded):
    method, k = FedGen(), client(constant(2.0), [0.5, 0.5])
    message = uploaded(method, k, [Batch(torch.zeros(len(y), 1), torch.tensor(y)) for y in ([1, 1], [1])])
    assert set(message) == {"header", "counts"}
    assert message["counts"].tolist() == [0, 3]
    assert message["counts"].element_size() == 4


def test_noise_is_normal():
    """The authors' code and HtFLlib draw from [0, 1) under the comment "sampling from Gaussian"."""
    generator = Generator(2, noise=1, hidden=2, width=2)
    with torch.no_grad():
        for layer, weight in ((0, [[0.0, 0.0, 1.0], [0.0, 0.0, -1.0]]), (2, [[1.0, 0.0], [0.0, 1.0]])):
            generator.layers[layer].weight.copy_(torch.tensor(weight))
            generator.layers[layer].bias.zero_()
        with torch_seeded("server", seed=0):
            up, down = generator(torch.zeros(20_000, dtype=torch.int64)).T
    z = up - down  # the noise, in its positive and its negative part
    assert z.mean().item() == pytest.approx(0, abs=0.03)  # four standard errors
    assert z.std().item() == pytest.approx(1, abs=0.02)
    assert z.abs().max() > 3


def test_the_generator_is_told_the_label():
    """Its first layer sees the label's one and the noise: class 1 is its second input."""
    generator = constant(0.0)
    with torch.no_grad():
        generator.layers[0].weight[0, 1] = 3.0
        generator.layers[2].weight[0, 0] = 2.0
    assert generator(torch.tensor([0, 1])).tolist() == [[0.0], [6.0]]


def test_with_weight_zero_it_is_lg_fedavg(private):
    """What it draws in training changes nothing, for these networks draw nothing, and batches have seeds of their own.

    Under augmentation, dropout or stochastic depth the two see other draws of the same seed.
    """
    task = make_task()
    generated, records = federate(FedGen(generated_weight=0, **BRIEF), task, rounds=3)
    averaged, others = federate(LGFedAvg(), task, rounds=3)
    assert same(private(generated.states), averaged.states)
    assert same(generated.server["header"], averaged.server["header"])
    for moment in ("post_local", "post_download"):
        assert [r[moment] for r in records] == [r[moment] for r in others]


def test_generated_samples_train_the_header_and_reach_no_extractor(private):
    """On one batch; over several steps the extractor feels the header that they have moved."""
    task = make_task((4, 4, 4))
    generated, _ = federate(FedGen(generated_weight=3.0, **BRIEF), task, rounds=1)
    averaged, _ = federate(LGFedAvg(), task, rounds=1)
    assert same(private(generated.states, ["extractor"]), private(averaged.states, ["extractor"]))
    assert all(
        not same(generated.states[k]["header"][key], averaged.states[k]["header"][key])
        for k in range(3)
        for key in ("weight", "bias")
    )


def test_the_generator_stands_still_at_the_clients_and_moves_at_the_server():
    task = make_task()
    once, twice = (federate(FedGen(**BRIEF), task, rounds=t)[0] for t in (1, 2))
    start = once._first_server["generator"]
    assert all(same(state["generator"], start) for state in once.states.values())
    assert all(same(state["generator"], once.server["generator"]) for state in twice.states.values())
    for before, after in ((start, once.server["generator"]), (once.server["generator"], twice.server["generator"])):
        assert all(not same(before[key], after[key]) for key in start)


def test_with_a_tiny_rate_the_generator_stays_what_it_was():
    """It goes on from its last weights, not from new ones."""
    federation, _ = federate(FedGen(server_lr=1e-30, **BRIEF), make_task())
    assert same(federation.server["generator"], federation._first_server["generator"])


def test_what_travels_is_what_is_metered():
    """Headers 3 x 6 + 3, generator (3 + 32) x 8 + 8 + 8 x 6 + 6, three label shares or counts; four bytes each."""
    _, records = federate(FedGen(**BRIEF), make_task(), rounds=1)
    assert records[0]["clients"][1]["bytes_up"] == {"header": 4 * 21, "counts": 4 * 3}
    assert records[0]["clients"][1]["bytes_down"] == {"header": 4 * 21, "generator": 4 * 342, "labels": 4 * 3}


def test_it_needs_one_header():
    reason = FedGen().unsupported(make_task((4,) * 4, line_up=registry.line_up("vision4-native")))
    assert "resnet18 512, mobilenet_v2 1280" in reason


def test_equals_the_algorithm_box_written_by_hand(private, clients_of, passes, step, weighted_mean, state_of):
    """Two rounds of three clients in plain PyTorch: no harness but the initial weights, order of samples and seeds.

    Sizes 4, 4, 8 make the weights of the running mean exact.
    """
    task = make_task((4, 4, 8))
    method = FedGen(generated_weight=0.7, noise=5, hidden=8, server_steps=3, server_batch_size=4, server_lr=0.2)
    federation, _ = federate(method, task, rounds=2)
    clients = clients_of(federation)
    shared = initial_parts(LGFedAvg(), task, None)["header"].state_dict()
    g, p = Generator(3, 5, 8, 6), torch.full((3,), 1 / 3)
    g.load_state_dict(federation._first_server["generator"])
    for t in (1, 2):
        for k, client in enumerate(clients):
            client["header"].load_state_dict(shared)
            net = nn.Sequential(client["extractor"], client["header"]).train()
            optimiser = torch.optim.SGD(net.parameters(), lr=0.1, fused=True)
            with torch_seeded("training", seed=task.seed, client=k, round=t - 1):
                for x, y in next(passes(federation, k, t)):
                    labels = torch.multinomial(p, len(y), replacement=True)
                    with torch.no_grad():
                        z = g.layers(torch.cat([torch.eye(3)[labels], torch.randn(len(y), 5)], 1))
                    step(optimiser, F.cross_entropy(net(x), y) + 0.7 * F.cross_entropy(net[1](z), labels))
        headers = [client["header"].state_dict() for client in clients]
        p = torch.bincount(task.batch(torch.cat([data.train for data in task.clients]))[1], minlength=3) / 16
        optimiser = torch.optim.SGD(g.parameters(), lr=0.2)
        with torch_seeded("server", seed=task.seed, round=t - 1):
            Generator(3, 5, 8, 6)  # the server's module draws initial weights before it loads its own
            labels = torch.multinomial(p, 12, replacement=True)
            for y in labels[torch.randperm(12)].split(4):
                z = g.layers(torch.cat([torch.eye(3)[y], torch.randn(4, 5)], 1))
                step(optimiser, F.cross_entropy(sum(F.linear(z, **h) for h in headers) / 3, y))
        shared = weighted_mean(headers, (4, 4, 8))
    assert same(federation.server["labels"], p)
    assert same(federation.server["header"], shared)
    assert same(federation.server["generator"], dict(g.state_dict()))
    assert same(private(federation.states), private({k: state_of(client) for k, client in enumerate(clients)}))
