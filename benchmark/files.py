"""Files that are written whole or not at all, claims between processes, and names that are fit for a folder."""

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO

from filelock import FileLock, Timeout

from benchmark.errors import RequestError, StorageError

LONGEST_NAME = 120
TEMPORARY = ".tmp"
"""How the name of a file ends that is not whole yet."""


@contextlib.contextmanager
def storing(path: Path) -> Iterator[None]:
    """Whatever the system has against writing here, as a StorageError that says what to do."""
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"{path} can't be written ({error.strerror or error}); what is stored stays as it was: "
            "once there is room, the same command goes on from there"
        ) from error


def write_whole(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Let `write` fill a temporary file beside path, then give it the name; where that fails nothing is left behind.

    What is written has reached the disk before it has the name, so a power cut leaves the old file or the new one.
    Raises StorageError.
    """
    with storing(path), tempfile.NamedTemporaryFile(dir=path.parent, suffix=TEMPORARY, delete=False) as file:
        temporary = Path(file.name)
        try:
            write(file)
            flush(file)
        except BaseException:
            temporary.unlink()
            raise
    with storing(path):
        temporary.chmod(0o644)
        temporary.replace(path)


def flush(file: IO) -> None:
    """Bring to the disk what was written to a file so far."""
    file.flush()
    os.fsync(file.fileno())


def write_over(path: Path, chunks: Iterable[bytes | memoryview], over: Path | None = None) -> None:
    """Write a file that nothing names yet, and let it be on its way to the disk; bring_to_disk waits for it.

    over: a file that nothing names any more, whose place it takes: to write over what is in memory already takes the
    system a tenth of the time of a new file. Raises StorageError; nothing is left behind then.
    """
    with storing(path):
        try:
            if over:
                over.replace(path)
            with path.open("r+b" if over else "wb") as file:
                file.writelines(chunks)
                file.truncate()
                file.flush()
                if hasattr(os, "posix_fadvise"):  # begins to write, and lets go of nothing that is not written
                    os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        except BaseException:
            path.unlink(missing_ok=True)
            raise


def bring_to_disk(paths: Iterable[Path]) -> None:
    """Wait until these files have reached the disk. Raises StorageError."""
    for path in paths:
        with storing(path), path.open("r+b") as file:
            flush(file)


@contextlib.contextmanager
def claim(path: Path, patient: bool = False) -> Iterator[bool]:
    """Whether this process alone holds the file of that name within the block; patient: wait until it does.

    The system lets go of the claim when the process ends, however it ends. Raises StorageError.
    """
    lock, mine = FileLock(path), True
    with storing(path):
        try:
            lock.acquire(blocking=patient)
        except Timeout:
            mine = False
    if not mine:
        yield False
        return
    try:
        yield True
    finally:
        path.unlink(missing_ok=True)  # while it is held: who waits for it finds the file gone and asks again
        lock.release()


def remove(paths: Iterable[Path]) -> None:
    """Remove these files, as far as they are there. Raises StorageError."""
    for path in paths:
        with storing(path):
            path.unlink(missing_ok=True)


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
