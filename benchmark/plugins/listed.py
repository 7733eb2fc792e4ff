"""What packages of plug-ins offer, read from their files: nothing is imported, and this module needs no torch."""

import ast
import importlib.util
from functools import cache
from pathlib import Path
from typing import Any, get_args

import benchmark.fields
from benchmark.errors import described
from benchmark.fields import Before


def catalogue(package: str, suffix: str = ".py") -> dict[str, Path]:
    """Return the names that a package offers -> their files, without importing any."""
    spec = importlib.util.find_spec(package)
    folders = spec.submodule_search_locations if spec else None
    files = sorted(file for folder in folders or () for file in Path(folder).glob(f"*{suffix}"))
    return {file.stem.replace("_", "-"): file for file in files if not file.stem.startswith("_")}


def described_catalogue(package: str) -> list[dict[str, str]]:
    """Return name and first line of the docstring of each file that a package offers, read without importing.

    Of a file that is no Python it says so: others are to be listed all the same.
    """
    listing = []
    for name, file in catalogue(package).items():
        try:
            summary = (ast.get_docstring(_parsed(file)) or "").split("\n")[0]
        except (SyntaxError, ValueError) as error:
            listing.append({"name": name, "description": f"can't be read: {described(error)}"})
        else:
            listing.append({"name": name, "description": summary.partition(": ")[2] or summary})
    return listing


def method_fields(tree: ast.Module) -> list[tuple[str, ast.expr, ast.AnnAssign]]:
    """Return (name, default, statement) of each field of a file's Method, in order, read without importing."""
    return [
        (node.target.id, node.value, node)
        for cls in tree.body
        if isinstance(cls, ast.ClassDef) and any(isinstance(b, ast.Name) and b.id == "Method" for b in cls.bases)
        for node in cls.body
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value
    ]


def method_defaults(name: str) -> dict[str, Any]:
    """Return hyper-parameter -> default for a method of the catalogue, which is not imported.

    Nothing of a file that is no Python, or of a default that is no literal.
    """
    try:
        return {field: ast.literal_eval(default) for field, default, _ in method_fields(_tree(name))}
    except (SyntaxError, ValueError):
        return {}


@cache
def changed_defaults(name: str) -> dict[str, Any]:
    """Return field -> what a stored run had that does not say, for a method of the catalogue, which is not imported.

    Only of fields whose default is another by now. Empty for a name that is not in the catalogue.
    """
    if name not in catalogue("methods"):
        return {}
    return {
        field: mark.value
        for field, default, statement in method_fields(_tree(name))
        for mark in get_args(getattr(benchmark.fields, ast.unparse(statement.annotation), None))
        if isinstance(mark, Before) and mark.value != ast.literal_eval(default)
    }


def _tree(name: str) -> ast.Module:
    return _parsed(catalogue("methods")[name])


def _parsed(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))
