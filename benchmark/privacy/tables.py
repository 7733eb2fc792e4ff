"""Raw scores of attacks as columns, small enough to lie in a round's record. This module imports no torch."""

import base64
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.errors import RequestError
from benchmark.storage.files import read_arrays

Columns = dict[str, np.ndarray]
"""Columns of one length by name."""


class Tables:
    """Tables that grow row by row, or block by block."""

    def __init__(self) -> None:
        self._blocks: dict[str, list[Columns]] = {}

    def add(self, table: str, **columns: Any) -> None:
        """Append a block to a table; single values are repeated, floats are kept in 16 bits."""
        arrays = {name: np.atleast_1d(np.asarray(value)) for name, value in columns.items()}
        rows = max(len(array) for array in arrays.values())
        block = {
            name: _small(np.broadcast_to(a, (rows, *a.shape[1:])) if len(a) == 1 else a) for name, a in arrays.items()
        }
        self._blocks.setdefault(table, []).append(block)

    def arrays(self) -> Columns:
        """Return all columns by <table>.<column>."""
        return {
            f"{table}.{name}": np.concatenate([block[name] for block in blocks])
            for table, blocks in self._blocks.items()
            for name in blocks[0]
        }


def _small(array: np.ndarray) -> np.ndarray:
    if array.dtype.kind == "f":
        return np.clip(array, -6e4, 6e4).astype(np.float16)
    return array.astype(np.int32) if array.dtype.kind in "iu" else array


def to_text(arrays: Mapping[str, np.ndarray]) -> str:
    """Return arrays as text for a round's record."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    return base64.b64encode(buffer.getvalue()).decode()


def from_text(text: str) -> Columns:
    """Return the arrays of such a text."""
    with np.load(io.BytesIO(base64.b64decode(text)), allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def joined(parts: Sequence[Mapping[str, np.ndarray]]) -> Columns:
    """Return the rows of several rounds one after the other."""
    names = dict.fromkeys(name for part in parts for name in part)
    return {name: np.concatenate([part[name] for part in parts if name in part]) for name in names}


def rows_of(arrays: Mapping[str, np.ndarray], table: str) -> Columns:
    """Return the columns of one table; none if it has no rows."""
    prefix = f"{table}."
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}


COLUMN_KINDS: Mapping[str, Mapping[str, str]] = {
    "membership": {
        **dict.fromkeys(("round", "client", "label"), "i"),
        **dict.fromkeys(("level", "kind"), "U"),
        **dict.fromkeys(("member", "calibration"), "b"),
        "score": "f",
    },
    "duplicates": {"client": "i", "level": "U", "duplicated": "b", "label": "i", "score": "f"},
    "identity": {
        **dict.fromkeys(("client", "label", "rank", "candidates"), "i"),
        **dict.fromkeys(("level", "kind"), "U"),
        "gain": "f",
    },
    "labels": {
        **dict.fromkeys(("client", "architecture", "architecture_guess", "architectures"), "i"),
        "kind": "U",
        **dict.fromkeys(("truth", "presence", "shares", "prior"), "f"),
    },
    "model": {"client": "i", "kind": "U", "agreement": "f", "blind": "f", "records": "i"},
}
"""Table -> column -> the kind of its numbers, as NumPy abbreviates them."""


def read_scores(path: Path) -> Columns:
    """Read privacy.npz. Raises RequestError if it holds anything else."""
    try:
        arrays = read_arrays(path)
        json.loads(str(arrays["facts"]))
        for table, kinds in COLUMN_KINDS.items():
            found = rows_of(arrays, table)
            if found and {name: array.dtype.kind for name, array in found.items()} != kinds:
                raise ValueError("its columns are of other kinds")
            if len({len(array) for array in found.values()}) > 1:
                raise ValueError("its columns do not fit together")
    except Exception as error:  # zipfile, zlib and NumPy may raise anything on a foreign file
        raise RequestError(f"{path} is damaged; remove its folder and run again") from error
    return arrays


def facts_of(arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Return what is known of an audit besides its scores: the sheet, its rounds, its seconds."""
    facts: dict[str, Any] = json.loads(str(arrays["facts"]))
    return facts
