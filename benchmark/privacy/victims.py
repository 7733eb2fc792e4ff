"""Clients under attack, and the records that an attacker has of its own."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from benchmark.channel import Message, RoundNumber, State, same
from benchmark.method import Method
from benchmark.privacy.audit_size import AuditSize
from benchmark.privacy.findings import AUDITOR, SERVER
from benchmark.privacy.membership import every_second
from benchmark.privacy.shadow_clients import ShadowClients
from benchmark.seeds import torch_seeded
from benchmark.task import Task


@dataclass(frozen=True)
class Victim:
    """A client under attack: what it has received and sent, its state before that, records that are known.

    before: its state before the download; states: level -> the state from which records' messages are built, one and
        the same for both levels if nothing is private
    auxiliary, apart: the records that an attacker has, in two halves: the metric and pictures are learned from the
        first, and guessed networks are trained on the second
    """

    client: int
    before: State
    states: Mapping[str, State]
    download: Message
    upload: Message
    auxiliary: Tensor
    apart: Tensor

    @property
    def known(self) -> Tensor:
        """All records that an attacker has."""
        return torch.cat([self.auxiliary, self.apart])

    @property
    def all_is_shared(self) -> bool:
        """Whether what the client has received is all of its state, so that a server knows as much as an auditor."""
        return self.states[SERVER] is self.states[AUDITOR]


class Victims:
    """Draws auxiliary records, and guesses states."""

    def __init__(self, task: Task, method: Method, lab: ShadowClients, t: RoundNumber, size: AuditSize) -> None:
        self._task, self._method, self._lab, self._t, self._size = task, method, lab, t, size

    def of(self, k: int, before: State, download: Message, upload: Message) -> Victim:
        """Return client k. before: its state before the download"""
        auxiliary, apart = self.pool(k)
        info = replace(self._task.infos[k], progress=self._t)
        true = self._method.receive(before, download, info)
        samples, rounds = self.like(k, apart, self._size.surrogate_records), self._size.surrogate_rounds
        guess = self._lab.surrogate(k, before, download, samples, self._t, min(rounds, self._t.round))
        alike = all(same(value, guess.get(name)) for name, value in true.items())
        states = {SERVER: true if alike else guess, AUDITOR: true}
        return Victim(k, before, states, download, upload, auxiliary, apart)

    def guesses(self, victim: Victim) -> list[State]:
        """Return states that may be a client's, for who doesn't know its classes: trained on as many of each.

        There are several, as a network has to be told from the initial weights that it was guessed to have.
        """
        if victim.all_is_shared:
            return [victim.states[SERVER]]
        labels, number, rounds = self._task.labels[victim.apart], self._size.label_guesses, self._size.surrogate_rounds
        even = torch.bincount(labels, minlength=self._task.num_classes).bool().float()
        found = []
        for guess in range(1, number + 1):
            samples = self.drawn(victim.apart, even / even.sum(), self._size.surrogate_records // number)
            state = self._lab.surrogate(
                victim.client, victim.before, victim.download, samples, self._t, min(rounds, self._t.round), guess
            )
            found.append(state)
        return found

    def pool(self, k: int) -> tuple[Tensor, Tensor]:
        """Return the test records of all others, which nobody trains on, in two halves, the same in every round."""
        tests = [data.test for j, data in enumerate(self._task.clients) if j != k]
        pool = torch.cat(tests) if tests else self._task.clients[k].test[:0]
        with torch_seeded("audit", seed=self._task.seed, client=k):
            shuffled = pool[torch.randperm(len(pool)).to(pool.device)]
        labels = self._task.labels[shuffled]
        first = every_second(labels)
        return shuffled[first], shuffled[~first]

    def like(self, k: int, pool: Tensor, most: int) -> Tensor:
        """Draw records from a pool: as many of each class as a client has, `most` at most, or as there are."""
        counts = self._task.class_counts[k]
        return self.drawn(pool, counts / counts.sum(), min(int(counts.sum()), most))

    def again(self, k: int, pool: Tensor, most: int | None = None) -> Tensor:
        """Draw records from a pool with replacement: as many of each class as a client has, `most` at most.

        So clients of an attacker's that train on these take as many steps as the client, and differ from each other,
        also where a pool has few records of a class. As `like` does if the pool has none of them.
        """
        counts = self._task.class_counts[k].to(pool.device)
        number = int(counts.sum()) if most is None else min(int(counts.sum()), most)
        labels = self._task.labels[pool]
        wanted = (counts / counts.sum() * number).round().long()
        found = [pool[labels == c] for c in range(len(wanted))]
        drawn = [
            of[torch.randint(len(of), (int(n),)).to(of.device)] for of, n in zip(found, wanted, strict=True) if len(of)
        ]
        chosen = torch.cat([pool[:0], *drawn])
        return chosen[torch.randperm(len(chosen)).to(chosen.device)] if len(chosen) > 1 else self.like(k, pool, number)

    def drawn(self, pool: Tensor, shares: Tensor, number: int) -> Tensor:
        """Draw so many records of classes in these shares [C] from a pool, none twice, or as many as there are of each.

        Of any class if the pool has none of these.
        """
        shuffled = pool[torch.randperm(len(pool)).to(pool.device)]
        labels = self._task.labels[shuffled]
        wanted = (shares.to(labels.device) * number).round().long()
        place = torch.zeros_like(labels)
        for c in labels.unique():
            place[labels == c] = torch.arange(int((labels == c).sum()), device=labels.device)
        chosen = shuffled[place < wanted[labels]]
        return chosen if len(chosen) > 1 else shuffled[: max(2, number)]
