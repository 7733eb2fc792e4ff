"""Files and folders from outside: regular files alone are opened, and what a folder has beside data is counted."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from benchmark.errors import RequestError, tell
from benchmark.storage.files import check_regular

RUBBISH = {"__macosx", "thumbs.db", "ehthumbs.db", "desktop.ini", "@eadir", "$recycle.bin", "icon\r"}
"""What systems leave in folders, in lower case; hidden names, which begin with a dot, come on top."""
READ_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
"""A pipe without a writer is opened at once instead of never."""


@contextmanager
def regular_file(path: Path) -> Iterator[BinaryIO]:
    """Open a regular file for reading. Raises OSError, also for a pipe, a socket or a device."""
    with open(path, "rb", opener=_opened) as file:
        check_regular(file.fileno(), path)
        yield file


def _opened(path: str, _: int) -> int:
    return os.open(path, READ_FLAGS)


def memory_bytes() -> int:
    """Return the memory of this machine, above which nothing that a file declares is believed."""
    with suppress(ValueError, OSError, AttributeError):
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return 2**36


@dataclass
class Remarks:
    """What was done with a folder's content, and what was left out: reason -> (how often, an example)."""

    folder: Path
    left_out: dict[str, tuple[int, str]] = field(default_factory=dict)
    done: dict[str, tuple[int, str]] = field(default_factory=dict)

    def leave(self, reason: str, path: Path, number: int = 1) -> None:
        """Count something that is left out."""
        _count(self.left_out, reason, path, number)

    def use(self, how: str, path: Path, number: int = 1) -> None:
        """Count something that is used in a way that its owner may not expect."""
        _count(self.done, how, path, number)

    def say(self) -> None:
        """Tell all of it, in a line for each kind."""
        for word, counted in (("used", self.done), ("left out", self.left_out)):
            if counted:
                listed = [
                    f"{reason}: {number}, such as {self._inside(path)}" for reason, (number, path) in counted.items()
                ]
                tell(f"{self.folder}: {word}: {'; '.join(listed)}")

    def _inside(self, path: str) -> str:
        return os.path.relpath(path, self.folder)


def _count(counted: dict[str, tuple[int, str]], reason: str, path: Path, number: int) -> None:
    if number:
        before, example = counted.get(reason, (0, str(path)))
        counted[reason] = (before + number, example)


def is_rubbish(name: str) -> bool:
    """Return whether a name is hidden, or one that systems leave behind."""
    return name.startswith(".") or name.casefold() in RUBBISH


def walk(folder: Path, remarks: Remarks) -> Iterator[tuple[Path, list[Path], list[Path]]]:
    """Yield (folder, its folders, its regular files), itself first, in order and without rubbish.

    Links to folders are not followed, for they may lead in a circle; links to files are. Raises RequestError if a
    folder can't be read.
    """
    for place, folders, files in os.walk(folder, onerror=_unreadable):
        here, kept = Path(place), []
        for name in sorted(folders):
            if is_rubbish(name):
                remarks.leave("hidden or system files", here / name)
            elif (here / name).is_symlink():
                remarks.leave("links to folders", here / name)
            else:
                kept.append(name)
        folders[:] = kept
        yield here, [here / name for name in kept], list(_regular(here, files, remarks))


def _regular(folder: Path, names: list[str], remarks: Remarks) -> Iterator[Path]:
    for name in sorted(names):
        if is_rubbish(name):
            remarks.leave("hidden or system files", folder / name)
        elif os.path.isfile(folder / name):  # noqa: PTH113 - pathlib's raises where a link leads nowhere it may go
            yield folder / name
        else:
            remarks.leave("what is no file, or a broken link", folder / name)


def content(folder: Path, remarks: Remarks) -> tuple[list[Path], list[Path]]:
    """Return the folders and the regular files right inside a folder. Raises RequestError if it can't be read."""
    _, folders, files = next(walk(folder, remarks))
    return folders, files


def _unreadable(error: OSError) -> None:
    raise RequestError(f"{error.filename} can't be read ({error.strerror})") from error
