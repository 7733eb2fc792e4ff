"""Standalone: every client trains its own network on its own data, and nothing travels.

The reference of every comparison: what federation has to beat. Named Local or Standalone in the literature, e.g.
Yi et al., "pFedES", AAAI 2025, arXiv 2311.06879.

Client k holds                                          trained   travels
    extractor  F_k   its own architecture                  x
    header     H_k   its own classifier                    x

One round, for the participants S:
    local   minimise CE(H_k(F_k(x)), y)

Departures from the paper: none.

Control: `epochs=2` trains twice as long, about the FLOPs of a method that trains two networks for as long as others.
"""

from dataclasses import dataclass

from benchmark.api import Method, Phase
from benchmark.fields import OwnEpochs


@dataclass(frozen=True)
class Standalone(Method):
    """Local training alone: every default of Method, unless it trains longer."""

    epochs: OwnEpochs = None  # passes a round; None: the federation's local epochs

    def phases(self) -> tuple[Phase, ...]:
        """Train all parts."""
        return (Phase(epochs=self.epochs),)
