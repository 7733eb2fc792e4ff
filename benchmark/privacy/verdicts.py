"""Whether an audit's controls read as they must; if one does not, its column says nothing. No torch here."""

from collections.abc import Sequence
from math import sqrt
from typing import NamedTuple

import numpy as np
from scipy import stats

from benchmark.privacy.findings import (
    AUDITOR,
    BIAS_SIGN,
    LABELS_ALONE,
    ROW_SUMS,
    SERVER,
    Attacked,
    Membership,
    RawScores,
    RoundMembership,
    fidelity_of,
    identity_of,
    labels_of,
    of_noise,
)
from benchmark.privacy.metrics import CONTROL_LEVEL, NOISE_MU, auc, auc_deviation, balanced_accuracy, standardised
from benchmark.privacy.tables import rows_of

DEVIATIONS = float(stats.norm.ppf((1 + CONTROL_LEVEL) / 2))
NOISE_BOUND = float(stats.norm.cdf(NOISE_MU / sqrt(2)))
"""The largest area of a record that known noise hides."""
FOUND_DEVIATIONS = float(stats.norm.ppf(0.95))
"""How far above chance what has to be found is, one-sided at 5 %."""
SPREAD_LEVEL = 0.99
"""Level of the interval of chance by what clusters differ in, which a handful tells badly."""
CLEAR = 0.99
CLEAR_CLASSES = 0.9
CLEAR_PICTURES = 0.3
CLEAR_GAIN = 0.5
"""What a reader reaches at least that has learned from few examples, of data in the clear; the gain in decibels."""
LEAST_MARGIN = 0.05
"""Decibels, or parts of a skill, that count as none: clients may be so alike that their spread says nothing."""


class Verdict(NamedTuple):
    """One control: the column it belongs to, what it read, and between which limits it has to be.

    power: whether it says that the attack finds what is there; the others say that it finds nothing where nothing is
    """

    column: str
    name: str
    value: float
    low: float
    high: float
    power: bool = False

    @property
    def holds(self) -> bool:
        """Whether it read as it must."""
        return self.low <= self.value <= self.high


def verdicts(runs: Sequence[RawScores]) -> list[Verdict]:
    """Return all controls of these runs that could be made."""
    of_records = [*_membership(Membership(runs)), *_auditor(RoundMembership(runs)), *_duplicates(runs)]
    made = [*of_records, *_labels(runs), *_identity(runs), *_model(runs)]
    return [verdict for verdict in made if not np.isnan(verdict.value)]


def why_invalid(made: Sequence[Verdict], column: str, value: float | None = None) -> str | None:
    """Return why a column says nothing, if it has a control that does not hold; None if all hold.

    Where the attack does not find what is there, chance says nothing; a value beyond what the column's own controls
    allow chance says that it has found something.
    """
    of_column = [v for v in made if v.column in (column, column.partition(",")[0])]
    chance = [v.high for v in of_column if v.column == column and not v.power]
    beyond = value is not None and bool(chance) and value > max(chance)
    failed = [v for v in of_column if not v.holds and not (v.power and beyond)]
    return (
        f"{failed[-1].name} reads {failed[-1].value:.3f}, and has to be {limits_text(failed[-1])}" if failed else None
    )


def limits_text(verdict: Verdict) -> str:
    """Return between which limits a control has to be, in words."""
    if np.isinf(verdict.low):
        return f"at most {verdict.high:.3f}"
    return f"at least {verdict.low:.3f}" if np.isinf(verdict.high) else f"{verdict.low:.3f} to {verdict.high:.3f}"


def column_of(table: str, level: str) -> str:
    """Return the name of the column of an attack at one level of knowledge."""
    return f"{table}, {level}"


def _membership(membership: Membership) -> list[Verdict]:
    last = max(membership.rounds, default=0)
    made = []
    for kind in ("noise", "another client"):
        made.append(_chance(column_of("membership", SERVER), kind, membership.clusters(kind, SERVER, last)))
    control = {kind: membership.clusters(kind, "control", last) for kind in _KINDS}
    made += [_chance("membership", kind, control[kind]) for kind in (LABELS_ALONE, "pictures alone")]
    area, margin = _mean_area(control["known noise"]), DEVIATIONS * _deviation(control["known noise"])
    margin_of_few = DEVIATIONS * _deviation(control["pixel means"])
    made.append(Verdict("membership", "noise of mu 1", area, 0.5, NOISE_BOUND + margin))
    made.append(
        Verdict("membership", "vectors of candidates, summed", _mean_area(control["clear"]), CLEAR, 1.0, power=True)
    )
    least = max(0.5, _mean_area(control["pixel means, not whitened"]) - 2 * margin_of_few) + margin_of_few
    made.append(
        Verdict("membership", "mean pictures, whitened", _mean_area(control["pixel means"]), least, 1.0, power=True)
    )
    return made


