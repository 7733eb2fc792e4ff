"""Messages as vectors of one length, whatever they consist of."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from benchmark.channel import Message, Rows, State, Value
from benchmark.defence.parts import with_change

LARGEST = 1e15
"""Networks that diverge have larger numbers, whose squares and sums would not be finite."""


class Flat(NamedTuple):
    """A message as one vector.

    values: [m] float32, 0 where nothing travelled; sent: [m] bool, None if everything did
    """

    values: Tensor
    sent: Tensor | None

    def less(self, other: "Flat") -> Tensor:
        """Return the difference [m], 0 where this message has sent nothing."""
        difference = self.values - other.values
        return difference if self.sent is None else torch.where(self.sent, difference, 0)


def flattened(message: Message) -> Flat:
    """Return a message as one vector; whole numbers, which count steps, are left out."""
    pieces = [piece for value in message.values() for piece in _pieces(value)]
    if not pieces:
        return Flat(torch.zeros(0), None)
    values = torch.cat([values for values, _ in pieces])
    if all(sent is None for _, sent in pieces):
        return Flat(values, None)
    everything = (torch.ones_like(of, dtype=torch.bool) if sent is None else sent for of, sent in pieces)
    return Flat(values, torch.cat([*everything]))


def _pieces(value: Value) -> Iterator[tuple[Tensor, Tensor | None]]:
    """Yield vectors of numbers, and which of them travelled; None if all did."""
    if isinstance(value, Rows):
        present = value.present[:, None].expand_as(value.values)
        yield torch.where(present, value.values, 0).flatten().float(), present.flatten()
    elif isinstance(value, dict):
        for tensor in value.values():
            yield from _pieces(tensor)
    elif value.is_floating_point():
        yield value.detach().flatten().float(), None


def with_all_rows(message: Message, broadcast: State) -> Message:
    """Return a message whose absent rows are the broadcast's of the same name: a fixed layout."""
    return {name: _filled(value, broadcast.get(name)) for name, value in message.items()}


def _filled(value: Value, known: Value | None) -> Value:
    if not isinstance(value, Rows):
        return value
    missing = known.values if isinstance(known, Rows) else torch.zeros_like(value.values)
    return Rows(torch.where(value.present[:, None], value.values, missing), torch.ones_like(value.present))


def same_structure(value: object, other: object) -> bool:
    """Return whether two values are of one kind, with tensors of the same names and shapes."""
    if isinstance(value, dict) and isinstance(other, dict):  # weights, or a whole message
        return value.keys() == other.keys() and all(same_structure(value[key], other[key]) for key in value)
    if isinstance(value, Rows) and isinstance(other, Rows):
        return value.values.shape == other.values.shape
    return isinstance(value, Tensor) and isinstance(other, Tensor) and value.shape == other.shape


def broadcast_like(message: Message, broadcast: State) -> Message:
    """Return the broadcast in the names and shapes of a message; zeros where nothing like it was broadcast."""
    return with_change(message, broadcast, lambda x, known: known)


def noise_like(message: Message, broadcast: State) -> Message:
    """Return the broadcast with noise of the size of what a message adds to it; noise alone where that is nothing."""

    def noise(x: Tensor, known: Tensor) -> Tensor:
        return known + (x - known).std(unbiased=False) * torch.randn_like(x)

    return with_change(message, broadcast, noise)


class Sketch:
    """Shortens vectors [m] to at most `most` numbers, by random signs and sums; inner products are kept on average.

    A signed count-sketch (Charikar et al. 2002) whose buckets are taken in turn, which is one pass over the vector.
    Its signs are the same for every vector of one length.
    """

    def __init__(self, length: int, most: int, device: torch.device) -> None:
        self._most = most
        self._folds = -(-length // most)
        generator = torch.Generator().manual_seed(length)
        signs = torch.randint(0, 2, (self._folds * most if self._folds > 1 else 0,), generator=generator)
        self._signs = (2.0 * signs - 1)[:length].to(device)
        self._signed = torch.zeros(len(signs), device=device)  # one for all vectors: zeros behind them stay

    def of(self, vector: Tensor) -> Tensor:
        """Return the sketch of a vector; the vector itself if it is short. What has diverged is 0."""
        if self._folds <= 1:
            return readable(vector)
        torch.mul(vector, self._signs, out=self._signed[: len(vector)])
        return readable(self._signed.view(self._folds, self._most).sum(0))


def noise_of(message: Tensor) -> Tensor:
    """Return noise of the size of a message [m]."""
    return message.std(unbiased=False) * torch.randn_like(message)


def readable(numbers: Tensor) -> Tensor:
    """Return numbers with 0 in place of those that are not finite, or so large that they say nothing but that."""
    return torch.where(numbers.abs() < LARGEST, numbers, 0)
