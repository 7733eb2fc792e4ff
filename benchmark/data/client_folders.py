"""Folders with a file for each client: HtFLlib's and PFLlib's, and how to write them.

train/<k>.npz and test/<k>.npz hold under the key `data` a dict of client k's `x` [n, c, h, w] and `y` [n], beside a
config.json. J. Zhang et al., "PFLlib", JMLR 2025, arXiv 2312.04992, and "HtFLlib", KDD 2025, arXiv 2506.03954.
"""

import json
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.data.arrays import CHANNELS, Arrays, checked, natural_order
from benchmark.data.files import Remarks, content, regular_file
from benchmark.data.image_folder import SPLITS
from benchmark.data.levels import as_bytes
from benchmark.data.npz import check_size, reason_of
from benchmark.data.unpickling import Forbidden, object_member
from benchmark.errors import RequestError, tell

CLIENT_FORM = "train/<client>.npz and test/<client>.npz, each with data = dict(x=[n, c, h, w], y=[n])"
CONFIG_BYTES = 2**26


def client_files(root: Path) -> dict[str, list[Path]]:
    """Return part of the data -> files of clients, in the order of clients; empty if the folder has no such files."""
    folders, _ = content(root, Remarks(root))
    found: dict[str, list[Path]] = {}
    for folder in folders:
        if part := SPLITS.get(folder.name.casefold()):
            _, files = content(folder, Remarks(root))
            numbered = [file for file in files if file.suffix == ".npz" and file.stem.isdecimal()]
            found[part] = found.get(part, []) + sorted(numbered, key=lambda file: natural_order(file.stem))
    return {part: files for part, files in found.items() if files}


def read_client_folders(folder: Path, files: Mapping[str, Sequence[Path]]) -> Arrays:
    """Read such files as a data set whose owners are the clients, by their numbers; validation joins training.

    Pixels that are no bytes are scaled by one rule for all clients (see `levels`). Raises RequestError if a file can't
    be read, or holds anything but numpy arrays, dicts, lists and numbers.
    """
    parts = {"train": [*files.get("train", ()), *files.get("val", ())], "test": [*files.get("test", ())]}
    if not parts["train"]:
        raise RequestError(f"{folder} has no files of clients under train/; expected {CLIENT_FORM}")
    read = {part: [_client(path) for path in paths] for part, paths in parts.items()}
    everything = [x for part in read.values() for x, _ in part]
    if len(shapes := {x.shape[1:] for x in everything if len(x)}) > 1:
        raise RequestError(
            f"{folder}: clients have pictures of {len(shapes)} shapes: {sorted(shapes)[:3]}; expected one"
        )
    images, words = as_bytes(str(folder), "pixels", everything)
    if words:
        tell(f"{folder}: {words}")
    n = len(read["train"])
    arrays = {}
    for part, own in (("train", images[:n]), ("test", images[n:])):
        arrays[f"x_{part}"] = np.concatenate(own) if own else images[0][:0]
        labels = [y for _, y in read[part]]
        arrays[f"y_{part}"] = np.concatenate(labels) if labels else np.empty(0, np.int64)
        clients = [int(path.stem) for path in parts[part]]
        arrays[f"owners_{part}"] = np.repeat(np.array(clients, dtype=np.int64), [len(y) for y in labels])
    return checked(str(folder), **arrays, classes=_class_names(folder, arrays))


def _client(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return the pictures [n, h, w, c] of one client's file, as deep as they are, and their labels."""
    try:
        with regular_file(path) as file, zipfile.ZipFile(file) as archive:
            check_size(path, archive)
            found = object_member(archive, "data")
        x, y = (np.asarray(found[key]) for key in ("x", "y"))
    except RequestError:
        raise
    except Forbidden as error:
        raise RequestError(
            f"{path} holds {error}; only numpy arrays, dicts, lists, texts and numbers are read, for anything else "
            "could be a program"
        ) from error
    except Exception as error:  # zipfile, zlib, pickle, numpy and the system: each has its own
        reason = f"it has no {error}" if isinstance(error, KeyError) else reason_of(error)
        raise RequestError(f"{path} can't be read: {reason}; expected {CLIENT_FORM}") from error
    if (
        x.ndim not in (3, 4)
        or x.dtype.kind not in "uifb"
        or y.ndim != 1
        or y.dtype.kind not in "ui"
        or len(x) != len(y)
    ):
        raise RequestError(
            f"{path}: x is {x.dtype} {list(x.shape)} and y {y.dtype} {list(y.shape)}; expected {CLIENT_FORM}"
        )
    if x.ndim == 3:
        return x[..., None], y
    first = x.shape[1] in CHANNELS or x.shape[3] not in CHANNELS  # their form; some keep pictures as [n, h, w, c]
    return (x.transpose(0, 2, 3, 1) if first else x), y


def _config(folder: Path) -> dict[str, Any]:
    """Return what config.json says; nothing if it is missing or no JSON, for the files stand for themselves."""
    try:
        with regular_file(folder / "config.json") as file:
            found = json.loads(file.read(CONFIG_BYTES))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _class_names(folder: Path, arrays: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return the names of all classes: those in config.json, or their numbers."""
    most = max((int(y.max()) for y in (arrays["y_train"], arrays["y_test"]) if len(y)), default=0) + 1
    config = _config(folder)
    names, declared = config.get("classes"), config.get("num_classes")
    if isinstance(names, list) and len(names) >= most:
        return np.array([str(name) for name in names])
    if most > len(arrays["y_train"]) + len(arrays["y_test"]):
        raise RequestError(f"{folder}: labels run up to {most - 1}, more than there are samples; expected 0 ... C-1")
    count = declared if isinstance(declared, int) and most <= declared <= 10 * most else most
    return np.array([str(label) for label in range(count)])


def write_client_folders(
    folder: Path,
    images: np.ndarray,
    labels: np.ndarray,
    splits: Sequence[tuple[np.ndarray, np.ndarray]],
    facts: Mapping[str, Any],
) -> None:
    """Write (training, test) indices of each client as such a folder, whole or not at all.

    images: uint8 [N, h, w, c], written as float32 [n, c, h, w] between -1 and 1, which is what those harnesses make of
    theirs; labels: [N]; facts: what config.json says beside the numbers of clients and of samples by class. Raises
    RequestError if the folder has something in it already, or can't be written.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise RequestError(f"{folder} is there already; choose a folder that is new or empty with --to")
    statistic = [
        [[int(c), int(n)] for c, n in zip(*np.unique(labels[np.concatenate(own)], return_counts=True), strict=True)]
        for own in splits
    ]
    config = {"num_clients": len(splits), **facts, "Size of samples for labels in clients": statistic}
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".export-") as temporary:
            whole = Path(temporary) / "whole"
            for part, place in (("train", 0), ("test", 1)):
                (whole / part).mkdir(parents=True)
                for client, own in enumerate(splits):
                    _write_client(whole / part / f"{client}.npz", images[own[place]], labels[own[place]])
            (whole / "config.json").write_text(json.dumps(config) + "\n", encoding="utf-8")
            whole.replace(folder)
    except OSError as error:
        raise RequestError(f"{folder} can't be written ({error.strerror}); choose another with --to") from error


def _write_client(path: Path, images: np.ndarray, labels: np.ndarray) -> None:
    x = (images.astype(np.float32) / 127.5 - 1).transpose(0, 3, 1, 2)
    data: Any = {"x": np.ascontiguousarray(x), "y": labels.astype(np.int64)}
    np.savez_compressed(path, data=data)
