"""Messages as tensors that are changed one by one, relative to what was broadcast under the same name."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from benchmark.channel import Message, Rows, Value

TensorChange = Callable[[Tensor, Tensor], Tensor]
"""(the tensor, what was broadcast in its place, zeros if nothing was) -> the tensor that travels instead."""


def with_change(message: Message, broadcast: Message, change: TensorChange) -> Message:
    """Return a message with every tensor of floats changed, of a table its numbers; rows that are absent stay so."""
    return {name: _changed(value, broadcast.get(name), change) for name, value in message.items()}


def additions(message: Message, broadcast: Message) -> Iterator[Tensor]:
    """Yield how every tensor of floats differs from the broadcast's; rows that are absent do not differ."""
    found: list[Tensor] = []

    def note(tensor: Tensor, known: Tensor) -> Tensor:
        found.append(tensor - known)
        return tensor

    with_change(message, broadcast, note)
    yield from found


def _changed(value: Value, known: Value | None, change: TensorChange) -> Value:
    if isinstance(value, dict):
        of = known if isinstance(known, dict) else {}
        return {name: _of_tensor(tensor, of.get(name), change) for name, tensor in value.items()}
    if isinstance(value, Rows):
        table = known.values if isinstance(known, Rows) and known.values.shape == value.values.shape else None
        base = torch.zeros_like(value.values) if table is None else torch.where(value.present[:, None], table, 0)
        after = change(torch.where(value.present[:, None], value.values, 0), base)
        return Rows(torch.where(value.present[:, None], after, 0), value.present)
    return _of_tensor(value, known, change)


def _of_tensor(tensor: Tensor, known: object, change: TensorChange) -> Tensor:
    if not tensor.is_floating_point():
        return tensor
    fits = isinstance(known, Tensor) and known.shape == tensor.shape
    return change(tensor, known if fits else torch.zeros_like(tensor))  # type: ignore[arg-type]
