"""Whether sums suffice for a server is found out by asking it."""

from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F

from benchmark.channel import FIRST
from benchmark.config import FederationConfig
from benchmark.conformance.toy import CPU, toy_task
from benchmark.plugins import registry
from benchmark.privacy.sums import refusal, sums_suffice

CENTRAL = {"message_layout": "fixed", "message_clip": 1.0, "dp_epsilon": 8.0, "dp_noise": "central"}
MESSAGE = {"a": torch.linspace(-1, 1, 20), "b": {"w": torch.tensor([[2.0]]), "steps": torch.tensor(3)}}


def suffice(aggregate, message=MESSAGE):
    """For a server that does this with an inbox, and keeps what it returns."""
    method = SimpleNamespace(aggregate=lambda server, inbox: {"x": aggregate(inbox)})
    return sums_suffice(method, {}, message, FIRST)


def total(inbox, name="a"):
    return torch.stack(inbox.of(name)).sum(0)


def scales(inbox):
    return [value["w"][0, 0] for value in inbox.of("b")]


@pytest.mark.parametrize(
    ("name", "refused"),
    [
        ("fedproto+weighting=samples", True),
        ("fd", True),
        ("fedproto", False),
        ("fedmoe", False),
        ("lg-fedavg", False),
        ("fml", False),
    ],
)
@pytest.mark.parametrize("defence", [{"secure_aggregation": True}, CENTRAL], ids=["secure", "central"])
def test_who_multiplies_what_a_client_sends_or_keeps_it_needs_single_messages(name, refused, defence):
    """Prototypes are multiplied with counts."""
    method = registry.method(name)[0]
    reason = refusal(method, toy_task(method), FederationConfig(clients=3, batch_size=4, rounds=2, **defence), CPU)
    assert (reason is not None and "needs single messages" in reason) == refused


@pytest.mark.parametrize(
    "server",
    [
        lambda inbox: total(inbox) * sum(scales(inbox)),
        lambda inbox: total(inbox).relu(),
        lambda inbox: inbox.mean(["b"])["b"],
        lambda inbox: torch.full((3,), -torch.inf),
    ],
    ids=["product of sums", "not linear", "mean", "nothing"],
)
def test_sums_suffice_for_whoever_adds_up_first(server):
    assert suffice(server)


@pytest.mark.parametrize(
    "server",
    [
        lambda inbox: sum(a * b for a, b in zip(inbox.of("a"), scales(inbox), strict=True)),
        lambda inbox: sum(a.relu() for a in inbox.of("a")),
        lambda inbox: inbox.of("a")[1],
        lambda inbox: torch.stack(inbox.of("a")).median(0).values,
        lambda inbox: torch.cat([1e6 * total(inbox), sum(b * b for b in scales(inbox))[None]]),
        lambda inbox: torch.zeros(int(1000 * sum(b * b for b in scales(inbox)))),
        lambda inbox: sum(b * b for b in scales(inbox)) * torch.nan,
    ],
    ids=[
        "sum of products",
        "not linear",
        "one client's",
        "median",
        "squares beside large numbers",
        "shape",
        "no number",
    ],
)
def test_sums_do_not_suffice_for_whoever_adds_up_last(server):
    assert not suffice(server)


def rows_weighed_by_how_many_a_client_has(inbox):
    return sum(F.normalize(table.present.float(), dim=0)[:, None] * table.values for table in inbox.of("r"))


@pytest.mark.parametrize(
    ("server", "enough"),
    [
        (lambda inbox: inbox.mean_rows("r").values, True),
        (lambda inbox: torch.stack([table.present for table in inbox.of("r")]).sum(0), True),
        (lambda inbox: torch.stack([table.present for table in inbox.of("r")])[:2], False),
        (rows_weighed_by_how_many_a_client_has, False),
    ],
    ids=["mean", "how many have a row", "who has a row", "weights by rows"],
)
def test_sums_of_rows(server, enough, rows):
    table = rows([[1.0, 2.0], [0.0, 0.0], [3.0, 5.0]], [True, False, True])
    assert suffice(server, {"r": table}) == enough


def test_no_count_is_below_zero_when_a_server_is_asked():
    """None is in a run; one that clamps them there adds them up all the same."""
    counts = {"n": torch.tensor([0.0, 0.0, 5.0])}
    assert suffice(lambda inbox: sum(n.clamp_min(0) for n in inbox.of("n")), counts)
