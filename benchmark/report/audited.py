"""A method whose messages were attacked: its raw scores, and what they say."""

from collections.abc import Sequence

from benchmark.config import FederationConfig
from benchmark.defence.accounting import promise_of
from benchmark.privacy.earlier import STILL_READ, as_of_today
from benchmark.privacy.findings import Found, Membership, RoundMembership
from benchmark.privacy.tables import facts_of, version_of
from benchmark.privacy.verdicts import verdicts, why_invalid
from benchmark.report.frame import Comparison
from benchmark.report.stored_run import StoredRun

NO_PROOF = (
    "At chance an attack fails; that does not make a method private, as a stronger attack may not fail. "
    "Columns are not added up: methods may stand in opposite orders in two of them."
)
"""What every table and figure of attacks says."""

SENDS_NOTHING = "sends nothing"


class Audited:
    """One method of a comparison whose messages were attacked: its scores, and what they say."""

    def __init__(self, comparison: Comparison, label: str) -> None:
        self.label = label
        self._runs = comparable(comparison.of(label))
        self.scores = [as_of_today(run.privacy) for run in self._runs]
        self.seeds = [run.seed for run in self._runs]
        self.sheets = [sheet for scores in self.scores if (sheet := facts_of(scores)["sheet"])]
        federations = [run.run["specification"]["federation"] for run in self._runs]
        self.promise = promise_of(FederationConfig.model_validate(federations[0])) if federations else None
        self.membership, self.auditor = Membership(self.scores), RoundMembership(self.scores)
        self.controls = verdicts(self.scores)

    @property
    def sends(self) -> bool:
        """Whether its clients send anything."""
        return bool(self.sheets)

    @property
    def last(self) -> int:
        """The last round that was attacked."""
        return max(self.membership.rounds, default=0)

    def why_invalid(self, column: str, value: float | None = None) -> str | None:
        """Return why a column says nothing, or would if it read this; None if it says something."""
        return why_invalid(self.controls, column, value)

    def controlled(self, column: str) -> bool:
        """Return whether a column has any control."""
        return not {column, column.partition(",")[0]}.isdisjoint(made.column for made in self.controls)

    @property
    def released(self) -> Found | None:
        """The area of an attack on the loss of the private network, which nobody sends, after the last round."""
        return self.membership.control("released", self.last)


def comparable(runs: Sequence[StoredRun]) -> list[StoredRun]:
    """Return the runs whose messages were attacked, by attacks that are still read and in the largest audit."""
    now = [
        (run, facts_of(run.privacy)["candidates"])
        for run in runs
        if run.privacy and version_of(run.privacy) >= STILL_READ
    ]
    most = max((size for _, size in now), default=0)
    return [run for run, size in now if size == most]


def audited_of(comparison: Comparison) -> list[Audited]:
    """Return the methods whose messages were attacked."""
    return [Audited(comparison, label) for label in comparison.complete if comparable(comparison.of(label))]
