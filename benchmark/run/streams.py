"""Standard output belongs to the benchmark: what users' code prints goes to standard error. No torch."""

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout, suppress

_OUT, _ERR = 1, 2


def ready_streams() -> None:
    """Have streams that take any text: paths may be none, and whoever called may have closed them."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: PTH123, SIM115 - as long as the process lives
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


@contextmanager
def users_code() -> Iterator[None]:
    """Send what is printed within the block to standard error, also by libraries and processes that write to file 1."""
    with suppress(OSError, ValueError):
        sys.stdout.flush()
    kept = _turned()
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        if kept is not None:
            os.dup2(kept, _OUT)
            os.close(kept)


def leave_to_users_code() -> None:
    """Send what is printed until this process ends to standard error: the benchmark has said what it had to say."""
    with suppress(OSError, ValueError):
        sys.stdout.flush()
    _turned()
    sys.stdout = sys.stderr


def discard_output() -> None:
    """Write what is left to say nowhere: it can't be written where it should."""
    with suppress(OSError), open(os.devnull, "wb") as nowhere:  # noqa: PTH123 - a device
        os.dup2(nowhere.fileno(), _OUT)


def _turned() -> int | None:
    """Turn file 1 to where file 2 leads; return a copy of it as it was, None if one of them is closed."""
    with suppress(OSError):
        kept = os.dup(_OUT)
        with suppress(OSError):
            os.dup2(_ERR, _OUT)
            return kept
        os.close(kept)
    return None
