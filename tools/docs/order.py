"""The order of the five methods at default and tuned rates, at both moments: the head of docs/reproduction.md."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from benchmark.report.cells import NOTHING
from benchmark.report.differences import OVER_SEEDS, Difference, differences
from benchmark.report.frame import LEAST_SEEDS, Comparison
from benchmark.report.sentences import listed
from benchmark.report.tuning import tuned_methods
from benchmark.storage.moments import DOWNLOAD, LOCAL, Moment
from benchmark.tuning.record import Tuning
from tools.docs.blocks import accuracy_text, markdown_table
from tools.docs.cells import (
    DIGITS,
    DIGITS_RESULTS,
    MAIN_RESULTS,
    SIDES,
    Judged,
    Stored,
    cell_title,
    gain_text,
    judged,
    long_enough,
    of_cell,
    published_cells,
    side_of,
    unlevelled_at,
)
from tools.docs.costs import REFERENCE
from tools.reference import MISSION

DEFAULT_RESULTS = (MAIN_RESULTS, DIGITS_RESULTS)
"""Folders of results at default rates, if they exist."""
TUNED_RESULTS = ("tuned-n10", "tuned-n100", "tuned-mnist5k")
"""Folders of results of `tune`, if they exist."""
BOTH = (LOCAL, DOWNLOAD)
CLIMBS = "↗"
Tunings = Mapping[str, Sequence[Tuning]]
"""Experiment -> its tunings."""


class Standings(NamedTuple):
    """The methods of the mission in a cell, all at default rates or all at tuned ones.

    labels: method -> its label in the comparison, of those whose runs are done; Standalone is one of them
    chosen: method -> what was chosen for it, in words, if anything was
    """

    comparison: Comparison
    labels: Mapping[str, str]
    chosen: Mapping[str, str]

    def scores(self, name: str, moment: Moment) -> list[float]:
        """Return the accuracy of a method under each seed; nothing if it was not run or not tested then."""
        return self.comparison.values(self.labels.get(name, ""), moment.key("accuracy_mean"))

    def gain(self, name: str, moment: Moment) -> Difference | None:
        """Return a method's difference to Standalone, at the same kind of rates."""
        found = differences(self.comparison, self.labels[REFERENCE], moment)
        return found.get(self.labels.get(name, ""))

    def rank(self, name: str, moment: Moment) -> int:
        """Return the place of a method by its mean accuracy, 1 the best."""
        means = {other: np.mean(scores) for other in self.labels if (scores := self.scores(other, moment))}
        return 1 + sum(mean > means[name] for mean in means.values())

    def climbs(self, name: str, moment: Moment) -> bool:
        """Return whether a method's curve has not levelled, as far as rounds and seeds can say."""
        return self.labels[name] in unlevelled_at(self.comparison, moment)

    def judged(self, name: str, moment: Moment, gain: Difference) -> Judged:
        """Return whether something can be said of a method's difference to Standalone."""
        return judged(self.comparison, moment, gain, self.labels[name], self.labels[REFERENCE])


def order(stored: Stored, tunings: Tunings) -> str:
    """Return a row for each method of the mission on the digits and in each cell, and a sentence for each of them."""
    found = {cell: _standings(stored, tunings, *cell) for cell in (DIGITS, *published_cells())}
    run = {cell: by_rates for cell, by_rates in found.items() if any(by_rates.values())}
    waiting = [cell_title(*cell) for cell in found if cell not in run]
    missing = f"Not run yet, or in too few rounds to judge: {'; '.join(waiting)}."
    if not run:
        return missing
    heads = ["cell", "method"]
    heads += [f"{rates}, {moment.name}" for rates in ("default", "tuned") for moment in BOTH]
    rows = [
        [cell_title(*cell), f"`{name}`", *(_place(s, name, moment) for s in by_rates.values() for moment in BOTH)]
        for cell, by_rates in run.items()
        for name in MISSION
    ]
    said = [f"- **{cell_title(*cell)}.** {_sentences(by_rates)}" for cell, by_rates in run.items()]
    return "\n\n".join([markdown_table(heads, rows, left=2), "\n".join(said), *([missing] if waiting else [])])


