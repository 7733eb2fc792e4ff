"""What a machine of a cluster says of itself before it is given any run; imports no torch, to say it soon."""

import hashlib
import platform
from pathlib import Path
from typing import NamedTuple

from benchmark.measure.environment import version

ROOT = Path(__file__).parents[3]
PACKAGES = ("benchmark", "methods", "datasets")


class Sight(NamedTuple):
    """What a machine sees."""

    token: bool
    """The file that lies in the results folder of the machine that asks."""
    code: str
    """A digest of this benchmark's code, of whatever path."""
    python: str
    torch: str | None


def look(token: Path) -> Sight:
    """What the machine that this is called on sees."""
    return Sight(token.exists(), _code(), platform.python_version(), version("torch"))


def _code() -> str:
    digest = hashlib.sha256()
    for path in sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py")):
        digest.update(path.relative_to(ROOT).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def complaint(sight: Sight, expected: Sight, results: Path) -> str | None:
    """What is wrong with a machine for runs whose results are to be kept here, or None."""
    if not sight.token:
        return f"does not see {results} of this machine; choose a folder with --results that all nodes share"
    for name, found, here in (("Python", sight.python, expected.python), ("torch", sight.torch, expected.torch)):
        if found != here:
            return f"has {name} {found}, and this machine {here}; install the same on all nodes"
    if sight.code != expected.code:
        return "has other code of this benchmark than this machine; update it, for results would not be comparable"
    return None
