"""Targets of checks: from a word on the command line to a method, a line-up or a data set, and its suite.

A text is looked up in this order: the catalogues of methods, line-ups and data sets; an .npz file or a folder is a data
set; a .py file or the dotted name of a module stands for what it defines, a Method, LINE_UP or LINE_UPS, or SOURCE.
"""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmark.conformance import datasets, line_ups, methods
from benchmark.conformance.suite import Check, Result, run_checks
from benchmark.errors import RequestError, unknown
from benchmark.method import Method
from benchmark.models.line_up import LineUp
from benchmark.plugins import listed, registry

SUITES: dict[str, Sequence[Check]] = {
    "method": methods.CHECKS,
    "line-up": line_ups.CHECKS,
    "data set": datasets.CHECKS,
}


@dataclass(frozen=True, eq=False)
class Target:
    """One thing to check: what was typed, its kind, what it is called, and the thing itself."""

    text: str
    kind: str
    name: str
    subject: Any

    def run_checks(self) -> list[Result]:
        """Run its suite, and return the results."""
        return run_checks(SUITES[self.kind], self.subject)


def resolve_targets(text: str, data: Path, image_size: int | None = None) -> list[Target]:
    """Return what a text names; a module with LINE_UPS names several. Raises RequestError if it names nothing.

    image_size: what the pictures of a data set are resized to; None: see `registry.dataset`
    """
    if image_size is not None and (found := resolve_targets(text, data)) and found[0].kind == "data set":
        return resolve_targets(f"{text}+image-size={image_size}", data)
    name = text.partition("+")[0]
    if name in listed.catalogue("methods"):
        return [_method(text)]
    if name in registry.LINE_UP_MODULES:
        return [_line_up(text, registry.line_up(text))]
    if (data_set := registry.sized(text)[0]) in listed.catalogue("datasets.sources") or _is_data(data_set, data):
        return [_data(text, data)]
    if registry.is_module(name):
        return _of_module(text, name.partition(":")[0], data)
    known = [*listed.catalogue("methods"), *registry.LINE_UP_MODULES, *listed.catalogue("datasets.sources")]
    raise unknown("method, line-up or data set", text, known)


def checks_document(examined: Iterable[tuple[Target, Sequence[Result]]]) -> dict[str, Any]:
    """Return the document that `check --json` prints: what is broken, and every check."""
    checks = [
        {
            **{"target": target.text, "kind": target.kind, "name": target.name},
            **{"check": check.name, "says": check.says, "verdict": verdict, "problem": problem},
        }
        for target, results in examined
        for check, verdict, problem in results
    ]
    broken = [check for check in checks if check["verdict"] == "broken"]
    return {"ok": not broken, "findings": broken, "checks": checks}


def _is_data(text: str, data: Path) -> bool:
    """Return whether a text names a file or folder of images, or a set that is kept in the data folder."""
    kept = "/" not in text and os.path.isfile(data / f"{text}.npz")  # noqa: PTH113 - pathlib's raises for long names
    return text.endswith(".npz") or os.path.isdir(text) or kept  # noqa: PTH112


def _of_module(text: str, file: str, data: Path) -> list[Target]:
    """Return what a user-defined module has; text may add a name after : or settings after + to the file."""
    module, _ = registry.module_of(file)
    own = [v for v in vars(module).values() if isinstance(v, type) and v.__module__ == module.__name__]
    defined = {
        "a Method": any(issubclass(cls, Method) for cls in own),
        "LINE_UP or LINE_UPS": hasattr(module, "LINE_UP") or hasattr(module, "LINE_UPS"),
        "SOURCE": hasattr(module, "SOURCE"),
    }
    match [what for what, there in defined.items() if there]:
        case ["a Method"]:
            return [_method(text)]
        case ["LINE_UP or LINE_UPS"]:
            found = registry.own_line_ups(file) if text == file else [registry.line_up(text)]
            return [_line_up(text, line_up) for line_up in found]
        case ["SOURCE"]:
            return [_data(text, data)]
        case several:
            has = " and ".join(several) or "nothing to check"
            raise RequestError(f"{text} defines {has}; it is to define a Method, or LINE_UP or LINE_UPS, or SOURCE")


def _method(text: str) -> Target:
    method, spec = registry.method(text)
    return Target(text, "method", spec.label, method)


def _line_up(text: str, line_up: LineUp) -> Target:
    return Target(text, "line-up", line_up.name, line_up)


def _data(text: str, data: Path) -> Target:
    named, _ = registry.sized(text)
    if named.endswith(".npz") and not os.path.isfile(named):  # noqa: PTH113
        raise RequestError(f"there is no file {named}")
    return Target(text, "data set", registry.name_of(named), datasets.Named(text, data))
