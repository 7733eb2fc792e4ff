"""Data sets as arrays: checked, with the classes that have samples, and hashed."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from xxhash import xxh3_128_digest

from benchmark.errors import RequestError, tell

KEYS = ("x_train", "y_train", "x_test", "y_test")
OWNERS = ("owners_train", "owners_test")
LAYOUT = f"keys {', '.join(KEYS)}; x uint8 [n, h, w] or [n, h, w, c], y integers 0 ... C-1"
COUNTED_PIXELS = 2**16
"""Pixels whose levels are counted at a time: the eight bytes that each needs stay in the cache."""
CHANNELS = (1, 3, 4)
"""Numbers of channels by which pictures that have them first are told from pictures that have them last."""
NAMED_CLASSES = 5


@dataclass(frozen=True, eq=False)
class Arrays:
    """A data set in memory.

    x_train, x_test: [n, h, w, c] uint8
    y_train, y_test: [n] int64, labels 0 ... C-1
    classes:         the C names, in the order of labels; each has samples once the arrays were `checked`
    owners_train, owners_test: [n] int64, who a sample belongs to (a writer, a patient, a camera), the same number in
                     both for the same owner; both None if they are unknown
    left_out:        names of further classes, which have no samples
    """

    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    classes: tuple[str, ...]
    owners_train: np.ndarray | None = None
    owners_test: np.ndarray | None = None
    left_out: tuple[str, ...] = ()

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        """The arrays that are not None, by their keys in a file, without the names of the classes."""
        return {key: getattr(self, key) for key in KEYS + OWNERS if getattr(self, key) is not None}

    @cached_property
    def hash(self) -> str:
        """Hex digest of all images, labels and, if they are known, owners.

        The names of all classes are in it where some have no samples: those are what tells such data apart.
        """
        digest = hashlib.sha256()
        for key, found in self.arrays.items():
            array = np.ascontiguousarray(found)
            digest.update(f"{key} {array.shape} {array.dtype}".encode())
            digest.update(array.data)
        if self.left_out:
            digest.update(f"classes {self.classes} of {self.classes + self.left_out}".encode(errors="backslashreplace"))
        return digest.hexdigest()[:16]

    @cached_property
    def fingerprint(self) -> str:
        """Hex digest of all images with their labels, in whatever order each part has them: what a data set is."""
        digest = hashlib.sha256()
        for part, x, y in (("train", self.x_train, self.y_train), ("test", self.x_test, self.y_test)):
            digest.update(f"{part} {x.shape}".encode())
            samples = (xxh3_128_digest(image) + int(label).to_bytes(8) for image, label in zip(x, y, strict=True))
            digest.update(b"".join(sorted(samples)))
        return digest.hexdigest()[:32]

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

    @property
    def held_out(self) -> np.ndarray:
        """Which of the pooled images are of the data's own test part: [N] bool."""
        return np.arange(len(self.y_train) + len(self.y_test)) >= len(self.y_train)


class _Wrong(ValueError):
    """What is not as the layout wants it."""


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
    """Bring arrays to canonical shape: pictures [n, h, w, c], labels 0 ... C-1 of the classes that have samples.

    classes: names of labels 0 ... in their order, also of those without samples; labels that are texts are named by
    themselves, in natural order. Raises RequestError, naming the array, if they are not in the Keras layout.
    """
    try:
        x_train, y_train = _sampled(name, "train", x_train, y_train)
        x_test, y_test = _sampled(name, "test", x_test, y_test)
        owners = _owners(owners_train, owners_test, y_train, y_test)
        if x_train.shape[1:] != x_test.shape[1:]:
            raise _Wrong(f"x_train is {list(x_train.shape)} and x_test {list(x_test.shape)}")
        if not len(y_train):
            raise _Wrong("x_train is empty")
        y_train, y_test, names = _named(y_train, y_test, classes)
        labels, kept, left_out = _present(np.concatenate([y_train, y_test]), names)
    except _Wrong as wrong:
        raise RequestError(f"{name}: {wrong}; expected {LAYOUT}") from None
    if left_out:
        tell(f"{name}: {_without_samples(left_out)}; {len(kept)} classes remain")
    return Arrays(x_train, labels[: len(y_train)], x_test, labels[len(y_train) :], kept, *owners, left_out)


def _without_samples(left_out: Sequence[str]) -> str:
    names = ", ".join(left_out[:NAMED_CLASSES]) + (", ..." if len(left_out) > NAMED_CLASSES else "")
    if len(left_out) == 1:
        return f"left out: 1 class without samples ({names})"
    return f"left out: {len(left_out)} classes without samples ({names})"


