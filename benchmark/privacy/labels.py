"""P2: which classes does a client have, and how much of each? And which network? Learned from clients of one's own.

The attacker trains clients whose labels it draws as the run's settings do, learns from their messages what labels and
architectures look like, and reads the real message. Absent rows are filled with the broadcast's: what they say by being
absent is on the exposure sheet, and needs no attack.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmark.channel import Message, State, Value
from benchmark.privacy.record_messages import LEAST_NUMBERS
from benchmark.privacy.vectors import Rows, Sketch, flattened, readable, same_structure, with_all_rows

RIDGE = 0.1
"""The ridge's share of the mean squared length of what is learned from."""


class LabelGuess(NamedTuple):
    """What is read from messages [n]: scores of presence, shares of classes [n, C] each, scores of networks [n, M].

    presence: above 0 for classes that are there; expected: [C], what a message that says nothing would read
    architecture: None if networks are not asked for
    """

    presence: Tensor
    expected: Tensor
    shares: Tensor
    architecture: Tensor | None


class RidgeReader:
    """A linear map from unit vectors to targets, learned from a few examples. mean: [q], of the targets

    vectors: [s, m]; targets: [s, q]
    """

    def __init__(self, vectors: Tensor, targets: Tensor) -> None:
        vectors, targets = vectors.double(), targets.double()
        self._vectors = vectors
        self._centre, self.mean = vectors.mean(0), targets.mean(0)
        centred = vectors - self._centre
        gram = centred @ centred.T
        gram.diagonal().add_(RIDGE * float(gram.diagonal().mean()) or 1.0)
        self._weights = torch.linalg.solve(gram, targets - self.mean)

    def read(self, vectors: Tensor) -> Tensor:
        """Return the targets [n, q] that vectors [n, m] speak of."""
        centred = self._vectors - self._centre
        return (vectors.double() - self._centre) @ centred.T @ self._weights + self.mean


def random_labels(counts: Tensor) -> Tensor:
    """Draw shares [C] of classes as a run's settings let clients have them: some client's [N, C], of other classes.

    Which classes a client has is what is asked for; how uneven clients are is no secret.
    """
    of_client = counts[int(torch.randint(len(counts), ()))]
    permuted = of_client[torch.randperm(len(of_client)).to(counts.device)].float()
    return permuted / permuted.sum()


def changes_of(message: Message, broadcast: State) -> Message:
    """Return what a message with all rows adds to what was broadcast under the same names; other values as they are."""
    return {name: _less(value, broadcast.get(name)) for name, value in with_all_rows(message, broadcast).items()}


def features(changes: Message, num_classes: int) -> Tensor:
    """Return what is learned from: the direction in which a message differs from the broadcast, and in which rows.

    [numbers + C]: a vector of length one, and the lengths of rows of classes, relative to each other. Clients that
    train on more, or for longer, send longer vectors; the direction is what they have in common, and where private
    networks differ too much even for that, rows of classes that a client has still differ more than others.
    """
    vector = flattened(changes).values
    sketched = Sketch(len(vector), LEAST_NUMBERS, vector.device).of(vector)
    return torch.cat(
        [F.normalize(sketched, dim=0), F.normalize(_row_lengths(changes, num_classes, vector.device), dim=0)]
    )


def _row_lengths(message: Message, num_classes: int, device: torch.device) -> Tensor:
    """Return the length [C] of what a message has of each class: rows of tables and of weights, if there are any."""
    squares = torch.zeros(num_classes, device=device)
    for value in message.values():
        tensors = [value.values] if isinstance(value, Rows) else value.values() if isinstance(value, dict) else [value]
        for tensor in tensors:
            if tensor.dim() and len(tensor) == num_classes and tensor.is_floating_point():
                squares = squares + tensor.detach().reshape(num_classes, -1).square().sum(1)
    return readable(squares.sqrt())


def _less(value: Value, known: Value | None) -> Value:
    if not same_structure(value, known):
        return value
    if isinstance(value, Rows) and isinstance(known, Rows):
        return Rows(value.values - known.values, value.present)
    if isinstance(value, dict) and isinstance(known, dict):
        return {name: tensor - known[name] for name, tensor in value.items()}
    assert isinstance(value, Tensor) and isinstance(known, Tensor)
    return value - known


def in_the_clear(shares: Tensor, architectures: Tensor) -> Tensor:
    """Return what could be read off clients [n] that sent all that is asked for: [n, 2 C + M]."""
    return torch.cat([(shares > 0).float(), shares.float(), architectures.float()], 1)


def learned(vectors: Tensor, shares: Tensor, architectures: Tensor) -> RidgeReader:
    """Return a reader of labels and networks, from the directions [s, m] of clients whose shares [s, C] and networks
    [s, M] (one-hot) are known.
    """
    return RidgeReader(vectors, torch.cat([(shares > 0) * 2.0 - 1, shares, architectures], 1))


def guessed(reader: RidgeReader, vectors: Tensor, num_classes: int) -> LabelGuess:
    """Return what a reader says of directions [n, m]."""
    presence, shares, architecture = reader.read(vectors).tensor_split([num_classes, 2 * num_classes], dim=1)
    return LabelGuess(presence, reader.mean[:num_classes], as_shares(shares), architecture)


def as_shares(scores: Tensor) -> Tensor:
    """Return scores [n, C] as shares of classes: what is below 0 counts as none."""
    positive = scores.clamp_min(0)
    return positive / positive.sum(1, keepdim=True).clamp_min(1e-9)
