"""Sizes of messages, predicted by rules that the messages of a rehearsal obey."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean
from typing import Any

from benchmark.forecast.workload import Turn

ROWS = ("own", "known", "others", "returning")
"""Fields of a Turn that the size of a table can be in proportion to."""
PLACES: tuple[Callable[[Turn], Any], ...] = (
    lambda turn: None,
    lambda turn: turn.architecture,
    lambda turn: turn.since,
    lambda turn: (turn.architecture, turn.since),
)
"""Keys by which the size of any other message is looked up, the simplest first."""


@dataclass(frozen=True)
class Rule:
    """A rule for the bytes of the messages of one name; exact: True if it held for every message that was seen."""

    size: Callable[[Turn], float]
    exact: bool


def rule(seen: Sequence[tuple[Turn, int]]) -> Rule:
    """Return the simplest rule that messages of one name obey: one size, in proportion to rows, or by place.

    If none holds, sizes vary with what is learned, and the rule is their mean by place.
    """
    if len({size for _, size in seen}) == 1:
        return _by_place(seen, PLACES[0])
    for field in ROWS:
        per_row = {size / getattr(turn, field) if size else 0 for turn, size in seen if getattr(turn, field)}
        if len(per_row) == 1 and not any(size for turn, size in seen if not getattr(turn, field)):
            return _by_rows(field, *per_row)
    return next((found for place in PLACES if (found := _by_place(seen, place)).exact), _by_place(seen, PLACES[-1]))


def _by_rows(field: str, bytes_per_row: float) -> Rule:
    return Rule(lambda turn: bytes_per_row * getattr(turn, field), True)


def _by_place(seen: Sequence[tuple[Turn, int]], place: Callable[[Turn], Any]) -> Rule:
    """Return the mean size by place; at a place not seen, that of turns with the same `since`, or of all."""
    groups: dict[Any, list[int]] = defaultdict(list)
    for turn, size in seen:
        for where in {place(turn), ("like", turn.since), "anywhere"}:
            groups[where].append(size)
    means = {where: mean(sizes) for where, sizes in groups.items()}
    exact = all(len({*groups[where]}) == 1 for where in {place(turn) for turn, _ in seen})
    return Rule(
        lambda turn: means.get(place(turn), means.get(("like", turn.since), means["anywhere"])),
        exact,
    )


def rules(seen: Sequence[tuple[Turn, Mapping[str, int]]]) -> dict[str, Rule]:
    """Return message name -> its rule, from the sizes by name of a rehearsal's turns in one direction."""
    names = {name: None for _, sizes in seen for name in sizes}
    return {name: rule([(turn, sizes.get(name, 0)) for turn, sizes in seen]) for name in names}
