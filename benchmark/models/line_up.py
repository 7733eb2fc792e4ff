"""What a line-up is: which client has which network, and which small network all can share."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

from torch import nn

Shape = tuple[int, int, int]


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
        """The classifier on the representation."""
        widths = (self.width, *self.hidden, num_classes)
        first, *others = (nn.Linear(*pair) for pair in pairwise(widths))
        return nn.Sequential(first, *(layer for linear in others for layer in (nn.ReLU(), linear))) if others else first


@dataclass(frozen=True)
class LineUp:
    """Architectures dealt to clients in turn, and the small one that methods may share."""

    name: str
    description: str
    architectures: tuple[Architecture, ...]
    small: Architecture
    min_size: int
    """Smallest image side, in pixels, that the networks can take."""

    def of(self, client: int) -> Architecture:
        """The architecture of a client: its id modulo the number of architectures."""
        return self.architectures[client % len(self.architectures)]
