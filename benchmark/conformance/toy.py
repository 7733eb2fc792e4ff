"""A toy problem that trains in milliseconds, and ways to run methods on it."""

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmark.compatibility import unsupported
from benchmark.config import FederationConfig
from benchmark.conformance.suite import Broken
from benchmark.federation import Federation
from benchmark.method import Method
from benchmark.models.line_up import Architecture, LineUp, Shape
from benchmark.storage.schema import Round
from benchmark.task import ClientData, Task

CPU = torch.device("cpu")
WIDTH = 6
TOY_LR = 0.1
SHAPE = (2, 5, 5)


def _linear(input_shape: Shape, width: int) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(int(np.prod(input_shape)), width), nn.ReLU())


def _convolution(input_shape: Shape, width: int) -> nn.Module:
    channels, height, breadth = input_shape
    return nn.Sequential(
        nn.Conv2d(channels, 3, 3),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(3 * (height - 2) * (breadth - 2), width),
        nn.ReLU(),
    )


def _normalised(input_shape: Shape, width: int) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(int(np.prod(input_shape)), width), nn.BatchNorm1d(width), nn.ReLU())


LINEAR = Architecture("linear", _linear, WIDTH)
CONVOLUTION = Architecture("convolution", _convolution, WIDTH)
NORMALISED = Architecture("normalised", _normalised, WIDTH)
DEEP = Architecture("deep", _linear, WIDTH, hidden=(5,))
MIXED = LineUp("mixed", "three kinds", (LINEAR, CONVOLUTION, NORMALISED), LINEAR, min_size=4)
ALIKE = LineUp("alike", "one kind", (LINEAR,), LINEAR, min_size=4)
HEADS = LineUp("heads", "one kind, a header that is linear and one that is not", (LINEAR, DEEP), LINEAR, min_size=4)
TOYS = (MIXED, ALIKE)
"""Line-ups of checks, which run on the first that a method supports."""


def noise_task(
    labels: Tensor,
    clients: Sequence[ClientData],
    *,
    shape: Shape,
    num_classes: int,
    line_up: LineUp,
    seed: int = 0,
    rng: np.random.Generator | None = None,
) -> Task:
    """Make a task of these labels and clients whose images are noise of this shape."""
    channels, height, width = shape
    images = (rng or np.random.default_rng(0)).integers(0, 256, (len(labels), height, width, channels), dtype=np.uint8)
    return Task(
        images=torch.from_numpy(images),
        labels=labels,
        mean=torch.full((channels,), 127.5),
        std=torch.full((channels,), 74.0),
        num_classes=num_classes,
        clients=tuple(clients),
        line_up=line_up,
        seed=seed,
    )


def make_task(
    train_sizes: Sequence[int] = (7, 5, 9),
    *,
    line_up: LineUp = MIXED,
    num_classes: int = 3,
    shape: Shape = SHAPE,
    labels: Sequence[Sequence[int]] | None = None,
    seed: int = 0,
) -> Task:
    """Make a task of random images.

    Client k has train_sizes[k] training and 4 test samples, of all classes or of labels[k].
    """
    rng = np.random.default_rng(5)
    clients, ys, start = [], [], 0
    for k, size in enumerate(train_sizes):
        allowed = range(num_classes) if labels is None else labels[k]
        ys.append(rng.choice(list(allowed), size + 4))
        indices = torch.arange(start, start + size + 4)
        clients.append(ClientData(indices[:size], indices[:0], indices[size:]))
        start += size + 4
    drawn = torch.from_numpy(np.concatenate(ys))
    return noise_task(drawn, clients, shape=shape, num_classes=num_classes, line_up=line_up, seed=seed, rng=rng)


def toy_federation(method: Method, task: Task, **config: object) -> Federation:
    """Make a federation that has not begun, of two rounds unless `config` has others.

    It has a copy of the method: what a method remembers besides the states is lost, as in a new process.
    """
    defaults: dict[str, object] = {"clients": task.num_clients, "rounds": 2, "batch_size": 4, "lr": TOY_LR}
    return Federation(copy.deepcopy(method), task, FederationConfig.model_validate(defaults | config), CPU)


def federate(method: Method, task: Task, **config: object) -> tuple[Federation, list[Round]]:
    """Run a toy federation; return it after its rounds, and its records."""
    federation = toy_federation(method, task, **config)
    return federation, list(federation.run())


def tensors(value: Any) -> list[torch.Tensor]:
    """Return all tensors in a state, a message or a value."""
    if isinstance(value, torch.Tensor):
        return [value]
    return [tensor for v in (value.values() if isinstance(value, Mapping) else value) for tensor in tensors(v)]


def toy_task(method: Method, *args: Any, **kwargs: Any) -> Task:
    """Make the toy task on the first toy line-up that the method supports; arguments as in `make_task`."""
    reasons = []
    for line_up in TOYS:
        task = make_task(*args, line_up=line_up, **kwargs)
        reason = unsupported(method, task)
        if not reason:
            return task
        reasons.append(f"{line_up.name}: {reason}")
    raise Broken(f"it works on no toy line-up ({'; '.join(reasons)})")


def watched(method: Method, **hooks: Callable) -> Method:
    """Return a copy of a method that calls these in place of its own hooks."""
    copied = copy.copy(method)
    for name, hook in hooks.items():
        object.__setattr__(copied, name, hook)  # the class is frozen, and stays as it is
    return copied
