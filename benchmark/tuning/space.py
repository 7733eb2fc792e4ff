"""The space that `tune` searches of a method, and the trials in it: quasi-random points, the same on every machine."""

from collections.abc import Collection
from dataclasses import fields
from math import ceil, floor
from typing import Any, NamedTuple, get_args, get_type_hints

import numpy as np
from scipy.stats import qmc

from benchmark.fields import Around, Fixed, FollowsClient, Search

SEED = 0
"""Seed of the digits' permutations. In the plain sequence the first points of the bases 7, 11, 13 all ascend alike."""
RATE_FACTOR = 10.0
"""Rates go from this factor below to this factor above the rate that they are compared with."""
SIGNIFICANT_DIGITS_TRIED = 3


class Dimension(NamedTuple):
    """One coordinate of a space: a number from low to high, its logarithm being uniform, or the number itself.

    whole: it is an integer; of_rate: low and high are factors of the clients' rate of the same trial
    """

    low: float
    high: float
    log: bool = True
    whole: bool = False
    of_rate: bool = False

    def at(self, share: float, rate: float) -> float:
        """Return the value at a share (0 to 1) of the way from low to high, to three digits.

        Of integers in [low, high] n has the stretch from n to n + 1, so that the ends are as likely as others.
        """
        scale = rate if self.of_rate else 1.0
        low, high = scale * self.low, scale * (self.high + self.whole)
        value = low * (high / low) ** share if self.log else low + share * (high - low)
        short = float(f"{floor(value) if self.whole else value:.{SIGNIFICANT_DIGITS_TRIED}g}")
        return int(np.clip(short, self.low, self.high)) if self.whole else short


LEARNING_RATE = Dimension(1 / RATE_FACTOR, RATE_FACTOR, of_rate=True)
"""The clients' learning rate, relative to the federation's: the first coordinate of every method."""


def dimensions(method: object, given: Collection[str] = ()) -> dict[str, Dimension]:
    """Return what is searched of a method, a dataclass, besides the clients' rate; without fields that are given.

    The last mark in a field's type says it. Fields without a mark are variants of the method: a choice, or a number
    that may be left out. A default of 0 has no values around it.
    """
    hints = get_type_hints(type(method), include_extras=True)
    found = {f.name: _dimension(hints[f.name], getattr(method, f.name)) for f in fields(method)}  # type: ignore[arg-type]
    return {name: dimension for name, dimension in found.items() if dimension and name not in given}


def _dimension(hint: Any, default: Any) -> Dimension | None:
    kind, *marks = get_args(hint) or (hint,)
    match next((m for m in reversed(marks) if isinstance(m, Search | Around | Fixed | FollowsClient)), None):
        case FollowsClient():
            return LEARNING_RATE
        case Search(low, high, log):
            return Dimension(low, high, log, whole=kind is int)
        case Around(factor) if default and kind is int:
            return Dimension(max(1, ceil(default / factor)), floor(default * factor), whole=True)
        case Around(factor) if default:
            return Dimension(default / factor, default * factor)
    return None


def trials(method: object, given: Collection[str], lr: float, number: int) -> list[dict[str, str]]:
    """Return the settings of each trial, as texts: none of the default, which is the first, then those of points.

    given: names of the settings that the method has already, which stay; lr: the clients' rate without a trial's own
    """
    own = dimensions(method, given)
    points = qmc.Halton(1 + len(own), scramble=True, seed=np.random.default_rng(SEED)).random(number - 1)
    return [{}, *(_settings(own, point.tolist(), lr, "lr" in given) for point in points)]


def _settings(own: dict[str, Dimension], point: list[float], lr: float, lr_stays: bool) -> dict[str, str]:
    rate = lr if lr_stays else LEARNING_RATE.at(point[0], lr)
    found = {} if lr_stays else {"lr": rate}
    found |= {name: space.at(share, rate) for (name, space), share in zip(own.items(), point[1:], strict=True)}
    return {name: _text(value) for name, value in found.items()}


def _text(value: float) -> str:
    """Write a number without a +, which separates settings."""
    return f"{value:.15g}".replace("e+", "e")
