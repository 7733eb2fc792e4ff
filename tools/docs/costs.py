"""What a round of each method costs a participant: measured on random pictures of CIFAR's shape, a step per phase.

Bytes do not depend on what the pictures show, nor FLOPs, save where a method compresses what it sends.
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
"""Different ones among them."""
DATASETS = {"cifar10": (10, 2), "cifar100": (100, 10)}
"""Name -> number of classes, and how many of them a client has: the pathological partition of the field."""
MEASURED_LINE_UPS = ("cnn5", "cnn1")
"""A method is measured on the first that it can use, the reference on all."""
REFERENCE = "standalone"

MessageBytes = dict[str, int | None]
"""Name of a message -> bytes; None where they vary with what was learned."""


@dataclass(frozen=True)
class Costs:
    """What one method costs on one data set.

    first_up, first_down: bytes per participant in the first round; up, down: in a later round
    client_flops: of all ten clients in a round; server_flops: in a round, None where they vary with the messages
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
    """Ten clients with random pictures of CIFAR's shape, each of its own classes; all of them in any stretch."""
    shift = num_classes // CLIENTS
    mine = [[(shift * k + i) % num_classes for i in range(classes_per_client)] for k in range(CLIENTS)]
    held = torch.arange(CLIENTS * PICTURES).view(CLIENTS, PICTURES)
    labels = torch.tensor([classes[i % len(classes)] for classes in mine for i in range(PICTURES)])
    clients = [ClientData(own.repeat(TRAIN // PICTURES), own[:0], own[:1]) for own in held]
    return noise_task(labels, clients, shape=(3, 32, 32), num_classes=num_classes, line_up=line_up)


def measured(name: str) -> dict[str, dict[str, Costs]]:
    """Line-up -> data set -> costs of a method in its defaults."""
    method, _ = registry.method(name)
    usable = [line_up for line_up in MEASURED_LINE_UPS if not unsupported(method, task(registry.line_up(line_up)))]
    chosen = usable if name == REFERENCE else usable[:1]
    return {
        line_up: {dataset: _costs(name, task(registry.line_up(line_up), *shape)) for dataset, shape in DATASETS.items()}
        for line_up in chosen
    }


def measured_catalogue(names: Sequence[str], tell: Callable[[str], object]) -> Catalogue:
    """The costs of these methods; tell is called with each name before it is measured."""
    torch.set_num_threads(1)  # for single steps more are no faster, and on a busy machine far slower
    found = {}
    for name in names:
        tell(name)
        found[name] = measured(name)
    return found


def load(file: Path) -> Catalogue:
    """What was stored; nothing where there is no file."""
    return STORED.validate_json(file.read_bytes()) if file.exists() else {}


def written(costs: Catalogue) -> str:
    """Costs as they are stored."""
    return STORED.dump_json(dict(sorted(costs.items())), indent=1).decode() + "\n"


def _costs(name: str, problem: Task) -> Costs:
    method, _ = registry.method(name)
    config = FederationConfig(clients=CLIENTS, rounds=3, eval_every=3)  # two are enough, and none is evaluated
    federation = Federation(method, problem, config, torch.device("cpu"), engine=OneStepEngine)
    first, later = (federation.round(t) for t in (1, 2))
    varying = _varying(later)
    return Costs(
        first_up=_sizes(first, "bytes_up", varying),
        first_down=_sizes(first, "bytes_down", varying),
        up=_sizes(later, "bytes_up", varying),
        down=_sizes(later, "bytes_down", varying),
        client_flops=later["client_flops"],
        server_flops=None if varying else later["server_flops"],
    )


def _varying(record: Round) -> set[str]:
    """Names of messages whose size depends on what was learned: clients with as many classes sent unequal ones."""
    sent = [turn["bytes_up"] for turn in record["clients"]]
    return {name for name in sent[0] if len({sizes[name] for sizes in sent}) > 1}


def _sizes(record: Mapping[str, Any], direction: str, varying: set[str]) -> MessageBytes:
    """Name -> bytes of a participant; all are alike."""
    return {name: None if name in varying else size for name, size in record["clients"][0][direction].items()}


def line_up_class(method: Any) -> str:
    """Which line-ups a method can use, in words: what two networks must have in common for it."""
    one, other = registry.line_up("cnn5").architectures[:2]
    pairs = {
        "any": (one, replace(other, width=other.width // 2)),
        "one width": (replace(one, hidden=(40,)), replace(other, hidden=(30,))),
        "one width, linear headers": (one, other),
        "one architecture": (one, one),
    }
    line_ups = {words: LineUp("probe", "", pair, one, min_size=16) for words, pair in pairs.items()}
    return next(words for words, line_up in line_ups.items() if not unsupported(method, task(line_up)))
