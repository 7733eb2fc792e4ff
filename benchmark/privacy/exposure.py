"""P0: what travels and what it says by itself, read off real messages; no attack, no chance."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmark.channel import Message, Rows, State, Wire
from benchmark.privacy.vectors import flattened
from benchmark.task import Task

COPIED = 0.5
"""A row of weights has travelled if more than this share of its numbers stands in the message, to the bit."""


def exposure(
    task: Task,
    uploads: Mapping[int, Message],
    downloads: Mapping[int, Message],
    private: Mapping[int, State],
    sums_suffice: bool | None,
    wire: Wire,
) -> dict[str, Any]:
    """Return the sheet of a method, from the messages of some clients in one round.

    private: each client's own network after its training, by the names of its parts
    wire: what uploads have passed
    sums_suffice: whether the server's work depends on sums of messages alone; None if that is not known
    """
    counts = {k: task.class_counts[k] for k in uploads}
    return {
        "up": _direction(task, uploads, counts, wire),
        "down": _direction(task, downloads, counts, Wire()),
        "private_share": float(np.mean([exposed_share(uploads[k], private[k]) for k in uploads])),
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
        "by_class": bool(tables) or any(task.num_classes in tensor.shape for _, tensor in tensors),
        "own_rows_only": bool(tables) and all(torch.equal(rows.present, counts[k] > 0) for k, rows in tables),
        "counts": any(_are_counts(tensor, counts[k]) for k, tensor in tensors),
        "numbers": float(np.mean([len(flattened(message).values) for message in messages.values()])),
        "buffers": any(not tensor.is_floating_point() or "running" in name for _, name, tensor in _named(messages)),
    }


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
    sent = torch.cat([torch.zeros(0), *(_numbers(value) for value in message.values())]).sort().values
    rows = [tensor.float().cpu().reshape(len(tensor) if tensor.dim() else 1, -1) for tensor in _weights(private)]
    exposed = sum(int((_found(row, sent).float().mean(1) > COPIED).sum()) * row.shape[1] for row in rows)
    return exposed / max(1, sum(row.numel() for row in rows))


def _numbers(value: Any) -> Tensor:
    if isinstance(value, Rows):
        return value.values[value.present].flatten().float().cpu()
    tensors = [tensor.flatten().float().cpu() for tensor in _tensors(value) if tensor.is_floating_point()]
    return torch.cat([torch.zeros(0), *tensors])


def _weights(private: State) -> list[Tensor]:
    return [tensor for part in private.values() for tensor in part.values() if tensor.is_floating_point()]


def _found(rows: Tensor, ordered: Tensor) -> Tensor:
    """Return which numbers [n, m] stand in an ascending vector; 0 never counts, as every table has zeros."""
    if not len(ordered):
        return torch.zeros_like(rows, dtype=torch.bool)
    place = torch.searchsorted(ordered, rows.contiguous()).clamp_max(len(ordered) - 1)
    return (ordered[place] == rows) & (rows != 0)
