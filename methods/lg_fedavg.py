"""LG-FedAvg: private representations, one shared classifier.

Liang et al., "Think Locally, Act Globally: Federated Learning with Local and Global Representations", 2020,
arXiv 2001.01523.

Client k holds                                          trained   travels
    extractor  F_k   its own architecture                  x
    header     H     the classifier all clients share      x      up, down

One round, for the participants S:
    down    H -> every k in S
    local   minimise CE(H(F_k(x)), y)
    up      H_k -> server
    server  H <- sum_k n_k H_k / sum_k n_k

Departures from the paper: the shared upper layers are the last linear layer alone, the only one that networks of
different architecture have in common; clients start untrained, where the authors' script starts from a trained FedAvg
model; the authors' code averages without weights.
"""

from dataclasses import dataclass

from benchmark.api import Method


@dataclass(frozen=True)
class LGFedAvg(Method):
    """Local extractors, global header."""

    def shares(self) -> tuple[str, ...]:
        """Share the header alone."""
        return ("header",)
