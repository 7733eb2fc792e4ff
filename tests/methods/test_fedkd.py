"""FedKD on two numbers, and the methods that it becomes."""

import copy
from dataclasses import dataclass
from math import log

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from benchmark.api import Batch, Client, ClientInfo, Phase, Progress
from benchmark.channel import same
from benchmark.conformance.toy import ALIKE, federate, make_task
from benchmark.functional import rank
from methods.fedkd import FedKD
from methods.standalone import Standalone

PRIVATE = ("extractor", "header")


FIRST_CLASS = Batch(torch.zeros(2, 1), torch.zeros(2, dtype=torch.int64))


@pytest.fixture
def pair(fixed, logits) -> Client:
    """A client whose teacher says one thing and its student another, and a mapping that doubles."""
    mapping = nn.Linear(2, 2, bias=False)
    mapping.weight.data = 2 * torch.eye(2)
    parts = {
        "extractor": fixed([[3.0, 1.0]]),
        "header": fixed(logits(0.25, 0.75)),
        "student": nn.Sequential(fixed([[1.0, 1.0]]), fixed(logits(0.5, 0.5))),
        "mapping": mapping,
    }
    return Client(ClientInfo(0, "fixed", 1), parts, {})


def test_loss_by_hand(pair):
    """CE(T) = log 4, CE(S) = log 2, together log 8. KL(S || T) = log 2 / sqrt 3, KL(T || S) = log 3^(3/4) / 2.
    The mapped (2, 2) is (1, 1) away from (3, 1): a distance of 1.

    The KL terms are means over the batch and sums over classes; HtFLlib's are divided by the classes as well.
    """
    mutual = log(2 / 3**0.5) + log(3**0.75 / 2)
    assert FedKD().loss(pair, FIRST_CLASS).item() == pytest.approx(log(8) + (mutual + 1) / log(8))


def test_gradients_by_hand(pair):
    """Each network is moved by its own terms, and no gradient runs through a teacher or the divisor.

    A network's logits: softmax - one-hot, plus (softmax - the other's softmax) / log 8. Public code (HtFLlib) lets
    both KL terms run back into both networks.
    """
    FedKD().loss(pair, FIRST_CLASS).backward()
    torch.testing.assert_close(
        pair.header.out.grad, torch.tensor([[0.25 - 1, 0.75]]) + torch.tensor([[-0.25, 0.25]]) / log(8)
    )
    torch.testing.assert_close(
        pair.student[1].out.grad, torch.tensor([[0.5 - 1, 0.5]]) + torch.tensor([[0.25, -0.25]]) / log(8)
    )


def test_the_hidden_distance_moves_both_sides_and_the_mapping(pair):
    """W h - h_T = (-1, 1), and the gradient of the mean square is that: (1, -1) for h_T, doubled by W for h."""
    FedKD().loss(pair, FIRST_CLASS).backward()
    difference = torch.tensor([[-1.0, 1.0]]) / log(8)
    torch.testing.assert_close(pair.extractor.out.grad, -difference)
    torch.testing.assert_close(pair.student[0].out.grad, 2 * difference)
    torch.testing.assert_close(pair.mapping.weight.grad, difference.T @ torch.ones(1, 2))


@pytest.mark.parametrize("round_, rounds, energy", [(1, 100, 0.9503), (50, 100, 0.965), (100, 100, 0.98), (1, 1, 0.98)])
def test_energy_grows_in_a_straight_line(round_, rounds, energy):
    assert FedKD().energy(Progress(round_, rounds)) == pytest.approx(energy)


def test_a_client_predicts_with_the_teacher(pair, logits):
    assert torch.equal(FedKD().predict(pair, torch.zeros(1, 1)), logits(0.25, 0.75))


# What it becomes.


def test_without_compression_the_student_is_the_mean_of_the_students():
    """With all the energy in every message, as FedAvg would have it; up to rounding, for it is a sum of updates."""
    task = make_task((4, 4, 8))
    federation, _ = federate(FedKD(energy_start=1, energy_end=1), task, rounds=2)
    students = [federation.states[k]["student"] for k in range(3)]
    for name, mean in federation.server["student"].items():
        torch.testing.assert_close(
            mean, 0.25 * students[0][name] + 0.25 * students[1][name] + 0.5 * students[2][name], rtol=1e-4, atol=1e-5
        )


