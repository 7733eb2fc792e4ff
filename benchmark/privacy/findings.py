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
    tpr_at,
)
from benchmark.privacy.tables import Columns, rows_of

POOLED_NON_MEMBERS = 10_000
"""Non-members from which a rate at 0.1 % false alarms means something."""
SERIES = 0
"""Stands for the sum of a client's scores over all audited rounds, in place of a round."""

RawScores = Mapping[str, np.ndarray]
"""The arrays of one privacy.npz."""


class Found(NamedTuple):
    """A number with the interval over clusters, None for fewer than three; n: clusters, or what it is a share of."""

    value: float
    interval: tuple[float, float] | None
    n: int


class Attacked(NamedTuple):
    """One client's candidates that are judged: standardised scores [n], member [n]."""

    scores: np.ndarray
    member: np.ndarray

    @property
    def auc(self) -> float:
        """The area under the curve."""
        return auc(self.scores, self.member)


def found(values: Sequence[float]) -> Found | None:
    """Return the mean of what clusters have, without those that have no value; None if none has."""
    known = [value for value in values if not np.isnan(value)]
    return Found(float(np.mean(known)), cluster_interval(known), len(known)) if known else None


class Membership:
    """Membership of several seeds: areas and rates of a message, of a series, of controls."""

    def __init__(self, runs: Sequence[RawScores]) -> None:
        self._tables = [rows_of(run, "membership") for run in runs]
        self.rounds = sorted({int(t) for table in self._tables for t in np.unique(table.get("round", []))})
        self.levels = sorted({str(of) for table in self._tables for of in table.get("level", [])} - {"control"})

    def clusters(self, kind: str, level: str, round: int) -> dict[tuple[int, int], Attacked]:
        """Return (seed's number, client) -> its candidates under one attack. round: SERIES for the sum over all."""
        return {
            (number, client): attacked
            for number, table in enumerate(self._tables)
            for client, attacked in _attacked(table, kind, level, round)
        }

    def strongest(self, round: int, kind: str = "message") -> dict[tuple[int, int], Attacked]:
        """Return each cluster at the level that is stronger on all other clusters: never chosen by its own."""
        by_level = {level: self.clusters(kind, level, round) for level in self.levels}
        chosen = {}
        for cluster in next(iter(by_level.values()), {}):
            means = {
                level: np.mean([other.auc for k, other in of.items() if k != cluster] or [0.5])
                for level, of in by_level.items()
            }
            chosen[cluster] = by_level[max(means, key=lambda level: means[level])][cluster]
        return chosen

    def area(self, round: int, level: str | None = None, kind: str = "message") -> Found | None:
        """Return the area of an attack, mean over clusters. level: None for the stronger one."""
        clusters = self.strongest(round, kind) if level is None else self.clusters(kind, level, round)
        return found([of.auc for of in clusters.values()])

    def rate(self, round: int, fpr: float = 0.01) -> Found | None:
        """Return the share of members found at this share of false alarms, mean over clusters."""
        return found([tpr_at(of.scores, of.member, fpr) for of in self.strongest(round).values()])

    def pooled_rate(self, round: int, fpr: float = 0.001) -> Found | None:
        """Return the same over all clusters' scores together; None for fewer than 10,000 non-members."""
        clusters = list(self.strongest(round).values())
        member = np.concatenate([of.member for of in clusters]) if clusters else np.zeros(0, bool)
        if int((~member).sum()) < POOLED_NON_MEMBERS:
            return None
        return Found(tpr_at(np.concatenate([of.scores for of in clusters]), member, fpr), None, len(clusters))


def _attacked(table: Columns, kind: str, level: str, round: int) -> Iterator[tuple[int, Attacked]]:
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
        calibration = table["calibration"][first]
        total = np.sum([_calibrated(table, part) for part in parts], axis=0)
        yield int(client), Attacked(total[~calibration], table["member"][first][~calibration])


def _calibrated(table: Columns, rows: np.ndarray) -> np.ndarray:
    return standardised(table["score"][rows], table["label"][rows], table["calibration"][rows])


