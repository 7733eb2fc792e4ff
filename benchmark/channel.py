"""The only way between client and server: the other side has what was sent and nothing else, and each byte is counted.

Bytes are element size x number of elements of what travels. A table of rows (prototypes, class logits) travels as
its present rows and a four-byte index each. Sample counts travel free; evaluation never passes through here. Observers
see each message.
"""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from benchmark.errors import located
from benchmark.seeds import torch_seeded

ROW_INDEX_BYTES = 4


class RoundNumber(NamedTuple):
    """A round, counted from 1, and how many there are: both are known to server and clients without a message."""

    round: int = 1
    rounds: int = 1

    @property
    def share(self) -> float:
        """Return round / rounds."""
        return self.round / self.rounds

    @property
    def next(self) -> "RoundNumber":
        """Return the round after this one; the one after the last is never trained."""
        return self._replace(round=self.round + 1)


FIRST = RoundNumber()
"""The only round of a federation of one round."""


class Rows(NamedTuple):
    """A row-sparse table with one row per class.

    values:  [C, d] float; rows that are not present are zero
    present: [C] bool; only present rows travel and are counted
    """

    values: Tensor
    present: Tensor

    @classmethod
    def none(cls, num_classes: int, width: int, device: torch.device) -> "Rows":
        """Return a table [C, d] without a row."""
        values = torch.zeros(num_classes, width, device=device)
        return cls(values, torch.zeros_like(values[:, 0], dtype=torch.bool))

    def updated(self, new: "Rows") -> "Rows":
        """Return the rows of `new`, and those of this table that `new` lacks."""
        values = torch.where(new.present[:, None], new.values, self.values)
        return Rows(values, self.present | new.present)


Weights = dict[str, Tensor]
Value = Weights | Tensor | Rows
State = dict[str, Any]
"""The values that one side holds, by name; the name determines the kind of Value."""
Message = dict[str, Any]
"""The values that travel, by the same names."""
Direction = Literal["up", "down"]


def packed(value: Value) -> Value:
    """Return a copy of what travels: it shares no memory with the original and always has the same memory layout."""
    if isinstance(value, dict):  # by hand, here and in _size: pytree makes carrying weights an eighth slower
        return {name: _packed_tensor(tensor) for name, tensor in value.items()}
    if isinstance(value, Rows):
        values = torch.where(value.present[:, None], value.values.detach(), 0)
        return Rows(values.contiguous(), value.present.detach().clone())
    return _packed_tensor(value)


def _packed_tensor(tensor: Tensor) -> Tensor:
    return tensor.detach().clone(memory_format=torch.contiguous_format)


def copied(state: State) -> State:
    """Return a state or a message with each of its values packed."""
    return {name: packed(value) for name, value in state.items()}


def same(a: object, b: object) -> bool:
    """Return whether two states, messages or values are equal to the bit."""
    if isinstance(a, Tensor):
        return isinstance(b, Tensor) and a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, Mapping):
        return isinstance(b, Mapping) and a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, tuple):
        return isinstance(b, tuple) and len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    return a == b


def nbytes(value: Value) -> int:
    """Return the size of a value on the wire, in bytes."""
    return int(_size(value))


def _size(value: Value) -> int | Tensor:
    """Return the same; for rows a number that is still on the device, so that the harness does not wait for it."""
    if isinstance(value, Rows):
        return value.present.sum() * (value.values.element_size() * value.values[0].numel() + ROW_INDEX_BYTES)
    tensors = value.values() if isinstance(value, dict) else (value,)
    return sum(tensor.element_size() * tensor.numel() for tensor in tensors)


def wire_shape(state: State) -> Hashable:
    """Return names, types and shapes of what would travel, of a table its present rows. Waits for the device."""
    parts, structure = pytree.tree_flatten(state, is_leaf=_is_rows)
    return structure, *map(_part_shape, parts)


def _part_shape(part: Tensor | Rows) -> Hashable:
    if isinstance(part, Rows):
        return part.values.dtype, int(part.present.sum()), *part.values.shape[1:]
    return part.dtype, *part.shape


def _is_rows(part: object) -> bool:
    return isinstance(part, Rows)


@dataclass(frozen=True)
class Inbox:
    """The messages of one round's participants: all that the server sees of them.

    messages:    client id -> message, in the order of client ids
    num_samples: client id -> n_k, the number of training samples
    progress:    the round
    """

    messages: Mapping[int, Message]
    num_samples: Mapping[int, int]
    progress: RoundNumber = FIRST

    @property
    def ids(self) -> list[int]:
        """Return this round's participants, ascending."""
        return sorted(self.messages)

    @property
    def shape(self) -> Hashable:
        """Return what the server's work can depend on besides values: the wire shape of each client's message."""
        return tuple(wire_shape(self.messages[k]) for k in self.ids)

    def of(self, name: str) -> list[Any]:
        """Return each client's value of that name, in the order of client ids."""
        return [self.messages[k][name] for k in self.ids]

    def decoded(self, name: str, decode: Callable[[Any], Any]) -> "Inbox":
        """Return the same inbox with `decode` applied to every client's value of that name."""
        return replace(self, messages={k: {**m, name: decode(m[name])} for k, m in self.messages.items()})

    def mean(self, names: Iterable[str], weighting: Literal["samples", "uniform"] = "samples") -> State:
        """Return the mean of each named part over this round's participants.

        weighting: samples, n_k / sum of n_k, or uniform, the same for all
        """
        samples = [self.num_samples[k] if weighting == "samples" else 1 for k in self.ids]
        return {name: _weighted_mean(list(zip(self.of(name), samples, strict=True))) for name in names}

    def mean_rows(self, name: str, counts: str | None = None) -> Rows:
        """Return the mean of each row over the clients that sent it.

        counts: the name of a [C] tensor that clients sent besides the rows, their weights; None: all weigh the same
        """
        tables = self.of(name)
        present = torch.stack([table.present for table in tables])  # [S, C]
        weight = present.float()
        if counts is not None:
            weight = weight * torch.stack(self.of(counts)).clamp_min(0)  # noise makes counts negative
        total = weight.sum(0).clamp_min(torch.finfo(weight.dtype).tiny)  # [C]
        values = torch.stack([table.values for table in tables])  # [S, C, d]
        return Rows((weight[..., None] * values).sum(0) / total[:, None], present.any(0))

    def rows(self, name: str) -> tuple[Tensor, Tensor]:
        """Return all rows that clients sent, client by client: their values [n, d] and their classes [n]."""
        tables = self.of(name)
        values = torch.cat([table.values[table.present] for table in tables])
        return values, torch.cat([table.present.nonzero()[:, 0] for table in tables])


