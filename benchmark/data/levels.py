"""Pixels of other kinds than bytes: one rule for a whole data set brings them to 0 ... 255, or refuses them by name."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from benchmark.errors import RequestError

DEPTHS = (8, 10, 12, 14, 16)
"""Bits that cameras and scanners have; whole numbers are taken as of the fewest that hold the data set's largest."""


class Scale(NamedTuple):
    """A way from pixels to bytes: pixel x factor + offset; words: what is said of it."""

    factor: float
    offset: float
    words: str

    def applied(self, pixels: np.ndarray) -> np.ndarray:
        """Return the pixels as bytes."""
        return np.rint(pixels * self.factor + self.offset).clip(0, 255).astype(np.uint8)


def scale_of(name: str, kind: str, low: float, high: float, whole: bool) -> Scale:
    """Return the scale of pixels that lie between low and high in a whole data set; whole: they are integers.

    Raises RequestError, naming the kind, where it would be a guess.
    """
    if whole and low >= 0 and high < 2 ** DEPTHS[-1]:
        bits = next(bits for bits in DEPTHS if high < 2**bits)
        return Scale(255 / (2**bits - 1), 0, f"{kind} up to {high:.0f}: taken as {bits} bits, scaled to 8")
    if not whole and low >= 0 and high <= 1:
        return Scale(255, 0, f"{kind} between 0 and 1: scaled to 8 bits")
    if not whole and low >= -1 and high <= 1:
        return Scale(127.5, 127.5, f"{kind} between -1 and 1: scaled to 8 bits")
    if not whole and low >= 0 and high <= 255:
        return Scale(1, 0, f"{kind} between 0 and 255: rounded to 8 bits")
    right = "0 ... 65535" if whole else "0 ... 1, -1 ... 1 or 0 ... 255"
    raise RequestError(f"{name}: {kind} from {low:.6g} to {high:.6g}; {kind} are read within {right}: rescale them")


def as_bytes(name: str, kind: str, arrays: Sequence[np.ndarray]) -> tuple[list[np.ndarray], str | None]:
    """Return arrays of one data set as bytes, all by one scale, and what was done; None if they were bytes.

    Raises RequestError for what is no number, and for pixels whose scale would be a guess.
    """
    kinds = {array.dtype.kind for array in arrays if array.size}
    if not kinds <= set("uifb"):
        raise RequestError(f"{name}: {kind} are no numbers; they are to be integers or floats")
    if not kinds or all(array.dtype == np.uint8 for array in arrays):
        return [array.astype(np.uint8) for array in arrays], None
    if not all(np.isfinite(array).all() for array in arrays):
        raise RequestError(f"{name}: some {kind} are not finite; replace those")
    low = min(float(array.min()) for array in arrays if array.size)
    high = max(float(array.max()) for array in arrays if array.size)
    scale = scale_of(name, kind, low, high, whole="f" not in kinds)
    return [scale.applied(array) for array in arrays], scale.words
