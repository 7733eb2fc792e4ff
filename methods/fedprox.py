"""FedProx: FedAvg whose clients are held back from going far.

Li et al., "Federated Optimization in Heterogeneous Networks", MLSys 2020, arXiv 1812.06127.

Client k holds                                           trained   travels
    extractor, header   w   one network for all clients     x      up, down
    anchor              w^t what it has received last

One round, for the participants S:
    down    w^t -> every k in S
    local   minimise CE(w(x), y) + mu/2 ||w - w^t||^2
    up      w_k -> server
    server  w <- sum_k n_k w_k / sum_k n_k

A reference for line-ups of one architecture: others can't average whole networks.

Departures from the paper: all clients do the same number of passes, where the paper lets slow ones do fewer; the
participants are drawn uniformly and weighted with n_k, where the paper draws them with probabilities n_k and takes a
plain mean; mu is the second smallest value of the paper's grid {0.001, 0.01, 0.1, 1}.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from benchmark.api import Batch, Client, ClientInfo, Message, Method, State
from benchmark.fields import NonNegative


@dataclass(frozen=True)
class FedProx(Method):
    """One global network, and a proximal term."""

    mu: NonNegative = 0.01  # weight of the proximal term

    def shares(self) -> tuple[str, ...]:
        """Share the whole network."""
        return ("extractor", "header")

    def receive(self, state: State, message: Message, client: ClientInfo) -> State:
        """Hold the received network, and the same as an anchor."""
        return state | message | {f"{name}_anchor": weights for name, weights in message.items()}

    def loss(self, client: Client, batch: Batch) -> Tensor:
        """Return cross-entropy plus the proximal term."""
        away = squared_distance(client.extractor, client.extractor_anchor)
        away = away + squared_distance(client.header, client.header_anchor)
        return super().loss(client, batch) + self.mu / 2 * away


def squared_distance(module: nn.Module, anchor: Mapping[str, Tensor]) -> Tensor:
    """Return ||w - anchor||^2 over all parameters of a module."""
    squares = [(parameter - anchor[name]).square().sum() for name, parameter in module.named_parameters()]
    return sum(squares[1:], squares[0])
