"""What a line-up is: which client has which network, and which small network all can share."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

Shape = tuple[int, int, int]


@dataclass(frozen=True)
class LocalModel:
    """One network in two parts: header(extractor(x)) are its logits.

    extractor: [B, c, h, w] -> [B, d], the representation
    header:    [B, d] -> [B, C], the classifier
    """

    architecture: str
    extractor: nn.Module
    header: nn.Linear

    @property
    def width(self) -> int:
        """d, the width of the representation."""
        return self.header.in_features


@dataclass(frozen=True)
class Architecture:
    """A network that can be built for any input shape (c, h, w) and number of classes."""

    name: str
    extractor: Callable[[Shape], nn.Module]
    width: int

    def header(self, num_classes: int) -> nn.Linear:
        """The classifier on the representation."""
        return nn.Linear(self.width, num_classes)


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
