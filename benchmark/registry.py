"""Name -> what it names: the only module that reaches into methods/ and datasets/, by name and when asked.

A method is a file in methods/, a data set a file in datasets/sources/, a partition a file in datasets/partitions/, a
preset a file in benchmark/presets/. A method may also be a path to a .py file, a data set a path to an .npz file or an
image folder.
"""

import ast
import dataclasses
import hashlib
import importlib
import importlib.util
import inspect
import sys
import tomllib
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from pydantic import PydanticUserError, TypeAdapter, ValidationError

from benchmark.config import MethodSpec, request_error
from benchmark.errors import RequestError, unknown
from benchmark.files import file_name

if TYPE_CHECKING:
    from benchmark.data import Arrays
    from benchmark.method import Method
    from benchmark.models.line_up import LineUp
    from benchmark.partition import Partitioner

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
    """A method from `name+key=value+...`; name may be a path to a .py file. Raises RequestError."""
    name, *settings = text.split("+")
    module, source_hash = _method_module(name)
    name = Path(name).stem.replace("_", "-") if name.endswith(".py") else name
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


def _method_module(name: str) -> tuple[ModuleType, str | None]:
    """The module of a method by name, or by path with a hash of the file: what it computes is the file's doing."""
    known = names("methods")
    if not name.endswith(".py"):
        if name not in known:
            raise unknown("method", name, known)
        return importlib.import_module("methods." + known[name].stem), None
    path = Path(name).resolve()
    if not path.is_file():
        raise RequestError(f"there is no file {name}; a method is a name or a path to a .py file")
    if path in known.values():
        return importlib.import_module("methods." + path.stem), None
    if path.stem.replace("_", "-") in known:
        raise RequestError(f"{name} has the name of a method that is here already; rename the file")
    source_hash = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    spec = importlib.util.spec_from_file_location(f"method_{source_hash}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[module.__name__] = module  # dataclasses looks a class's module up there
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise RequestError(f"{name} can't be imported: {type(error).__name__}: {error}") from error
    return module, source_hash


def dataset(text: str, folder: Path) -> tuple[str, "Arrays", float | None]:
    """(name, arrays, target accuracy or None) of a data set by name or path. Raises RequestError."""
    from benchmark.data import load_dataset, read_image_folder, read_npz

    known = names("datasets.sources")
    if text in known:
        source = importlib.import_module("datasets.sources." + known[text].stem).SOURCE
        return text, load_dataset(text, source, folder), source.target
    path = Path(text)
    if path.suffix == ".npz" and path.is_file():
        return file_name("data set", path.stem), read_npz(path), None
    if path.is_dir():
        return file_name("data set", path.resolve().name), read_image_folder(path), None
    if path.suffix == ".npz" or len(path.parts) > 1:
        raise RequestError(f"there is no file or folder {text}; a data set is a name, an .npz file or an image folder")
    if (kept := folder / f"{text}.npz").is_file():
        return text, read_npz(kept), None
    raise unknown("data set", text, known)


def partition(text: str, num_classes: int) -> tuple[str, "Partitioner"]:
    """(full name, function) of a partition from `name[:parameter]`. Raises RequestError."""
    name, colon, value = text.partition(":")
    known = names("datasets.partitions")
    if name not in known:
        raise unknown("partition", name, known)
    module = importlib.import_module("datasets.partitions." + known[name].stem)
    _, _, _, *parameters = inspect.signature(module.partition).parameters.values()
    if not parameters:
        if colon:
            raise RequestError(f"{name} takes no parameter, not {value!r}")
        return name, module.partition
    (parameter,) = parameters
    if not colon:
        if not hasattr(module, "default"):
            raise RequestError(f"{name} needs a parameter; write {name}:{parameter.name}, for example {name}:0.3")
        value = module.default(num_classes)
    try:
        typed = TypeAdapter(parameter.annotation).validate_strings(value)
    except ValidationError as error:
        raise RequestError(f"{text}: {parameter.name} {request_error(error)}") from error
    return f"{name}:{str(typed).removesuffix('.0')}", partial(module.partition, **{parameter.name: typed})


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
