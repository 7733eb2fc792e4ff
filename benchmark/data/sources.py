"""Sources of data sets: functions that fetch arrays, of those known by name and of users."""

import contextlib
import inspect
import math
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.data.arrays import LAYOUT, Arrays, checked
from benchmark.data.npz import read_npz, write_npz
from benchmark.errors import RequestError, refusing, tell
from benchmark.storage.files import check_writable


@dataclass(frozen=True)
class Source:
    """The source of a named data set, and the accuracy that its tables refer to."""

    load: Callable[[Path], Arrays]
    """Fetches the arrays; its argument is a folder for downloads, which is deleted afterwards."""
    target: float | None = None
    """The accuracy in percent whose cost the tables give."""
    fingerprint: str | None = None
    """The expected `Arrays.fingerprint`, if it is known; other data of that name are refused."""
    home: str | None = None
    """Where its authors publish it."""
    licence: str | None = None
    """What they, or its distributors, say of its use."""


def load_dataset(name: str, source: Source, folder: Path) -> Arrays:
    """Read a named data set from <folder>/<name>.npz, or fetch it from its source and keep it there.

    Raises RequestError if it can be neither read nor fetched, or if it is not what it is known to be.
    """
    kept = folder / f"{name}.npz"
    arrays = read_npz(kept) if kept.exists() else _fetched(name, source, kept)
    if source.fingerprint not in (None, arrays.fingerprint):
        raise RequestError(
            f"{kept} does not hold {name}: its samples have the fingerprint {arrays.fingerprint}, not "
            f"{source.fingerprint}; remove the file to fetch them again, or use them as data of your own by the file's "
            f"path, --datasets {kept}"
        )
    return arrays


def _fetched(name: str, source: Source, kept: Path) -> Arrays:
    """Fetch a data set and keep it. Raises RequestError."""
    check_writable(kept.parent)
    try:
        with refusing(f"the SOURCE of {name} fails"):
            arrays = _loaded(name, source)
    except RequestError as error:
        if not isinstance(error.__cause__, OSError | RuntimeError):
            raise
        reason = " ".join(str(error.__cause__).split())[:120]
        raise RequestError(f"{name} can't be fetched ({reason}); put it at {kept} ({LAYOUT})") from error.__cause__
    write_npz(kept, arrays)
    tell(f"{name} is kept in {kept} from now on")
    return arrays


def own_dataset(name: str, source: object) -> tuple[Arrays, float | None]:
    """Return the arrays of a user-defined source, checked and not stored, and its target accuracy.

    Raises RequestError for any error in the source.
    """
    found = checked_source(name, source)
    with refusing(f"the SOURCE of {name} fails"):
        return _loaded(name, found), found.target


def checked_source(name: str, source: object) -> Source:
    """Return what a file has as its SOURCE. Raises RequestError if it is none."""
    if not isinstance(source, Source):
        what = "has no SOURCE" if source is None else f"has a SOURCE of type {type(source).__name__}"
        raise RequestError(
            f"{name} {what}; it needs SOURCE = Source(load), both of benchmark.api, as in datasets/sources"
        )
    return replace(source, target=_target(name, source.target))


def _loaded(name: str, source: Source) -> Arrays:
    with tempfile.TemporaryDirectory() as downloads, contextlib.redirect_stdout(sys.stderr):
        arrays = source.load(Path(downloads))
    if not isinstance(arrays, Arrays):
        raise RequestError(f"the SOURCE of {name} gives a {type(arrays).__name__}, not Arrays of benchmark.api")
    return _rechecked(name, arrays)


def _rechecked(name: str, arrays: Arrays) -> Arrays:
    return checked(name, **arrays.arrays, classes=np.array(arrays.classes + arrays.left_out))


def _target(name: str, target: object) -> float | None:
    """Return the target accuracy. Raises RequestError if it is no percentage."""
    if target is None:
        return None
    number = isinstance(target, int | float) and not isinstance(target, bool)
    if not number or not math.isfinite(target) or not 0 < target <= 100:  # type: ignore[arg-type,operator]
        raise RequestError(f"the SOURCE of {name} has the target {target!r}; it is above 0 and at most 100 percent")
    return float(target)  # type: ignore[arg-type]


def from_torchvision(name: str, downloads: Path, *, owner: int | None = None, **keywords: Any) -> Arrays:
    """Download a data set of torchvision.datasets; its constructor gets the keywords.

    Training and test part are requested by train=, or by split= if the constructor has that instead. owner: the column
    of the targets that says who a sample belongs to, if targets have several columns; the first is the label.
    """
    from torchvision import datasets  # 85 MiB that only a download needs

    dataset = getattr(datasets, name)
    by_split = "split" in inspect.signature(dataset).parameters and "split" not in keywords
    parts = {}
    for split in ("train", "test"):
        part = {"split": split} if by_split else {"train": split == "train"}
        data = dataset(downloads, **part, download=True, **keywords)
        x = np.asarray(data.data)
        if x.ndim == 4 and x.shape[1] in (1, 3):  # SVHN comes as [n, c, h, w]
            x = x.transpose(0, 2, 3, 1)
        parts[f"x_{split}"] = np.ascontiguousarray(x)
        targets = np.asarray(data.targets if hasattr(data, "targets") else data.labels)
        parts[f"y_{split}"] = targets if owner is None else targets[:, 0]
        if owner is not None:
            parts[f"owners_{split}"] = targets[:, owner]
    names = getattr(data, "classes", None)
    return checked(name, **parts, classes=None if names is None else np.array(names))
