"""Line-ups: which client has which network, and which small network all can share."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import pairwise
from typing import Literal

from torch import nn

from benchmark.errors import RequestError
from benchmark.fields import PositiveInt
from benchmark.storage.names import file_name

Shape = tuple[int, int, int]
Adapter = Literal["pool", "linear", "none"]
"""The way in which a representation is brought to another width.

pool:   averages of neighbouring numbers, or copies if there are too few (AdaptiveAvgPool1d); nothing is learned
linear: a learned linear projection, part of the extractor
none:   it keeps the width that its network has by nature
"""


@dataclass(frozen=True)
class LocalModel:
    """One network in two parts: header(extractor(x)) are its logits.

    extractor: [B, c, h, w] -> [B, d], the representation
    header:    [B, d] -> [B, C], the classifier
    width:     d
    """

    architecture: str
    extractor: nn.Module
    header: nn.Module
    width: int


@dataclass(frozen=True)
class Architecture:
    """A network that can be built for any input shape (c, h, w) and number of classes.

    extractor: (input shape, width) -> module; width: d, of its representation; hidden: widths of the header's hidden
    layers, none for a linear header
    """

    name: str
    extractor: Callable[[Shape, int], nn.Module]
    width: int
    hidden: tuple[int, ...] = ()

    def header(self, num_classes: int) -> nn.Module:
        """Build the classifier on the representation."""
        widths = (self.width, *self.hidden, num_classes)
        first, *others = (nn.Linear(*pair) for pair in pairwise(widths))
        return nn.Sequential(first, *(layer for linear in others for layer in (nn.ReLU(), linear))) if others else first

    def adapted(self, adapter: Adapter, width: int) -> "Architecture":
        """Return the same network with a representation of another width; its extractor can then be built with any."""
        if adapter == "none":
            return self
        return replace(self, extractor=partial(_adapted, native=self, adapter=adapter), width=width)


def _adapted(input_shape: Shape, width: int, native: Architecture, adapter: Adapter) -> nn.Module:
    """Build a network's extractor and its adapter, which it needs for another width: [B, c, h, w] -> [B, width]."""
    extractor = native.extractor(input_shape, native.width)
    if width == native.width:
        return extractor
    return nn.Sequential(
        extractor, nn.AdaptiveAvgPool1d(width) if adapter == "pool" else nn.Linear(native.width, width)
    )


@dataclass(frozen=True)
class LineUpOptions:
    """The options of a line-up: how representations get one width, and which width."""

    adapter: Adapter
    width: PositiveInt


@dataclass(frozen=True)
class LineUp:
    """Networks dealt to clients in turn, and the small one that methods may share.

    networks:    with the widths that they have by nature; two that differ have two names
    small:       its extractor can be built with any width; its own is the one that all are brought to
    min_size:    smallest image side, in pixels, that the networks can take
    adapter:     how they are brought to that width
    source_hash: of the file that defines it; None for those of the catalogue
    """

    name: str
    description: str
    networks: tuple[Architecture, ...]
    small: Architecture
    min_size: int
    adapter: Adapter = "none"
    source_hash: str | None = None

    @cached_property
    def architectures(self) -> tuple[Architecture, ...]:
        """The networks as clients have them, brought to one width by the adapter."""
        return tuple(network.adapted(self.adapter, self.small.width) for network in self.networks)

    @property
    def options(self) -> LineUpOptions:
        """The options that this line-up has."""
        return LineUpOptions(self.adapter, self.small.width)

    def adapted(self, options: LineUpOptions) -> "LineUp":
        """Return the same line-up with these options; its name lists those that it did not have before."""
        chosen = {key: value for key, value in vars(options).items() if value != getattr(self.options, key)}
        return replace(
            self,
            name="+".join([self.name, *(f"{key}={chosen[key]}" for key in sorted(chosen))]),
            adapter=options.adapter,
            small=replace(self.small, width=options.width),
        )

    def of(self, client: int) -> Architecture:
        """Return the architecture of a client: its id modulo the number of architectures."""
        return self.architectures[client % len(self.architectures)]


def defined(module: object, called: str) -> list[LineUp]:
    """Return a user-defined module's line-ups: LINE_UP, a LineUp, or LINE_UPS, several. Raises RequestError."""
    several = getattr(module, "LINE_UPS", ())
    found = [*several] if isinstance(several, Sequence) else [several]
    found += [module.LINE_UP] if hasattr(module, "LINE_UP") else []
    if not found or not all(isinstance(line_up, LineUp) for line_up in found):
        raise RequestError(f"{called} must define LINE_UP, which is a LineUp, or LINE_UPS, a list of them")
    for i, line_up in enumerate(found):
        if line_up.name in [other.name for other in found[:i]]:
            raise RequestError(f"{called} defines two line-ups called {line_up.name}; rename one")
        if set("+,") & set(file_name("line-up", line_up.name)):
            raise RequestError(
                f"{called}: {line_up.name!r} has a + or a comma in it, which stand between names; rename it"
            )
        networks = line_up.networks if isinstance(line_up.networks, Sequence) else (line_up.networks,)
        if not all(isinstance(network, Architecture) for network in (*networks, line_up.small)):
            raise RequestError(f"{called}: {line_up.name} needs an Architecture as small, and as each of its networks")
        if networks is not line_up.networks:
            raise RequestError(f"{called}: networks of {line_up.name} is no tuple; write (network,) for a single one")
        if not line_up.networks or len({a.name for a in line_up.networks}) < len(set(line_up.networks)):
            raise RequestError(f"{called}: {line_up.name} needs networks, and two that differ need two names")
    return found
