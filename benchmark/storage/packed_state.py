"""States packed into one block of memory or a file: the bytes of their tensors one after another.

The state's layout, which many states share, says which tensors they are. The file is the memory, so nothing is
converted and nothing in a file can run. With thousands of clients the time of a round, besides training, is that of the
states' way to the disk and back: docs/performance.md has the measurements.
"""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor
from xxhash import xxh3_64_intdigest

from benchmark.channel import Rows, State, Value
from benchmark.storage.files import BLOCK, read_into, write_over

ALIGNMENT = 64
"""Bytes; every tensor begins at a multiple, as torch's own do, so its address does not affect what is computed."""
_CPU = torch.device("cpu")

Kind = Literal["rows", "tensor", "weights"]
Field = tuple[str, str, tuple[int, ...]]
"""A tensor's key within its value, its type, its shape."""
Layout = tuple[tuple[str, Kind, tuple[Field, ...]], ...]
"""For each value of a state in its order: its name, its kind, and its tensors in their order."""


class PackedState(NamedTuple):
    """A state whose tensors lie in one block of memory.

    content: [n] uint8, zero between the tensors; on a CPU whole blocks, aligned to BLOCK
    """

    layout: Layout
    content: Tensor
    state: State


class StoredState(NamedTuple):
    """A state in a file: the number of its version, the file's checksum, and the state's layout."""

    version: int
    checksum: int
    layout: Layout


class _Kind(NamedTuple):
    """A kind of value: its type, and functions from a value to its tensors by key and back."""

    type: type
    tensors: Callable[[Any], dict[str, Tensor]]
    value: Callable[[dict[str, Tensor]], Value]


KINDS: dict[Kind, _Kind] = {
    "rows": _Kind(Rows, Rows._asdict, lambda tensors: Rows(**tensors)),
    "tensor": _Kind(Tensor, lambda tensor: {"": tensor}, lambda tensors: tensors[""]),
    "weights": _Kind(dict, dict, dict),
}


def tensors_of(value: Value) -> dict[str, Tensor]:
    """Return a value's tensors by key."""
    return KINDS[_kind(value)].tensors(value)


def pack(state: State) -> PackedState:
    """Return a packed copy of a state, on its device."""
    values = [(name, _kind(value), tensors_of(value)) for name, value in state.items()]
    layout = tuple((name, kind, tuple(_field(*item) for item in tensors.items())) for name, kind, tensors in values)
    tensors = [tensor.detach() for _, _, of in values for tensor in of.values()]
    copy = unpack(layout, _memory(layout, tensors[0].device if tensors else _CPU))
    owns = (own for value in copy.state.values() for own in tensors_of(value).values())
    for own, tensor in zip(owns, tensors, strict=True):
        own.copy_(tensor)
    for gap in copy.content.split(_sizes(layout))[1::2]:
        if len(gap):
            gap.zero_()
    return copy


def unpack(layout: Layout, content: Tensor) -> PackedState:
    """Return the state of this layout and content. Raises ValueError if the layout names a type that does not exist."""
    state: State = {}
    parts = iter(content.split(_sizes(layout))[::2])
    for name, kind, fields in layout:
        tensors = {key: next(parts).view(_dtype(dtype)).view(shape) for key, dtype, shape in fields}
        state[name] = KINDS[kind].value(tensors)
    return PackedState(layout, content, state)


def write_state(path: Path, content: Tensor, over: Path | None = None) -> int:
    """Write a content on the CPU to a new file; return its checksum. Raises StorageError.

    over: an obsolete file to overwrite
    """
    write_over(path, bytes_of(content), over)
    return xxh3_64_intdigest(bytes_of(content))


def read_state(path: Path, stored: StoredState, check: bool = True) -> Tensor:
    """Return a state's content from its file, on the CPU. Raises OSError, and ValueError if the file has changed.

    check: True to compare checksums, which a process need not do with files that it has written itself
    """
    if path.lstat().st_size != sum(_sizes(stored.layout)):  # before memory is taken for what a layout says
        raise ValueError(f"{path.name} is damaged")
    content = _memory(stored.layout, _CPU)
    whole = read_into(path, bytes_of(content))
    if not whole or (check and xxh3_64_intdigest(bytes_of(content)) != stored.checksum):
        raise ValueError(f"{path.name} is damaged")
    return content


def on_cpu(packed: PackedState) -> Tensor:
    """Return the content of a packed state, on the CPU."""
    return packed.content if packed.content.device == _CPU else _memory(packed.layout, _CPU).copy_(packed.content)


def bytes_of(tensor: Tensor) -> memoryview:
    """Return the bytes of a tensor on the CPU, without a copy."""
    return tensor.reshape(-1).view(torch.uint8).numpy().data


def _kind(value: Value) -> Kind:
    return next(kind for kind, of in KINDS.items() if isinstance(value, of.type))


def _field(key: str, tensor: Tensor) -> Field:
    return key, str(tensor.dtype).removeprefix("torch."), tuple(tensor.shape)


@cache
def _sizes(layout: Layout) -> list[int]:
    """Return the bytes of each tensor of a content and of the gap behind it, in turn; the last gap ends a block."""
    sizes: list[int] = []
    for _, dtype, shape in (field for _, _, fields in layout for field in fields):
        size = _dtype(dtype).itemsize * torch.Size(shape).numel()
        sizes += [size, -size % ALIGNMENT]
    if sizes:
        sizes[-1] += -sum(sizes) % BLOCK
    return sizes


def _memory(layout: Layout, device: torch.device) -> Tensor:
    """Allocate memory for a content of this layout, aligned to BLOCK."""
    size = sum(_sizes(layout))
    memory = torch.empty(size + BLOCK, dtype=torch.uint8, device=device)
    return memory[-memory.data_ptr() % BLOCK :][:size]


def _dtype(name: str) -> torch.dtype:
    if not isinstance(dtype := getattr(torch, name, None), torch.dtype):
        raise ValueError(f"{name} is no type of tensors")
    return dtype
