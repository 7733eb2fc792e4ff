"""Files that are written completely or not at all, and claims between processes."""

import contextlib
import errno
import os
import stat
import tempfile
from collections.abc import Callable, Iterable, Iterator
from io import BytesIO, FileIO
from pathlib import Path
from typing import IO, TYPE_CHECKING, TypeVar

from filelock import FileLock, Timeout

from benchmark.errors import RequestError, StorageError

if TYPE_CHECKING:
    import numpy as np

TEMPORARY = ".tmp"
"""The suffix of a file that is not complete yet."""
BLOCK = 4096
"""Bytes of a block: a disk's own block size, or a multiple of it."""
T = TypeVar("T")


MEBIBYTE = 2**20
MOST_FILE_BYTES = 2**31
"""Bytes of a rounds.jsonl or an artefact: with more it can't be read into memory."""
_SAFE = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
"""Opens no link, in whose place a file elsewhere would be read or written."""
_AT_ONCE = getattr(os, "O_NONBLOCK", 0)
"""Opens a pipe that nobody writes to at once, instead of waiting for ever."""


def read_whole(path: Path, most_bytes: int) -> bytes:
    """Return the content of a file: a regular one, no link, and of at most so many bytes. Raises OSError otherwise."""
    with open(_opened(path, os.O_RDONLY), "rb") as file:
        content = file.read(most_bytes + 1)
    if len(content) > most_bytes:
        raise OSError(errno.EFBIG, f"it has more than {most_bytes // MEBIBYTE} MiB", str(path))
    return content


def read_arrays(path: Path) -> "dict[str, np.ndarray]":
    """Return the arrays of a run's .npz file. Raises OSError, and whatever NumPy raises on a foreign file."""
    import numpy as np  # only here: `--help` imports this file

    with np.load(BytesIO(read_whole(path, MOST_FILE_BYTES)), allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def _opened(path: Path, flags: int) -> int:
    """Open a regular file that is no link; return its descriptor. Raises OSError."""
    descriptor = os.open(path, flags | _SAFE | _AT_ONCE, 0o644)
    try:
        check_regular(descriptor, path)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def check_regular(descriptor: int, path: Path) -> None:
    """Raise OSError unless an open file is a regular one: no pipe, socket, device or folder."""
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        raise OSError(errno.EBADF, "it is no regular file", str(path))


def append(path: Path, content: bytes) -> None:
    """Add to the end of a file, which is no link; the content is on the disk when this returns. Raises StorageError."""
    with storing(path), open(_opened(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT), "ab") as file:
        file.write(content)
        flush(file)


@contextlib.contextmanager
def storing(path: Path) -> Iterator[None]:
    """Turn an OSError within the block into a StorageError that says what to do."""
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"{path} can't be written ({error.strerror or error}); what is stored stays as it was: "
            "once there is room, the same command goes on from there"
        ) from error


def write_whole(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Let `write` fill a temporary file beside path, then rename it; if that fails nothing is left behind.

    The content has reached the disk before the file gets its name, so a power cut leaves the old file or the new one.
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
    """Force to the disk what was written to a file so far."""
    file.flush()
    os.fsync(file.fileno())


def write_over(path: Path, blocks: memoryview, over: Path | None = None) -> None:
    """Write a file that nothing names yet to the disk, past the system's cache (see `_directly`).

    blocks: whole blocks of memory, aligned to BLOCK; over: an obsolete file to overwrite, because reusing its blocks
    takes half as long as allocating new ones. Raises StorageError; nothing is left behind then.
    """

    def write(file: FileIO) -> None:
        file.seek(0)
        while (done := file.tell()) < len(blocks):
            file.write(blocks[done:])
        file.truncate()
        getattr(os, "fdatasync", os.fsync)(file.fileno())  # its name reaches the disk with the file that names it

    with storing(path):
        try:
            if reused := over is not None and _is_ours_alone(over):
                over.replace(path)
            elif over:
                over.unlink(missing_ok=True)
            if not reused:
                path.unlink(missing_ok=True)
            _directly(path, "r+b" if reused else "wb", write)
        except BaseException:
            path.unlink(missing_ok=True)
            raise


def _is_ours_alone(path: Path) -> bool:
    """Return whether a file is a regular one with no other name, such as one in a copy by hard links."""
    found = path.lstat()
    return stat.S_ISREG(found.st_mode) and found.st_nlink == 1


def read_into(path: Path, blocks: memoryview) -> bool:
    """Read a file, past the system's cache, into memory; return whether the file is as large as the memory.

    blocks: whole blocks of memory, aligned to BLOCK. Raises OSError.
    """

    def read(file: FileIO) -> bool:
        file.seek(0)
        done = 0
        while n := file.readinto(blocks[done:]):
            done += n
        return done == len(blocks) == os.fstat(file.fileno()).st_size

    return _directly(path, "rb", read)


def _directly(path: Path, mode: str, work: Callable[[FileIO], T]) -> T:
    """Do some work with a file that is open for direct access, in which the disk itself copies from and to memory.

    A new page of the system's cache costs the processor up to forty times as much. If the system or the file system has
    no direct access, the work is done through the cache.
    """

    def opened(direct: int) -> FileIO:
        return FileIO(path, mode, opener=lambda name, flags: os.open(name, flags | direct | _SAFE | _AT_ONCE, 0o644))

    try:
        with opened(getattr(os, "O_DIRECT", 0)) as file:
            check_regular(file.fileno(), path)
            return work(file)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
    with opened(0) as file:
        return work(file)


@contextlib.contextmanager
def claim(path: Path, patient: bool = False) -> Iterator[bool]:
    """Claim the file of that name for this process within the block; yield False if another process holds it.

    patient: wait until this process holds it. The system releases the claim when the process ends, however it ends.
    Raises StorageError.
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
        path.unlink(missing_ok=True)  # while it is held: a waiting process finds the file gone and tries again
        lock.release()


def is_claimed(path: Path) -> bool:
    """Return whether a process holds the claim of that name now; nothing is written."""
    try:
        import fcntl
    except ImportError:  # Windows: a file that is there is held, or was held until now
        return path.exists()
    with contextlib.suppress(OSError), open(os.open(path, os.O_RDONLY | _SAFE | _AT_ONCE), "rb") as file:  # noqa: PTH123
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def remove(paths: Iterable[Path]) -> None:
    """Remove those of these files that exist, and no folder. Raises StorageError."""
    for path in paths:
        with storing(path):
            if path.is_symlink() or not path.is_dir():
                path.unlink(missing_ok=True)


def check_writable(folder: Path) -> None:
    """Write and remove a file in the folder, or in the nearest of its parents that exists. Raises RequestError."""
    existing = next(parent for parent in [folder.absolute(), *folder.absolute().parents] if parent.exists())
    try:
        with tempfile.TemporaryFile(dir=existing):
            pass
    except OSError as error:
        raise RequestError(f"{folder} can't be written ({error.strerror}); choose a folder that can") from error