@dataclass(frozen=True)
class Twins(FedKD):
    """A student that is the teacher's twin, of no server, under a mapping that changes nothing."""

    def parts(self, model, task):
        mapping = nn.Linear(model.width, model.width, bias=False)
        nn.init.eye_(mapping.weight)
        student = nn.Sequential(copy.deepcopy(model.extractor), copy.deepcopy(model.header))
        return {"extractor": model.extractor, "header": model.header, "student": student, "mapping": mapping}

    def phases(self):
        return (Phase(trains=("extractor", "header", "student")),)

    def receive(self, state, message, client):
        return state | {"reference": state["student"]}


def test_with_a_twin_for_a_student_it_is_standalone():
    """Two that agree teach each other nothing: every distillation term is 0. Not to the bit, because the gradient of
    a KL of equal outputs is the rounding of their softmax.
    """
    task = make_task(line_up=ALIKE)
    taught, _ = federate(Twins(), task, rounds=2)
    alone, _ = federate(Standalone(), task, rounds=2)
    for k, state in taught.states.items():
        for part in PRIVATE:
            for name, w in state[part].items():
                torch.testing.assert_close(w, alone.states[k][part][name])
        torch.testing.assert_close(state["student"]["0.1.weight"], alone.states[k]["extractor"]["1.weight"])


def test_distillation_changes_both():
    task = make_task()
    taught, _ = federate(FedKD(), task, rounds=1)
    alone, _ = federate(Standalone(), task, rounds=1)
    assert not any(same(taught.states[k]["header"], alone.states[k]["header"]) for k in range(3))


def low_rank(w: torch.Tensor, energy: float) -> torch.Tensor:
    """What arrives of a matrix."""
    if w.dim() < 2:
        return w
    u, sigma, v = torch.linalg.svd(w, full_matrices=False)
    r = rank(sigma, energy)
    smaller = r * (1 + sum(w.shape)) < w.numel()
    return (u[:, :r] * sigma[:r] @ v[:r]) if smaller else w


def test_equals_the_algorithm_box_written_by_hand(clients_of, passes, weighted_mean, state_of):
    """Two rounds of three clients in plain PyTorch, with the two losses on their own, each for its own networks.

    Not to the bit: here two backward passes stand where the method has one.
    """
    federation, _ = federate(FedKD(), make_task((4, 4, 8)), rounds=2)
    clients = clients_of(federation)
    student = copy.deepcopy(clients[0]["student"].state_dict())
    for t in (1, 2):
        energy, updates = 0.95 + 0.03 * t / 2, []
        for k, client in enumerate(clients):
            client["student"].load_state_dict(student)
            teacher = [*client["extractor"].parameters(), *client["header"].parameters()]
            pupil = [*client["student"].parameters(), *client["mapping"].parameters()]
            for x, y in next(passes(federation, k, t)):
                h_t, h_s = client["extractor"](x), client["student"][0](x)
                y_t, y_s = client["header"](h_t), client["student"][1](h_s)
                p_t, p_s = y_t.softmax(1), y_s.softmax(1)
                ce_t, ce_s = F.cross_entropy(y_t, y), F.cross_entropy(y_s, y)
                weight = 1 / (ce_t + ce_s).detach()
                to_teacher = (p_s.detach() * (p_s.detach() / p_t).log()).sum() / len(y)
                to_student = (p_t.detach() * (p_t.detach() / p_s).log()).sum() / len(y)
                hidden = (client["mapping"](h_s) - h_t).square().mean()
                of_teacher = torch.autograd.grad(ce_t + weight * (to_teacher + hidden), teacher, retain_graph=True)
                of_pupil = torch.autograd.grad(ce_s + weight * (to_student + hidden), pupil)
                with torch.no_grad():
                    for w, gradient in zip([*teacher, *pupil], [*of_teacher, *of_pupil], strict=True):
                        w -= 0.1 * gradient
            now = client["student"].state_dict()
            updates.append({name: low_rank(now[name] - student[name], energy) for name in student})
        mean = weighted_mean(updates, (4, 4, 8))
        student = {name: student[name] + low_rank(mean[name], energy) for name in student}
    torch.testing.assert_close(federation.server["student"], student, rtol=1e-4, atol=1e-5)
    for k, client in enumerate(clients):
        found = {part: federation.states[k][part] for part in client}
        torch.testing.assert_close(found, state_of(client), rtol=1e-4, atol=1e-5)
