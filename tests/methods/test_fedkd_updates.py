"""What FedKD sends: updates of the student in factors, and the whole student to who missed a round."""

from itertools import pairwise

import torch
from torch import nn

from benchmark.api import Client, ClientInfo, Inbox, Progress
from benchmark.channel import same
from benchmark.conformance.toy import federate, make_task
from benchmark.defence.wire import clipped
from methods.fedkd import FedKD, moved


def student_of(matrix: torch.Tensor) -> dict[str, torch.Tensor]:
    return {"weight": matrix, "bias": torch.zeros(len(matrix))}


def holder(now, reference, *progress: int) -> Client:
    """A client whose student is a linear layer in these weights."""
    student = nn.Linear(*reversed(now["weight"].shape))
    student.load_state_dict(now)
    return Client(ClientInfo(0, "linear", 1, Progress(*progress)), {"student": student}, {"reference": reference})


def test_updates_are_compressed_not_weights():
    """A student in general position that has gone a step of rank 1: the step travels in rank 1, and arrives whole.

    HtFLlib compresses the weights instead, which forgets what a student knows.
    """
    draw = torch.Generator().manual_seed(0)
    start = student_of(torch.randn(8, 9, generator=draw))
    step = torch.outer(torch.arange(8.0), torch.arange(9.0))
    message = FedKD().upload(holder({**start, "weight": start["weight"] + step}, start), {})
    assert {name: tuple(part.shape) for name, part in message["update"].items()} == {
        "weight.u": (8, 1),
        "weight.sigma": (1,),
        "weight.v": (1, 9),
        "bias": (8,),
    }
    server = {"student": start, "update": {}, "synced": torch.zeros(1, dtype=torch.bool)}
    after = FedKD().aggregate(server, Inbox({0: message}, {0: 5}))
    torch.testing.assert_close(after["student"]["weight"], start["weight"] + step, rtol=1e-4, atol=1e-4)


def test_a_student_that_has_not_moved_stays():
    """What travels of it is nothing, in factors or not, and the server's student is as it was, to the bit."""
    start = student_of(torch.eye(10, 50))
    server = {"student": start, "update": {}, "synced": torch.zeros(1, dtype=torch.bool)}
    message = FedKD().upload(holder(start, start), {})
    assert torch.equal(FedKD().aggregate(server, Inbox({0: message}, {0: 5}))["student"]["weight"], start["weight"])


def test_an_update_that_needs_its_full_rank_is_not_dropped():
    """Ten equal singular values: the authors' loop never tries the tenth, leaves the rank at 0 and drops the layer."""
    start, step = student_of(torch.zeros(10, 50)), student_of(torch.eye(10, 50))
    message = FedKD().upload(holder(step, start), {})
    server = {"student": start, "update": {}, "synced": torch.zeros(1, dtype=torch.bool)}
    assert torch.equal(FedKD().aggregate(server, Inbox({0: message}, {0: 5}))["student"]["weight"], step["weight"])


def test_the_round_sets_the_rank():
    """diag(14, 3, 1.5): 196, 205 and 207.25 of 207.25, so 0.946, 0.989 and 1: rank 1 at 94 %, 2 at 98 %."""
    start, step = student_of(torch.zeros(3, 60)), student_of(torch.zeros(3, 60))
    step["weight"][range(3), range(3)] = torch.tensor([14.0, 3.0, 1.5])
    method = FedKD(energy_start=0.9, energy_end=0.98)
    for round_, expected in ((1, 1), (4, 2)):
        sent = method.upload(holder(step, start, round_ + 1, 5), {})["update"]
        assert len(sent["weight.sigma"]) == expected


def test_the_mean_update_is_weighted_and_compressed_again():
    """(1, 0) from 1 sample and (0, 1) from 3, in ten columns: the mean 0.25 and 0.75 of energy 1 : 9 goes in rank 1."""
    start = student_of(torch.zeros(2, 10))
    steps = [student_of(torch.zeros(2, 10)) for _ in range(2)]
    steps[0]["weight"][0, 0] = steps[1]["weight"][1, 1] = 1.0
    method = FedKD(energy_start=0.9, energy_end=0.9)
    inbox = Inbox({k: method.upload(holder(step, start), {}) for k, step in enumerate(steps)}, {0: 1, 1: 3})
    server = {"student": start, "update": {}, "synced": torch.zeros(2, dtype=torch.bool)}
    after = method.aggregate(server, inbox)
    assert len(after["update"]["weight.sigma"]) == 1
    expected = torch.zeros(2, 10)
    expected[1, 1] = 0.75
    torch.testing.assert_close(after["student"]["weight"], expected)


def test_students_of_server_and_clients_stay_equal_to_the_bit():
    """After three rounds of compressed updates, whatever the compression has lost."""
    federation, records = federate(FedKD(energy_start=0.5, energy_end=0.5), make_task(), rounds=3)
    assert [set(r["clients"][0]["bytes_down"]) for r in records] == [{"student"}, {"mean_update"}, {"mean_update"}]
    for k, state in federation.states.items():
        info = federation.task.infos[k]
        message = federation.method.download(federation.server, info)
        assert any(name.endswith(".u") for name in message["mean_update"])
        received = federation.method.receive(state, message, info)
        assert same(received["student"], federation.server["student"])
        assert same(received["reference"], federation.server["student"])


def test_who_missed_a_round_gets_the_whole_student():
    """And by it has the server's, to the bit, where an update would have been one to another student."""
    federation, records = federate(FedKD(), make_task((6,) * 5), participation=0.4, rounds=6)
    turns = [set(record["participants"]) for record in records]
    for before, record in zip([set(), *turns], records, strict=False):
        for k in record["clients"]:
            assert set(k["bytes_down"]) == ({"mean_update"} if k["id"] in before else {"student"})
    assert any(now & before for before, now in pairwise(turns))
    for k in range(5):
        info = federation.task.infos[k]
        received = federation.method.receive(
            federation.state(k), federation.method.download(federation.server, info), info
        )
        assert same(received["student"], federation.server["student"])


def test_clipping_bounds_the_update_itself_whatever_the_mean_update_was():
    """What an upload adds is counted from the broadcast of its name: an update, from zeros. At a norm of 0 it is 0."""
    start, step = student_of(torch.zeros(8, 9)), student_of(torch.outer(torch.arange(8.0), torch.arange(9.0)))
    message = FedKD().upload(holder(step, start), {})
    server = {"student": start, "update": message["update"], "synced": torch.ones(1, dtype=torch.bool)}
    broadcast = FedKD().download(server, ClientInfo(0, "linear", 1))
    through = clipped(message, broadcast, norm=0.0)
    assert not any(part.any() for part in through["update"].values())


def test_moved_is_start_plus_step():
    step = {"weight.u": torch.tensor([[1.0], [2.0]]), "weight.sigma": torch.tensor([3.0])}
    step |= {"weight.v": torch.tensor([[1.0, 0.0, 1.0]]), "bias": torch.tensor([5.0, 6.0])}
    after = moved({"weight": torch.ones(2, 3), "bias": torch.zeros(2)}, step)
    assert after["weight"].tolist() == [[4, 1, 4], [7, 1, 7]]
    assert after["bias"].tolist() == [5, 6]
