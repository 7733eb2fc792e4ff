"""JSON from outside: what the standard says, and nothing that Python's reader lets pass or fails on.

Refused are NaN and infinities, also as 1e999; a name that stands twice in an object, of which readers take one or the
other; halves of surrogate pairs, which are no text; and what is nested so deeply that its readers fail. This module
imports no torch.
"""

import json
import math
import re
from collections.abc import Mapping
from typing import Any, NoReturn

import numpy as np

DEEPEST = 60
"""Levels of lists and objects within each other."""
STRING = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]|\xed[\xa0-\xbf]")
LONGEST_TEXT = 1_000_000
LARGEST_WHOLE = 10**30


def loads(content: bytes) -> Any:
    """Return what a JSON document says. Raises ValueError with the reason."""
    _bounded(_depth(content) <= DEEPEST, "too many levels")
    found = json.loads(content, parse_constant=_no_constant, parse_float=_finite, object_pairs_hook=_distinct)
    if SURROGATE.search(content):
        _bounded(_is_text(json.dumps(found, ensure_ascii=False)), "half a surrogate pair, which is no text")
    return found


def _depth(content: bytes) -> int:
    """Return the levels of lists and objects within each other, without recursion."""
    signs = np.frombuffer(STRING.sub(b"", content), dtype=np.uint8)
    steps = np.isin(signs, [*b"[{"]).astype(int) - np.isin(signs, [*b"]}"])
    return int(steps.cumsum().max(initial=0))


def check_storable(value: Any, depth: int = 0) -> None:
    """Raise ValueError, with the reason, unless a value can be stored as JSON and read back as it was.

    That is none, a truth value, a finite number of a usual size, a text, or a list or a dict of such, named by texts.
    """
    _bounded(depth <= DEEPEST, "too many levels")
    match value:
        case None | bool():
            pass
        case int():
            _bounded(abs(value) <= LARGEST_WHOLE, "a number that is too large")
        case float():
            _bounded(math.isfinite(value), "a number that is not finite")
        case str():
            _bounded(len(value) <= LONGEST_TEXT, "a text that is too long")
            _bounded(_is_text(value), "half a surrogate pair, which is no text")
        case list() | tuple():
            for item in value:
                check_storable(item, depth + 1)
        case Mapping():
            for name, item in value.items():
                _bounded(isinstance(name, str), f"the name {name!r:.40}, which is no text")
                check_storable(name, depth + 1)
                check_storable(item, depth + 1)
        case _:
            raise ValueError(f"it has a {type(value).__name__}, which JSON has no form for")


def _bounded(holds: bool, what: str) -> None:
    if not holds:
        raise ValueError(f"it has {what}")


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _no_constant(constant: str) -> NoReturn:
    raise ValueError(f"JSON has no {constant}")


def _finite(text: str) -> float:
    value = float(text)
    _bounded(math.isfinite(value), "a number that is not finite")
    return value


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    _bounded(len(found) == len(pairs), "a name twice in one object")
    return found
