"""User-defined modules: a method, a data set or a line-up outside the catalogue."""

import importlib
import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from benchmark.errors import RequestError, refusing
from benchmark.plugins.own_sources import SourceLoader, import_from_source, source_hash


def is_module(text: str) -> bool:
    """Return whether a text stands for a user-defined module: a path, or a dotted name."""
    return "/" in text or "." in text


def is_path(text: str) -> bool:
    """Return whether a text stands for a file."""
    return "/" in text or text.endswith(".py")


def name_of(text: str) -> str:
    """Return the name of a user-defined module: my/fed_foo.py and my_package.fed_foo are fed-foo."""
    last = Path(text).stem if is_path(text) else text.rpartition(".")[2]
    return last.replace("_", "-")


def module_of(text: str) -> tuple[ModuleType, str]:
    """Import the module at a path, or of a dotted name, from its source; return it and the hash of its sources.

    Raises RequestError, in one line, if there is none or if it can't be imported.
    """
    path = source_file(text)
    name = path.stem if is_path(text) else text
    before = source_hash(path, name)
    with _importing(text):
        module = _at_path(path, before) if is_path(text) else importlib.import_module(text)
    if source_hash(path, name) != before:
        raise RequestError(f"{text}, or a module that it imports, was changed while it was read; run again")
    return module, before


def _at_path(path: Path, source: str) -> ModuleType:
    """Import the module at a path, whose sources have this hash."""
    name = f"{path.stem}_{source}"
    spec = importlib.util.spec_from_file_location(name, path, loader=SourceLoader(name, str(path)))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[module.__name__] = module  # dataclasses looks a class's module up there
    spec.loader.exec_module(module)
    return module


def source_file(text: str) -> Path:
    """Return the .py file that a path or a dotted name stands for. Raises RequestError."""
    if is_path(text):
        if Path(text).suffix != ".py" or not Path(text).is_file():
            wrong = f"{text} is no .py file" if Path(text).exists() else f"there is no file {text}"
            raise RequestError(f"{wrong}; give the path of a .py file or the dotted name of a module")
        return Path(text).resolve()
    if not all(part.isidentifier() for part in text.split(".")) or "." not in text:
        raise RequestError(f"{text!r} names no module; give the path of a .py file or a name such as my_package.mine")
    with _importing(text):
        spec = importlib.util.find_spec(text)  # imports the package
    if spec is None:
        raise RequestError(f"there is no module {text} in {text.rpartition('.')[0]}; is the name spelt right?")
    if not spec.has_location or not str(spec.origin).endswith(".py"):
        raise RequestError(f"{text} is no module with a .py file of its own; give one that is")
    return Path(str(spec.origin)).resolve()


@contextmanager
def _importing(text: str) -> Iterator[None]:
    """Import from sources within the block, and turn any error that a module raises into a RequestError of one line."""
    import_from_source()
    with refusing(f"{text} can't be imported"):
        yield
