"""What a machine of a cluster says of itself before it is given any run; imports no torch, to say it soon."""

import hashlib
import platform
from pathlib import Path
from typing import NamedTuple

from benchmark.measure.environment import version

ROOT = Path(__file__).parents[3]
CODE_PACKAGES = ("benchmark", "methods", "datasets")


class NodeCheck(NamedTuple):
    """What a machine sees."""

    token: bool
    """The file that lies in the results folder of the machine that asks."""
    code: str
    """A digest of this benchmark's code, of whatever path."""
    python: str
    torch: str | None


def inspect_node(token: Path) -> NodeCheck:
    """What the machine that this is called on sees."""
    return NodeCheck(token.exists(), _code_digest(), platform.python_version(), version("torch"))


def _code_digest() -> str:
    digest = hashlib.sha256()
    for path in sorted(path for package in CODE_PACKAGES for path in (ROOT / package).rglob("*.py")):
        digest.update(path.relative_to(ROOT).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def complaint(check: NodeCheck, expected: NodeCheck, results: Path) -> str | None:
    """What is wrong with a machine for runs whose results are to be kept here, or None."""
    if not check.token:
        return f"does not see {results} of this machine; choose a folder with --results that all nodes share"
    for name, there, here in (("Python", check.python, expected.python), ("torch", check.torch, expected.torch)):
        if there != here:
            return f"has {name} {there}, and this machine {here}; install the same on all nodes"
    if check.code != expected.code:
        return "has other code of this benchmark than this machine; update it, for results would not be comparable"
    return None
