"""A state as a file: the bytes of its tensors one after another; what they are stands in its layout, which many share.

Nothing stands between a tensor's memory and the file, neither copies nor a format, and nothing in a file can run. With
thousands of clients the states' way to the disk and back is what a round costs beside training.
"""

import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from benchmark.channel import Rows, State, Value
from benchmark.files import write_over

ALIGNMENT = 64
"""Bytes; every tensor begins at a multiple, as torch's own do: where it lies never shows in what is computed."""

Kind = Literal["weights", "rows", "tensor"]
Field = tuple[str, str, tuple[int, ...]]
"""A tensor's key within its value, its type, its shape."""
Layout = dict[str, tuple[Kind, tuple[Field, ...]]]
"""Each name of a state -> which kind of value it stands for, and the value's tensors in their order."""


class Stored(NamedTuple):
    """A state in a file: which of its holder's versions it is, the file's checksum, and the state's layout."""

    version: int
    crc32: int
    layout: Layout


def taken_apart(state: State) -> tuple[Layout, list[Tensor]]:
    """(what a file with this state consists of, its tensors on the CPU in that order)."""
    layout: Layout = {}
    for name, value in state.items():
        kind: Kind = "rows" if isinstance(value, Rows) else "tensor" if isinstance(value, Tensor) else "weights"
        fields = ((key, str(t.dtype).removeprefix("torch."), tuple(t.shape)) for key, t in tensors_of(value).items())
        layout[name] = kind, tuple(fields)
    return layout, [tensor.cpu() for value in state.values() for tensor in tensors_of(value).values()]


def write(path: Path, tensors: Iterable[Tensor], over: Path | None = None) -> int:
    """Write tensors to a file that nothing names yet, over one that nothing names any more; its checksum.

    Raises StorageError.
    """
    chunks = [chunk for tensor in tensors for chunk in (bytes_of(tensor), bytes(-tensor.nbytes % ALIGNMENT))]
    write_over(path, chunks, over)
    crc32 = 0
    for chunk in chunks:
        crc32 = zlib.crc32(chunk, crc32)
    return crc32


def read(path: Path, stored: Stored, device: torch.device, check: bool = True) -> State:
    """A state from its file. Raises OSError, and where it is not as written ValueError.

    check: whether to compare checksums, which a process need not do with what it has written itself
    """
    content = torch.empty(_size(stored.layout), dtype=torch.uint8)
    with path.open("rb") as file:
        whole = file.readinto(bytes_of(content)) == len(content) and not file.read(1)
    if not whole or (check and zlib.crc32(bytes_of(content)) != stored.crc32):
        raise ValueError(f"{path.name} is damaged")
    rest, state = content.to(device), {}
    for name, (kind, fields) in stored.layout.items():
        tensors: dict[str, Tensor] = {}
        for key, dtype, shape in fields:
            size = _nbytes(dtype, shape)
            tensors[key] = rest[:size].view(_dtype(dtype)).reshape(shape)
            rest = rest[_padded(size) :]
        state[name] = Rows(**tensors) if kind == "rows" else tensors[""] if kind == "tensor" else tensors
    return state


def tensors_of(value: Value) -> dict[str, Tensor]:
    """A value's tensors by key."""
    match value:
        case Rows():
            return value._asdict()
        case Tensor():
            return {"": value}
        case _:
            return dict(value)


def bytes_of(tensor: Tensor) -> memoryview:
    """What a tensor on the CPU consists of, where it lies."""
    return tensor.reshape(-1).view(torch.uint8).numpy().data


def _size(layout: Layout) -> int:
    """Bytes of a file."""
    return sum(_padded(_nbytes(dtype, shape)) for _, fields in layout.values() for _, dtype, shape in fields)


def _nbytes(dtype: str, shape: tuple[int, ...]) -> int:
    return _dtype(dtype).itemsize * torch.Size(shape).numel()


def _dtype(name: str) -> torch.dtype:
    if not isinstance(dtype := getattr(torch, name, None), torch.dtype):
        raise ValueError(f"{name} is no type of tensors")
    return dtype


def _padded(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT
