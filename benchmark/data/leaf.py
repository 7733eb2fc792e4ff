"""Data sets of LEAF: .json files that have the samples of each user, such as those of FEMNIST.

S. Caldas et al., "LEAF: A Benchmark for Federated Settings", 2018, arXiv 1812.01097. A file has `user_data`: user ->
{x: pictures, each a flat list of pixels, y: labels}; files lie in train/ and test/, or all in one folder.
"""

import json
from collections.abc import Mapping, Sequence
from math import isqrt
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.data.arrays import Arrays, checked, natural_order, text_of
from benchmark.data.files import Remarks, content, memory_bytes, regular_file
from benchmark.data.image_folder import SPLITS, is_picture
from benchmark.data.levels import as_bytes
from benchmark.errors import RequestError, tell

USER_DATA = b'"user_data"'
LOOKED_THROUGH = 2**22
"""Bytes that are read at a time where that word is looked for."""
LEAF_FORM = '{"users": [...], "user_data": {user: {"x": [[pixels], ...], "y": [labels]}}}'


def leaf_files(root: Path) -> dict[str, list[Path]]:
    """Return part of the data -> .json files of LEAF, in train/ and test/ or else the folder itself; empty if none."""
    folders, files = content(root, Remarks(root))
    found: dict[str, list[Path]] = {}
    for folder in folders:
        if part := SPLITS.get(folder.name.casefold()):
            _, inside = content(folder, Remarks(root))
            if not any(map(is_picture, inside)):
                found[part] = found.get(part, []) + [file for file in inside if _is_leaf(file)]
    if not any(found.values()) and not any(map(is_picture, files)):
        found = {"train": [file for file in files if _is_leaf(file)]}
    return {part: files for part, files in found.items() if files}


def _is_leaf(file: Path) -> bool:
    """Return whether a file has the word `user_data` at its beginning, or behind a list of users."""
    if file.suffix.lower() != ".json":
        return False
    before = b""
    with regular_file(file) as opened:
        for block in iter(lambda: opened.read(LOOKED_THROUGH), b""):
            if USER_DATA in before + block:
                return True
            before = block[1 - len(USER_DATA) :]
    return False


def read_leaf(folder: Path, files: Mapping[str, Sequence[Path]]) -> Arrays:
    """Read such files as a data set whose owners are the users, numbered in natural order; validation joins training.

    Pixels that are no bytes are scaled by one rule for all users (see `levels`). Raises RequestError if a file is none
    of LEAF's, or has no pictures in it.
    """
    parts = {"train": [*files.get("train", ()), *files.get("val", ())], "test": [*files.get("test", ())]}
    if not parts["train"]:
        raise RequestError(f"{folder} has no .json files under train/; expected {LEAF_FORM}")
    read = {part: [sample for file in paths for sample in _samples(file)] for part, paths in parts.items()}
    flat = [x for own in read.values() for _, x, _ in own]
    pictures, words = as_bytes(str(folder), "pixels", [_pictures(folder, x) for x in flat])
    if words:
        tell(f"{folder}: {words}")
    if len(shapes := {x.shape[1:] for x in pictures}) > 1:
        raise RequestError(f"{folder}: users have pictures of {len(shapes)} sizes; expected one")
    users = sorted({user for own in read.values() for user, _, _ in own}, key=natural_order)
    number = {user: i for i, user in enumerate(users)}
    arrays, n = {}, len(read["train"])
    for part, own in (("train", pictures[:n]), ("test", pictures[n:])):
        arrays[f"x_{part}"] = np.concatenate(own) if own else pictures[0][:0]
        arrays[f"y_{part}"] = np.array([str(y) for _, _, labels in read[part] for y in labels], dtype=str)
        owners = [number[user] for user, _, labels in read[part] for _ in labels]
        arrays[f"owners_{part}"] = np.array(owners, dtype=np.int64)
    return checked(str(folder), **arrays)


def _samples(file: Path) -> list[tuple[str, np.ndarray, list[int]]]:
    """Return (user, pixels [n, pixels], labels) of each user in a file who has samples."""

    def wrong(what: str) -> RequestError:
        return RequestError(f"{file} is no file of LEAF that can be read: {what}; expected {LEAF_FORM}")

    try:
        with regular_file(file) as opened:
            if file.stat().st_size > memory_bytes() // 4:
                raise wrong("it is too large for this machine's memory")
            data = json.loads(opened.read())
        samples = [(text_of(user), *_arrays(own)) for user, own in data["user_data"].items()]
    except RequestError:
        raise
    except KeyError as error:
        raise wrong(f"it has no {error}") from error
    except Exception as error:  # whatever else is not as it should be
        raise wrong(" ".join(str(error).split())[:120]) from error
    return [sample for sample in samples if len(sample[2])]


def _arrays(own: Mapping[str, Any]) -> tuple[np.ndarray, list[int]]:
    x, y = np.asarray(own["x"]), own["y"]
    if x.dtype.kind not in "uif":
        raise ValueError("x is texts or names of files, not pixels")
    if len(x) != len(y) or not all(type(label) is int for label in y):
        raise ValueError(f"a user has {len(x)} samples and {len(y)} labels, which are to be as many integers")
    return x, y


def _pictures(folder: Path, x: np.ndarray) -> np.ndarray:
    """Return flat pictures [n, pixels] as squares [n, side, side, c], of one channel or of three."""
    if x.ndim == 2:
        for channels in (1, 3):
            side = isqrt(x.shape[1] // channels)
            if side > 1 and side * side * channels == x.shape[1]:
                return x.reshape(-1, side, side, channels)
    if x.ndim in (3, 4):
        return x if x.ndim == 4 else x[..., None]
    raise RequestError(f"{folder}: x is {list(x.shape)}, not pictures; expected squares of one or three channels")
