"""Clients under attack, and the records that an attacker has of its own."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from benchmark.channel import Message, RoundNumber, State
from benchmark.method import Method
from benchmark.privacy.shadow_clients import ShadowClients
from benchmark.seeds import torch_seeded
from benchmark.task import Task

SERVER, AUDITOR = "server", "auditor"
"""Who attacks: one that has seen messages alone, and guesses private parts; one that knows all but who is a member."""


@dataclass(frozen=True)
class Victim:
    """A client under attack: what it has received and sent, its state before and after, records that are known.

    states: level -> the state from which records' messages are built
    known, apart: two halves of the auxiliary records; decoys are of the second, and of all that others train on
    """

    client: int
    states: Mapping[str, State]
    download: Message
    upload: Message
    known: Tensor
    apart: Tensor


class Victims:
    """Draws auxiliary records, and guesses states. surrogate_records: most records that a guess is trained on."""

    def __init__(self, task: Task, method: Method, lab: ShadowClients, t: RoundNumber, surrogate_records: int) -> None:
        self._task, self._method, self._lab, self._t = task, method, lab, t
        self._surrogate_records = surrogate_records

    def of(self, k: int, before: State, download: Message, upload: Message) -> Victim:
        """Return client k. before: its state before the download"""
        with torch_seeded("audit", seed=self._task.seed, client=k):
            known, apart = self._pool(k)
        info = replace(self._task.infos[k], progress=self._t)
        true = self._method.receive(before, download, info)
        guess = self._lab.surrogate(k, before, download, self.like(k, known, self._surrogate_records), self._t)
        alike = all(_equal(value, guess.get(name)) for name, value in true.items())
        states = {AUDITOR: true} if alike else {SERVER: guess, AUDITOR: true}
        return Victim(k, states, download, upload, known, apart)

    def _pool(self, k: int) -> tuple[Tensor, Tensor]:
        """Return the test records of all other clients, which nobody trains on, in two halves."""
        tests = [data.test for j, data in enumerate(self._task.clients) if j != k]
        pool = torch.cat(tests) if tests else self._task.clients[k].test[:0]
        shuffled = pool[torch.randperm(len(pool)).to(pool.device)]
        labels = self._task.labels[shuffled]
        first = torch.zeros_like(labels, dtype=torch.bool)
        for c in labels.unique():
            first[(labels == c).nonzero()[::2, 0]] = True
        return shuffled[first], shuffled[~first]

    def like(self, k: int, pool: Tensor, most: int) -> Tensor:
        """Draw records from a pool, with replacement: as many of each class as a client has, `most` at most."""
        counts = self._task.class_counts[k]
        return self.drawn(pool, counts / counts.sum(), min(int(counts.sum()), most))

    def drawn(self, pool: Tensor, shares: Tensor, number: int) -> Tensor:
        """Draw so many records from a pool, with replacement, of classes in these shares [C]; of any if it has none."""
        labels = self._task.labels[pool]
        of_class = torch.bincount(labels, minlength=self._task.num_classes).clamp_min(1)
        weights = (shares.to(labels.device) / of_class)[labels]
        if not weights.sum() > 0:
            weights = torch.ones_like(weights)
        return pool[torch.multinomial(weights.cpu().double(), max(2, number), replacement=True).to(pool.device)]


def _equal(value: Any, other: Any) -> bool:
    if isinstance(value, dict):
        return isinstance(other, dict) and all(torch.equal(value[name], other[name]) for name in value)
    if isinstance(value, tuple):
        return isinstance(other, tuple) and all(torch.equal(x, y) for x, y in zip(value, other, strict=True))
    return torch.equal(value, other)
