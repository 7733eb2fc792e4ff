"""Whether an audit's controls read as they must; if one does not, its column says nothing. No torch here."""

from collections.abc import Sequence
from math import sqrt
from typing import NamedTuple

import numpy as np
from scipy import stats

from benchmark.privacy.findings import (
    LABELS_ALONE,
    Attacked,
    Membership,
    RawScores,
    fidelity_of,
    identity_of,
    labels_of,
)
from benchmark.privacy.metrics import CONTROL_LEVEL, auc, auc_deviation, balanced_accuracy, standardised
from benchmark.privacy.tables import rows_of

DEVIATIONS = float(stats.norm.ppf((1 + CONTROL_LEVEL) / 2))
NOISE_BOUND = float(stats.norm.cdf(1 / sqrt(2)))
"""The largest area of a record that noise of mu = 1 hides."""
FOUND_DEVIATIONS = float(stats.norm.ppf(0.95))
"""How far above chance what has to be found is, one-sided at 5 %."""
CLEAR = 0.99


class Verdict(NamedTuple):
    """One control: the column it belongs to, what it read, and between which limits it has to be."""

    column: str
    name: str
    value: float
    low: float
    high: float

    @property
    def holds(self) -> bool:
        """Whether it read as it must."""
        return self.low <= self.value <= self.high


def verdicts(runs: Sequence[RawScores]) -> list[Verdict]:
    """Return all controls of these runs that could be made."""
    made = [*_membership(Membership(runs)), *_duplicates(runs), *_labels(runs), *_identity(runs), *_model(runs)]
    return [verdict for verdict in made if not np.isnan(verdict.value)]


def invalid(made: Sequence[Verdict]) -> dict[str, str]:
    """Return column -> why it says nothing, of those with a control that does not hold."""
    return {
        v.column: f"{v.name} reads {v.value:.3f}, and has to be between {v.low:.3f} and {v.high:.3f}"
        for v in made
        if not v.holds
    }


def column_of(table: str, level: str) -> str:
    """Return the name of the column of an attack at one level of knowledge."""
    return f"{table}, {level}"


def _membership(membership: Membership) -> list[Verdict]:
    last = max(membership.rounds, default=0)
    made = []
    for kind in ("noise", "another client"):
        for level in membership.levels:
            made.append(_chance(column_of("membership", level), kind, membership.clusters(kind, level, last)))
    control = {kind: membership.clusters(kind, "control", last) for kind in _KINDS}
    made += [_chance("membership", kind, control[kind]) for kind in (LABELS_ALONE, "pictures alone")]
    area, margin = _mean_area(control["known noise"]), DEVIATIONS * _deviation(control["known noise"])
    made.append(Verdict("membership", "noise of mu 1", area, 0.5, NOISE_BOUND + margin))
    made.append(Verdict("membership", "data in the clear", _mean_area(control["clear"]), CLEAR, 1.0))
    least = max(0.5, _mean_area(control["pixel means, not whitened"]) - 2 * margin) + margin
    made.append(Verdict("membership", "mean pictures, whitened", _mean_area(control["pixel means"]), least, 1.0))
    return made


_KINDS = ("clear", "known noise", "pixel means", "pixel means, not whitened", LABELS_ALONE, "pictures alone")


def _chance(column: str, name: str, clusters: Sequence[Attacked]) -> Verdict:
    margin = DEVIATIONS * _deviation(clusters)
    return Verdict(column, name, _mean_area(clusters), 0.5 - margin, 0.5 + margin)


def _mean_area(clusters: Sequence[Attacked]) -> float:
    return float(np.mean([of.auc for of in clusters])) if clusters else float("nan")


def _deviation(clusters: Sequence[Attacked]) -> float:
    """Return the standard deviation of the mean area of chance, and of the scale that half the others set."""
    squares = [2 * auc_deviation(int(of.member.sum()), int((~of.member).sum())) ** 2 for of in clusters]
    return sqrt(sum(squares)) / max(1, len(squares))


