"""FedAvg: one network for all, the mean of what clients make of it.

McMahan et al., "Communication-Efficient Learning of Deep Networks from Decentralized Data", AISTATS 2017,
arXiv 1602.05629.

Client k holds                                          trained   travels
    extractor, header   w  one network for all clients     x      up, down

One round, for the participants S:
    down    w -> every k in S
    local   minimise CE(w(x), y)
    up      w_k -> server
    server  w <- sum_k n_k w_k / sum_k n_k

A reference for line-ups of one architecture: others can't average whole networks.

Departures from the paper: buffers (running means of batch normalisation) are averaged with the weights; the paper has
no networks with any. The headline is the accuracy after local training, as for all methods here; the mean itself is
judged after the next download.
"""

from dataclasses import dataclass

from benchmark.api import Method


@dataclass(frozen=True)
class FedAvg(Method):
    """One global network for all clients."""

    def shares(self) -> tuple[str, ...]:
        """Share the whole network."""
        return ("extractor", "header")
