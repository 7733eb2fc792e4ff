"""Files that are written whole or not at all, and names that are fit for a folder."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import IO

from benchmark.errors import RequestError

LONGEST_NAME = 120


def write_whole(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Let `write` fill a temporary file beside path, then give it the name; on an error nothing is left behind."""
    with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".tmp", delete=False) as file:
        temporary = Path(file.name)
        try:
            write(file)
        except BaseException:
            temporary.unlink()
            raise
    temporary.chmod(0o644)
    temporary.replace(path)


def check_writable(folder: Path) -> None:
    """Write and remove a file in the folder, or in the nearest of its parents that exists. Raises RequestError."""
    existing = next(parent for parent in [folder.absolute(), *folder.absolute().parents] if parent.exists())
    try:
        with tempfile.TemporaryFile(dir=existing):
            pass
    except OSError as error:
        raise RequestError(f"{folder} can't be written ({error.strerror}); choose a folder that can") from error


def file_name(what: str, name: str) -> str:
    """The name itself. Raises RequestError where it can't name a folder on every system."""
    if name in ("", ".", "..") or set(name) & set('/\\:*?"<>|\n') or len(name) > LONGEST_NAME:
        raise RequestError(
            f"{what} {name[:LONGEST_NAME]!r} can't name a folder; use up to {LONGEST_NAME} letters, digits, - and _"
        )
    return name
