"""FedGH: the server's step on two numbers, a header that moves, and the round as LG-FedAvg and as its box."""

from dataclasses import dataclass
from itertools import pairwise
from math import exp

import pytest
import torch
from torch import nn

from benchmark.api import Client, ClientInfo, Inbox
from benchmark.channel import same
from benchmark.conformance.toy import ALIKE, federate, make_task
from benchmark.method import initial_parts
from benchmark.plugins import registry
from benchmark.seeds import torch_seeded
from methods.fedgh import FedGH
from methods.lg_fedavg import LGFedAvg


def aggregate(method, *tables):
    """The new header's weights and biases, of two classes and width 1, from zeros."""
    server = {"header": {"weight": torch.zeros(2, 1), "bias": torch.zeros(2)}}
    messages = {k: {"representations": table} for k, table in enumerate(tables)}
    header = method.aggregate(server, Inbox(messages, dict.fromkeys(messages, 1)))["header"]
    return header["weight"].flatten().tolist() + header["bias"].tolist()


@pytest.fixture
def two(rows):
    """The mean representation of class 0 is 2; there is none of class 1."""
    return rows([[2.0], [0.0]], [True, False])


def test_one_step_by_hand(two):
    """Even outputs: the slopes are (1/2 - 1) x 2 and 1/2 x 2 for the weights, -1/2 and 1/2 for the biases."""
    assert aggregate(FedGH(server_lr=0.1), two) == pytest.approx([0.1, -0.1, 0.05, -0.05])


SECOND = 1 / (1 + exp(0.5))
"""What two steps leave: after the first the logits of 2 are 0.25 and -0.25, so the output for class 1 is this."""


@pytest.mark.parametrize("epochs, clients", [(2, 1), (1, 2)], ids=["two epochs", "two clients"])
def test_every_representation_is_a_step_of_its_own(two, epochs, clients):
    """Two clients with the same class make two steps; their rows are neither averaged nor put into one batch."""
    got = aggregate(FedGH(server_lr=0.1, server_epochs=epochs), *[two] * clients)
    weight, bias = 0.1 + 0.1 * SECOND * 2, 0.05 + 0.1 * SECOND
    assert got == pytest.approx([weight, -weight, bias, -bias])


def test_uploads_the_mean_representations_of_its_own_classes(two_batches, uploaded):
    parts = {"extractor": nn.Identity(), "header": nn.Linear(2, 3)}
    message = uploaded(FedGH(), Client(ClientInfo(0, "identity", 3), parts, {}), two_batches)
    assert set(message) == {"representations"}
    assert message["representations"].present.tolist() == [True, False, True]
    assert message["representations"].values.tolist() == [[2.0, 4.0], [0.0, 0.0], [5.0, 5.0]]


def test_the_global_header_moves_in_every_round():
    """In the authors' code it never does: their server steps the last client's optimiser, which doesn't hold it."""
    task = make_task()
    after = [federate(FedGH(), task, rounds=t)[0].server["header"] for t in (1, 2)]
    for old, new in pairwise([FedGH().server_init(task)["header"], *after]):
        assert all((old[key] != new[key]).all() for key in old)


def test_a_pass_of_the_server_lowers_its_loss(monkeypatch):
    losses, original = [], FedGH.aggregate

    def aggregate(self, server, inbox):
        after = original(self, server, inbox)
        r, j = inbox.rows("representations")
        losses.append([nn.functional.cross_entropy(nn.functional.linear(r, **s["header"]), j) for s in (server, after)])
        return after

    monkeypatch.setattr(FedGH, "aggregate", aggregate)
    federate(FedGH(server_lr=0.1), make_task(), rounds=2)
    assert all(after < before for before, after in losses)


@dataclass(frozen=True)
class Reset(LGFedAvg):
    """Every client starts every round from the same header, that of the beginning."""

    def aggregate(self, server, inbox):
        return server


def test_with_a_server_that_stands_still_every_round_starts_from_the_first_header():
    """That is what the authors' code does, whatever its rate."""
    task = make_task()
    still, _ = federate(FedGH(server_lr=1e-30), task, rounds=3)
    reset, _ = federate(Reset(), task, rounds=3)
    moving, _ = federate(FedGH(), task, rounds=3)
    assert same(still.server, FedGH().server_init(task))
    assert same(still.server, reset.server)
    assert same(still.states, reset.states)
    assert not same(moving.states, reset.states)


