"""Name -> what it names: the only module that reaches into methods/ and datasets/, by name and when asked.

A method is a file in methods/, a data set a file in datasets/sources/, a partition a file in datasets/partitions/, a
shift of images by client a file in datasets/shifts/, a preset a file in benchmark/presets/. A method or a data set may
also be a module of one's own, by path or by dotted name, a data set a path to an .npz file or an image folder.
"""

import ast
import dataclasses
import hashlib
import importlib
import importlib.util
import inspect
import sys
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, get_args

from pydantic import PydanticUserError, TypeAdapter, ValidationError

from benchmark.config import MethodSpec, request_error
from benchmark.errors import RequestError, unknown
from benchmark.files import file_name

if TYPE_CHECKING:
    from benchmark.data import Arrays
    from benchmark.method import Method
    from benchmark.models.line_up import LineUp
    from benchmark.partition import Division, Partitioner, Shift

LINE_UPS = {
    "cnn5": "benchmark.models.cnn",
    "cnn1": "benchmark.models.cnn",
    "vision4": "benchmark.models.vision",
    "vision4-native": "benchmark.models.vision",
}


def names(package: str, suffix: str = ".py") -> dict[str, Path]:
    """The names that a package offers -> their files, without importing any."""
    spec = importlib.util.find_spec(package)
    folders = spec.submodule_search_locations if spec else None
    files = sorted(file for folder in folders or () for file in Path(folder).glob(f"*{suffix}"))
    return {file.stem.replace("_", "-"): file for file in files if not file.stem.startswith("_")}


def described(package: str) -> list[dict[str, str]]:
    """Name and first line of the docstring of what a package offers, read without importing."""
    listing = []
    for name, file in names(package).items():
        summary = (ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or "").split("\n")[0]
        listing.append({"name": name, "description": summary.partition(": ")[2] or summary})
    return listing


def method(text: str) -> tuple["Method", MethodSpec]:
    """A method from `name+key=value+...`; name may be a .py file or a dotted module name. Raises RequestError."""
    named, *settings = text.split("+")
    name, module, source_hash = _listed_or_own("method", "methods", named)
    cls = method_class(module)
    given: dict[str, str] = {}
    known = [f.name for f in dataclasses.fields(cls)]
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals or not value:
            raise RequestError(f"{setting!r} in {text!r} is no hyper-parameter; write {name}+key=value")
        if key not in known:
            raise unknown(f"hyper-parameter of {name}", key, known)
        if key in given:
            raise RequestError(f"{key} stands twice in {text!r}; give it once")
        given[key] = value
    try:
        instance = TypeAdapter(cls).validate_strings(given)
    except ValidationError as error:
        raise request_error(error, lambda field: f"{field} of {name}") from error
    except PydanticUserError as error:
        raise RequestError(f"{name} has a field of a type that can't be read from text: {error.message}") from error
    label = file_name("method", "+".join([name, *(f"{key}={given[key]}" for key in sorted(given))]))
    values = dataclasses.asdict(instance)
    return instance, MethodSpec(name=name, label=label, hyperparameters=values, source_hash=source_hash)


def method_class(module: ModuleType) -> type["Method"]:
    """The one Method that a module defines."""
    from benchmark.method import Method

    found = [c for _, c in inspect.getmembers(module, inspect.isclass) if issubclass(c, Method)]
    own = [c for c in found if c.__module__ == module.__name__]
    if len(own) != 1 or not dataclasses.is_dataclass(own[0]):
        raise RequestError(f"{module.__file__} must define one Method, a frozen dataclass; it defines {len(own)}")
    return own[0]


def _listed_or_own(kind: str, package: str, text: str) -> tuple[str, ModuleType, str | None]:
    """(name, module, hash of its file or None) of what is in the catalogue by name, or of a module of one's own.

    What a module of one's own computes is its file's doing, hence the hash.
    """
    known = names(package)
    if not is_module(text) and text not in known:
        raise unknown(kind, text, known)
    name = name_of(text) if is_module(text) else text
    if name not in known:
        return name, *module_of(text)
    if is_module(text) and source_file(text) != known[name].resolve():
        raise RequestError(f"{text} has the name of a {kind} that is here already; rename it")
    return name, importlib.import_module(f"{package}.{known[name].stem}"), None


def is_module(text: str) -> bool:
    """Whether a text stands for a module of one's own: a path, or a dotted name."""
    return "/" in text or "." in text


def name_of(text: str) -> str:
    """What a module of one's own is called: my/fed_foo.py and my_package.fed_foo are fed-foo."""
    last = Path(text).stem if _is_path(text) else text.rpartition(".")[2]
    return last.replace("_", "-")


def module_of(text: str) -> tuple[ModuleType, str]:
    """The module at a path, or of a dotted name that is installed, and the first 16 digits of its file's SHA-256.

    Raises RequestError, in one line, where there is none or where it can't be imported.
    """
    path = source_file(text)
    source_hash = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    with _importing(text):
        if not _is_path(text):
            return importlib.import_module(text), source_hash
        spec = importlib.util.spec_from_file_location(f"{path.stem}_{source_hash}", path)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[module.__name__] = module  # dataclasses looks a class's module up there
        spec.loader.exec_module(module)
        return module, source_hash