def _standings(stored: Stored, tunings: Tunings, dataset: str, clients: int) -> dict[str, Standings | None]:
    """Return kind of rates -> the methods at these rates; None if Standalone was not run long enough at them."""
    found = {name: of_cell(stored.get(name, ()), dataset, clients) for name in (*DEFAULT_RESULTS, *TUNED_RESULTS)}
    long_run = {name: comparison for name, comparison in found.items() if comparison and long_enough(comparison)}
    default = (_default(long_run[name]) for name in DEFAULT_RESULTS if name in long_run)
    tuned = (_tuned(long_run[name], tunings.get(name, ())) for name in TUNED_RESULTS if name in long_run)
    return {"default": next(default, None), "tuned": next(filter(None, tuned), None)}


def _default(comparison: Comparison) -> Standings:
    return Standings(comparison, {name: name for name in MISSION if comparison.of(name)}, {})


def _tuned(comparison: Comparison, tunings: Sequence[Tuning]) -> Standings | None:
    """Return the methods as they were chosen, without the runs of their defaults; None without Standalone."""
    tuned = {method.tuning.method: method for method in tuned_methods(comparison, tunings)}
    labels = {name: tuned[name].chosen_label for name in MISSION if name in tuned}
    done = {name: label for name, label in labels.items() if comparison.of(label)}
    if REFERENCE not in done:
        return None
    runs = [run for run in comparison.runs if run.label in done.values()]
    return Standings(replace(comparison, runs=runs), done, {name: tuned[name].settings for name in done})


def _place(standings: Standings | None, name: str, moment: Moment) -> str:
    """Return a method's rank and its gain over Standalone, of Standalone its accuracy, with mark and arrow."""
    if standings is None or not (scores := standings.scores(name, moment)):
        return NOTHING
    gain = standings.gain(name, moment)
    words = [f"{standings.rank(name, moment)}.", accuracy_text(scores) if name == REFERENCE else gain_text(gain)]
    if gain and gain.marked and len(gain.by_seed) >= LEAST_SEEDS:
        words.append(OVER_SEEDS)
    if standings.climbs(name, moment):
        words.append(CLIMBS)
    return " ".join(words)


def _sentences(by_rates: Mapping[str, Standings | None]) -> str:
    """Return who is told apart from Standalone at which rates and at which moment, and what was chosen."""
    words = []
    for rates, standings in by_rates.items():
        if standings is None:
            words.append(f"Nothing was run at {rates} rates, or in too few rounds to judge.")
            continue
        local, download = (_compared(standings, moment) for moment in BOTH)
        at_both = [("at both moments", local)]
        at_each = [(moment.words, said) for moment, said in zip(BOTH, (local, download), strict=True)]
        words += [f"At {rates} rates, {when}: {said}." for when, said in (at_both if local == download else at_each)]
        if standings.chosen:
            words.append(f"Chosen: {'; '.join(f'{name} {what}' for name, what in standings.chosen.items())}.")
    return " ".join(words)


def _compared(standings: Standings, moment: Moment) -> str:
    """Return who is above Standalone, who below, who is told apart by nothing, and of whom nothing can be said."""
    gains = {name: gain for name in standings.labels if (gain := standings.gain(name, moment))}
    reasons: dict[str, list[str]] = {}
    sides: dict[str, dict[str, list[str]]] = {side: {} for side in SIDES}
    for name, gain in gains.items():
        reason, note = standings.judged(name, moment, gain)
        group, key = (reasons, reason) if reason else (sides[side_of(gain)], note)
        group.setdefault(key, []).append(name)
    if len(reasons) == 1 and not any(sides.values()):
        return f"no method can be compared with {REFERENCE} ({next(iter(reasons))})"
    told = [f"{_are(names)} {side} {REFERENCE}{note}" for side, of in sides.items() for note, names in of.items()]
    waiting = [f"{listed(names)} can't be compared with {REFERENCE} ({reason})" for reason, names in reasons.items()]
    return "; ".join([*told, *waiting]) or f"there is nothing beside {REFERENCE}"


def _are(names: Sequence[str]) -> str:
    return f"{listed(names)} {'is' if len(names) == 1 else 'are'}"
