"""Differences between methods and a reference, and which of them chance does not explain.

Marks and p-values are over seeds alone: each seed is a federation of its own, whose clients share its partition, its
initial weights and its luck. Over clients, differences are described and not tested.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import groupby
from typing import NamedTuple

import numpy as np

from benchmark.plugins.presets import preset
from benchmark.report.cells import NOTHING, Cell, Column, Table, interval_text
from benchmark.report.frame import Comparison
from benchmark.report.notes import noted_table
from benchmark.report.statistics import Described, Paired, describe, has_width, holm, paired_t
from benchmark.storage.moments import Moment

DEFAULT_REFERENCE: str = preset("demo")["reference"]
"""The reference, unless another is asked for: federation has to beat it."""
HOLM = "Holm-corrected over the methods, and over their variants"
MARK_LEVEL = 0.05
"""Differences with a corrected p-value below it are marked."""
OVER_SEEDS = "†"
TIE_POINTS = 0.005
"""A smaller difference is printed as 0, and has no sign."""
COLUMNS = (
    Column("Method"),
    Column("Difference", "high", "mean over seeds, in points of accuracy", short="difference"),
    Column("95 % interval", None, "Student's, over seeds", short="95 % interval"),
    Column("p", None, "paired t-test over seeds, Holm-corrected", short="p"),
    Column("Seeds"),
    Column("Median of clients", "high", "median over clients and seeds of the difference"),
    Column(
        "Clients better [%]",
        "high",
        "share of clients and seeds that have more",
        short="better [%]",
    ),
    Column("Equal [%]"),
    Column("Worse [%]", "low"),
    Column("Pairs", None, "clients times seeds"),
)


class Difference(NamedTuple):
    """A method's difference to the reference at one moment, in points of accuracy, paired by seeds and by clients.

    by_seed: (seed, difference) of each seed that both have
    test: over seeds, None for one; p: of the test, corrected for the number of methods, or of variants
    clients: of each client under each seed
    """

    by_seed: Sequence[tuple[int, float]]
    test: Paired | None
    p: float | None
    clients: Described | None

    @property
    def mean(self) -> float:
        """The mean over seeds."""
        return float(np.mean([value for _, value in self.by_seed]))

    @property
    def marked(self) -> bool:
        """Whether chance does not explain it."""
        return self.p is not None and self.p < MARK_LEVEL


@lru_cache(maxsize=256)
def differences(comparison: Comparison, reference: str, moment: Moment) -> dict[str, Difference]:
    """Return label -> difference of every method that can be paired with the reference."""
    found = {}
    for label in comparison.complete:
        pairs = comparison.paired(label, reference) if label != reference else []
        if pairs and all(len(run.clients[moment]) for pair in pairs for run in pair):
            sides = [*zip(*pairs, strict=True)]
            ours, theirs = ([run.summary[moment.key("accuracy_mean")] for run in side] for side in sides)
            clients = [np.concatenate([run.clients[moment] for run in side]) for side in sides]
            by_seed = [(run.seed, a - b) for run, a, b in zip(sides[0], ours, theirs, strict=True)]
            found[label] = Difference(by_seed, paired_t(ours, theirs), None, describe(*clients))
    return corrected(found)


def corrected(found: Mapping[str, Difference]) -> dict[str, Difference]:
    """Return the differences with their p-values, Holm-corrected over those that are tested of each family."""
    p_values = corrected_p({label: difference.test for label, difference in found.items() if difference.test})
    return {label: difference._replace(p=p_values.get(label)) for label, difference in found.items()}


def corrected_p(tests: Mapping[str, Paired]) -> dict[str, float]:
    """Return label -> p-value, Holm-corrected over the tests of its family."""
    families = [[*family] for _, family in groupby(sorted(tests, key=is_variant), is_variant)]
    found = {
        label: p
        for family in families
        for label, p in zip(family, holm([tests[label].p for label in family]), strict=True)
    }
    return {label: found[label] for label in tests}


def is_variant(label: str) -> bool:
    """Return to which of two families of tests a method belongs: variants, which are named by a setting, or methods.

    Each is corrected for its own number, so that what is said of methods doesn't hang on how many controls were run.
    """
    return "+" in label


def not_told_apart(comparison: Comparison, moment: Moment) -> list[str]:
    """Return the methods that chance may put behind the best at a moment, the best first; with one seed that is all.

    Each other method is tested against the best, as methods are against the reference.
    """
    means = {
        label: float(np.mean(found))
        for label in comparison.complete
        if (found := comparison.values(label, moment.key("accuracy_mean")))
    }
    order = sorted(means, key=lambda label: -means[label])
    behind = differences(comparison, order[0], moment) if order else {}
    return [label for label in order if label not in behind or not behind[label].marked]


def marks_of(comparison: Comparison, reference: str, moment: Moment) -> dict[str, str]:
    """Return label -> the mark of its difference to the reference, '' if chance may explain it."""
    found = differences(comparison, reference, moment)
    return {label: OVER_SEEDS if difference.marked else "" for label, difference in found.items()}


def sign_notes(comparison: Comparison, reference: str) -> dict[str, str]:
    """Return label -> a note, of the methods that are above the reference at one moment and below it at another.

    All moments that are stored count, shown or not.
    """
    moments = comparison.stored_moments
    notes = {}
    for label in comparison.complete:
        at = [(m, d[label].mean) for m in moments if label in (d := differences(comparison, reference, m))]
        if len({np.sign(mean) for _, mean in at if abs(mean) >= TIE_POINTS}) > 1:
            numbers = ", ".join(f"{mean:+.2f} {moment.words}" for moment, mean in at)
            notes[label] = f"{label} minus {reference}: {numbers}; the sign depends on the moment"
    return notes


def difference_tables(comparison: Comparison, reference: str) -> list[Table]:
    """Make the tables of differences to the reference, one for each moment shown, a row per other method.

    There are none if the reference has no runs, or not all of them are done.
    """
    return [_table(comparison, reference, moment) for moment in comparison.moments if comparison.of(reference)]


def _table(comparison: Comparison, reference: str, moment: Moment) -> Table:
    found = differences(comparison, reference, moment)
    rows = [
        [Cell(label, label), *(_row(found[label]) if label in found else [Cell(NOTHING)] * (len(COLUMNS) - 1))]
        for label in comparison.methods
        if label != reference
    ]
    several = any(difference.test for difference in found.values())
    text = (
        f"Differences to {reference} in points of accuracy, paired: {comparison.selection_at(moment)}. "
        + (f"Over seeds: paired t-test, {HOLM}, and its interval. " if several else "")
        + ("" if several else "One seed: no test. ")
        + "Over clients: each client paired with itself; the clients of a seed share one federation, so this describes "
        "these federations and tests nothing."
    )
    name = "differences" if moment == comparison.moment else f"differences-{moment.name}"
    title = f"Differences to {reference} {moment.words}"
    return noted_table(comparison, name, title, text, COLUMNS, rows, notes=sign_notes(comparison, reference))


def _row(difference: Difference) -> list[Cell]:
    test, clients = difference.test, difference.clients
    shares = [100 * share for share in clients[2:]] if clients else []
    return [
        difference_cell(difference),
        Cell(interval_text(test.low, test.high)) if test and has_width(test) else Cell(NOTHING),
        p_cell(difference.p),
        Cell(str(len(difference.by_seed)), len(difference.by_seed)),
        Cell(f"{clients.median:+.2f}", clients.median) if clients else Cell(NOTHING),
        *([Cell(f"{share:.0f}", share) for share in shares] or [Cell(NOTHING)] * 3),
        Cell(str(clients.n), clients.n) if clients else Cell(NOTHING),
    ]


def difference_cell(difference: Difference) -> Cell:
    """Make a cell with a mean difference, its mark, and if there are several seeds its interval and deviation."""
    mean, test = difference.mean, difference.test
    text = f"{mean:+.2f}{f' {OVER_SEEDS}' if difference.marked else ''}"
    if test is None:
        return Cell(text, mean)
    sd = float(np.std([value for _, value in difference.by_seed], ddof=1))
    return Cell(text, mean, interval=(test.low, test.high), sd=sd)


def p_cell(value: float | None) -> Cell:
    """Make a cell with a p-value; an empty one if there is no test."""
    if value is None:
        return Cell(NOTHING)
    return Cell("< 0.001" if value < 0.001 else f"{value:.3f}", value)
