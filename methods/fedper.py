"""FedPer: a shared extractor, private headers.

Arivazhagan et al., "Federated Learning with Personalization Layers", 2019, arXiv 1912.00818.

Client k holds                                                   trained   travels
    extractor  F     the base layers, one network for all clients   x      up, down
    header     H_k   its own personalisation layer                  x

One round, for the participants S:
    down    F -> every k in S
    local   minimise CE(H_k(F(x)), y) over both together
    up      F_k -> server
    server  F <- sum_k n_k F_k / sum_k n_k

A reference for line-ups of one architecture: others can't average extractors.

Departures from the paper: the personalisation layers are the last linear layer, the fewest that the paper tries; n_k
counts the participants' samples, where the paper has all clients take part.
"""

from dataclasses import dataclass

from benchmark.api import Method


@dataclass(frozen=True)
class FedPer(Method):
    """Global extractor, local headers."""

    def shares(self) -> tuple[str, ...]:
        """Share the extractor alone."""
        return ("extractor",)
