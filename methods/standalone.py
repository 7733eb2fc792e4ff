"""Standalone: every client trains its own network on its own data, and nothing travels.

The reference of every comparison: what federation has to beat. Named Local or Standalone in the literature, e.g.
Yi et al., "pFedES", AAAI 2025, arXiv 2311.06879.

Client k holds                                          trained   travels
    extractor  F_k   its own architecture                  x
    header     H_k   its own classifier                    x

One round, for the participants S:
    local   minimise CE(H_k(F_k(x)), y)

Departures from the paper: none.
"""

from dataclasses import dataclass

from benchmark.api import Method


@dataclass(frozen=True)
class Standalone(Method):
    """Local training alone: every default of Method."""
