"""The columns of the privacy table: what each attack is called, what is chance, and where its numbers are from."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from benchmark.privacy.findings import (
    AUDITOR,
    BIAS_SIGN,
    POOLED_NON_MEMBERS,
    ROW_SUMS,
    SERIES,
    SERVER,
    Found,
    fidelity_of,
    identity_of,
    labels_of,
)
from benchmark.privacy.verdicts import column_of
from benchmark.report.audited import Audited
from benchmark.report.cells import Column

FoundOf = Callable[[Audited], Found | None]


class AttackColumn(NamedTuple):
    """What one attack found. control: the column of controls that it stands or falls with"""

    column: Column
    control: str
    value: FoundOf


def attack_columns(audited: Sequence[Audited]) -> list[AttackColumn]:
    """Return the columns of all that audits can find; those that these audits have not found have no values."""
    candidates = max((identity_of(of.scores, SERVER).candidates for of in audited), default=0)
    networks = max((labels_of(of.scores).architectures for of in audited), default=0)
    network, picture = (f"chance {1 / max(1, number):.2g}" for number in (networks, candidates))
    return [
        AttackColumn(
            Column("Member, one message", None, "area under the ROC curve, last round; chance 0.5"),
            column_of("membership", SERVER),
            lambda of: of.membership.area(of.last),
        ),
        AttackColumn(
            Column("Member, series", None, "the same for the sum of scores over a client's rounds; chance 0.5"),
            column_of("membership", SERVER),
            lambda of: of.membership.area(SERIES),
        ),
        AttackColumn(
            Column("Found at 1 %", None, "share of members found at 1 % false alarms, series; chance 0.01"),
            column_of("membership", SERVER),
            lambda of: of.membership.rate(SERIES),
        ),
        AttackColumn(
            Column("Found at 0.1 %", None, "the same at 0.1 %, all clients' and seeds' scores together; chance 0.001"),
            column_of("membership", SERVER),
            lambda of: of.membership.rate(SERIES, 0.001, POOLED_NON_MEMBERS),  # with fewer it would be chance's
        ),
        AttackColumn(
            Column("Auditor", None, "area of which own records the last round's message is of; chance 0.5"),
            column_of("membership", AUDITOR),
            lambda of: of.auditor.area(),
        ),
        AttackColumn(
            Column("Classes", None, "balanced accuracy of which classes a client has; chance 0.5"),
            "labels",
            lambda of: labels_of(of.scores).presence,
        ),
        *map(_by_rule, (BIAS_SIGN, ROW_SUMS)),
        AttackColumn(
            Column("All classes", None, "share of clients of which all classes and no other are guessed"),
            "labels",
            lambda of: labels_of(of.scores).exact,
        ),
        AttackColumn(
            Column("Histogram", None, "skill of guessed class shares, 1 - TV / TV of the prior; chance 0"),
            "histogram",
            lambda of: labels_of(of.scores).skill,
        ),
        AttackColumn(
            Column(f"Picture, first of {candidates}", None, f"class means found; {picture}"),
            column_of("identity", SERVER),
            lambda of: identity_of(of.scores, SERVER).top1,
        ),
        AttackColumn(
            Column("Picture [dB]", None, "how much nearer a picture comes to the client's mean than to the others'"),
            column_of("gain", SERVER),
            lambda of: identity_of(of.scores, SERVER).gain,
        ),
        AttackColumn(
            Column("Picture, auditor", None, "class means found by who knows private state too"),
            column_of("identity", AUDITOR),
            lambda of: identity_of(of.scores, AUDITOR).top1,
        ),
        AttackColumn(
            Column("Picture, auditor [dB]", None, "the same by who knows private state too"),
            column_of("gain", AUDITOR),
            lambda of: identity_of(of.scores, AUDITOR).gain,
        ),
        AttackColumn(
            Column("Copy", None, "gain in agreement with the private network, 1 being a distilled copy; chance 0"),
            "model",
            lambda of: fidelity_of(of.scores).gain,
        ),
        AttackColumn(
            Column(f"Network of {networks}", None, f"architectures guessed; {network}"),
            "network",
            lambda of: labels_of(of.scores).architecture,
        ),
    ]


def _by_rule(rule: str) -> AttackColumn:
    """Return a column for audits that have read classes by this rule off a classifier in some method's messages."""
    title = f"Classes by {rule}"
    words = "the same without learning, by what grows in the classifier, if one travels; chance 0.5"
    return AttackColumn(Column(title, None, words), rule, lambda of: labels_of(of.scores, rule).presence)