def source_file(text: str) -> Path:
    """The .py file that a path or a dotted name stands for. Raises RequestError."""
    if _is_path(text):
        if Path(text).suffix != ".py" or not Path(text).is_file():
            raise RequestError(f"there is no file {text}; give the path of a .py file or the dotted name of a module")
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


def _is_path(text: str) -> bool:
    return "/" in text or text.endswith(".py")


@contextmanager
def _importing(text: str) -> Iterator[None]:
    """Whatever goes wrong in somebody's module, in one line."""
    try:
        yield
    except RequestError:
        raise
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise RequestError(f"{text} can't be imported: {reason}") from error


def dataset(text: str, folder: Path) -> tuple[str, "Arrays", float | None]:
    """(name, arrays, target accuracy or None) of a data set by name, path or dotted name. Raises RequestError."""
    from benchmark.data import load_dataset, own_dataset

    if text not in names("datasets.sources") and (stored := _stored_dataset(text, folder)):
        return *stored, None
    name, module, source_hash = _listed_or_own("data set", "datasets.sources", text)
    if source_hash is None:
        return name, load_dataset(name, module.SOURCE, folder), module.SOURCE.target
    return file_name("data set", name), *own_dataset(text, getattr(module, "SOURCE", None))


def _stored_dataset(text: str, folder: Path) -> tuple[str, "Arrays"] | None:
    """(name, arrays) of an .npz file, an image folder, or a file in the data folder; None for names and modules."""
    from benchmark.data import read_image_folder, read_npz

    path = Path(text)
    if path.suffix == ".npz" and path.is_file():
        return file_name("data set", path.stem), read_npz(path)
    if path.is_dir():
        return file_name("data set", path.resolve().name), read_image_folder(path)
    if path.suffix == ".npz" or (_is_path(text) and path.suffix != ".py"):
        raise RequestError(
            f"there is no file or folder {text}; a data set is a name, an .npz file, an image folder or a module"
        )
    kept = folder / f"{text}.npz"
    return (text, read_npz(kept)) if not _is_path(text) and kept.is_file() else None


def partition(text: str, num_classes: int) -> "Division":
    """A partition from `name[:parameter...][+shift...]`. Raises RequestError."""
    from benchmark.partition import Division

    given, *shifts = text.split("+")
    plain, partitioner = _partitioner(given, num_classes)
    if len(set(shifts)) < len(shifts):
        raise RequestError(f"a shift stands twice in {text!r}; name each once")
    return Division("+".join([plain, *shifts]), plain, partitioner, tuple(map(_shift, shifts)))


def _partitioner(text: str, num_classes: int) -> tuple[str, "Partitioner"]:
    name, *values = text.split(":")
    known = names("datasets.partitions")
    if name not in known:
        raise unknown("partition", name, known)
    module = importlib.import_module("datasets.partitions." + known[name].stem)
    parameters = [p for p in [*inspect.signature(module.partition).parameters.values()][3:] if p.name != "owners"]
    if not values and hasattr(module, "default"):
        values = module.default(num_classes).split(":")
    if len(values) != len(parameters):
        raise _miscounted(name, text, parameters)
    typed = {p.name: _typed(text, p, value) for p, value in zip(parameters, values, strict=True)}
    words = [str(value).removesuffix(".0").replace("e+", "e") for value in typed.values()]
    return ":".join([name, *words]), partial(module.partition, **typed)


def _typed(text: str, parameter: inspect.Parameter, value: str) -> Any:
    try:
        return TypeAdapter(parameter.annotation).validate_strings(value)
    except ValidationError as error:
        raise RequestError(f"{text}: {parameter.name} {request_error(error)}") from error


def _miscounted(name: str, text: str, parameters: Sequence[inspect.Parameter]) -> RequestError:
    """The error for a partition with too few or too many parameters."""
    if not parameters:
        return RequestError(f"{name} takes no parameter; write {name}, not {text}")
    form = ":".join([name, *(p.name for p in parameters)])
    example = ":".join([name, *("2" if int in get_args(p.annotation) else "0.3" for p in parameters)])
    count = f"{len(parameters)} parameter{'s' * (len(parameters) > 1)}"
    return RequestError(f"{name} takes {count}, not {text.count(':')}; write {form}, for example {example}")


def _shift(name: str) -> "Shift":
    known = names("datasets.shifts")
    if name not in known:
        raise unknown("shift", name, known)
    found: Shift = importlib.import_module("datasets.shifts." + known[name].stem).shift
    return found


def line_up(name: str) -> "LineUp":
    """A line-up of models. Raises RequestError."""
    if name not in LINE_UPS:
        raise unknown("line-up of models", name, LINE_UPS)
    module = importlib.import_module(LINE_UPS[name])
    return next(found for found in module.LINE_UPS if found.name == name)


def preset(name: str) -> dict[str, Any]:
    """The options of a preset. Raises RequestError."""
    known = names("benchmark.presets", ".toml")
    if name not in known:
        raise unknown("preset", name, known)
    return tomllib.loads(known[name].read_text(encoding="utf-8"))
