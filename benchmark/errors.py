"""Errors of the benchmark, and remarks that are none; messages say what is wrong and what would be right."""

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches


class RequestError(ValueError):
    """The request itself is wrong. The message is one line: what is wrong and what would be right."""


class StorageError(RuntimeError):
    """A file can't be written: the disk is full, or gone. What was stored before stays whole."""


class Diverged(ArithmeticError):
    """A training loss that is not finite: the run ends here, and its status says so."""


class DeviceLost(RuntimeError):
    """A device error after which this process can't compute any more: its run has failed, and no other can begin."""


class HookError(RuntimeError):
    """An exception of a hook, and its place: 'client 2, round 2, training, phase 0: KeyError: ...'.

    Its __cause__ is the original exception.
    """


class Terminated(BaseException):
    """The system asks this process to end."""


NOT_OF_USERS = (KeyboardInterrupt, Terminated, GeneratorExit)
"""What ends users' code from outside. Whatever else that code raises, SystemExit too, is its own error."""


@contextmanager
def located(place: str) -> Iterator[None]:
    """Turn whatever a hook raises within the block into a HookError that names the place."""
    try:
        yield
    except (HookError, Diverged, StorageError, *NOT_OF_USERS):
        raise
    except BaseException as error:
        raise HookError(f"{place}: {described(error)}") from error


@contextmanager
def refusing(place: str) -> Iterator[None]:
    """Turn whatever users' code raises within the block into a RequestError that names the place."""
    try:
        yield
    except (RequestError, *NOT_OF_USERS):
        raise
    except BaseException as error:
        raise RequestError(f"{place}: {described(error)}") from error


def described(error: BaseException) -> str:
    """Return type and message of an exception in one line that any file can hold, even if it can't say its message."""
    try:
        message = str(error)
    except Exception:
        message = "(it fails to say what)"
    return plain(" ".join(f"{type(error).__name__}: {message}".split()))


def plain(text: str) -> str:
    """Return a text with halves of surrogate pairs escaped, as in paths that are no text: no file can hold them."""
    return text.encode(errors="backslashreplace").decode()


def as_option(setting: str) -> str:
    """Return a setting's name as it is typed: --local-epochs for local_epochs."""
    return "--" + setting.replace("_", "-")


def plural(n: int, word: str) -> str:
    """Return a number and what is counted: 1 run, 3 runs."""
    return f"{n} {word}" if n == 1 else f"{n} {word}s"


def unknown(kind: str, name: str, known: Iterable[str]) -> RequestError:
    """Return the error for an unknown name, with the nearest known one, or all of them, as a hint."""
    known = sorted(known)
    spelt = {other.lower(): other for other in known}
    near = get_close_matches(name.lower(), spelt, n=1, cutoff=0.5)
    hint = f"did you mean {spelt[near[0]]!r}?" if near else f"there are: {', '.join(known) or 'none'}"
    return RequestError(f"unknown {kind} {name!r}; {hint}")


_REMARKS = logging.getLogger("benchmark.remarks")


def tell(line: str) -> None:
    """Tell users what was done with what they gave, in one line; unless somebody listens, nobody hears it."""
    _REMARKS.info("%s", printable_line(line))


def printable_line(text: str) -> str:
    """Return a text as one line that a terminal takes for nothing but text."""
    return "".join(c if c.isprintable() else "?" for c in " ".join(text.split()))


@contextmanager
def telling(say: Callable[[str], object]) -> Iterator[None]:
    """Hand every remark of this process within the block to `say`."""
    handler = logging.Handler()
    handler.emit = lambda record: say(record.getMessage())  # type: ignore[method-assign,assignment]
    level = _REMARKS.level
    _REMARKS.addHandler(handler)
    _REMARKS.setLevel(logging.INFO)
    try:
        yield
    finally:
        _REMARKS.removeHandler(handler)
        _REMARKS.setLevel(level)
