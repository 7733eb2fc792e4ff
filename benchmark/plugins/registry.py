"""The catalogue of plug-ins: the only module that imports from methods/ and datasets/, by name and when asked.

A method is a file in methods/, a data set a file in datasets/sources/, a partition a file in datasets/partitions/, a
shift of images by client a file in datasets/shifts/, a preset a file in benchmark/plugins/presets/. A method, a data
set or a line-up may also be a user-defined module, by path or by dotted name, a data set a path to an .npz file or an
image folder.
"""

import dataclasses
import importlib
import importlib.util
import inspect
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeVar, get_args

from pydantic import PydanticUserError, TypeAdapter, ValidationError

from benchmark.config import MethodSpec, TrainingConfig, request_error
from benchmark.errors import RequestError, plural, refusing, tell, unknown
from benchmark.plugins.listed import catalogue
from benchmark.plugins.user_modules import is_module, is_path, module_of, name_of, source_file
from benchmark.storage.names import file_name, folded
from benchmark.storage.strict_json import check_storable

if TYPE_CHECKING:
    from benchmark.data import Arrays
    from benchmark.method import Method
    from benchmark.models.line_up import LineUp
    from benchmark.partition import Division, Partitioner, Promise, Shift

Filled = TypeVar("Filled")

LINE_UP_MODULES = {
    "cnn5": "benchmark.models.cnn",
    "cnn1": "benchmark.models.cnn",
    "vision4": "benchmark.models.vision",
    "vision4-native": "benchmark.models.vision",
    **dict.fromkeys(
        ("fe2", "fe3", "fe4", "fe5", "fe8", "fe9", "headers4", "mixed10", "resnet3"), "benchmark.models.groups"
    ),
}


def method(text: str) -> tuple["Method", MethodSpec]:
    """Make a method from `name+key=value+...`; name may be a .py file or a dotted module name. Raises RequestError."""
    from benchmark.method import hyperparameters_of, misspelt_hooks

    named, *settings = text.split("+")
    name, module, source_hash = _listed_or_own("method", "methods", named)
    cls = method_class(module)
    for remark in misspelt_hooks(cls):
        tell(remark)
    own = [f.name for f in dataclasses.fields(cls)]
    given = _settings("hyper-parameter", name, settings, (*own, *TrainingConfig.model_fields))
    instance = _filled(name, cls, {key: value for key, value in given.items() if key in own})
    training = _training(name, {key: value for key, value in given.items() if key not in own})
    label = file_name("method", "+".join([name, *(f"{key}={given[key]}" for key in sorted(given))]))
    with refusing(f"{name} has fields that can't be stored"):
        values = hyperparameters_of(instance)
        check_storable(values)
    spec = MethodSpec(
        name=name, label=label, hyperparameters=values, source_hash=source_hash, training=training or None
    )
    return instance, spec


def _training(name: str, given: Mapping[str, str]) -> dict[str, Any]:
    """Read a method's own training settings from text. Raises RequestError."""
    try:
        read = TrainingConfig.model_validate_strings(dict(given))
    except ValidationError as error:
        raise request_error(error, lambda field: f"{field} of {name}") from error
    return {key: getattr(read, key) for key in given}


def _settings(kind: str, name: str, settings: Sequence[str], known: Sequence[str]) -> dict[str, str]:
    """Read the `key=value` settings after a name, whose keys are known. Raises RequestError."""
    given: dict[str, str] = {}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals or not value:
            text = "+".join([name, *settings])
            if key in known:
                raise RequestError(f"{key} in {text!r} has no value; write {name}+{key}=value")
            raise RequestError(f"{setting!r} in {text!r} is no {kind}; write {name}+key=value")
        if key not in known:
            raise unknown(f"{kind} of {name}", key, known)
        if key in given:
            raise RequestError(f"{key} stands twice in {'+'.join([name, *settings])!r}; give it once")
        given[key] = value
    return given


def _filled(name: str, cls: type[Filled], given: Mapping[str, str]) -> Filled:
    """Make a dataclass with these values, read from text. Raises RequestError."""
    try:
        return TypeAdapter(cls).validate_strings(given)
    except ValidationError as error:
        raise request_error(error, lambda field: f"{field} of {name}") from error
    except PydanticUserError as error:
        raise RequestError(f"{name} has a field of a type that can't be read from text: {error.message}") from error


def method_class(module: ModuleType) -> type["Method"]:
    """Return the one Method that a module defines. Raises RequestError if it defines none, or several."""
    from benchmark.method import Method

    found = [c for _, c in inspect.getmembers(module, inspect.isclass) if issubclass(c, Method)]
    own = [c for c in found if c.__module__ == module.__name__]
    if len(own) != 1:
        called = f": {', '.join(c.__name__ for c in own)}" if own else ""
        raise RequestError(
            f"{module.__file__} must define one Method, a frozen dataclass; it defines {len(own)}{called}"
        )
    if "__dataclass_params__" not in vars(own[0]):  # the base class has them, and does not know the fields
        raise RequestError(
            f"{own[0].__name__} in {module.__file__} is no dataclass; write @dataclass(frozen=True) above it"
        )
    return own[0]


