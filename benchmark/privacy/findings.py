"""What an audit has found, computed from its raw scores whenever they are read. This module imports no torch.

Runs that differ in seed alone are read together; a cluster is a client of one seed, and intervals are over clusters.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from benchmark.privacy.metrics import (
    auc,
    balanced_accuracy,
    cluster_interval,
    histogram_skill,
    standardised,
    threshold_at,
)
from benchmark.privacy.tables import Columns, rows_of

SERVER, AUDITOR = "server", "auditor"
"""Who attacks: one that has seen messages alone, and guesses private parts; one that knows all but what a round's
message was made from."""
LEAST_OTHERS = 100
POOLED_NON_MEMBERS = 10_000
"""Non-members from which a rate at 1 % false alarms means something, and one at 0.1 %."""
LABELS_ALONE = "labels alone"
"""The control that is judged over classes: within them all its scores are equal."""
BIAS_SIGN, ROW_SUMS = "bias sign", "row sums"
"""Rules that read classes off a classifier without learning."""
GAIN_DRAWS = 2000
"""Bootstrap draws of clients for the interval of a gain."""
SERIES = 0
"""Stands for the sum of a client's scores over all audited rounds, in place of a round."""

RawScores = Mapping[str, np.ndarray]
"""The arrays of one privacy.npz."""


class Found(NamedTuple):
    """A number with its interval over clusters, None for fewer than three.

    values: of each cluster, if it is their mean
    """

    value: float
    interval: tuple[float, float] | None
    values: Sequence[float]


class Attacked(NamedTuple):
    """One client's candidates that are judged: standardised scores [n], member [n], and their classes [n].

    run: place of its run among those that are read together; client: its number
    """

    scores: np.ndarray
    member: np.ndarray
    label: np.ndarray
    run: int
    client: int

    @property
    def auc(self) -> float:
        """The area under the curve."""
        return auc(self.scores, self.member)


def found(values: Sequence[float], trials: int | None = None) -> Found | None:
    """Return the mean of what clusters have, without those that have no value; None if none has.

    trials: how many decisions shares are of, all clusters together
    """
    known = [value for value in values if not np.isnan(value)]
    return Found(float(np.mean(known)), cluster_interval(known, trials=trials), known) if known else None


class Membership:
    """Who is a member, by a server, of several seeds: areas and rates of a message, of a series, of controls."""

    def __init__(self, runs: Sequence[RawScores]) -> None:
        self._tables = [rows_of(run, "membership") for run in runs]
        self.rounds = sorted({int(t) for table in self._tables for t in np.unique(table.get("round", []))})

    def clusters(self, kind: str, level: str, round: int) -> list[Attacked]:
        """Return the candidates of each cluster under one attack. round: SERIES for the sum over all"""
        return [of for i, table in enumerate(self._tables) for of in _attacked(table, i, kind, level, round)]

    def messages(self, round: int) -> list[Attacked]:
        """Return the candidates of each cluster under the attack on messages."""
        return self.clusters("message", SERVER, round)

    def area(self, round: int) -> Found | None:
        """Return the area of the attack on messages, mean over clusters."""
        return found([of.auc for of in self.messages(round)])

    def control(self, kind: str, round: int) -> Found | None:
        """Return the area of an attack that sees something else than a message, mean over clusters."""
        return found([of.auc for of in self.clusters(kind, "control", round)])

    def rate(self, round: int, fpr: float = 0.01, least: int = LEAST_OTHERS) -> Found | None:
        """Return the share of members found at this share of false alarms among all clusters' non-members.

        It is a mean over clusters; None for fewer non-members than `least`.
        """
        clusters = self.messages(round)
        others = np.concatenate([np.zeros(0), *(of.scores[~of.member] for of in clusters)])
        if len(others) < least:
            return None
        threshold = threshold_at(others, fpr)
        members = sum(int(of.member.sum()) for of in clusters)
        return found([float((of.scores[of.member] > threshold).mean()) for of in clusters], members)


class RoundMembership:
    """Which of a client's own records the last round's message is of, by an auditor, of several seeds."""

    def __init__(self, runs: Sequence[RawScores]) -> None:
        self._tables = [rows_of(run, "auditor") for run in runs]

    def clusters(self, kind: str = "message") -> list[Attacked]:
        """Return the records of each cluster, as they are scored by what is seen."""
        return [of for i, table in enumerate(self._tables) for of in _halved(table, i, kind)]

    def area(self, kind: str = "message") -> Found | None:
        """Return the area of an attack on what is seen, mean over clusters."""
        return found([of.auc for of in self.clusters(kind)])


def _halved(table: Columns, run: int, kind: str) -> Iterator[Attacked]:
    """Yield each client's records; half of each class is in the message, so none is needed to set the scale."""
    for client in np.unique(table["client"]) if table else ():
        rows = (table["client"] == client) & (table["kind"] == kind)
        if not rows.any():
            continue
        label = table["label"][rows]
        scores = standardised(table["score"][rows], label, np.ones_like(label, dtype=bool))
        yield Attacked(scores, table["member"][rows], label, run, int(client))


def _attacked(table: Columns, run: int, kind: str, level: str, round: int) -> Iterator[Attacked]:
    """Yield each client's candidates under one attack, without those that only set the scale."""
    if not table:
        return
    chosen = (table["kind"] == kind) & (table["level"] == level)
    for client in np.unique(table["client"][chosen]):
        rows = chosen & (table["client"] == client)
        rounds = np.unique(table["round"][rows]) if round == SERIES else [round]
        parts = [rows & (table["round"] == t) for t in rounds]
        if not all(part.any() for part in parts) or len({int(part.sum()) for part in parts}) > 1:
            continue
        first = parts[0]
        if any(not np.array_equal(table[of][part], table[of][first]) for part in parts for of in ("label", "member")):
            continue
        calibration = table["calibration"][first]
        total = np.sum([_calibrated(table, part, by_class=kind != LABELS_ALONE) for part in parts], axis=0)
        member, label = (table[name][first][~calibration] for name in ("member", "label"))
        yield Attacked(total[~calibration], member, label, run, int(client))


