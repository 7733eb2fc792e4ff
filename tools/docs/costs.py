"""Costs of a round of each method: measured on random pictures of CIFAR's shape, with one step per phase.

Neither bytes nor FLOPs depend on what the pictures show, unless a method compresses what it sends.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from pydantic import TypeAdapter

from benchmark.compatibility import unsupported
from benchmark.config import FederationConfig
from benchmark.conformance.toy import noise_task
from benchmark.federation import Federation
from benchmark.models.line_up import LineUp
from benchmark.plugins import registry
from benchmark.storage.schema import Round
from benchmark.task import ClientData, Task
from tools.docs.one_step_engine import OneStepEngine

CLIENTS = 10
TRAIN = 4800
"""Training samples of a client, as when ten divide the 60,000 pictures of CIFAR and a fifth are for tests."""
PICTURES = 20
"""Different pictures among them; each is repeated."""
DATASETS = {"cifar10": (10, 2), "cifar100": (100, 10)}
"""Name -> (number of classes, classes of each client): the usual pathological partition."""
MEASURED_LINE_UPS = ("cnn5", "cnn1")
"""A method is measured on the first that it can use, the reference on all of them."""
REFERENCE = "standalone"

MessageBytes = dict[str, int | None]
"""Name of a message -> bytes; None if they vary with what was learned."""


@dataclass(frozen=True)
class Costs:
    """The costs of one method on one data set.

    first_up, first_down: bytes per participant in the first round; up, down: in a later round
    client_flops: of all ten clients in a round; server_flops: in a round, None if they vary with the messages
    """

    first_up: MessageBytes
    first_down: MessageBytes
    up: MessageBytes
    down: MessageBytes
    client_flops: int
    server_flops: int | None


Catalogue = dict[str, dict[str, dict[str, Costs]]]
"""Method -> line-up -> data set -> costs."""
STORED: TypeAdapter[Catalogue] = TypeAdapter(Catalogue)


def task(line_up: LineUp, num_classes: int = 10, classes_per_client: int = 2) -> Task:
    """Make a task of ten clients with random pictures of CIFAR's shape; any stretch has all classes of its client."""
    shift = num_classes // CLIENTS
    mine = [[(shift * k + i) % num_classes for i in range(classes_per_client)] for k in range(CLIENTS)]
    held = torch.arange(CLIENTS * PICTURES).view(CLIENTS, PICTURES)
    labels = torch.tensor([classes[i % len(classes)] for classes in mine for i in range(PICTURES)])
    clients = [ClientData(own.repeat(TRAIN // PICTURES), own[:0], own[:1]) for own in held]
    return noise_task(labels, clients, shape=(3, 32, 32), num_classes=num_classes, line_up=line_up)


def measured(name: str) -> dict[str, dict[str, Costs]]:
    """Return line-up -> data set -> measured costs of a method with its default hyper-parameters."""
    method, _ = registry.method(name)
    usable = [line_up for line_up in MEASURED_LINE_UPS if not unsupported(method, task(registry.line_up(line_up)))]
    chosen = usable if name == REFERENCE else usable[:1]
    return {
        line_up: {dataset: _costs(name, task(registry.line_up(line_up), *shape)) for dataset, shape in DATASETS.items()}
        for line_up in chosen
    }


def measured_catalogue(names: Sequence[str], tell: Callable[[str], object]) -> Catalogue:
    """Measure the costs of these methods. tell: called with each name before it is measured"""
    torch.set_num_threads(1)  # more are no faster for single steps, and far slower on a busy machine
    found = {}
    for name in names:
        tell(name)
        found[name] = measured(name)
    return found


def load(file: Path) -> Catalogue:
    """Return the stored costs; none if there is no file."""
    return STORED.validate_json(file.read_bytes()) if file.exists() else {}


def written(costs: Catalogue) -> str:
    """Return the text of costs, as it is stored."""
    return STORED.dump_json(dict(sorted(costs.items())), indent=1).decode() + "\n"


def _costs(name: str, problem: Task) -> Costs:
    method, _ = registry.method(name)
    config = FederationConfig(clients=CLIENTS, rounds=4, eval_every=4)  # only three are done, so none is evaluated
    federation = Federation(method, problem, config, torch.device("cpu"), engine=OneStepEngine)
    first, later, last = (federation.round(t) for t in (1, 2, 3))
    up, down = (_varying([later, last], way) for way in ("bytes_up", "bytes_down"))
    return Costs(
        first_up=_sizes(first, "bytes_up", up),
        first_down=_sizes(first, "bytes_down", down),
        up=_sizes(later, "bytes_up", up),
        down=_sizes(later, "bytes_down", down),
        client_flops=later["client_flops"],
        server_flops=None if up else later["server_flops"],
    )


def _varying(records: Sequence[Round], direction: str) -> set[str]:
    """Return the messages whose size depends on what was learned: it differs by client or round for as many classes."""
    turns: list[Mapping[str, Any]] = [turn for record in records for turn in record["clients"]]
    sent = [turn[direction] for turn in turns]
    names = {name for sizes in sent for name in sizes}
    return {name for name in names if len({sizes[name] for sizes in sent if name in sizes}) > 1}


def _sizes(record: Mapping[str, Any], direction: str, varying: set[str]) -> MessageBytes:
    """Return name -> bytes of a participant; all have the same."""
    return {name: None if name in varying else size for name, size in record["clients"][0][direction].items()}


def line_up_class(method: Any) -> str:
    """Return in words which line-ups a method can use: what two networks must have in common for it."""
    one, other = registry.line_up("cnn5").architectures[:2]
    pairs = {
        "any": (one, replace(other, width=other.width // 2)),
        "one width": (replace(one, hidden=(40,)), replace(other, hidden=(30,))),
        "one width, linear headers": (one, other),
        "one architecture": (one, one),
    }
    line_ups = {words: LineUp("probe", "", pair, one, min_size=16) for words, pair in pairs.items()}
    return next(words for words, line_up in line_ups.items() if not unsupported(method, task(line_up)))
