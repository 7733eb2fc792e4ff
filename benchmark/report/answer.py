"""What a comparison, or all of a report together, says: facts of paired differences, costs, rounds and seeds.

sentences.py puts them into words. No test is made here: differences and marks are those of the tables.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np

from benchmark.errors import plural
from benchmark.report.aggregate import differences_over_tasks, tasks
from benchmark.report.differences import Difference, differences, is_variant, not_told_apart
from benchmark.report.frame import LEAST_SEEDS, Comparison
from benchmark.report.statistics import detectable
from benchmark.storage.moments import Moment

Pairing = Literal["paired", "no reference", "reference not done", "nothing beside the reference"]
"""Whether there are differences to the reference, or why there are none."""


class Price(NamedTuple):
    """What a method costs in all rounds, all clients and the server together, mean over seeds: bytes and FLOPs."""

    bytes: float
    flops: float


@dataclass(frozen=True)
class Answer:
    """The facts of an answer.

    moments: those that are compared, the primary one first
    effects: moment -> label -> paired difference to the reference, of the methods that can be paired
    prices: label -> cost, of every method whose runs are all done
    best: the best method at the primary moment, None if methods are not ranked or none is done
    best_score: its accuracy in percent; over several tasks its difference to the reference in points
    contenders: methods not told apart from the best, which is the first of them; empty without a best
    seeds: how many federations a difference is a mean over, the fewest of all methods
    unlevelled: methods that have not levelled; over several comparisons the comparisons that are not ranked
    left_out: label -> why none of its runs counts
    tasks: how many tasks a difference is a mean over; 0 for the answer of one comparison
    """

    reference: str
    pairing: Pairing
    moments: Sequence[Moment]
    effects: Mapping[Moment, Mapping[str, Difference]]
    prices: Mapping[str, Price]
    best: str | None
    best_score: float | None
    contenders: Sequence[str]
    seeds: int
    unlevelled: Sequence[str]
    left_out: Mapping[str, str] = field(default_factory=dict)
    tasks: int = 0

    def sign(self, label: str, moment: Moment) -> int:
        """Return 1 if a method is above the reference at a moment, -1 if below, 0 if chance may explain it."""
        difference = self.effects[moment].get(label)
        return int(np.sign(difference.mean)) if difference and difference.marked else 0

    @property
    def tested(self) -> bool:
        """Whether any difference has a test, which needs two seeds."""
        return any(difference.test for found in self.effects.values() for difference in found.values())

    @property
    def told_apart(self) -> list[str]:
        """Methods that differ from the reference at any moment: those above first, the largest differences first."""
        found = {label: [s for m in self.moments if (s := self.sign(label, m))] for label in self._paired}
        size = {label: max(abs(e[label].mean) for e in self.effects.values() if label in e) for label in found}
        return sorted((k for k, signs in found.items() if signs), key=lambda k: (-found[k][0], -size[k]))

    @property
    def others(self) -> list[str]:
        """Methods that are paired with the reference and not told apart from it at any moment."""
        return [label for label in self._paired if label not in self.told_apart]

    @property
    def _paired(self) -> list[str]:
        return list(dict.fromkeys(label for found in self.effects.values() for label in found))

    def cheapest(self, cost: str) -> list[str]:
        """Return who costs least, in bytes or flops, of the contenders; of all methods if nobody is the best."""
        among = [label for label in self.contenders or self.prices if label in self.prices]
        least = min((getattr(self.prices[label], cost) for label in among), default=0)
        return [label for label in among if getattr(self.prices[label], cost) == least]

    @property
    def detectable(self) -> float | None:
        """From how many points on these seeds tell a difference from chance, median over methods; None for one seed."""
        found = self.effects[self.moments[0]] if self.moments else {}
        tests = {label: difference.test for label, difference in found.items() if difference.test}
        family = Counter(map(is_variant, tests))
        sizes = [detectable(test, family[is_variant(label)]) for label, test in tests.items()]
        return float(np.median(sizes)) if sizes else None

    @property
    def enough(self) -> bool:
        """Whether rounds and seeds suffice for what is said: all levelled, three seeds, nobody left out."""
        whole = self.pairing == "paired" and not self.unlevelled and not self.left_out
        return whole and self.seeds >= LEAST_SEEDS


def answer_of(comparison: Comparison, reference: str) -> Answer:
    """Return what one comparison says."""
    moments = [moment for moment in comparison.moments if moment in comparison.stored_moments]
    effects = {moment: differences(comparison, reference, moment) for moment in moments}
    contenders = not_told_apart(comparison, comparison.moment) if comparison.ranked else []
    best = contenders[0] if contenders else None
    return Answer(
        reference=reference,
        pairing=_pairing(comparison, reference, effects),
        moments=moments,
        effects=effects,
        prices={label: _price(comparison, label) for label in comparison.complete},
        best=best,
        best_score=comparison.mean(best) if best else None,
        contenders=contenders,
        seeds=_fewest_seeds(effects, len(comparison.seeds)),
        unlevelled=[*comparison.unlevelled],
        left_out=_left_out(comparison),
    )


def overall_answer(comparisons: Sequence[Comparison], reference: str) -> Answer | None:
    """Return what comparisons say together, of the methods that are done in all that have the reference.

    None if fewer than two have it, or no other method is in all of these.
    """
    inside = [comparison for comparison in comparisons if comparison.of(reference)]
    moments = [m for m in inside[0].moments if all(m in c.stored_moments for c in inside)] if len(inside) > 1 else []
    effects = {moment: differences_over_tasks(inside, reference, moment) for moment in moments}
    labels = [reference, *dict.fromkeys(label for found in effects.values() for label in found)]
    if len(labels) < 2:
        return None
    waiting = [comparison.heading for comparison in inside if not comparison.ranked]
    means = {reference: 0.0} | {label: difference.mean for label, difference in effects[moments[0]].items()}
    best = max(means, key=lambda label: means[label]) if not waiting else None
    return Answer(
        reference=reference,
        pairing="paired",
        moments=moments,
        effects=effects,
        prices={label: _mean_price([_price(c, label) for c in inside]) for label in labels},
        best=best,
        best_score=means[best] if best else None,
        contenders=_contenders(inside, best, means, moments[0]) if best else [],
        seeds=_fewest_seeds(effects, 1),
        unlevelled=waiting,
        tasks=len(tasks(inside)),
    )


def _contenders(comparisons: Sequence[Comparison], best: str, means: Mapping[str, float], at: Moment) -> list[str]:
    """Return the methods that are not told apart from the best over all comparisons, the best first."""
    behind = differences_over_tasks(comparisons, best, at)
    order = sorted(means, key=lambda label: -means[label])
    return [label for label in order if label not in behind or not behind[label].marked]


def _pairing(comparison: Comparison, reference: str, effects: Mapping[Moment, Mapping[str, Difference]]) -> Pairing:
    if any(effects.values()):
        return "paired"
    if reference not in comparison.methods:
        return "no reference"
    return "nothing beside the reference" if comparison.of(reference) else "reference not done"


def _price(comparison: Comparison, label: str) -> Price:
    return Price(*(comparison.mean_total(label, cost) for cost in Price._fields))


def _mean_price(prices: Sequence[Price]) -> Price:
    return Price(*(float(np.mean(values)) for values in zip(*prices, strict=True)))


def _fewest_seeds(effects: Mapping[Moment, Mapping[str, Difference]], otherwise: int) -> int:
    counts = [len(difference.by_seed) for found in effects.values() for difference in found.values()]
    return min(counts, default=otherwise)


def _left_out(comparison: Comparison) -> dict[str, str]:
    """Return label -> how its unfinished runs ended, of the methods that have some."""
    found: dict[str, str] = {}
    for label in comparison.methods:
        if ends := comparison.ends(label):
            number = sum(run.label == label for run in comparison.runs)
            found[label] = f"{len(ends)} of its {plural(number, 'run')} {' or '.join(sorted({*ends}))}"
    return found