def _calibrated(table: Columns, rows: np.ndarray, by_class: bool) -> np.ndarray:
    labels = table["label"][rows]
    return standardised(table["score"][rows], labels if by_class else np.zeros_like(labels), table["calibration"][rows])


def of_noise(rule: str) -> str:
    """Return the name of the control in which a rule is told noise."""
    return f"{rule}, noise"


class Labels(NamedTuple):
    """Classes, shares and networks as they are guessed, against chance; None where there is nothing to guess.

    exact: the share of clients all of whose classes are guessed, and no other
    """

    presence: Found | None
    exact: Found | None
    skill: Found | None
    architecture: Found | None
    architectures: int


def labels_of(runs: Sequence[RawScores], kind: str = "message") -> Labels:
    """Return what messages say of labels and networks; presence is None if clients have all classes.

    By balanced accuracy a class is present if more speaks for it than is expected, for a message that says nothing has
    none or all classes otherwise; a client has all classes guessed if more speaks for than against each, and no other.
    """
    presence, exact, skill, right, number, decisions = [], [], [], [], 0, [0, 0]
    for table in (rows_of(run, "labels") for run in runs):
        for i in np.flatnonzero(table["kind"] == kind) if table else ():
            truth = table["truth"][i].astype(float)
            guess = table["presence"][i] > 0
            presence.append(balanced_accuracy(truth > 0, table["presence"][i] > table["expected"][i]))
            exact.append(float("nan") if np.isnan(presence[-1]) else float((guess == (truth > 0)).all()))
            if not np.isnan(presence[-1]):
                decisions = [decisions[0] + int((truth > 0).sum()), decisions[1] + int((truth == 0).sum())]
            skill.append(histogram_skill(truth, table["shares"][i].astype(float), table["prior"][i].astype(float)))
            if table["architecture_guess"][i] >= 0:
                right.append(float(table["architecture"][i] == table["architecture_guess"][i]))
            number = int(table["architectures"][i])
    network = found(right, len(right)) if number > 1 else None
    return Labels(found(presence, max(1, min(decisions))), found(exact, len(exact)), found(skill), network, number)


class Identity(NamedTuple):
    """The share of class means that were ranked first, the gain in decibels over the decoys', and of how many means."""

    top1: Found | None
    gain: Found | None
    candidates: int
    means: int


def identity_of(runs: Sequence[RawScores], level: str, kind: str = "message") -> Identity:
    """Return how well class means are found at a level of knowledge."""
    ranks = [of for of in _ranks(runs, kind, level) if len(of)]
    number = max((int(c) for run in runs for c in rows_of(run, "identity").get("candidates", [])), default=0)
    means = sum(map(len, ranks))
    first = found([float((of[:, 0] < 1).mean()) for of in ranks], means)
    return Identity(first, found([float(of[:, 1].mean()) for of in ranks]), number, means)


def _ranks(runs: Sequence[RawScores], kind: str, level: str) -> Iterator[np.ndarray]:
    """Yield for each cluster a row of rank and gain for each class."""
    for table in (rows_of(run, "identity") for run in runs):
        for client in np.unique(table["client"]) if table else ():
            rows = (table["client"] == client) & (table["kind"] == kind) & (table["level"] == level)
            yield np.stack([table["rank"][rows].astype(float), table["gain"][rows].astype(float)], axis=1)


class Fidelity(NamedTuple):
    """Agreement of a copy with the private network, without a message and with it; and the gain, 0 to 1.

    differences: of each client, with the message less without it
    """

    blind: Found | None
    agreement: Found | None
    gain: Found | None
    differences: Sequence[float]


def fidelity_of(runs: Sequence[RawScores], kind: str = "message") -> Fidelity:
    """Return how much nearer a message brings a copy of the private network, of what distilling it would.

    The gain is a ratio of means over clients: single clients' ratios have denominators near 0.
    """
    rows = []
    for table in (rows_of(run, "model") for run in runs):
        for client in np.unique(table["client"]) if table else ():
            of = {str(table["kind"][i]): i for i in np.flatnonzero(table["client"] == client)}
            rows.append([table["blind"][of[kind]], table["agreement"][of[kind]], table["agreement"][of["clear"]]])
    agreements = np.array(rows, dtype=float).reshape(len(rows), 3)
    blind, seen, _ = agreements.T
    gain = _gain_of(agreements)
    share = None if np.isnan(gain) else Found(gain, _interval_of_gain(agreements), ())
    return Fidelity(found([*blind]), found([*seen]), share, [*(seen - blind)])


def _interval_of_gain(agreements: np.ndarray) -> tuple[float, float] | None:
    """Return the 95 % percentile bootstrap interval over clients [n, 3]; None for fewer than three."""
    n, rng = len(agreements), np.random.default_rng(0)
    draws = [_gain_of(agreements[chosen]) for chosen in rng.integers(0, n, (GAIN_DRAWS, n))]
    low, high = np.nanquantile(draws, [0.025, 0.975])
    return (float(low), float(high)) if n >= 3 else None


def _gain_of(agreements: np.ndarray) -> float:
    """Return the gain of clients [n, 3], agreement without, with, and distilled; NaN if distilling gains nothing."""
    if not len(agreements):
        return float("nan")
    blind, seen, best = agreements.mean(0)
    return float(np.clip((seen - blind) / (best - blind), 0, 1)) if best > blind else float("nan")
