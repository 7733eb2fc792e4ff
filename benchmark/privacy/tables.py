"""Raw scores of attacks as columns, small enough to lie in a round's record. This module imports no torch."""

import base64
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NotRequired

import numpy as np
from pydantic import TypeAdapter, with_config
from typing_extensions import TypedDict

from benchmark.errors import RequestError
from benchmark.storage.files import read_arrays
from benchmark.storage.schema import STRICT, Text

ATTACK = 3
"""Version of the attacks. It rises with every change after which other scores are found, as those can't be compared."""
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


OF_CLASSES = ("truth", "presence", "expected", "shares", "prior")
"""Columns with a number for each class in every row."""


@with_config(STRICT)
class DirectionSheet(TypedDict):
    """What one direction's messages say as such: mean bytes by name, and what they show; numbers: of one message.

    own_rows_only: None if no audited client lacks a class
    """

    bytes: dict[Text, float]
    by_class: bool
    own_rows_only: bool | None
    counts: bool
    numbers: float
    buffers: bool


@with_config(STRICT)
class ExposureSheet(TypedDict):
    """What the messages of a method say without an attack; see benchmark.privacy.exposure."""

    up: DirectionSheet
    down: DirectionSheet
    private_share: float | None
    silent: bool
    architectures: int
    sums_suffice: bool | None


@with_config(STRICT)
class AuditFacts(TypedDict):
    """What is known of an audit besides its scores: the sheet, None if nothing is sent; seconds; rounds; its size.

    attack: by which version of the attacks, absent of the first
    """

    sheet: ExposureSheet | None
    seconds: float
    rounds: list[int]
    candidates: int
    attack: NotRequired[int]


FACTS: TypeAdapter[AuditFacts] = TypeAdapter(AuditFacts)
COLUMN_KINDS: Mapping[str, Mapping[str, str]] = {
    "membership": {
        **dict.fromkeys(("round", "client", "label"), "i"),
        **dict.fromkeys(("level", "kind"), "U"),
        **dict.fromkeys(("member", "calibration"), "b"),
        "score": "f",
    },
    "auditor": {"client": "i", "kind": "U", "label": "i", "member": "b", "score": "f"},
    "duplicates": {"client": "i", "level": "U", "duplicated": "b", "label": "i", "score": "f"},
    "identity": {
        **dict.fromkeys(("client", "label", "rank", "candidates"), "i"),
        **dict.fromkeys(("level", "kind"), "U"),
        "gain": "f",
    },
    "labels": {
        **dict.fromkeys(("client", "architecture", "architecture_guess", "architectures"), "i"),
        "kind": "U",
        **dict.fromkeys(OF_CLASSES, "f"),
    },
    "model": {"client": "i", "kind": "U", "agreement": "f", "blind": "f", "records": "i"},
}
"""Table -> column -> the kind of its numbers, as NumPy abbreviates them."""
LATER_COLUMNS = {"labels": ("expected",)}
"""What tables of version 2 and before may lack."""


def read_scores(path: Path) -> Columns:
    """Read privacy.npz. Raises RequestError if it holds anything else."""
    try:
        arrays = read_arrays(path)
        later = LATER_COLUMNS if version_of(arrays) < ATTACK else {}
        for table, kinds in COLUMN_KINDS.items():
            columns = rows_of(arrays, table)
            _check(columns, {c: kind for c, kind in kinds.items() if c in columns or c not in later.get(table, ())})
    except Exception as error:  # zipfile, zlib and NumPy may raise anything on a foreign file
        raise RequestError(f"{path} is damaged; remove its folder and run again") from error
    return arrays


def _check(columns: Columns, kinds: Mapping[str, str]) -> None:
    """Raise ValueError unless a table is empty, or has these columns of one length with numbers that can be."""
    if columns and {name: array.dtype.kind for name, array in columns.items()} != kinds:
        raise ValueError("its columns are of other kinds")
    wide = [array.shape for name, array in columns.items() if name in OF_CLASSES]
    flat = [array.shape for name, array in columns.items() if name not in OF_CLASSES]
    if len({*wide}) > 1 or len({*flat}) > 1 or any(len(shape) != 2 for shape in wide) or len({*map(len, flat)} - {1}):
        raise ValueError("its columns do not fit together")
    if not all(np.isfinite(array).all() for array in columns.values() if array.dtype.kind == "f"):
        raise ValueError("its numbers can't be")


def version_of(arrays: Mapping[str, np.ndarray]) -> int:
    """Return the version of the attacks that found these scores."""
    return facts_of(arrays).get("attack", 1)


def facts_of(arrays: Mapping[str, np.ndarray]) -> AuditFacts:
    """Return what is known of an audit besides its scores."""
    return FACTS.validate_json(str(arrays["facts"]))
