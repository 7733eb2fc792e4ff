"""The look of each method: one colour, marker and dash for ever, whatever else is in a report.

Those of the catalogue stand in a file beside the methods. A method of a user's own has the colour that its name hashes
to. A variant (fedmoe+gate=static) has the colour of its method, and another marker and dash.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from hashlib import sha256
from importlib.resources import files
from itertools import product
from typing import Any, NamedTuple

MARKERS = "osD^vPX<>ph*"
"""Markers, as matplotlib writes them."""
DASHES = {"solid": "-", "dashed": "--", "dashdot": "-.", "dotted": ":"}
"""Name of a dash -> as matplotlib writes it."""


class Look(NamedTuple):
    """What a method is drawn with: colour as #rrggbb, marker as matplotlib writes it, name of a dash."""

    colour: str
    marker: str
    dash: str

    @property
    def line(self) -> dict[str, Any]:
        """The look as the keywords of a line in matplotlib."""
        return {"color": self.colour, "marker": self.marker, "linestyle": DASHES[self.dash]}


@cache
def catalogue_looks() -> dict[str, Look]:
    """Return name -> look of the methods that come with the benchmark, in the order in which they joined."""
    lines = (files("methods") / "colours.txt").read_text(encoding="utf-8").splitlines()
    return {words[0]: Look(*words[1:]) for line in lines if (words := line.split()) and not line.startswith("#")}


@dataclass(frozen=True)
class Style:
    """The looks of the methods of a report, no two alike: order has all their labels."""

    order: Sequence[str]

    def of(self, label: str) -> Look:
        """Return the look of a method."""
        return self._looks[label]

    @cached_property
    def _looks(self) -> dict[str, Look]:
        """Label -> look: methods before their variants, so that what joins a report takes nothing from them."""
        looks: dict[str, Look] = {}
        for label in sorted(set(self.order), key=lambda label: (label not in catalogue_looks(), "+" in label, label)):
            choices = [catalogue_looks()[label]] if label in catalogue_looks() else _choices(label)
            looks[label] = _free(choices, [*looks.values()])
        return looks


def _choices(label: str) -> list[Look]:
    """Return the looks that a method not of the catalogue may have, the one that its label hashes to first."""
    name = label.partition("+")[0]
    base = catalogue_looks().get(name)
    colours = list(dict.fromkeys(look.colour for look in catalogue_looks().values()))
    colour = base.colour if base else colours[_hash(name) % len(colours)]
    theirs = {look.marker for look in catalogue_looks().values() if look.colour == colour}
    places = [
        Look(colour, marker, dash)
        for marker, dash in product(MARKERS, DASHES)
        if marker not in theirs and (base is None or dash != base.dash)
    ]
    first = _hash(label) % len(places)
    return places[first:] + places[:first]


def _free(choices: Sequence[Look], taken: Sequence[Look]) -> Look:
    """Return the first look whose marker none of its colour has, as points have no dash; else one that none has."""
    markers = {(look.colour, look.marker) for look in taken}
    unlike = (look for look in choices if (look.colour, look.marker) not in markers)
    return next(unlike, next((look for look in choices if look not in taken), choices[0]))


def _hash(words: str) -> int:
    return int.from_bytes(sha256(words.encode()).digest()[:8])