def _auditor(auditor: RoundMembership) -> list[Verdict]:
    """Return whether what is not made from the records says nothing of them: the state before the round, above all."""
    column = column_of("membership", AUDITOR)
    return [_chance(column, kind, auditor.clusters(kind)) for kind in ("noise", "another client", "state alone")]


_KINDS = ("clear", "known noise", "pixel means", "pixel means, not whitened", LABELS_ALONE, "pictures alone")


def _chance(column: str, name: str, clusters: Sequence[Attacked]) -> Verdict:
    """Return whether an area is chance.

    Messages of a client's records may have much in common, which moves the area of all of them in one direction by
    chance; how far is seen in how clients differ.
    """
    margin = max(DEVIATIONS * _deviation(clusters), _spread([of.auc for of in clusters]))
    return Verdict(column, name, _mean_area(clusters), 0.5 - margin, 0.5 + margin)


def _spread(values: Sequence[float]) -> float:
    """Return how far the mean over clusters may be from what it has to be, as they differ; 0 for fewer than three."""
    n = len(values)
    if n < 3:
        return 0.0
    return float(stats.t.ppf((1 + SPREAD_LEVEL) / 2, n - 1) * np.std(values, ddof=1)) / sqrt(n)


def _mean_area(clusters: Sequence[Attacked]) -> float:
    known = [area for of in clusters if not np.isnan(area := of.auc)]
    return float(np.mean(known)) if known else float("nan")


def _deviation(clusters: Sequence[Attacked]) -> float:
    """Return the standard deviation of the mean area of chance, if each record is drawn on its own."""
    squares = [auc_deviation(int(of.member.sum()), int((~of.member).sum())) ** 2 for of in clusters]
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
                if chosen.all() or not chosen.any():
                    continue
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
            power=True,
        )
        for level, of in areas.items()
    ]


def _labels(runs: Sequence[RawScores]) -> list[Verdict]:
    """Return whether noise says nothing of classes, shares and networks, and data in the clear say it all."""
    noise, clear = labels_of(runs, "noise"), labels_of(runs, "clear")
    made = []
    if noise.presence and clear.presence:
        margin = DEVIATIONS * _presence_deviation(runs)
        made.append(Verdict("labels", "noise", noise.presence.value, 0.5 - margin, 0.5 + margin))
        made.append(Verdict("labels", "labels in the clear", clear.presence.value, CLEAR_CLASSES, 1.0, power=True))
        for rule in (BIAS_SIGN, ROW_SUMS):
            if of_rule := labels_of(runs, of_noise(rule)).presence:
                made.append(Verdict(rule, "noise", of_rule.value, 0.5 - margin, 0.5 + margin))
    if noise.skill and clear.skill:
        most = max(LEAST_MARGIN, _spread(noise.skill.values))
        least = max(LEAST_MARGIN, _spread(clear.skill.values))
        made.append(Verdict("histogram", "noise", noise.skill.value, -np.inf, most))
        made.append(Verdict("histogram", "labels in the clear", clear.skill.value, least, 1.0, power=True))
    if noise.architecture and clear.architecture:
        guesses = len(noise.architecture.values)
        most = float(stats.binom.ppf(CONTROL_LEVEL, guesses, 1 / noise.architectures)) / guesses
        if most < 1:
            made.append(Verdict("network", "noise", noise.architecture.value, 0.0, most))
        made.append(Verdict("network", "networks in the clear", clear.architecture.value, CLEAR, 1.0, power=True))
    return made


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
    """Return whether noise and another client's message show no picture, and class means that are sent as such do.

    These need not all be found: from fewer records than a picture has pixels nobody can learn all that it shows.
    """
    made = []
    for level in sorted({str(of) for run in runs for of in rows_of(run, "identity").get("level", [])}):
        clear = identity_of(runs, level, "clear")
        column, gain = column_of("identity", level), column_of("gain", level)
        for kind in ("noise", "another client"):
            found = identity_of(runs, level, kind)
            if found.top1 and found.gain:
                most = float(stats.binom.ppf(CONTROL_LEVEL, found.means, 1 / found.candidates)) / found.means
                made.append(Verdict(column, kind, found.top1.value, 0.0, most))
                most = max(LEAST_MARGIN, _spread(found.gain.values))
                made.append(Verdict(gain, kind, found.gain.value, -np.inf, most))
        if clear.top1 and clear.gain:
            made.append(
                Verdict(column, "mean pictures in the clear", clear.top1.value, CLEAR_PICTURES, 1.0, power=True)
            )
            made.append(Verdict(gain, "mean pictures in the clear", clear.gain.value, CLEAR_GAIN, np.inf, power=True))
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
        Verdict(
            "model", "distilled", float(clear.mean()), float(max(least, FOUND_DEVIATIONS * chance)), 1.0, power=True
        ),
    ]
