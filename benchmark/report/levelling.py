"""Whether a method's curve has levelled, or still climbs when its rounds end, and whether two of them do so alike."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np
from scipy import special

THIRD_ROUNDS = 5
"""With fewer evaluated rounds in the last third nobody can say whether a curve has levelled."""
THIRD_POINTS = 15
"""Nor with fewer points there of all seeds together."""
_TOO_FEW = "too few rounds to say"
CLIMB_POINTS = 1.0
"""A rise over the last third of up to so many points of accuracy is level."""
LEVEL = 0.05
"""Level of the one-sided test of the slope."""
RULE = (
    f"A method still climbs if the least-squares line through its runs' mean accuracies (one slope, a height for each "
    f"seed) rises by more than {CLIMB_POINTS:g} point over the last third of the rounds, its slope above 0 by a "
    f"one-sided t-test at {100 * LEVEL:g} %; fewer than {THIRD_ROUNDS} evaluated rounds in that third, or "
    f"{THIRD_POINTS} points of all seeds, are too few to say that it has levelled."
)
"""The rule in words, for captions."""


class Trend(NamedTuple):
    """The line through the last third of a curve: its rise over that third in points, and one-sided p of its slope."""

    rise: float
    p: float


def last_third(rounds: np.ndarray) -> np.ndarray:
    """Return which of the evaluated rounds [evaluated], by number and in order, are in the last third: a mask."""
    return rounds > 2 / 3 * rounds[-1]


def trend(rounds: np.ndarray, scores: np.ndarray) -> Trend:
    """Fit one slope, and a height for each seed, to the last third of curves: [evaluated], [seeds, evaluated].

    Seeds share the slope, so three seeds are worth three times the rounds.
    """
    inside = last_third(rounds)
    x, y = rounds[inside] - rounds[inside].mean(), scores[:, inside]
    y = y - y.mean(1, keepdims=True)
    squares = len(y) * float(x @ x)
    slope = float((y @ x).sum()) / squares
    freedom = y.size - len(y) - 1
    error = float(np.sqrt(((y - slope * x) ** 2).sum() / freedom / squares))
    t = slope / error if error > 0 else np.inf * np.sign(slope) if slope else 0.0
    return Trend(slope * float(rounds[-1]) / 3, float(special.stdtr(freedom, -t)))


def too_few(reasons: Iterable[str]) -> bool:
    """Return whether all of these reasons of `not_levelled` are that rounds and seeds were too few to say."""
    return all(reason.startswith(_TOO_FEW) for reason in reasons)


def not_levelled(rounds: np.ndarray, scores: np.ndarray) -> str | None:
    """Return why a method's curves count as not levelled, in words, or None: [evaluated], [seeds, evaluated].

    What the rule does where rounds scatter about a curve with a standard deviation of 1 point, independently of each
    other, and each is evaluated (by simulation, which tests repeat), as shares of methods called not levelled:

        seeds  rounds  level curve  climbs 2 points a third  climbs 4
            1      45         5 %                      70 %     100 %
            3      15         5 %                      65 %      99 %
            3      30         4 %                      93 %     100 %
            3      50         2 %                      98 %     100 %
            3     100       0.2 %                     100 %     100 %

    So of comparisons of five level methods 23 % are not ranked after 15 rounds with three seeds, 8 % after 50: who
    wants a rank runs on. Rounds that resemble their neighbours (correlation 0.5) raise the 2 % of a method to 8 %.

    Each run alone would be called climbing at 2 points a third in 26 % of cases with 15 rounds; hence all seeds of a
    method together, and THIRD_POINTS. With a limit of half a point level curves would be called climbing in 5 % of
    cases however many the rounds: of twenty methods, one. Of curves that climb 1 point a third half are called so.
    """
    return _unless_still(rounds, scores, _climbs)


def still_moves(rounds: np.ndarray, differences: np.ndarray) -> str | None:
    """Return why the difference between two methods counts as still moving, in words, or None.

    Two curves that climb alike have an order that does not wait for them to level. The rule is that of `not_levelled`,
    either way: a difference moves if its line rises or falls by more than CLIMB_POINTS, by a two-sided test.

    rounds: [evaluated]; differences: [seeds, evaluated], in points of accuracy, paired by seeds
    """
    return _unless_still(rounds, differences, _moves)


def _unless_still(rounds: np.ndarray, values: np.ndarray, told: Callable[[Trend], str | None]) -> str | None:
    """Return what is told of the trend of values [seeds, evaluated], or that there are too few of them to say."""
    inside = int(last_third(rounds).sum())
    moved = told(trend(rounds, values)) if inside >= THIRD_ROUNDS else None
    if inside >= THIRD_ROUNDS and inside * len(values) >= THIRD_POINTS:
        return moved
    few = f"{_TOO_FEW}: {inside} evaluated in the last third, {inside * len(values)} over all seeds"
    return f"{few}; {moved}" if moved else few


def _climbs(found: Trend) -> str | None:
    """Return that a curve climbs, in words; None if it does not, as far as its points can say."""
    if found.rise <= CLIMB_POINTS or found.p >= LEVEL:
        return None
    return f"its accuracy rises by {found.rise:.1f} points over the last third of the rounds"


def _moves(found: Trend) -> str | None:
    """Return that a difference rises or falls, in words; None if it does neither, as far as its points can say."""
    if abs(found.rise) <= CLIMB_POINTS or 2 * min(found.p, 1 - found.p) >= LEVEL:
        return None
    verb = "rises" if found.rise > 0 else "falls"
    return f"the difference {verb} by {abs(found.rise):.1f} points over the last third"
