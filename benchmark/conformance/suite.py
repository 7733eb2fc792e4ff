"""Named checks of one kind of thing, and what came of them."""

import contextlib
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch

from benchmark.errors import HookError, RequestError
from benchmark.seeds import torch_seeded

HARNESS = (Path(__file__).parent.parent, Path(torch.__file__).parent)
"""Where an error comes to light that somebody else's code has made."""


class Broken(AssertionError):
    """A check does not hold. The message is one line: what is wrong, and with which part, client or line-up."""


@dataclass(frozen=True)
class Check:
    """One thing that holds for every subject of its kind.

    name: what it is called; says: what holds, in a line; run: raises Broken, or whatever the subject raises, where it
    does not; after: names of checks without which this one would only say the same again
    """

    name: str
    says: str
    run: Callable[[Any], None]
    after: tuple[str, ...] = ()

    @classmethod
    def of(cls, run: Callable[[Any], None], *after: str) -> "Check":
        """A check from a function: its name and the first line of its docstring."""
        says = (run.__doc__ or "").partition("\n")[0].rstrip(".")
        return cls(run.__name__.replace("_", "-"), says, run, after)


class Result(NamedTuple):
    """What came of a check; problem is None where it holds, and says why where it was not examined."""

    check: Check
    verdict: Literal["holds", "broken", "not examined"]
    problem: str | None = None


def run_checks(checks: Sequence[Check], subject: object) -> list[Result]:
    """Every check, in order; one whose ground is missing is not examined. What the subject prints is no output."""
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
    """Say of whatever goes wrong within the block where that was."""
    try:
        yield
    except Exception as error:
        raise Broken(f"{place}: {_said(error)}") from error


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Toy networks are faster on one, and many times so on a busy machine."""
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
    except Exception as error:  # code of anybody's
        return Result(check, "broken", _said(error))
    return Result(check, "holds")


def _said(error: Exception) -> str:
    """An error in one line, with the line of the user's code that it comes from."""
    original = error.__cause__ if isinstance(error, HookError) and error.__cause__ else error
    if isinstance(original, Broken | RequestError):
        return " ".join(str(original).split())
    text = " ".join(str(error).split())
    frames = traceback.extract_tb(original.__traceback__)
    own = [frame for frame in frames if not any(Path(frame.filename).is_relative_to(folder) for folder in HARNESS)]
    place = f" ({Path(own[-1].filename).name}, line {own[-1].lineno})" if own else ""
    return f"{text}{place}" if isinstance(error, HookError) else f"{type(error).__name__}: {text}{place}"
