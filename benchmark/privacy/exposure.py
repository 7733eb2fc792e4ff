"""P0: what travels and what it says by itself, read off real messages; no attack, no chance."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmark.channel import Message, Rows, State, Value, Weights, Wire
from benchmark.privacy.vectors import flattened
from benchmark.task import Task

COPIED = 0.5
"""A row of weights has travelled if more than this share of its numbers stands in the message, to the bit."""
ENOUGH_NUMBERS = 8
"""Numbers of a row that don't stand in a message by accident.

A single one does: torch begins with some 2^24 different weights a layer, so 4 % of an untrained network's stand in any
other of 700,000 numbers. Five of eight do in one row of 200,000. A shorter row counts if its whole tensor is in the
message.
"""


def exposure(
    task: Task,
    uploads: Mapping[int, Message],
    downloads: Mapping[int, Message],
    private: Mapping[int, State],
    sums_suffice: bool | None,
    wire: Wire,
    rounded: bool = False,
) -> dict[str, Any]:
    """Return the sheet of a method, from the messages of some clients in one round.

    private: each client's own network after its training, by the names of its parts; {} if it has none of its own
    wire: what uploads have passed; rounded: whether numbers travel in few bits, so that none is found as it was
    sums_suffice: whether the server's work depends on sums of messages alone; None if that is not known
    """
    counts = {k: task.class_counts[k] for k in uploads}
    shares = [exposed_share(uploads[k], private[k]) for k in uploads if private[k]]
    return {
        "up": _direction(task, uploads, counts, wire),
        "down": _direction(task, downloads, counts, Wire()),
        "private_share": float(np.mean(shares)) if shares and not rounded else None,
        "silent": len({_structure(message) for message in uploads.values()}) == 1,
        "architectures": len({task.infos[k].architecture for k in uploads}),
        "sums_suffice": sums_suffice,
    }


def _direction(task: Task, messages: Mapping[int, Message], counts: Mapping[int, Tensor], wire: Wire) -> dict[str, Any]:
    """Return names with bytes, and what is keyed by class, present by class, or counted."""
    values = [(k, name, value) for k, message in messages.items() for name, value in message.items()]
    tables = [
        (k, value) for k, _, value in values if isinstance(value, Rows) and len(value.present) == task.num_classes
    ]
    tensors = [(k, tensor) for k, _, value in values if not isinstance(value, Rows) for tensor in _tensors(value)]
    return {
        "bytes": _mean_bytes([wire.sizes(message) for message in messages.values()]),
        "by_class": bool(tables) or any(_keyed(tensor, task.num_classes) for _, tensor in tensors),
        "own_rows_only": _own_rows_only([(rows.present, counts[k] > 0) for k, rows in tables]),
        "counts": any(_are_counts(tensor, counts[k]) for k, tensor in tensors),
        "numbers": float(np.mean([len(flattened(message).values) for message in messages.values()])),
        "buffers": any(not tensor.is_floating_point() or "running" in name for _, name, tensor in _named(messages)),
    }


def _keyed(tensor: Tensor, num_classes: int) -> bool:
    """Return whether a tensor may have a number, a row or a column for each class; kernels of convolutions have not."""
    return tensor.dim() <= 2 and num_classes in tensor.shape


def _own_rows_only(tables: Sequence[tuple[Tensor, Tensor]]) -> bool | None:
    """Return whether all tables show which classes their clients have; None if no client lacks a class.

    tables: which rows are present [C], and which classes the client has [C]
    """
    if not tables or not all(torch.equal(present, own) for present, own in tables):
        return False
    return None if all(own.all() for _, own in tables) else True


def _mean_bytes(sizes: Sequence[Mapping[str, int | Tensor]]) -> dict[str, float]:
    """Return the mean bytes of each name over the clients that sent it."""
    names = dict.fromkeys(name for of in sizes for name in of)
    return {name: float(np.mean([int(of[name]) for of in sizes if name in of])) for name in names}


def _tensors(value: Any) -> Sequence[Tensor]:
    return list(value.values()) if isinstance(value, dict) else [value]


def _named(messages: Mapping[int, Message]) -> list[tuple[int, str, Tensor]]:
    """Return all tensors of weights with their names."""
    return [
        (k, name, tensor)
        for k, message in messages.items()
        for value in message.values()
        if isinstance(value, dict)
        for name, tensor in value.items()
    ]


def _are_counts(tensor: Tensor, counts: Tensor) -> bool:
    return tensor.shape == counts.shape and torch.equal(tensor.double(), counts.double())


def _structure(message: Message) -> Hashable:
    """Return names, types and shapes of a message; of a table those of its rows, however many are present."""
    return tuple((name, _shape(value)) for name, value in message.items())


def _shape(value: Any) -> Hashable:
    if isinstance(value, Rows):
        return "rows", value.values.dtype, tuple(value.values.shape)
    if isinstance(value, dict):
        return tuple((key, tensor.dtype, tuple(tensor.shape)) for key, tensor in value.items())
    return value.dtype, tuple(value.shape)


def exposed_share(message: Message, private: State) -> float:
    """Return the share of the numbers of a private network that stand in a message, row by row, to the bit."""
    sent = [tensor for value in message.values() for tensor in _sent(value)]
    ordered = torch.cat([torch.zeros(0), *(tensor.flatten() for tensor in sent)]).sort().values
    weights = [tensor.float().cpu() for part in private.values() for tensor in _floats(part)]
    return sum(_exposed(tensor, sent, ordered) for tensor in weights) / max(1, sum(map(torch.numel, weights)))


def _exposed(weights: Tensor, sent: Sequence[Tensor], ordered: Tensor) -> int:
    """Return how many numbers of a tensor have travelled. ordered: all numbers that were sent, ascending"""
    if weights.any() and any(torch.equal(weights, tensor) for tensor in sent):
        return weights.numel()
    rows = weights.reshape(len(weights) if weights.dim() > 1 else 1, -1)  # a vector, such as a bias, is one row
    if rows.shape[1] < ENOUGH_NUMBERS:
        return 0
    return int((_found(rows, ordered).float().mean(1) > COPIED).sum()) * rows.shape[1]


def _sent(value: Value) -> list[Tensor]:
    """Return the tensors of floats of a value; of a table the rows that are present."""
    if isinstance(value, Rows):
        return [value.values[value.present].float().cpu()]
    return [tensor.float().cpu() for tensor in _floats(value)]


def _floats(value: Weights | Tensor) -> list[Tensor]:
    return [tensor for tensor in _tensors(value) if tensor.is_floating_point()]


def _found(rows: Tensor, ordered: Tensor) -> Tensor:
    """Return which numbers [n, m] stand in an ascending vector; 0 never counts, as every table has zeros."""
    if not len(ordered):
        return torch.zeros_like(rows, dtype=torch.bool)
    place = torch.searchsorted(ordered, rows.contiguous()).clamp_max(len(ordered) - 1)
    return (ordered[place] == rows) & (rows != 0)
