"""Check whether a node of a cluster can execute runs, before it gets any; without torch, which takes long to import."""

import hashlib
import platform
from pathlib import Path
from typing import NamedTuple

from benchmark.measure.environment import version

ROOT = Path(__file__).parents[3]
CODE_PACKAGES = ("benchmark", "methods", "datasets")


class NodeCheck(NamedTuple):
    """Properties of a node that have to equal those of the machine that asks."""

    token: bool
    """True if the node sees the token file in the results folder of the machine that asks."""
    code: str
    """A digest of this benchmark's code; independent of the path of the checkout."""
    python: str
    torch: str | None


def inspect_node(token: Path) -> NodeCheck:
    """Inspect the machine on which this is called."""
    return NodeCheck(token.exists(), _code_digest(), platform.python_version(), version("torch"))


def _code_digest() -> str:
    digest = hashlib.sha256()
    for path in sorted(path for package in CODE_PACKAGES for path in (ROOT / package).rglob("*.py")):
        digest.update(path.relative_to(ROOT).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def complaint(check: NodeCheck, expected: NodeCheck, results: Path) -> str | None:
    """Say why a node can't execute runs for this machine, whose results folder this is; None if it can."""
    if not check.token:
        return f"does not see {results} of this machine; choose a folder with --results that all nodes share"
    for name, there, here in (("Python", check.python, expected.python), ("torch", check.torch, expected.torch)):
        if there != here:
            return f"has {name} {there}, and this machine {here}; install the same on all nodes"
    if check.code != expected.code:
        return "has other code of this benchmark than this machine; update it, for results would not be comparable"
    return None
