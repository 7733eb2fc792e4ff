"""Data sets as arrays: read, checked, hashed, and kept as one .npz per name."""

import contextlib
import hashlib
import inspect
import sys
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.errors import RequestError
from benchmark.storage.files import write_whole

KEYS = ("x_train", "y_train", "x_test", "y_test")
OWNERS = ("owners_train", "owners_test")
LAYOUT = f"keys {', '.join(KEYS)}; x uint8 [n, h, w] or [n, h, w, c], y integers 0 ... C-1"
COUNTED_PIXELS = 2**16
"""Pixels whose levels are counted at a time: the eight bytes that each needs stay in the cache."""
IMAGE_SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".webp", ".ppm", ".pgm", ".gif", ".tif", ".tiff"}


@dataclass(frozen=True, eq=False)
class Arrays:
    """A data set in memory.

    x_train, x_test: [n, h, w, c] uint8
    y_train, y_test: [n] int64, labels 0 ... C-1
    classes:         the C names, in the order of labels
    owners_train, owners_test: [n] int64, who a sample belongs to (a writer, a patient, a camera), the same number in
                     both for the same owner; both None if they are unknown
    """

    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    classes: tuple[str, ...]
    owners_train: np.ndarray | None = None
    owners_test: np.ndarray | None = None

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        """The arrays that are not None, by their keys in a file, without the names of the classes."""
        return {key: getattr(self, key) for key in KEYS + OWNERS if getattr(self, key) is not None}

    @cached_property
    def hash(self) -> str:
        """Hex digest of all images, labels and, if they are known, owners."""
        digest = hashlib.sha256()
        for key, found in self.arrays.items():
            array = np.ascontiguousarray(found)
            digest.update(f"{key} {array.shape} {array.dtype}".encode())
            digest.update(array.data)
        return digest.hexdigest()[:16]

    @cached_property
    def statistics(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation per channel [c] of the training images, on the scale 0-255."""
        levels, channels = np.arange(256), self.x_train.shape[-1]
        pixels = self.x_train.reshape(-1, channels)
        counts = np.zeros((channels, 256), dtype=np.int64)
        for start in range(0, len(pixels), COUNTED_PIXELS):  # bincount needs eight bytes for each pixel
            block = pixels[start : start + COUNTED_PIXELS]
            counts += [np.bincount(block[:, c], minlength=256) for c in range(channels)]
        share = counts / counts.sum(1, keepdims=True)  # [c, 256]
        mean = share @ levels
        std = np.sqrt(share @ levels**2 - mean**2)
        return mean, np.where(std > 0, std, 1.0)

    @property
    def images(self) -> np.ndarray:
        """Training and test images, pooled: [N, h, w, c]."""
        return np.concatenate([self.x_train, self.x_test])

    @property
    def labels(self) -> np.ndarray:
        """Labels of the pooled images: [N]."""
        return np.concatenate([self.y_train, self.y_test])

    @property
    def owners(self) -> np.ndarray | None:
        """Owners of the pooled images: [N], or None if they are unknown."""
        if self.owners_train is None or self.owners_test is None:
            return None
        return np.concatenate([self.owners_train, self.owners_test])


@dataclass(frozen=True)
class Source:
    """The source of a named data set, and the accuracy that its tables refer to."""

    load: Callable[[Path], Arrays]
    """Fetches the arrays; its argument is a folder for downloads, which is deleted afterwards."""
    target: float | None = None
    """The accuracy in percent whose cost the tables give."""


def load_dataset(name: str, source: Source, folder: Path) -> Arrays:
    """Read a named data set from <folder>/<name>.npz, or fetch it from its source and keep it there.

    Raises RequestError if it can be neither read nor fetched.
    """
    kept = folder / f"{name}.npz"
    if kept.exists():
        return read_npz(kept)
    try:
        arrays = _loaded(source)
    except (OSError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:120]
        raise RequestError(f"{name} can't be fetched ({reason}); put it at {kept} ({LAYOUT})") from error
    _write_npz(kept, arrays)
    return arrays


def own_dataset(name: str, source: object) -> tuple[Arrays, float | None]:
    """Return the arrays of a user-defined source, checked and not stored, and its target accuracy.

    Raises RequestError for any error in the source.
    """
    if not isinstance(source, Source):
        what = "has no SOURCE" if source is None else f"has a SOURCE of type {type(source).__name__}"
        raise RequestError(
            f"{name} {what}; it needs SOURCE = Source(load), both of benchmark.api, as in datasets/sources"
        )
    try:
        arrays = _loaded(source)
        if not isinstance(arrays, Arrays):
            raise RequestError(f"the SOURCE of {name} gives a {type(arrays).__name__}, not Arrays of benchmark.api")
        return checked(name, **arrays.arrays, classes=np.array(arrays.classes)), source.target
    except RequestError:
        raise
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise RequestError(f"the SOURCE of {name} fails: {reason}") from error


def _loaded(source: Source) -> Arrays:
    with tempfile.TemporaryDirectory() as downloads, contextlib.redirect_stdout(sys.stderr):
        return source.load(Path(downloads))


def read_npz(path: Path) -> Arrays:
    """Read a file in the Keras layout; it may also have `classes`, the labels' names, and the two keys of OWNERS.

    Raises RequestError if it is not one.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            missing = [key for key in KEYS if key not in file]
            if missing:
                found = ", ".join(file.files) or "nothing"
                raise RequestError(f"{path} has no {', '.join(missing)}, it has {found}; expected {LAYOUT}")
            arrays = {key: file[key] for key in KEYS + OWNERS if key in file}
            names = file.get("classes")
    except RequestError:
        raise
    except (OSError, ValueError, EOFError, AttributeError, TypeError, zipfile.BadZipFile) as error:
        pickled = isinstance(error, ValueError) and zipfile.is_zipfile(path)
        reason = "it holds an object array" if pickled else "it is damaged or no .npz file"
        raise RequestError(f"{path} can't be read: {reason}; expected {LAYOUT}") from error
    return checked(str(path), **arrays, classes=names)


def checked(
    name: str,
    x_train: np.ndarray,
    y_train: np.ndarray,
    x_test: np.ndarray,
    y_test: np.ndarray,
    classes: np.ndarray | None = None,
    owners_train: np.ndarray | None = None,
    owners_test: np.ndarray | None = None,
) -> Arrays:
    """Bring arrays to canonical shape. Raises RequestError, naming the array, if they are not in the Keras layout."""

    def wrong(what: str) -> RequestError:
        return RequestError(f"{name}: {what}; expected {LAYOUT}")

    def column(key: str, y: np.ndarray) -> np.ndarray:
        y = y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y
        if y.ndim != 1 or not np.issubdtype(y.dtype, np.integer):
            raise wrong(f"{key} is {y.dtype} {list(y.shape)}, not integers [n]")
        return y.astype(np.int64)

    images, labels, owners = {}, {}, {}
    for split, x, y in (("train", x_train, y_train), ("test", x_test, y_test)):
        if x.dtype != np.uint8 or x.ndim not in (3, 4) or 0 in x.shape[1:]:
            raise wrong(f"x_{split} is {x.dtype} {list(x.shape)}")
        labels[split] = column(f"y_{split}", y)
        if len(x) != len(y):
            raise wrong(f"x_{split} has {len(x)} images and y_{split} {len(y)} labels")
        images[split] = x if x.ndim == 4 else x[..., None]
    if (owners_train is None) != (owners_test is None):
        raise wrong(f"it has owners_{'test' if owners_train is None else 'train'} alone, which needs the other")
    for split, who in (("train", owners_train), ("test", owners_test)):
        owners[split] = None if who is None else column(f"owners_{split}", who)
        if who is not None and len(who) != len(labels[split]):
            raise wrong(f"owners_{split} has {len(who)} owners and y_{split} {len(labels[split])} labels")
    if images["train"].shape[1:] != images["test"].shape[1:]:
        raise wrong(f"x_train is {list(x_train.shape)} and x_test {list(x_test.shape)}")
    pooled = np.concatenate([labels["train"], labels["test"]])
    if not len(labels["train"]):
        raise wrong("x_train is empty")
    if classes is not None and classes.ndim != 1:
        raise wrong(f"classes is {list(classes.shape)}, not a list of names")
    found = np.unique(pooled)
    count = len(found) if classes is None else len(classes)
    if found[0] < 0 or found[-1] >= count:
        raise wrong(f"labels run from {found[0]} to {found[-1]}, with {count} classes")
    if count < 2:
        raise wrong("there is only one class")
    names = tuple(str(label) for label in (range(count) if classes is None else classes))
    return Arrays(
        images["train"], labels["train"], images["test"], labels["test"], names, owners["train"], owners["test"]
    )


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


def read_image_folder(folder: Path, size: int = 32) -> Arrays:
    """Read <folder>/<class>/*.png, or <folder>/train/<class>/... and <folder>/test/..., as RGB of size x size."""
    from PIL import Image, UnidentifiedImageError

    splits = {split: folder / split for split in ("train", "test") if (folder / split).is_dir()} or {"train": folder}
    names = sorted(
        {d.name for split in splits.values() for d in split.iterdir() if d.is_dir() and not d.name.startswith(".")}
    )
    arrays: dict[str, np.ndarray] = {}
    for split in ("train", "test"):
        images, labels = [], []
        for label, name in enumerate(names):
            files = sorted((splits[split] / name).glob("*")) if split in splits else []
            for file in (f for f in files if f.suffix.lower() in IMAGE_SUFFIXES):
                try:
                    with Image.open(file) as image:
                        images.append(np.asarray(image.convert("RGB").resize((size, size))))
                except (OSError, UnidentifiedImageError) as error:
                    raise RequestError(f"{file} is no image that can be read") from error
                labels.append(label)
        arrays[f"x_{split}"] = np.array(images, dtype=np.uint8).reshape(-1, size, size, 3)
        arrays[f"y_{split}"] = np.array(labels, dtype=np.int64)
    if not len(arrays["y_train"]):
        raise RequestError(f"{folder} has no images; expected one folder per class with images in it")
    return checked(str(folder), **arrays, classes=np.array(names))


def _write_npz(path: Path, arrays: Arrays) -> None:
    content: dict[str, Any] = arrays.arrays | {"classes": np.array(arrays.classes)}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, lambda file: np.savez_compressed(file, **content))
    except OSError as error:
        raise RequestError(f"{path} can't be written ({error.strerror}); choose another folder with --data") from error