class Labels(NamedTuple):
    """Classes, shares and networks as they are guessed, against chance."""

    presence: Found | None
    skill: Found | None
    architecture: Found | None
    architectures: int


def labels_of(runs: Sequence[RawScores], kind: str = "message") -> Labels:
    """Return what messages say of labels and networks; presence is None if clients have all classes."""
    presence, skill, right, number = [], [], [], 0
    for table in (rows_of(run, "labels") for run in runs):
        for i in np.flatnonzero(table["kind"] == kind) if table else ():
            truth = table["truth"][i].astype(float)
            presence.append(balanced_accuracy(truth > 0, table["presence"][i] > 0))
            skill.append(histogram_skill(truth, table["shares"][i].astype(float), table["prior"][i].astype(float)))
            right.append(float(table["architecture"][i] == table["architecture_guess"][i]))
            number = int(table["architectures"][i])
    return Labels(found(presence), found(skill), found(right) if number > 1 else None, number)


class Identity(NamedTuple):
    """Shares of class means that were ranked first, or among the first five, and the gain in decibels."""

    top1: Found | None
    top5: Found | None
    gain: Found | None
    candidates: int


def identity_of(runs: Sequence[RawScores], kind: str = "message", level: str | None = None) -> Identity:
    """Return how well class means are found. level: None for the one with which more are, on all other clusters."""
    levels = sorted({str(of) for run in runs for of in rows_of(run, "identity").get("level", [])})
    by_level = {of: _ranks(runs, kind, of) for of in ([level] if level else levels)}
    chosen = []
    for cluster in next(iter(by_level.values()), {}):
        best = max(by_level, key=lambda of: _others(by_level[of], cluster))
        chosen.append(by_level[best].get(cluster, np.zeros((0, 2))))
    number = max((int(c) for run in runs for c in rows_of(run, "identity").get("candidates", [])), default=0)
    return Identity(
        found([float((of[:, 0] < 1).mean()) for of in chosen if len(of)]),
        found([float((of[:, 0] < 5).mean()) for of in chosen if len(of)]),
        found([float(of[:, 1].mean()) for of in chosen if len(of)]),
        number,
    )


def _others(of: Mapping[tuple[int, int], np.ndarray], cluster: tuple[int, int]) -> float:
    return float(np.mean([(rows[:, 0] < 1).mean() for k, rows in of.items() if k != cluster] or [0.0]))


def _ranks(runs: Sequence[RawScores], kind: str, level: str) -> dict[tuple[int, int], np.ndarray]:
    """Return (seed's number, client) -> a row of rank and gain for each class."""
    ranks = {}
    for number, table in enumerate(rows_of(run, "identity") for run in runs):
        for client in np.unique(table["client"]) if table else ():
            rows = (table["client"] == client) & (table["kind"] == kind) & (table["level"] == level)
            columns = [table["rank"][rows].astype(float), table["gain"][rows].astype(float)]
            ranks[number, int(client)] = np.stack(columns, axis=1)
    return ranks


class Fidelity(NamedTuple):
    """Agreement of a copy with the private network, without a message, with it, and distilled; and the gain, 0 to 1."""

    blind: Found | None
    agreement: Found | None
    reachable: Found | None
    gain: Found | None


def fidelity_of(runs: Sequence[RawScores], kind: str = "message") -> Fidelity:
    """Return how much nearer a message brings a copy of the private network, of what distilling it would."""
    tables = [rows_of(run, "model") for run in runs]
    blind, agreement, reachable, gains = [], [], [], []
    for table in tables:
        for client in np.unique(table["client"]) if table else ():
            of = {str(table["kind"][i]): i for i in np.flatnonzero(table["client"] == client)}
            without, seen = (float(table[column][of[kind]]) for column in ("blind", "agreement"))
            best = float(table["agreement"][of["clear"]])
            blind.append(without)
            agreement.append(seen)
            reachable.append(best)
            gains.append(float(np.clip((seen - without) / (best - without), 0, 1)) if best > without else np.nan)
    return Fidelity(found(blind), found(agreement), found(reachable), found(gains))
