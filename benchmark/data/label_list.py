"""Files that name the class of each picture in a folder: labels.csv, with a header."""

import csv
from pathlib import Path
from typing import NamedTuple

from benchmark.data.files import regular_file
from benchmark.errors import RequestError

LABELS_FILE = "labels.csv"
LABELS_BYTES = 2**28
LABEL_COLUMNS = {
    "file": ("file", "filename", "file_name", "image", "image_id", "img", "path", "filepath", "picture", "name", "id"),
    "label": ("label", "class", "target", "category", "y", "diagnosis", "dx", "class_name", "classname"),
    "owner": ("owner", "user", "user_id", "client", "client_id", "writer", "patient", "patient_id", "camera", "site"),
    "split": ("split", "set", "subset", "part"),
}
"""What a column holds -> the names by which it is known, in any case; of several in a header, the first listed here."""


class Row(NamedTuple):
    """What a row says of its picture; split is empty, and owner None, where there is no such column."""

    label: str
    owner: str | None
    split: str


WORDS = ("classes", "owners", "splits")
"""What the fields of a row are called where there are two of one."""


def label_list(path: Path) -> dict[str, Row]:
    """Read a labels.csv: name of a picture, inside the folder, with or without its suffix -> what is said of it.

    Raises RequestError if it can't be read, lacks a column, or says two things of one picture.
    """
    try:
        with regular_file(path) as file:
            text = file.read(LABELS_BYTES).decode("utf-8-sig")
        header, *lines = csv.reader(text.splitlines())
    except (OSError, ValueError, csv.Error) as error:
        said = " ".join(str(error).split())[:120]
        raise RequestError(
            f"{path} can't be read ({said}); expected UTF-8 text with a header, such as file,label"
        ) from error
    places = {what: _place(header, names) for what, names in LABEL_COLUMNS.items()}
    for what in ("file", "label"):
        if places[what] is None:
            raise RequestError(f"{path} has no column for the {what} in its header; call it {what}")
    rows: dict[str, Row] = {}
    for number, line in enumerate(lines, start=2):
        if any(cell.strip() for cell in line):
            name, row = _row(path, number, line, places)
            for what, one, other in zip(WORDS, rows.setdefault(name, row), row, strict=True):
                if one != other:
                    raise RequestError(
                        f"{path} gives {name} two {what}, {one or 'none'} and {other or 'none'}, in line {number}"
                    )
    return rows


def _place(header: list[str], names: tuple[str, ...]) -> int | None:
    known = [cell.strip().casefold() for cell in header]
    return next((known.index(name) for name in names if name in known), None)


def _row(path: Path, number: int, line: list[str], places: dict[str, int | None]) -> tuple[str, Row]:
    cells = {what: line[at].strip() for what, at in places.items() if at is not None and at < len(line)}
    if not cells.get("file") or not cells.get("label"):
        raise RequestError(f"{path} lacks a picture's name or its class in line {number}; each row needs both")
    name = cells["file"].replace("\\", "/").removeprefix("./")
    return name, Row(cells["label"], cells.get("owner"), cells.get("split", ""))
