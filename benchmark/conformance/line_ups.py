"""Checks of line-ups: those of the catalogue and user-defined ones."""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmark.channel import same
from benchmark.conformance.suite import Broken, Check, where
from benchmark.conformance.toy import federate, make_task
from benchmark.errors import plural
from benchmark.method import Method
from benchmark.models.line_up import Architecture, LineUp, LocalModel
from benchmark.seeds import torch_seeded

CHANNELS = (3, 1)
CLASSES = 4


def names(line_up: LineUp) -> None:
    """Networks that differ have names that differ."""
    called: dict[str, Architecture] = {}
    for architecture in line_up.architectures:
        if called.setdefault(architecture.name, architecture) != architecture:
            raise Broken(f"two networks are called {architecture.name}; clients of one would get the other")
    if not called:
        raise Broken("it has no architectures")


def shapes(line_up: LineUp) -> None:
    """Smallest images of one and of three channels give representations [B, d] and scores [B, C]."""
    for place, model, x, _ in _models(line_up):
        with where(place):
            representation = model.extractor(x)
            _has_shape("the extractor", representation, (len(x), model.width))
            _has_shape("the header", model.header(representation), (len(x), CLASSES))


def widths(line_up: LineUp) -> None:
    """Without an adapter, networks have the width they declare, and the small one can have any width."""
    others = {line_up.small.width + 1, *(architecture.width for architecture in line_up.architectures)}
    native = dict.fromkeys((network, network.width) for network in line_up.networks)
    for network, width in (*native, *((line_up.small, width) for width in sorted(others))):
        with where(f"{network.name} of width {width}"):
            shape = _shape(line_up, CHANNELS[0])
            _has_shape("the extractor", network.extractor(shape, width)(torch.zeros(2, *shape)), (2, width))


def gradients(line_up: LineUp) -> None:
    """The gradient of the loss reaches every parameter."""
    for place, model, x, y in _models(line_up):
        with where(place):
            F.cross_entropy(model.header(model.extractor(x)), y).backward()
            for part, module in (("extractor", model.extractor), ("header", model.header)):
                if idle := [name for name, tensor in module.named_parameters() if tensor.grad is None]:
                    raise Broken(f"no gradient reaches {part}.{idle[0]}; build no layer that is not used")


def reproducible(line_up: LineUp) -> None:
    """Built twice from one seed, a network is equal to the bit."""
    for (place, a, *_), (_, b, *_) in zip(_models(line_up), _models(line_up), strict=True):
        for part in ("extractor", "header"):
            if not same(*(dict(getattr(model, part).state_dict()) for model in (a, b))):
                raise Broken(f"{place}: the {part} differs; draw initial weights with torch, and seed nothing")


def trains(line_up: LineUp) -> None:
    """Clients train a round on it."""
    sizes = (4,) * len(line_up.architectures)
    task = make_task(sizes, line_up=line_up, shape=_shape(line_up, CHANNELS[0]))
    federate(Method(), task, rounds=1, lr=0.01)


def _models(line_up: LineUp) -> Iterator[tuple[str, LocalModel, Tensor, Tensor]]:
    """Yield each network, the small one too, newly built from one seed, for either number of channels.

    Yields (name and channels in words, network, images [2, c, h, w] of the smallest size, labels [2]).
    """
    for architecture in dict.fromkeys((*line_up.architectures, line_up.small)):
        for channels in CHANNELS:
            shape = _shape(line_up, channels)
            place = f"{architecture.name} with {plural(channels, 'channel')}"
            with torch_seeded("init", seed=0, client="small", part="extractor"), where(place):
                extractor = architecture.extractor(shape, architecture.width)
                header = architecture.header(CLASSES)
                x = torch.randn(2, *shape)
            model = LocalModel(architecture.name, extractor, header, architecture.width)
            yield place, model, x, torch.arange(2)


def _shape(line_up: LineUp, channels: int) -> tuple[int, int, int]:
    return channels, line_up.min_size, line_up.min_size


def _has_shape(what: str, found: Tensor, expected: tuple[int, ...]) -> None:
    if found.shape != expected:
        raise Broken(f"{what} gives {list(found.shape)}, not {list(expected)}")


CHECKS = (
    Check.of(names),
    Check.of(shapes),
    *(Check.of(run, "shapes") for run in (widths, gradients, reproducible)),
    Check.of(trains, "names", "shapes"),
)
"""The suite, in order."""