def test_the_first_round_is_that_of_lg_fedavg():
    """Up to the server's part: both send the header in its initial weights and train the whole network."""
    task = make_task()
    (trained, (record,)), (averaged, (other,)) = (federate(m, task, rounds=1) for m in (FedGH(), LGFedAvg()))
    assert same(trained.states, averaged.states)
    assert record["post_local"] == other["post_local"]
    assert not same(trained.server, averaged.server)


def test_the_header_is_judged_as_trained_and_replaced_at_the_next_start():
    """HtFLlib judges clients with the server's header, right after it has replaced theirs; that is post_download."""
    task = make_task()
    federation, records = federate(FedGH(server_lr=5.0), task)
    right = {"own": [], "global": []}
    for k, state in federation.states.items():
        message = federation.method.download(federation.server, task.infos[k])
        replaced = federation.method.receive(state, message, task.infos[k])
        assert same(replaced, {"extractor": state["extractor"], "header": federation.server["header"]})
        x, y = task.batch(task.clients[k].test)
        for name, weights in (("own", state), ("global", replaced)):
            held = federation.engine.load(k, weights)
            with torch.no_grad():
                right[name].append(int((held.header.eval()(held.extractor.eval()(x)).argmax(1) == y).sum()))
    assert right["own"] != right["global"]
    assert records[-1]["post_local"]["correct"] == right["own"]
    assert records[-1]["post_download"]["correct"] == right["global"]


def test_the_first_global_header_is_no_clients():
    """HtFLlib takes client 0's."""
    task = make_task()
    federation, _ = federate(FedGH(), task, rounds=1)
    for k in range(3):
        assert not same(FedGH().server_init(task)["header"], federation.engine.initial_state(k)["header"])


def test_no_client_starts_from_what_another_has_learnt(clients_of, passes, step, state_of):
    """In round 0 of the authors' heterogeneous script a client gets what its architecture's last client had trained."""
    task = make_task(line_up=ALIKE)
    federation, _ = federate(FedGH(), task, rounds=1)
    parts = clients_of(federation)[2]
    parts["header"].load_state_dict(FedGH().server_init(task)["header"])
    net = nn.Sequential(*parts.values())
    optimiser = torch.optim.SGD(net.parameters(), lr=0.1, fused=True)
    for x, y in next(passes(federation, 2, 1)):
        step(optimiser, nn.functional.cross_entropy(net(x), y))
    assert same(federation.states[2], state_of(parts))


def test_it_needs_one_width():
    reason = FedGH().unsupported(make_task((4,) * 4, line_up=registry.line_up("vision4-native")))
    assert "resnet18 512, mobilenet_v2 1280" in reason


def test_equals_the_algorithm_box_written_by_hand(clients_of, passes, step, state_of):
    """Two rounds of three clients in plain PyTorch: no harness but the initial weights, order of samples and seed.

    Not to the bit, for a class mean is summed in another order. Representations are of the trained network in
    evaluation mode.
    """
    task = make_task((4, 6, 8))
    federation, _ = federate(FedGH(server_lr=0.3, server_epochs=2), task, rounds=2)
    clients = clients_of(federation)
    shared = initial_parts(FedGH(), task, None)["header"]
    for t in (1, 2):
        pairs = []
        for k, client in enumerate(clients):
            client["header"].load_state_dict(shared.state_dict())
            net = nn.Sequential(client["extractor"], client["header"])
            optimiser = torch.optim.SGD(net.train().parameters(), lr=0.1)
            for x, y in next(passes(federation, k, t)):
                step(optimiser, nn.functional.cross_entropy(net(x), y))
            x, y = task.batch(task.clients[k].train)
            with torch.no_grad():
                r = net.eval()[0](x)
            pairs += [(r[y == j].mean(0), j) for j in y.unique()]
        optimiser = torch.optim.SGD(shared.parameters(), lr=0.3)
        with torch_seeded("server", seed=task.seed, round=t - 1):
            nn.Linear(6, 3)  # the server's module draws initial weights before it loads its own
            order = torch.cat([torch.randperm(len(pairs)) for _ in range(2)])
        for r, j in (pairs[i] for i in order.tolist()):
            step(optimiser, nn.functional.cross_entropy(shared(r), j))
    torch.testing.assert_close(federation.server["header"], dict(shared.state_dict()))
    for k, client in enumerate(clients):
        torch.testing.assert_close(federation.states[k], state_of(client))
