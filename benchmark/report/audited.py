"""A method whose messages were attacked: its raw scores, and what they say."""

from collections.abc import Sequence

from benchmark.config import FederationConfig
from benchmark.defence.accounting import promise_of
from benchmark.privacy.findings import Found, Membership, RawScores
from benchmark.privacy.tables import by_earlier_version, facts_of
from benchmark.privacy.verdicts import column_of, verdicts, why_invalid
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
        self.scores: list[RawScores] = [run.privacy for run in self._runs]
        self.seeds = [run.seed for run in self._runs]
        self.sheets = [sheet for scores in self.scores if (sheet := facts_of(scores)["sheet"])]
        federations = [run.run["specification"]["federation"] for run in self._runs]
        self.promise = promise_of(FederationConfig.model_validate(federations[0])) if federations else None
        self.membership = Membership(self.scores)
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
        return why_invalid(self.controls, self._made(column), value)

    def controlled(self, column: str) -> bool:
        """Return whether a column has any control."""
        return not {self._made(column), column.partition(",")[0]}.isdisjoint(made.column for made in self.controls)

    def _made(self, column: str) -> str:
        """Return the column that stands for this one: of the only level of knowledge, if nothing is private."""
        table, _, level = column.partition(", ")
        levels = self.membership.levels
        return column_of(table, levels[0]) if level and len(levels) == 1 else column

    def private(self, kind: str) -> Found | None:
        """Return the area of an attack on the loss of the private network, which nobody sends, in the last round."""
        return self.membership.control(kind, self.last)


def comparable(runs: Sequence[StoredRun]) -> list[StoredRun]:
    """Return the runs whose messages were attacked, by this version of the attacks and in the largest audit."""
    now = [
        (run, facts_of(run.privacy)["candidates"])
        for run in runs
        if run.privacy and not by_earlier_version(run.privacy)
    ]
    most = max((size for _, size in now), default=0)
    return [run for run, size in now if size == most]


def audited_of(comparison: Comparison) -> list[Audited]:
    """Return the methods whose messages were attacked."""
    return [Audited(comparison, label) for label in comparison.complete if comparable(comparison.of(label))]
