"""Named checks of one kind of thing, and their results."""

import contextlib
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch

from benchmark.errors import NOT_OF_USERS, HookError, RequestError, described
from benchmark.seeds import torch_seeded

HARNESS = (Path(__file__).parent.parent, Path(torch.__file__).parent)
"""Folders whose code only brings to light an error that is made elsewhere."""


class Broken(AssertionError):
    """A check does not hold. The message is one line: what is wrong, and with which part, client or line-up."""


@dataclass(frozen=True)
class Check:
    """One thing that holds for every subject of its kind.

    name: what it is called; says: what holds, in a line; run: raises Broken, or whatever the subject raises, if it does
    not hold; after: names of checks that have to hold first, as this one would only repeat their complaint
    """

    name: str
    says: str
    run: Callable[[Any], None]
    after: tuple[str, ...] = ()

    @classmethod
    def of(cls, run: Callable[[Any], None], *after: str) -> "Check":
        """Make a check from a function: its name and the first line of its docstring."""
        says = (run.__doc__ or "").partition("\n")[0].rstrip(".")
        return cls(run.__name__.replace("_", "-"), says, run, after)


class Result(NamedTuple):
    """The result of a check; problem: what is wrong, or why it was not examined; None if it holds."""

    check: Check
    verdict: Literal["holds", "broken", "not examined"]
    problem: str | None = None


def run_checks(checks: Sequence[Check], subject: object) -> list[Result]:
    """Run the checks in order, without those for which an earlier one has to hold that does not.

    What the subject prints goes to standard error.
    """
    results: dict[str, Result] = {}
    with contextlib.redirect_stdout(sys.stderr), _one_thread():
        for check in checks:
            missing = [name for name in check.after if results[name].verdict != "holds"]
            results[check.name] = (
                Result(check, "not examined", f"{missing[0]} comes first") if missing else _result(check, subject)
            )
    return list(results.values())


@contextlib.contextmanager
def where(place: str) -> Iterator[None]:
    """Turn any error within the block into Broken, and put the place in front of its message."""
    try:
        yield
    except NOT_OF_USERS:
        raise
    except BaseException as error:
        raise Broken(f"{place}: {_said(error)}") from error


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Let torch use one thread: toy networks are faster on one, and many times so on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _result(check: Check, subject: object) -> Result:
    try:
        with torch_seeded("check"):
            check.run(subject)
    except NOT_OF_USERS:
        raise
    except BaseException as error:
        return Result(check, "broken", _said(error))
    return Result(check, "holds")


def _said(error: BaseException) -> str:
    """Return an error in one line, with the line of user code that it comes from."""
    original = error.__cause__ if isinstance(error, HookError) and error.__cause__ else error
    if isinstance(original, Broken | RequestError):
        return " ".join(str(original).split())
    text = str(error) if isinstance(error, HookError) else described(error)
    frames = traceback.extract_tb(original.__traceback__)
    own = [frame for frame in frames if not any(Path(frame.filename).is_relative_to(folder) for folder in HARNESS)]
    place = f" ({Path(own[-1].filename).name}, line {own[-1].lineno})" if own else ""
    return f"{text}{place}"