def _duplicates(runs: Sequence[RawScores]) -> list[Verdict]:
    """Return whether records that a client trains on ten times are found, at each level of knowledge."""
    areas: dict[str, list[float]] = {}
    squares: dict[str, float] = {}
    for table in (rows_of(run, "duplicates") for run in runs):
        for level in map(str, np.unique(table["level"]) if table else ()):
            for client in np.unique(table["client"]):
                rows = (table["client"] == client) & (table["level"] == level)
                chosen = table["duplicated"][rows]
                scores = standardised(table["score"][rows], table["label"][rows], ~chosen)
                areas.setdefault(level, []).append(auc(scores, chosen))
                deviation = auc_deviation(int(chosen.sum()), int((~chosen).sum()))
                squares[level] = squares.get(level, 0.0) + deviation**2
    return [
        Verdict(
            column_of("membership", level),
            "records that stand ten times",
            float(np.mean(of)),
            0.5 + FOUND_DEVIATIONS * sqrt(squares[level]) / len(of),
            1.0,
        )
        for level, of in areas.items()
    ]


def _labels(runs: Sequence[RawScores]) -> list[Verdict]:
    noise, clear = labels_of(runs, "noise").presence, labels_of(runs, "clear").presence
    if noise is None or clear is None:
        return []
    margin = DEVIATIONS * _presence_deviation(runs)
    return [
        Verdict("labels", "noise", noise.value, 0.5 - margin, 0.5 + margin),
        Verdict("labels", "labels in the clear", clear.value, CLEAR, 1.0),
    ]


def _presence_deviation(runs: Sequence[RawScores]) -> float:
    """Return the standard deviation of the mean balanced accuracy of guesses by chance."""
    squares = []
    for table in (rows_of(run, "labels") for run in runs):
        for i in np.flatnonzero(table["kind"] == "noise") if table else ():
            truth = table["truth"][i] > 0
            if not np.isnan(balanced_accuracy(truth, truth)):
                squares.append((1 / truth.sum() + 1 / (~truth).sum()) / 16)
    return sqrt(sum(squares)) / max(1, len(squares))


def _identity(runs: Sequence[RawScores]) -> list[Verdict]:
    tables = [rows_of(run, "identity") for run in runs]
    made = []
    for level in sorted({str(of) for table in tables for of in table.get("level", [])}):
        noise, clear = (identity_of(runs, level, kind) for kind in ("noise", "clear"))
        trials = sum(int(((t["kind"] == "noise") & (t["level"] == level)).sum()) for t in tables if t)
        if noise.top1 is None or clear.top1 is None:
            continue
        most = float(stats.binom.ppf(CONTROL_LEVEL, trials, 1 / noise.candidates)) / trials
        column = column_of("identity", level)
        made.append(Verdict(column, "noise", noise.top1.value, 0.0, most))
        made.append(Verdict(column, "mean pictures in the clear", clear.top1.value, CLEAR, 1.0))
    return made


def _model(runs: Sequence[RawScores]) -> list[Verdict]:
    """Return whether noise brings a copy no nearer, and the network's own outputs do."""
    noise, clear = (np.array(fidelity_of(runs, kind).differences) for kind in ("noise", "clear"))
    n = len(noise)
    if n < 2:
        return []
    tables = [rows_of(run, "model") for run in runs]
    records = sum(int(table["records"][table["kind"] == "noise"].sum()) for table in tables if table)
    # Records of one client are right or wrong together, so what chance does is also seen in how clients differ.
    most = stats.t.ppf((1 + CONTROL_LEVEL) / 2, n - 1) * noise.std(ddof=1) / sqrt(n)
    least = stats.t.ppf(0.95, n - 1) * clear.std(ddof=1) / sqrt(n)
    chance = 0.5 / sqrt(records)
    return [
        Verdict("model", "noise", float(noise.mean()), -1.0, float(max(most, DEVIATIONS * chance))),
        Verdict("model", "distilled", float(clear.mean()), float(max(least, FOUND_DEVIATIONS * chance)), 1.0),
    ]
