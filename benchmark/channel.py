"""The only way between client and server: what is not sent does not exist on the other side, and is not counted.

Bytes are element size x number of elements of what travels. A table of rows (prototypes, class logits) travels as
its present rows and a four-byte index each. Sample counts travel free; evaluation never passes through here.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

ROW_INDEX_BYTES = 4


class Progress(NamedTuple):
    """The round, from 1 on, and of how many."""

    round: int = 1
    rounds: int = 1

    @property
    def share(self) -> float:
        """round / rounds."""
        return self.round / self.rounds


FIRST = Progress()
"""The only round of a federation of one."""


class Rows(NamedTuple):
    """A row-sparse table with one row per class.

    values:  [C, d] float; rows that are not present are zero
    present: [C] bool; only present rows travel and are counted
    """

    values: Tensor
    present: Tensor

    @classmethod
    def none(cls, num_classes: int, width: int, device: torch.device) -> "Rows":
        """A table [C, d] without a row."""
        values = torch.zeros(num_classes, width, device=device)
        return cls(values, torch.zeros_like(values[:, 0], dtype=torch.bool))

    def updated(self, new: "Rows") -> "Rows":
        """The rows of `new`, and of this table those that `new` lacks."""
        values = torch.where(new.present[:, None], new.values, self.values)
        return Rows(values, self.present | new.present)


Weights = dict[str, Tensor]
Value = Weights | Tensor | Rows
State = dict[str, Any]
"""What one side holds, by name: a Value each, which kind depends on the name."""
Message = dict[str, Any]
"""What travels, by the same names."""
Direction = Literal["up", "down"]


def packed(value: Value) -> Value:
    """A copy that shares no memory with the original, holds only what travels, and lies in memory in one way."""
    match value:
        case Rows(values, present):
            return Rows(torch.where(present[:, None], values.detach(), 0).contiguous(), present.detach().clone())
        case Tensor():
            return value.detach().clone(memory_format=torch.contiguous_format)
        case _:
            return {
                name: tensor.detach().clone(memory_format=torch.contiguous_format) for name, tensor in value.items()
            }


def copied(state: State) -> State:
    """Each value of a state or a message, packed."""
    return {name: packed(value) for name, value in state.items()}


def nbytes(value: Value) -> int:
    """Size of a value on the wire, in bytes."""
    return int(_size(value))


def _size(value: Value) -> int | Tensor:
    """The same; of rows as a number that is still on the device, so that nobody waits for it."""
    match value:
        case Rows(values, present):
            return present.sum() * (values.element_size() * values[0].numel() + ROW_INDEX_BYTES)
        case Tensor():
            return value.element_size() * value.numel()
        case _:
            return sum(tensor.element_size() * tensor.numel() for tensor in value.values())


@dataclass(frozen=True)
class Inbox:
    """What one round's participants sent: all that the server sees of them.

    messages:    client id -> message, in the order of client ids
    num_samples: client id -> n_k, the number of training samples
    progress:    the round
    """

    messages: Mapping[int, Message]
    num_samples: Mapping[int, int]
    progress: Progress = FIRST

    @property
    def ids(self) -> list[int]:
        """This round's participants, ascending."""
        return sorted(self.messages)

    def of(self, name: str) -> list[Any]:
        """Each client's value of that name, in the order of client ids."""
        return [self.messages[k][name] for k in self.ids]

    def decoded(self, name: str, decode: Callable[[Any], Any]) -> "Inbox":
        """The same inbox with every client's value of that name as `decode` makes it."""
        return replace(self, messages={k: {**m, name: decode(m[name])} for k, m in self.messages.items()})

    def mean(self, names: Iterable[str]) -> State:
        """The mean of each named part, weighted with n_k / sum of n_k over this round's participants."""
        samples = [self.num_samples[k] for k in self.ids]
        return {name: _weighted_mean(list(zip(self.of(name), samples, strict=True))) for name in names}

    def mean_rows(self, name: str, counts: str | None = None) -> Rows:
        """The mean of each row over the clients that sent it.

        counts names a [C] tensor that clients sent beside the rows, their weights; without it all weigh the same.
        """
        tables = self.of(name)
        present = torch.stack([table.present for table in tables])  # [S, C]
        weight = present.float()
        if counts is not None:
            weight = weight * torch.stack(self.of(counts))
        total = weight.sum(0).clamp_min(torch.finfo(weight.dtype).tiny)  # [C]
        values = torch.stack([table.values for table in tables])  # [S, C, d]
        return Rows((weight[..., None] * values).sum(0) / total[:, None], present.any(0))

    def rows(self, name: str) -> tuple[Tensor, Tensor]:
        """All rows that came, client by client: their values [n, d] and their classes [n]."""
        tables = self.of(name)
        values = torch.cat([table.values[table.present] for table in tables])
        return values, torch.cat([table.present.nonzero()[:, 0] for table in tables])


def _weighted_mean(weighted: list[tuple[Weights, int]]) -> Weights:
    """A running mean in client order: exact when all are equal, and for one client."""
    (first, total), *rest = weighted
    mean = {key: tensor.clone() if tensor.is_floating_point() else tensor.double() for key, tensor in first.items()}
    for weights, n in rest:
        total += n
        for key, tensor in weights.items():
            mean[key].lerp_(tensor.to(mean[key].dtype), n / total)
    return {key: m if first[key].is_floating_point() else m.round().to(first[key].dtype) for key, m in mean.items()}


class Channel:
    """Carries one round's messages and meters them."""

    def __init__(self, num_samples: Mapping[int, int], progress: Progress = FIRST) -> None:
        """Open the channel of a round for clients of these sizes (client id -> n_k)."""
        self._sizes: dict[Direction, dict[int, dict[str, int | Tensor]]] = {"up": {}, "down": {}}
        self._num_samples, self._progress = num_samples, progress
        self._received: dict[int, Message] = {}

    def down(self, client: int, message: Message) -> Message:
        """Carry a message to a client; what it returns is the client's own copy."""
        return self._carry("down", client, message)

    def up(self, client: int, message: Message) -> None:
        """Carry a message to the server, into the inbox."""
        self._received[client] = self._carry("up", client, message)

    def inbox(self) -> Inbox:
        """What has come up in this round."""
        return Inbox(self._received, {k: self._num_samples[k] for k in self._received}, self._progress)

    def bytes(self, direction: Direction) -> dict[int, dict[str, int]]:
        """Bytes carried in one direction so far: client -> name -> bytes. Waits for the device."""
        return {k: {name: int(size) for name, size in sent.items()} for k, sent in self._sizes[direction].items()}

    def _carry(self, direction: Direction, client: int, message: Message) -> Message:
        copy = copied(message)
        self._sizes[direction][client] = {name: _size(value) for name, value in copy.items()}
        return copy
