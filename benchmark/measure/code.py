"""Hashes of the code that a run is made with."""

import hashlib
import inspect
from functools import cache
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]
NO_PART_OF_RUNS = ("cli", "conformance", "devices", "report")
"""Packages of benchmark/ that no run imports."""
CODE_DIGITS = 16


def code_hashes(method: type) -> dict[str, str]:
    """Return the first digits of the SHA-256 of the code that runs: the harness's, and that of a method's own file."""
    return {"harness": _harness_hash(), "method": _hash_of_files((Path(inspect.getfile(method)),))}


@cache  # as it was when this process asked first, like the code that it has imported
def _harness_hash() -> str:
    below = (_ROOT / "benchmark", _ROOT / "datasets")
    files = (path for folder in below for path in folder.rglob("*.py"))
    return _hash_of_files(tuple(sorted(p for p in files if p.relative_to(_ROOT).parts[1] not in NO_PART_OF_RUNS)))


@cache
def _hash_of_files(files: tuple[Path, ...]) -> str:
    """Return a hash of names and contents of source files, whatever ends their lines."""
    whole = hashlib.sha256()
    for path in files:
        content = path.read_bytes().replace(b"\r\n", b"\n")
        whole.update(f"{path.name} {len(content)} ".encode() + content)
    return whole.hexdigest()[:CODE_DIGITS]
