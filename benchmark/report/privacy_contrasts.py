"""Which of two methods gives away more of its clients' records: paired differences of areas, on the same records."""

from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np

from benchmark.errors import plural
from benchmark.privacy.findings import AUDITOR, SERIES, SERVER, Attacked
from benchmark.privacy.verdicts import column_of
from benchmark.report.audited import Audited
from benchmark.report.cells import NOTHING, Cell, Column, Table, interval_text
from benchmark.report.differences import MARK_LEVEL, p_cell
from benchmark.report.frame import Comparison
from benchmark.report.statistics import Paired, holm, paired_t


class Contrast(NamedTuple):
    """The method that gives away more, the one with less, the difference of their areas, and its corrected p."""

    more: str
    less: str
    test: Paired
    p: float


def contrasts(audited: Sequence[Audited], level: str) -> list[Contrast]:
    """Return the difference of each two methods at a level of knowledge, Holm-corrected over all of them.

    A server's are of the series, an auditor's of the last round. Left out are methods whose column is invalid.
    """
    tested, valid = [], [of for of in audited if of.sends and _says_something(of, level)]
    for one, other in combinations(valid, 2):
        pairs = _paired(one, other, level)
        if test := paired_t([a.auc for a, _ in pairs], [b.auc for _, b in pairs]):
            tested.append((one.label, other.label, test))
    corrected = holm([test.p for _, _, test in tested])
    return [_upward(*found, p) for found, p in zip(tested, corrected, strict=True)]


def beyond_chance(found: Sequence[Contrast]) -> list[Contrast]:
    """Return those that chance does not explain, the largest difference first."""
    return sorted((of for of in found if of.p < MARK_LEVEL), key=lambda of: -of.test.mean)


def _says_something(of: Audited, level: str) -> bool:
    area = of.membership.area(SERIES) if level == SERVER else of.auditor.area()
    return area is not None and not of.why_invalid(column_of("membership", level), area.value)


def _paired(one: Audited, other: Audited, level: str) -> list[tuple[Attacked, Attacked]]:
    """Return what was attacked of the same client of the same seed, with the same records to judge."""
    ours, theirs = (
        {(of.seeds[found.run], found.client): found for found in _clusters(of, level)} for of in (one, other)
    )
    pairs = [(ours[key], theirs[key]) for key in ours if key in theirs]
    return [(a, b) for a, b in pairs if np.array_equal(a.member, b.member) and np.array_equal(a.label, b.label)]


def _clusters(of: Audited, level: str) -> list[Attacked]:
    return of.membership.messages(SERIES) if level == SERVER else of.auditor.clusters()


def _upward(one: str, other: str, test: Paired, p: float) -> Contrast:
    if test.mean >= 0:
        return Contrast(one, other, test, p)
    return Contrast(other, one, test._replace(mean=-test.mean, low=-test.high, high=-test.low), p)


def contrast_table(comparison: Comparison, audited: Sequence[Audited]) -> Table:
    """Make the table of those two methods that chance does not explain, the largest difference first.

    A level at which there are pairs, and chance explains them all, has one row that says so.
    """
    columns = [
        Column("Attacker"),
        Column("Gives away more"),
        Column("Less"),
        Column("Difference", None, "of the areas of membership, mean over clients"),
        Column("95 % interval", None, "Student's, over clients and seeds"),
        Column("p", None, "paired t-test over clients and seeds, Holm-corrected"),
        Column("Clients"),
    ]
    rows, notes = [], []
    for level in (SERVER, AUDITOR):
        if found := contrasts(audited, level):
            told = beyond_chance(found)
            rows += [_row(level, of) for of in told] or [_nobody(level, len(columns))]
            notes.append(f"{level}: {len(told)} of {plural(len(found), 'pair')} told apart")
    caption = (
        "Pairs of methods whose messages are told apart by what they give away of members, on the same records of the "
        "same clients: a server's series, an auditor's last round. Clients of a seed share one federation, so with "
        "few seeds this describes these federations. Pairs that are not here are not told apart, or a control of one "
        "does not hold."
    )
    return Table("privacy-contrasts", "Who gives away more", comparison.title, caption, columns, rows, notes)


def _nobody(level: str, width: int) -> list[Cell]:
    return [Cell(level), Cell("no one"), *[Cell(NOTHING)] * (width - 2)]


def _row(level: str, of: Contrast) -> list[Cell]:
    band = interval_text(of.test.low, of.test.high)
    mean = Cell(f"{of.test.mean:.2f}", of.test.mean)
    return [Cell(level), Cell(of.more), Cell(of.less), mean, Cell(band), p_cell(of.p), Cell(str(of.test.n), of.test.n)]
