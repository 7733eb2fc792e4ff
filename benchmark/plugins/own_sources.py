"""Source files of users: which of them a module imports, one hash of them all, and imports that trust no bytecode.

Python takes bytecode from __pycache__ if size and time of the source are those that it was compiled from: an edit of
the same length within the clock's resolution, or a copy that keeps times, would run the old code under the new hash.
"""

import ast
import hashlib
import sys
import sysconfig
from collections.abc import Iterator, Sequence
from functools import cache
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from importlib.util import resolve_name
from pathlib import Path
from types import CodeType

HASH_DIGITS = 16
_ROOT = Path(__file__).resolve().parents[2]
OURS = tuple(_ROOT / name for name in ("benchmark", "methods", "datasets", "tools"))


class SourceLoader(SourceFileLoader):
    """Loads a module from its source, whatever bytecode there is, and leaves none."""

    def get_code(self, fullname: str) -> CodeType:
        """Compile the source."""
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)


class _OwnFinder(MetaPathFinder):
    """Finds what Python's own finder finds, as far as it is users' source, and has it loaded from there."""

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: object = None) -> ModuleSpec | None:
        spec = PathFinder.find_spec(fullname, path)
        if spec is None or spec.origin is None or type(spec.loader) is not SourceFileLoader:
            return None
        if not is_own(Path(spec.origin)):
            return None
        spec.loader = SourceLoader(fullname, spec.origin)
        return spec


def import_from_source() -> None:
    """From now on, import users' modules from their sources."""
    if not any(isinstance(finder, _OwnFinder) for finder in sys.meta_path):
        place = sys.meta_path.index(PathFinder) if PathFinder in sys.meta_path else 0
        sys.meta_path.insert(place, _OwnFinder())


def is_own(file: Path) -> bool:
    """Return whether a file is of users: neither of Python, nor installed, nor of this project."""
    place = file.resolve()
    return not any(place.is_relative_to(folder) for folder in (*OURS, *_installed()))


@cache
def _installed() -> list[Path]:
    paths = sysconfig.get_paths()
    return [Path(paths[name]).resolve() for name in ("stdlib", "platstdlib", "purelib", "platlib")]


def source_hash(file: Path, name: str) -> str:
    """Return the first digits of the SHA-256 of a module's source and of the users' modules that it imports.

    name: the module's own, which relative imports start from. A module that imports none of them has its file's hash.
    Imports that are not written as such, and files that a module reads, are not seen.
    """
    found = _closure(file, name)
    hashes = {module: hashlib.sha256(path.read_bytes()).hexdigest() for module, path in found.items()}
    own = hashes.pop(name)
    if not hashes:
        return own[:HASH_DIGITS]
    words = [own, *(f"{module} {hashes[module]}" for module in sorted(hashes))]
    return hashlib.sha256("\n".join(words).encode()).hexdigest()[:HASH_DIGITS]


def _closure(file: Path, name: str) -> dict[str, Path]:
    """Return the users' modules that a module imports, and that those import, with itself: name -> file."""
    found, todo = {name: file}, [name]
    while todo:
        module = todo.pop()
        for other, path in _imported(found[module], module):
            if other not in found and is_own(path) and path.resolve() != file.resolve():
                found[other] = path
                todo.append(other)
    return found


def _imported(file: Path, name: str) -> Iterator[tuple[str, Path]]:
    """Yield (name, file) of every module with a source that a file imports, and of the packages that hold it."""
    package = name if file.name == "__init__.py" else name.rpartition(".")[0]
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError):  # its import will say so
        return
    for node in ast.walk(tree):
        for words in _names(node, package):
            yield from _resolved(words)


def _names(node: ast.AST, package: str) -> list[str]:
    """Return the names that an import statement may import; some may be of things in a module instead."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if not isinstance(node, ast.ImportFrom) or (node.level and not package):
        return []
    try:
        base = resolve_name("." * node.level + (node.module or ""), package) if node.level else str(node.module)
    except ImportError:  # more dots than packages
        return []
    return [base, *(f"{base}.{alias.name}" for alias in node.names)]


def _resolved(name: str) -> Iterator[tuple[str, Path]]:
    """Yield (name, file) of the module of a dotted name, and of every package on the way, without importing any."""
    path: Sequence[str] | None = None
    parts = name.split(".")
    for depth in range(1, len(parts) + 1):
        whole = ".".join(parts[:depth])
        spec = PathFinder.find_spec(whole, path)
        if spec is None:
            return
        if spec.origin is not None and spec.origin.endswith(".py"):
            yield whole, Path(spec.origin)
        path = spec.submodule_search_locations
        if path is None:
            return
