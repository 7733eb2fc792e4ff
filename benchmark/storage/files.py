"""Files that are written whole or not at all, claims between processes, and names that are fit for a folder."""

import contextlib
import errno
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from io import FileIO
from pathlib import Path
from typing import IO, TypeVar

from filelock import FileLock, Timeout

from benchmark.errors import RequestError, StorageError

LONGEST_NAME = 120
TEMPORARY = ".tmp"
"""How the name of a file ends that is not whole yet."""
BLOCK = 4096
"""Bytes that a disk takes at once, or a multiple of them."""
T = TypeVar("T")


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


def write_over(path: Path, blocks: memoryview, over: Path | None = None) -> None:
    """Write a file that nothing names yet; it has reached the disk then. Past the system's cache, see `_directly`.

    blocks: whole blocks, where one begins; over: a file that nothing names any more, whose place it takes, for blocks
    that the disk has given already cost it half. Raises StorageError; nothing is left behind then.
    """

    def write(file: FileIO) -> None:
        file.seek(0)
        while (done := file.tell()) < len(blocks):
            file.write(blocks[done:])
        file.truncate()
        getattr(os, "fdatasync", os.fsync)(file.fileno())  # times and names follow with the file that names it

    with storing(path):
        try:
            if over:
                over.replace(path)
            _directly(path, "r+b" if over else "wb", write)
        except BaseException:
            path.unlink(missing_ok=True)
            raise


def read_into(path: Path, blocks: memoryview) -> bool:
    """Read a file, past the system's cache, into memory of its size where a block begins; whether that is its size.

    Raises OSError.
    """

    def read(file: FileIO) -> bool:
        file.seek(0)
        done = 0
        while n := file.readinto(blocks[done:]):
            done += n
        return done == len(blocks) == os.fstat(file.fileno()).st_size

    return _directly(path, "rb", read)


def _directly(path: Path, mode: str, work: Callable[[FileIO], T]) -> T:
    """Do some work with a file whose blocks the disk takes from memory and puts there by itself.

    A new page of the system's cache costs the processor up to forty times as much. Where a system or a file system does
    not know this way, the work is done through the cache.
    """

    def opened(direct: int) -> FileIO:
        return FileIO(path, mode, opener=lambda name, flags: os.open(name, flags | direct, 0o644))

    try:
        with opened(getattr(os, "O_DIRECT", 0)) as file:
            return work(file)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
    with opened(0) as file:
        return work(file)


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
