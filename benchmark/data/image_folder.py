"""Folders of pictures: one rule for what is a split, a class, a picture, and what is left out.

- A split is a folder named as in SPLITS, in any case, that has folders of pictures or a labels.csv, if there is a
  training part among them. Samples of a validation part are used with the training samples.
- A class is a folder right inside a split, or right inside the whole folder where that has no splits. A folder that has
  pictures itself is a class, whatever its name. Instead, a file labels.csv may name the class of each picture.
- A picture is a regular file with one of IMAGE_SUFFIXES, anywhere below its class's folder.
- A folder that has nothing but one folder of folders stands for that one, as an unpacked archive does.
"""

import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmark.data.arrays import Arrays, checked, natural_order, text_of
from benchmark.data.files import Remarks, content, walk
from benchmark.data.label_list import LABELS_FILE, label_list
from benchmark.data.pictures import IMAGE_SUFFIXES, read_pictures
from benchmark.errors import RequestError

SPLITS = {
    **dict.fromkeys(("train", "training", "train_set", "trainset"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "val"),
    **dict.fromkeys(("test", "testing", "test_set", "testset"), "test"),
}
"""Names of folders in lower case -> the part of the data that they hold."""


class Sample(NamedTuple):
    """One picture: its part of the data, the name of its class, and who it belongs to, if that is known."""

    file: Path
    split: str
    label: str
    owner: str | None = None


def read_image_folder(folder: Path, side: int | None = None) -> Arrays:
    """Read a folder of pictures by the rule above; `read_pictures` says what side means.

    What is left out, and what is used in a way that its owner may not expect, is told in a line each. Raises
    RequestError if there are no pictures, or if one can't be read.
    """
    remarks = Remarks(folder)
    root = unwrapped(folder)
    splits = splits_of(root)
    samples: list[Sample] = []
    names: set[str] = set()
    for part in splits or {root: "train"}:
        found, classes = _samples(part, splits.get(part, "train"), remarks)
        samples += found
        names |= classes
    if splits:
        _leave_others(root, set(splits), remarks)
    for sample in samples:
        if sample.split == "val":
            remarks.use("validation pictures, used with the training pictures", sample.file)
    remarks.say()
    if not any(sample.split != "test" for sample in samples):
        raise RequestError(f"{folder} has no images; expected one folder per class with images in it")
    return _arrays(folder, samples, sorted(names, key=natural_order), side)


def _arrays(folder: Path, samples: Sequence[Sample], names: Sequence[str], side: int | None) -> Arrays:
    """Return the samples as arrays: the training part, then the test part, each class by class."""
    code = {name: label for label, name in enumerate(names)}
    ordered = sorted(samples, key=lambda s: (s.split == "test", code[s.label], s.split == "val"))
    images = read_pictures(str(folder), [s.file for s in ordered], side)
    labels = np.array([code[s.label] for s in ordered], dtype=np.int64)
    owners = np.array([s.owner for s in ordered], dtype=str) if all(s.owner is not None for s in ordered) else None
    n = sum(s.split != "test" for s in ordered)
    found = {"x_train": images[:n], "y_train": labels[:n], "x_test": images[n:], "y_test": labels[n:]}
    if owners is not None:
        found |= {"owners_train": owners[:n], "owners_test": owners[n:]}
    return checked(str(folder), **found, classes=np.array(names))


def unwrapped(folder: Path) -> Path:
    """Return the folder itself, or the one in it that an archive was unpacked to. Raises RequestError."""
    while True:
        folders, files = content(folder, Remarks(folder))
        if len(folders) != 1 or any(is_picture(file) or file.name.casefold() == LABELS_FILE for file in files):
            return folder
        below, _ = content(folders[0], Remarks(folder))
        if not below or _has_pictures(folders[0]) or folders[0].name.casefold() in SPLITS:
            return folder
        folder = folders[0]


def splits_of(root: Path) -> dict[Path, str]:
    """Return the folders that are splits, with the part that they hold; none if no training part is among them."""
    folders, _ = content(root, Remarks(root))
    found = {f: SPLITS[f.name.casefold()] for f in folders if f.name.casefold() in SPLITS and _is_split(f)}
    return found if "train" in found.values() else {}


def _is_split(folder: Path) -> bool:
    """Return whether a folder that has a split's name is one. Raises RequestError if it may as well be a class."""
    folders, files = content(folder, Remarks(folder))
    if any(file.name.casefold() == LABELS_FILE for file in files):
        return True
    loose = next(filter(is_picture, files), None)
    if loose and any(map(_has_pictures, folders)):
        raise RequestError(
            f"{folder} has pictures, such as {loose.name}, beside folders of pictures; if it is a part of the data, "
            "move them into a class's folder, and if it is a class, rename it"
        )
    return bool(folders) and not loose


def is_picture(file: Path) -> bool:
    """Return whether a file has the suffix of a picture."""
    return file.suffix.lower() in IMAGE_SUFFIXES


def _has_pictures(folder: Path) -> bool:
    return any(map(is_picture, content(folder, Remarks(folder))[1]))


def _samples(part: Path, split: str, remarks: Remarks) -> tuple[list[Sample], set[str]]:
    """Return the samples of a split, and the names of its classes, those without pictures too."""
    folders, files = content(part, remarks)
    listed = next((file for file in files if file.name.casefold() == LABELS_FILE), None)
    if listed:
        return _listed(part, listed, split, remarks)
    for file in files:
        remarks.leave(_why_no_sample(file), file)
    samples = []
    for folder in folders:
        for file in _pictures(folder, remarks):
            if file.parent != folder:
                remarks.use("pictures deeper than their class's folder, taken as of that class", file)
            samples.append(Sample(file, split, class_name(folder)))
    return samples, set(map(class_name, folders))


def class_name(folder: Path) -> str:
    """Return the name of a class: the folder's, the same for both ways to write an accent."""
    return unicodedata.normalize("NFC", text_of(folder.name))


def _listed(part: Path, listed: Path, split: str, remarks: Remarks) -> tuple[list[Sample], set[str]]:
    """Return the samples that a file labels.csv names; the split is a row's own, or that of the folder it lies in."""
    named = _by_name(part, _pictures(part, remarks, skip=listed))
    everything = sorted({file for files in named.values() for file in files})
    samples: dict[Path, Sample] = {}
    for name, row in label_list(listed).items():
        if name not in named:
            remarks.leave(f"rows of {listed.name} without a picture", part / name)
            continue
        file, *others = named[name]
        if others or file in samples:
            raise RequestError(
                f"{listed}: {name} is {'one of several pictures' if others else 'a picture that another row names'}; "
                "name each once, by its path inside the folder"
            )
        if row.split and row.split.casefold() not in SPLITS:
            raise RequestError(f"{listed}: {name} is of the split {row.split!r:.40}; expected train, val or test")
        held = SPLITS.get((row.split or file.relative_to(part).parts[0]).casefold(), split)
        samples[file] = Sample(file, held, text_of(row.label), row.owner)
    for file in everything:
        if file not in samples:
            remarks.leave(f"pictures without a row in {listed.name}", file)
    return list(samples.values()), {sample.label for sample in samples.values()}


def _by_name(part: Path, files: Sequence[Path]) -> dict[str, list[Path]]:
    """Return what a row may call a picture -> the pictures: its path inside the folder or its name, with suffix or not.

    A path is that picture alone, also where others have it as their name.
    """
    paths = {file.relative_to(part).as_posix(): [file] for file in files}
    named: dict[str, list[Path]] = {}
    for path, (file,) in paths.items():
        for name in {path.removesuffix(file.suffix), file.name, file.stem}:
            named.setdefault(name, []).append(file)
    return named | paths


def _pictures(folder: Path, remarks: Remarks, skip: Path | None = None) -> list[Path]:
    """Return all pictures below a folder, in order."""
    found = []
    for _, _, files in walk(folder, remarks):
        for file in files:
            if is_picture(file):
                found.append(file)
            elif file != skip:
                remarks.leave(_why_no_sample(file), file)
    return sorted(found)


def _why_no_sample(file: Path) -> str:
    return "pictures in no class's folder" if is_picture(file) else "files that are no pictures"


def _leave_others(root: Path, splits: set[Path], remarks: Remarks) -> None:
    """Count what lies beside the splits."""
    folders, files = content(root, remarks)
    for file in files:
        remarks.leave("pictures beside the splits" if is_picture(file) else "files that are no pictures", file)
    for folder in folders:
        if folder not in splits:
            for file in _pictures(folder, Remarks(root)):
                remarks.leave("pictures beside the splits", file)
