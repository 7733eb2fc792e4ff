"""Whether an audit's controls read as they must; if one does not, its column says nothing. No torch here."""

from collections.abc import Sequence
from math import sqrt
from typing import NamedTuple

import numpy as np
from scipy import stats

from benchmark.privacy.findings import Attacked, Membership, RawScores, fidelity_of, identity_of, labels_of
from benchmark.privacy.metrics import CONTROL_LEVEL, auc, auc_deviation, balanced_accuracy, standardised
from benchmark.privacy.tables import rows_of

DEVIATIONS = float(stats.norm.ppf((1 + CONTROL_LEVEL) / 2))
NOISE_BOUND = float(stats.norm.cdf(1 / sqrt(2)))
"""The largest area of a record that noise of mu = 1 hides."""
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


def _membership(membership: Membership) -> list[Verdict]:
    last = max(membership.rounds, default=0)
    made = []
    for kind in ("noise", "another client"):
        for level in membership.levels:
            made.append(_chance(f"{kind} ({level})", list(membership.clusters(kind, level, last).values())))
    control = {kind: list(membership.clusters(kind, "control", last).values()) for kind in _KINDS}
    made += [_chance(kind, control[kind]) for kind in ("labels alone", "pictures alone")]
    area, margin = _mean_area(control["known noise"]), DEVIATIONS * _deviation(control["known noise"])
    made.append(Verdict("membership", "noise of mu 1", area, 0.5, NOISE_BOUND + margin))
    made.append(Verdict("membership", "data in the clear", _mean_area(control["clear"]), CLEAR, 1.0))
    plain = _mean_area(control["pixel means, not whitened"]) - margin
    made.append(Verdict("membership", "mean pictures, whitened", _mean_area(control["pixel means"]), plain, 1.0))
    return made


_KINDS = ("clear", "known noise", "pixel means", "pixel means, not whitened", "labels alone", "pictures alone")


def _chance(name: str, clusters: Sequence[Attacked]) -> Verdict:
    margin = DEVIATIONS * _deviation(clusters)
    return Verdict("membership", name, _mean_area(clusters), 0.5 - margin, 0.5 + margin)


def _mean_area(clusters: Sequence[Attacked]) -> float:
    return float(np.mean([of.auc for of in clusters])) if clusters else float("nan")


def _deviation(clusters: Sequence[Attacked]) -> float:
    """Return the standard deviation of the mean area of chance, and of the scale that half the others set."""
    squares = [2 * auc_deviation(int(of.member.sum()), int((~of.member).sum())) ** 2 for of in clusters]
    return sqrt(sum(squares)) / max(1, len(squares))


def _duplicates(runs: Sequence[RawScores]) -> list[Verdict]:
    """Records that a client trains on ten times have to be found, at the stronger level."""
    areas: dict[str, list[float]] = {}
    positive = negative = 0
    for table in (rows_of(run, "duplicates") for run in runs):
        for level in np.unique(table["level"]) if table else ():
            for client in np.unique(table["client"]):
                rows = (table["client"] == client) & (table["level"] == level)
                chosen = table["duplicated"][rows]
                scores = standardised(table["score"][rows], table["label"][rows], ~chosen)
                areas.setdefault(str(level), []).append(auc(scores, chosen))
                positive, negative = int(chosen.sum()), int((~chosen).sum())
    if not areas:
        return []
    best = max(areas.values(), key=lambda of: float(np.mean(of)))
    least = 0.5 + float(stats.norm.ppf(0.95)) * auc_deviation(positive, negative) / sqrt(len(best))
    return [Verdict("membership", "records that stand ten times", float(np.mean(best)), least, 1.0)]


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
        noise, clear = (identity_of(runs, kind, level) for kind in ("noise", "clear"))
        trials = sum(int(((t["kind"] == "noise") & (t["level"] == level)).sum()) for t in tables if t)
        if noise.top1 is None or clear.top1 is None:
            continue
        most = float(stats.binom.ppf(CONTROL_LEVEL, trials, 1 / noise.candidates)) / trials
        made.append(Verdict("identity", f"noise ({level})", noise.top1.value, 0.0, most))
        made.append(Verdict("identity", "mean pictures in the clear", clear.top1.value, CLEAR, 1.0))
    return made


def _model(runs: Sequence[RawScores]) -> list[Verdict]:
    noise = fidelity_of(runs, "noise")
    if noise.blind is None or noise.agreement is None or noise.reachable is None:
        return []
    records = sum(int(rows_of(run, "model")["records"].sum()) for run in runs) / 3
    margin = DEVIATIONS * 0.5 / sqrt(records)
    return [
        Verdict("model", "noise", noise.agreement.value - noise.blind.value, -1.0, margin),
        Verdict("model", "distilled", noise.reachable.value - noise.blind.value, -margin, 1.0),
    ]
