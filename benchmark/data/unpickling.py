"""Pickles inside .npz files, read without running what they name: numpy arrays, dicts, lists and numbers, nothing else.

A pickle is a program. Of its words those that build dicts, lists, texts and numbers are harmless; the one that calls a
function gets stand-ins for numpy's constructors here, and nothing for any other name. The stand-ins check what they are
given before numpy sees it: numpy itself believes a pickle, whose flags can make it take numbers for addresses.
"""

import math
import pickle
import re
import zipfile
from io import BytesIO
from typing import Any, NoReturn

import numpy as np

PLAIN_TYPE = re.compile(r"[<>|=]?([biuf?](1|2|4|8)?|[SU][0-9]{1,4})")
"""Element types of arrays that are admitted: truth values, whole numbers, floats, texts."""


class Forbidden(pickle.UnpicklingError):
    """Something in a pickle that is no array, dict, list, text or number; its text says what."""


class _TypeStandIn:
    """What numpy.dtype is in a pickle: its text, and the byte order that its state gives."""

    def __init__(self, text: object, *_: object) -> None:
        if text != "O8" and not (isinstance(text, str) and PLAIN_TYPE.fullmatch(text)):
            raise Forbidden(f"elements of type {text!r}")
        self.is_object = text == "O8"
        self.text = str(text).lstrip("<>|=")
        self.order = "="

    def __setstate__(self, state: tuple) -> None:
        order, subarray, names, fields = state[1:5]
        if order not in ("<", ">", "|", "=") or any(part is not None for part in (subarray, names, fields)):
            raise Forbidden("arrays of records")
        self.order = order

    def dtype(self) -> np.dtype:
        return np.dtype((self.order if self.text[0] in "iufU" else "") + self.text)


class _ArrayStandIn:
    """What an array is in a pickle, until its state has been checked."""

    value: Any = None

    def __setstate__(self, state: tuple) -> None:
        _, shape, kind, fortran, data = state
        self.value = _array(shape, kind, "F" if fortran else "C", data)


def _array(shape: Any, kind: Any, order: Any, data: Any) -> Any:
    """Return a numpy array, or what an array of one or several objects holds."""
    if not isinstance(kind, _TypeStandIn) or not isinstance(shape, tuple) or not all(type(n) is int for n in shape):
        raise Forbidden("an array without shape or type")
    if kind.is_object:
        if not isinstance(data, list) or len(shape) > 1 or len(data) != math.prod(shape):
            raise Forbidden("an array of objects")
        return data if shape else data[0]
    if not isinstance(data, bytes | bytearray) or min(shape, default=0) < 0:
        raise Forbidden("an array without numbers")
    dtype = kind.dtype()
    if len(data) != math.prod(shape) * dtype.itemsize:
        raise Forbidden(f"an array {list(shape)} of {len(data)} bytes")
    return np.frombuffer(data, dtype=dtype).reshape(shape, order="F" if order == "F" else "C")


def _reconstruct(*_: object) -> _ArrayStandIn:
    return _ArrayStandIn()


def _frombuffer(data: Any, kind: Any, shape: Any, order: Any, *_: object) -> Any:
    return _array(shape, kind, order, bytes(data) if isinstance(data, bytes | bytearray | memoryview) else None)


def _scalar(kind: Any, data: Any = b"") -> Any:
    return _array((), kind, "C", data)


class _NoClass:
    """What a class is in a pickle where it is only named."""

    def __new__(cls, *_: object) -> NoReturn:
        raise Forbidden("an object")


STAND_INS: dict[str, Any] = {"ndarray": _NoClass, "dtype": _TypeStandIn}
STAND_INS |= {"_reconstruct": _reconstruct, "scalar": _scalar, "_frombuffer": _frombuffer}
NUMPY_MODULES = {"numpy"} | {
    f"numpy.{core}.{module}" for core in ("core", "_core") for module in ("multiarray", "numeric")
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if module in NUMPY_MODULES and name in STAND_INS:
            return STAND_INS[name]
        raise Forbidden(f"{module}.{name}")


def read_plain(data: bytes) -> Any:
    """Return what a pickle holds: numpy arrays, dicts, lists, tuples, texts and numbers.

    Raises Forbidden, which says what else it names, or whatever else is wrong with it.
    """
    found = _Unpickler(BytesIO(data)).load()
    return _Plain(len(data)).of(found)


class _Plain:
    """Replaces stand-ins by what they stand for; lists that are in each other many times are refused, as they grow."""

    def __init__(self, most: int) -> None:
        self.left = most

    def of(self, value: Any) -> Any:
        """Return a value without stand-ins. Raises Forbidden."""
        self.left -= 1
        if self.left < 0:
            raise Forbidden("more elements than the file has bytes")
        match value:
            case _ArrayStandIn():
                return self.of(value.value)
            case dict():
                return {self.of(key): self.of(inner) for key, inner in value.items()}
            case list() | tuple():
                return [self.of(inner) for inner in value]
            case np.ndarray() | str() | bytes() | int() | float() | None:
                return value
        raise Forbidden(f"a value of type {type(value).__name__}")


def object_member(archive: zipfile.ZipFile, key: str) -> Any:
    """Return what the member <key>.npy of an archive holds: an array, or plain objects. Raises any error in it."""
    with archive.open(f"{key}.npy") as file:
        version = np.lib.format.read_magic(file)
        header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}[version]
        _, _, dtype = header(file)
        if dtype.hasobject:
            return read_plain(file.read())
    with archive.open(f"{key}.npy") as file:
        return np.lib.format.read_array(file, allow_pickle=False)
