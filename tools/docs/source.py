"""The documentation in a method's file: its docstring, and its fields with their comments; read without import."""

import ast
import io
import tokenize
from dataclasses import dataclass
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from benchmark import fields
from benchmark.plugins.listed import method_fields

BUILT_IN = {"float": "number", "int": "integer", "bool": "`true` or `false`", "str": "text"}
SIGNS = {"gt": ">", "ge": "≥", "lt": "<", "le": "≤"}
"""Constraints of pydantic and annotated-types."""


@dataclass(frozen=True)
class Hyperparameter:
    """A field of a method: its range, its default and its comment in the source, in words."""

    name: str
    allowed: str
    default: str
    comment: str


def module_docstring(file: Path) -> str:
    """Return the docstring of a module's file."""
    return ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""


def hyperparameters(file: Path) -> list[Hyperparameter]:
    """Return the fields of the Method that a file defines, in their order."""
    text = file.read_text(encoding="utf-8")
    comments = _comments(text)
    return [
        Hyperparameter(
            name=name,
            allowed=_allowed(node.annotation),
            default=_typed(ast.literal_eval(default)),
            comment=comments.get(node.end_lineno or node.lineno, ""),
        )
        for name, default, node in method_fields(ast.parse(text))
    ]


def _comments(text: str) -> dict[int, str]:
    """Return number of a line -> the comment at its end."""
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    return {token.start[0]: token.string.lstrip("# ") for token in tokens if token.type == tokenize.COMMENT}


def _typed(value: object) -> str:
    """Return a default as it is typed on the command line."""
    return str(value).lower() if value is None or isinstance(value, bool) else str(value)


def _allowed(annotation: ast.expr) -> str:
    """Return a type with its range in words."""
    match annotation:
        case ast.BinOp(left, ast.BitOr(), right):
            return f"{_allowed(left)} or {_allowed(right)}"
        case ast.Subscript(ast.Name("Annotated"), ast.Tuple([kind, *_])):  # what else it says is for `tune`
            return _allowed(kind)
        case ast.Subscript(ast.Name("Literal"), ast.Tuple(values)):
            return " or ".join(f"`{ast.literal_eval(value)}`" for value in values)
        case ast.Constant(None):
            return "none"
        case ast.Name(name) if name in BUILT_IN:
            return BUILT_IN[name]
        case ast.Name(name) if get_origin(getattr(fields, name, None)) is Annotated:
            return _of_field(getattr(fields, name))
    return f"`{ast.unparse(annotation)}`"


def _of_field(annotated: Any) -> str:
    """Return one of benchmark.fields in words, from its constraints."""
    kind, *metadata = get_args(annotated)
    if get_origin(kind) in (Union, UnionType):
        return f"{_of_field(get_args(kind)[0])} or none"
    if get_origin(kind) is Literal:
        return " or ".join(f"`{value}`" for value in get_args(kind))
    limits = [
        f"{sign} {getattr(limit, key):g}"
        for field in metadata
        for limit in getattr(field, "metadata", ())
        for key, sign in SIGNS.items()
        if getattr(limit, key, None) is not None
    ]
    return " ".join([BUILT_IN[kind.__name__], ", ".join(limits)])