def _listed_or_own(kind: str, package: str, text: str) -> tuple[str, ModuleType, str | None]:
    """Return (name, module, hash or None) of a name in the catalogue, or of a user-defined module.

    What a user-defined module computes depends on its file; the hash is the file's.
    """
    known = catalogue(package)
    if not is_module(text) and text not in known:
        raise unknown(kind, text, known)
    name = name_of(text) if is_module(text) else text
    here = _namesake(name, known)
    if here is None:
        return name, *module_of(text)
    if is_module(text) and source_file(text) != known[here].resolve():
        raise RequestError(f"{text} has the name of a {kind} that is here already; rename it")
    return here, _of_tree(package, known[here]), None


def _namesake(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that some file system takes for this one, or None."""
    return next((other for other in known if folded(other) == folded(name)), None)


def _of_tree(package: str, file: Path, defines: str | None = None) -> ModuleType:
    """Import a file of a package of plug-ins. Raises RequestError if it fails, or lacks what it is to define."""
    with refusing(f"{file} can't be imported"):
        module = importlib.import_module(f"{package}.{file.stem}")
    if defines and not hasattr(module, defines):
        raise RequestError(f"{file} is to define {defines}, as the other files beside it do")
    return module


SIZED = re.compile(r"(?P<named>.+)\+image-size=(?P<side>[^+/]*)", re.DOTALL)
"""A data set and the size that its pictures are brought to."""
LARGEST_SIDE = 4096


def sized(text: str) -> tuple[str, int | None]:
    """Return what names a data set, and the size of pictures that stands behind it, or None. Raises RequestError."""
    found = SIZED.fullmatch(text)
    if not found:
        return text, None
    side = found["side"]
    if not (side.isascii() and side.isdigit() and len(side) < 6 and 1 <= int(side) <= LARGEST_SIDE):
        raise RequestError(f"the image size is a whole number from 1 to {LARGEST_SIDE}, not {side!r}")
    return found["named"], int(side)


def dataset(text: str, folder: Path) -> tuple[str, "Arrays", float | None]:
    """Return (name, arrays, target accuracy or None) of a data set by name, path or dotted name.

    With +image-size=N behind it, its pictures are resized to N x N. Raises RequestError.
    """
    from benchmark.data.pictures import resize_arrays

    named, side = sized(text)
    name, arrays, target = _dataset(named, side, folder)
    if side is not None:
        x_train, x_test = (resize_arrays(name, x, side) for x in (arrays.x_train, arrays.x_test))
        arrays = dataclasses.replace(arrays, x_train=x_train, x_test=x_test)
    return name, arrays, target


def _dataset(text: str, side: int | None, folder: Path) -> tuple[str, "Arrays", float | None]:
    """Return the data set without its size; a folder of pictures is decoded to that size at once."""
    from benchmark.data import checked_source, load_dataset, own_dataset

    if text not in catalogue("datasets.sources") and (stored := _stored_dataset(text, side, folder)):
        return *stored, None
    name, module, source_hash = _listed_or_own("data set", "datasets.sources", text)
    if source_hash is None:
        source = checked_source(name, getattr(module, "SOURCE", None))
        return name, load_dataset(name, source, folder), source.target
    return file_name("data set", name), *own_dataset(text, getattr(module, "SOURCE", None))


def _stored_dataset(text: str, side: int | None, folder: Path) -> tuple[str, "Arrays"] | None:
    """Read (name, arrays) of an .npz file, a folder or a file in the data folder; None for names, modules."""
    from benchmark.data import read_npz
    from benchmark.data.folders import read_folder

    path = Path(text)
    if path.suffix == ".npz" and os.path.isfile(path):  # noqa: PTH113 - pathlib's raises for a name that is too long
        return _own_name(text, path.stem, folder), read_npz(path)
    if os.path.isdir(path):  # noqa: PTH112
        return _own_name(text, path.resolve().name, folder), read_folder(path, side)
    there = os.path.exists(path)  # noqa: PTH110
    if path.suffix == ".npz" or ((is_path(text) or there) and path.suffix != ".py"):
        wrong = f"{text} is no data set" if there else f"there is no file or folder {text}"
        forms = "a name, an .npz file, a folder of pictures or of clients' files, or a module"
        raise RequestError(f"{wrong}; a data set is {forms}")
    kept = folder / f"{text}.npz"
    return (text, read_npz(kept)) if not is_path(text) and os.path.isfile(kept) else None  # noqa: PTH113


def _own_name(text: str, name: str, folder: Path) -> str:
    """Return the name of a user's file or folder of data. Raises RequestError if a known data set has it already.

    The file in which a known data set is kept has its name, and its data.
    """
    known = _namesake(name, catalogue("datasets.sources"))
    if known and Path(text).resolve() != (folder / f"{known}.npz").resolve():
        raise RequestError(f"{text} has the name of a data set that is here already; rename it")
    return file_name("data set", name)


def partition(text: str, num_classes: int) -> "Division":
    """Make a partition from `name[:parameter...][+shift...]`. Raises RequestError."""
    from benchmark.partition import Division

    given, *shifts = text.split("+")
    plain, partitioner, promise = _partitioner(given, num_classes)
    if len(set(shifts)) < len(shifts):
        raise RequestError(f"a shift stands twice in {text!r}; name each once")
    return Division("+".join([plain, *shifts]), plain, partitioner, tuple(map(_shift, shifts)), promise)


SUPPLIED = ("owners", "held_out")
"""Parameters of partitions that the data supply instead of the text."""


def _partitioner(text: str, num_classes: int) -> tuple[str, "Partitioner", "Promise | None"]:
    """Return the name in full, the partition, and its promise. A parameter that has a default may be left out."""
    name, *values = text.split(":")
    known = catalogue("datasets.partitions")
    if name not in known:
        raise unknown("partition", name, known)
    module = _of_tree("datasets.partitions", known[name], "partition")
    parameters = [p for p in [*inspect.signature(module.partition).parameters.values()][3:] if p.name not in SUPPLIED]
    if not values and hasattr(module, "default"):
        values = module.default(num_classes).split(":")
    required = sum(p.default is p.empty for p in parameters)
    if not required <= len(values) <= len(parameters):
        raise _miscounted(name, text, parameters)
    typed = {p.name: _typed(text, p, value) for p, value in zip(parameters, values, strict=False)}
    typed = {p.name: typed[p.name] for p in parameters if p.name in typed and typed[p.name] != p.default}
    words = [str(value).removesuffix(".0").replace("e+", "e") for value in typed.values()]
    promise = partial(module.promise, **typed) if hasattr(module, "promise") else None
    return ":".join([name, *words]), partial(module.partition, **typed), promise


def _typed(text: str, parameter: inspect.Parameter, value: str) -> Any:
    try:
        return TypeAdapter(parameter.annotation).validate_strings(value)
    except ValidationError as error:
        raise RequestError(f"{text}: {request_error(error, lambda _: parameter.name)}") from error
    except PydanticUserError as error:
        raise RequestError(f"{text}: {parameter.name} needs a type that is read from text, such as int") from error


def _miscounted(name: str, text: str, parameters: Sequence[inspect.Parameter]) -> RequestError:
    """Return the error for a partition with too few or too many parameters."""
    if not parameters:
        return RequestError(f"{name} takes no parameter; write {name}, not {text}")
    form = ":".join([name, *(p.name for p in parameters)])
    if any(p.default is not p.empty for p in parameters):
        return RequestError(f"{name} takes at most {plural(len(parameters), 'parameter')}; write {name} or {form}")
    example = ":".join([name, *("2" if int in get_args(p.annotation) else "0.3" for p in parameters)])
    count = plural(len(parameters), "parameter")
    return RequestError(f"{name} takes {count}, not {text.count(':')}; write {form}, for example {example}")


def _shift(name: str) -> "Shift":
    known = catalogue("datasets.shifts")
    if name not in known:
        raise unknown("shift", name, known)
    found: Shift = _of_tree("datasets.shifts", known[name], "shift").shift
    return found


def line_up(text: str) -> "LineUp":
    """Make a line-up from `name+adapter=...+width=...`; name may be a user-defined module. Raises RequestError."""
    from benchmark.models.line_up import LineUpOptions

    named, *settings = text.split("+")
    found = _own_line_up(named) if is_module(named) else _listed_line_up(named)
    given = _settings("option", found.name, settings, [f.name for f in dataclasses.fields(LineUpOptions)])
    own = {key: str(value) for key, value in dataclasses.asdict(found.options).items()}
    options = _filled(found.name, LineUpOptions, own | given)
    if options.adapter == "none" and "width" in given:
        raise RequestError(f"{text} has no adapter that would give that width; add +adapter=linear or +adapter=pool")
    return found.adapted(options)


def _listed_line_up(name: str) -> "LineUp":
    if name not in LINE_UP_MODULES:
        raise unknown("line-up of models", name, LINE_UP_MODULES)
    module = importlib.import_module(LINE_UP_MODULES[name])
    return next(found for found in module.LINE_UPS if found.name == name)


def _own_line_up(text: str) -> "LineUp":
    """Return the user-defined line-up of `module` or `module:name`."""
    module, colon, name = text.partition(":")
    found = {line_up.name: line_up for line_up in own_line_ups(module)}
    if not colon and len(found) > 1:
        raise RequestError(f"{module} defines {', '.join(found)}; write {module}:{next(iter(found))} for the first")
    if colon and name not in found:
        raise unknown(f"line-up of {module}", name, found)
    return found[name] if colon else next(iter(found.values()))


def own_line_ups(text: str) -> list["LineUp"]:
    """Return the line-ups that a user-defined module has, by path or by dotted name. Raises RequestError."""
    from benchmark.models.line_up import defined

    module, source_hash = module_of(text)
    found = defined(module, text)
    if taken := [line_up.name for line_up in found if line_up.name in LINE_UP_MODULES]:
        raise RequestError(f"{text}: {taken[0]} is the name of a line-up that is here already; rename it")
    return [dataclasses.replace(line_up, source_hash=source_hash) for line_up in found]