def _sampled(name: str, split: str, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the pictures [n, h, w, c] of a split and their labels [n], as they are named."""
    if x.dtype != np.uint8 or x.ndim not in (3, 4) or 0 in x.shape[1:]:
        raise _Wrong(f"x_{split} is {x.dtype} {list(x.shape)}")
    y = _column(f"y_{split}", y)
    if len(x) != len(y):
        raise _Wrong(f"x_{split} has {len(x)} images and y_{split} {len(y)} labels")
    if _has_channels_first(x.shape):
        tell(f"{name}: x_{split} is {list(x.shape)}, read as {x.shape[1]} channels first, then height and width")
        x = np.ascontiguousarray(x.transpose(0, 2, 3, 1))
    return x if x.ndim == 4 else x[..., None], y


def _has_channels_first(shape: Sequence[int]) -> bool:
    """Return whether pictures of this shape are [n, c, h, w]: no other axis could be that of the channels."""
    return len(shape) == 4 and shape[1] in CHANNELS and shape[3] not in CHANNELS and shape[2] not in CHANNELS


def _column(key: str, y: np.ndarray) -> np.ndarray:
    """Return whole numbers, or texts, [n]."""
    y = y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y
    if y.ndim == 1 and y.dtype.kind in "US":
        return np.array([text_of(value) for value in y.tolist()], dtype=object)
    if y.ndim != 1 or not np.issubdtype(y.dtype, np.integer):
        raise _Wrong(f"{key} is {y.dtype} {list(y.shape)}, not integers [n]")
    return y.astype(np.int64)


def _owners(
    train: np.ndarray | None, test: np.ndarray | None, y_train: np.ndarray, y_test: np.ndarray
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Return the owners of both splits as numbers, or None twice; those that are texts are numbered in their order."""
    if (train is None) != (test is None):
        raise _Wrong(f"it has owners_{'test' if train is None else 'train'} alone, which needs the other")
    if train is None or test is None:
        return None, None
    train, test = _column("owners_train", train), _column("owners_test", test)
    for split, who, labels in (("train", train, y_train), ("test", test, y_test)):
        if len(who) != len(labels):
            raise _Wrong(f"owners_{split} has {len(who)} owners and y_{split} {len(labels)} labels")
    if object in (train.dtype, test.dtype):
        train, test, _ = _coded("owners", train, test)
    return train, test


def _named(
    y_train: np.ndarray, y_test: np.ndarray, classes: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """Return labels as numbers, and the names of all classes, those without samples too."""
    if classes is not None and classes.ndim != 1:
        raise _Wrong(f"classes is {list(classes.shape)}, not a list of names")
    names = None if classes is None else tuple(map(text_of, classes.tolist()))
    if twice := next((name for i, name in enumerate(names or ()) if name in (names or ())[:i]), None):
        raise _Wrong(f"classes has {twice!r} twice")
    if object in (y_train.dtype, y_test.dtype):
        return _coded("y", y_train, y_test, names)
    found = np.unique(np.concatenate([y_train, y_test]))
    count = len(found) if names is None else len(names)
    if found[0] < 0 or found[-1] >= count:
        raise _Wrong(f"labels run from {found[0]} to {found[-1]}, with {count} classes")
    return y_train, y_test, tuple(map(str, range(count))) if names is None else names


def _coded(
    key: str, train: np.ndarray, test: np.ndarray, names: Sequence[str] | None = None
) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """Return the numbers of texts in both splits, and the texts in the order of numbers."""
    if len(train) and len(test) and train.dtype != test.dtype:
        raise _Wrong(f"of {key}_train and {key}_test one has texts and one numbers")
    found = {str(text) for text in (*train, *test)}
    order = tuple(sorted(found, key=natural_order) if names is None else names)
    if unknown := sorted(found - set(order)):
        raise _Wrong(f"{key} has {unknown[0]!r}, which is not among the {len(order)} names in classes")
    code = {text: number for number, text in enumerate(order)}
    return *(np.array([code[str(text)] for text in y], dtype=np.int64) for y in (train, test)), order  # type: ignore


def _present(labels: np.ndarray, names: Sequence[str]) -> tuple[np.ndarray, tuple[str, ...], tuple[str, ...]]:
    """Return labels 0 ... C-1 of the classes that have samples, the names of those, and the names of the others."""
    found, numbered = np.unique(labels, return_inverse=True)
    if len(found) < 2:
        raise _Wrong("there is only one class")
    kept = set(found.tolist())
    others = tuple(name for label, name in enumerate(names) if label not in kept)
    return numbered.astype(np.int64), tuple(names[label] for label in found), others


def text_of(value: object) -> str:
    """Return a name as text that can be stored: what is no character is written as its number."""
    text = value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)
    return text.encode("utf-8", "backslashreplace").decode()


def natural_order(name: str) -> tuple[list[tuple[int, str]], str]:
    """Return what to sort names by, so that class2 comes before class10: digits by the number that they make."""
    parts = re.split("([0-9]+)", name)
    return [(len(p.lstrip("0")), p.lstrip("0")) if i % 2 else (0, p) for i, p in enumerate(parts)], name