def _weighted_mean(weighted: list[tuple[Weights, int]]) -> Weights:
    """Return the mean, updated client by client: it is exact if all are equal, and for one client."""
    (first, total), *rest = weighted
    mean = {key: tensor.clone() if tensor.is_floating_point() else tensor.double() for key, tensor in first.items()}
    for weights, n in rest:
        total += n
        for key, tensor in weights.items():
            mean[key].lerp_(tensor.to(mean[key].dtype), n / total)
    return {key: m if first[key].is_floating_point() else m.round().to(first[key].dtype) for key, m in mean.items()}


class Passage(NamedTuple):
    """A message between the server and a client, as an observer sees it.

    message: the copy that is carried; source: the state it was built from, the server's for a download, the client's
    after its training for an upload
    """

    round: RoundNumber
    direction: Direction
    client: int
    message: Message
    source: State


class Observer:
    """An onlooker of a federation that learns: every method does nothing unless a subclass overrides it.

    It must not change what it sees. Its time and its FLOPs are not counted, and its random draws leave those of the run
    as they are. An interrupted run resumes with a new observer, so facts that outlast a round belong in the round's
    record.
    """

    def round_begins(self, federation: Any, round: RoundNumber) -> None:
        """Receive the Federation before the first message of a round, in the states that the round before has left."""

    def message(self, passage: Passage) -> None:
        """Receive a message that is carried."""

    def round_over(self, federation: Any, record: Any) -> None:
        """Receive the Federation and the Round at the end of a round; add facts to record["observed"] by a name."""

    def artefacts(self, federation: Any, rounds: Sequence[Any]) -> Mapping[str, Mapping[str, np.ndarray]]:
        """Return name -> arrays by name, kept as <name>.npz in the run's folder once all rounds are over."""
        return {}


class Wire:
    """What is between a client and the server: uploads travel as they are, unless a subclass defends them."""

    def protected(self, client: int, message: Message, broadcast: Message) -> Message:
        """Return what travels in place of an upload. broadcast: what the client has received in this round"""
        return message

    def sizes(self, message: Message) -> dict[str, int | Tensor]:
        """Return the bytes of what travels, by name; of rows a number that is still on the device."""
        return {name: _size(value) for name, value in message.items()}


class Channel:
    """Carries one round's messages and meters them; observers see each of them.

    num_samples: client id -> n_k; wire: what uploads pass
    """

    def __init__(
        self,
        num_samples: Mapping[int, int],
        round: RoundNumber = FIRST,
        observers: Sequence[Observer] = (),
        wire: Wire | None = None,
    ) -> None:
        self._wire, self._broadcast = wire or Wire(), dict[int, Message]()
        self._sizes: dict[Direction, dict[int, dict[str, int | Tensor]]] = {"up": {}, "down": {}}
        self._num_samples, self._round, self._observers = num_samples, round, observers
        self._received: dict[int, Message] = {}

    def down(self, client: int, message: Message, source: State | None = None) -> Message:
        """Carry a message to a client; return the client's own copy. source: the server's state."""
        return self._carry("down", client, message, source)

    def up(self, client: int, message: Message, source: State | None = None) -> None:
        """Carry a message to the server, into the inbox. source: the client's state."""
        self._received[client] = self._carry("up", client, message, source)

    def inbox(self) -> Inbox:
        """Return the messages that clients have sent up in this round."""
        return Inbox(self._received, {k: self._num_samples[k] for k in self._received}, self._round)

    def bytes(self, direction: Direction) -> dict[int, dict[str, int]]:
        """Return the bytes carried in one direction so far: client -> name -> bytes. Waits for the device."""
        return {k: {name: int(size) for name, size in sent.items()} for k, sent in self._sizes[direction].items()}

    def _carry(self, direction: Direction, client: int, message: Message, source: State | None) -> Message:
        with located(f"client {client}, round {self._round.round}, {direction}load"):
            copy = copied(message)
            if direction == "down":
                self._broadcast[client] = copy
                sizes = Wire().sizes(copy)
            else:
                copy = self._wire.protected(client, copy, self._broadcast.get(client, {}))
                sizes = self._wire.sizes(copy)
            self._sizes[direction][client] = sizes
        for observer in self._observers:
            place = f"client {client}, round {self._round.round}, {type(observer).__name__} at {direction}load"
            with torch_seeded("observer"), located(place):
                observer.message(Passage(self._round, direction, client, copy, source or {}))
        return copy
