"""Data sets in one .npz file: of the Keras layout, or of MedMNIST's; reading runs no code that is in the file."""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.data.arrays import KEYS, LAYOUT, OWNERS, Arrays, checked
from benchmark.data.files import memory_bytes, regular_file
from benchmark.errors import RequestError, tell
from benchmark.storage.files import write_whole

MEDMNIST_KEYS = ("train_images", "train_labels", "test_images", "test_labels")
"""What files of MedMNIST have, beside val_images and val_labels. J. Yang et al., 2023, arXiv 2110.14795."""


def read_npz(path: Path) -> Arrays:
    """Read a file in the Keras layout; it may also have `classes`, the labels' names, and the two keys of OWNERS.

    Labels without a name may be texts. A file with MedMNIST's keys is read too, its validation part joined to the
    training part. Raises RequestError if it is neither.
    """
    try:
        content = read_members(path, {*KEYS, *OWNERS, "classes", *MEDMNIST_KEYS, "val_images", "val_labels"})
    except RequestError:
        raise
    except Exception as error:  # zipfile, zlib, numpy and the system: each has its own
        raise RequestError(f"{path} can't be read: {reason_of(error)}; expected {LAYOUT}") from error
    if content.keys() >= set(MEDMNIST_KEYS) and "x_train" not in content:
        content = _of_medmnist(path, content)
    missing = [key for key in KEYS if key not in content]
    if missing:
        found = ", ".join(_names(path)) or "nothing"
        raise RequestError(f"{path} has no {', '.join(missing)}, it has {found}; expected {LAYOUT}")
    return checked(str(path), **{key: content[key] for key in (*KEYS, *OWNERS, "classes") if key in content})


def read_members(path: Path, wanted: set[str]) -> dict[str, np.ndarray]:
    """Return those arrays of an .npz file that are wanted. Raises whatever is wrong with it, or RequestError."""
    with regular_file(path) as file:
        if not zipfile.is_zipfile(file):
            raise zipfile.BadZipFile("no zip file")
        file.seek(0)
        with np.load(file, allow_pickle=False) as loaded:
            check_size(path, loaded.zip)
            found = {key: loaded[key] for key in loaded.files if key in wanted}
    for key, value in found.items():
        if not isinstance(value, np.ndarray):
            raise RequestError(f"{path} can't be read: {key} is no array; expected {LAYOUT}")
    return found


def check_size(path: Path, archive: zipfile.ZipFile) -> None:
    """Raise RequestError if what an archive declares does not fit into this machine's memory."""
    declared = sum(info.file_size for info in archive.infolist())
    if declared > memory_bytes():
        raise RequestError(
            f"{path} declares {declared / 1e9:.0f} GB of data, more than this machine's memory of "
            f"{memory_bytes() / 1e9:.0f} GB; make it smaller"
        )


def reason_of(error: Exception) -> str:
    """Return in a few words why an .npz file can't be read."""
    match error:
        case ValueError() if "Object arrays" in str(error):
            return "it holds an object array"
        case RuntimeError() if "encrypted" in str(error):
            return "it is encrypted"
        case NotImplementedError():
            return "its kind of compression is unknown"
        case MemoryError():
            return "it declares more data than the memory holds"
        case OSError(strerror=str(said)):
            return said
        case OSError() if "regular" in str(error):
            return str(error)
    return "it is damaged or no .npz file"


def _names(path: Path) -> list[str]:
    with regular_file(path) as file, zipfile.ZipFile(file) as archive:
        return [name.removesuffix(".npy") for name in archive.namelist()]


def _of_medmnist(path: Path, content: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the arrays under the keys of the Keras layout."""
    parts = ["train", "val"] if {"val_images", "val_labels"} <= content.keys() else ["train"]
    try:
        x, y = (np.concatenate([content[f"{part}_{what}"] for part in parts]) for what in ("images", "labels"))
    except ValueError as error:
        raise RequestError(
            f"{path}: its training and validation part do not fit together; expected {LAYOUT}"
        ) from error
    if len(parts) > 1:
        tell(f"{path}: the {len(content['val_labels'])} validation samples are used with the training samples")
    return {"x_train": x, "y_train": y, "x_test": content["test_images"], "y_test": content["test_labels"]}


def write_npz(path: Path, arrays: Arrays) -> None:
    """Write a data set in the Keras layout; classes without samples have the last names. Raises RequestError."""
    content: dict[str, Any] = arrays.arrays | {"classes": np.array(arrays.classes + arrays.left_out)}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, lambda file: np.savez_compressed(file, **content))
    except OSError as error:
        raise RequestError(f"{path} can't be written ({error.strerror}); choose another folder with --data") from error
