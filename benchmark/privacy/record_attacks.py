"""The attacks on one client's records in one round: who is a member, and what pictures look like on average."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from benchmark.channel import Message, RoundNumber, State, copied
from benchmark.privacy.audit_size import AuditSize
from benchmark.privacy.controls import membership_controls
from benchmark.privacy.findings import AUDITOR, SERVER
from benchmark.privacy.level import Level
from benchmark.privacy.membership import Candidates, MembershipAttack, every_second
from benchmark.privacy.picture_attack import PictureAttack
from benchmark.privacy.private_model import record_losses
from benchmark.privacy.record_messages import RecordMessages
from benchmark.privacy.shadow_clients import ShadowClients
from benchmark.privacy.tables import Tables
from benchmark.privacy.vectors import broadcast_like
from benchmark.privacy.victims import Victim, Victims
from benchmark.seeds import torch_seeded

DUPLICATED = 10
"""Copies of a record that must be found, and how many such records there are."""


class Others(NamedTuple):
    """What other data have to do with a client, whoever attacks it.

    another: what the client would send with other data of its labels; with_repeated: the same with some records ten
    times; repeated: which; pictures: the attack that ranks its mean pictures among others
    """

    another: Message
    with_repeated: Message
    repeated: Tensor
    pictures: PictureAttack


Shown = Callable[[int, Message], Message]
"""What an attacker sees of what a client would send: that, or the sum of all messages that it is in."""


class RecordAttacks:
    """The attacks on one client in one round; in the last round all are made, in others a server's on members alone."""

    def __init__(
        self,
        lab: ShadowClients,
        victims: Victims,
        size: AuditSize,
        tables: Tables,
        t: RoundNumber,
        server: State,
        shown: Shown,
    ) -> None:
        self._lab, self._victims, self._size, self._tables, self._shown = lab, victims, size, tables, shown
        self._t, self._server, self._task = t, server, lab.engine.task
        self._last = t.round == t.rounds

    def attack(self, victim: Victim, after: State) -> None:
        """Make them. after: the client's state after its training"""
        candidates = self._candidates(victim.client, victim.auxiliary)
        if not len(candidates.records):
            return
        server = self._level(victim, candidates, victim.states[SERVER])
        if not self._last:
            remainder = server.remainder(server.messages.difference(victim.upload))
            self._add(victim.client, candidates, SERVER, "message", server.attack.scores(remainder))
            return
        others = self._others(victim, candidates)
        seen = {"message": victim.upload, "another client": others.another}
        auditor = server if victim.all_is_shared else self._level(victim, candidates, victim.states[AUDITOR])
        self._attack_members(victim, candidates, server, seen)
        self._attack_round(victim, candidates, auditor, seen)
        for name, level in ((SERVER, server), (AUDITOR, auditor)):
            self._duplicates(victim, candidates, name, level, others)
            for found in others.pictures.ranked(level, level.remainders(seen)):
                self._tables.add("identity", client=victim.client, level=name, **found._asdict())
        self._control(victim, candidates)
        self._attack_network(victim.client, after, candidates, "released")

    def attack_released(self, client: int, after: State) -> None:
        """Attack a client's own network alone, as if it were released: all that can be done if it sends nothing."""
        candidates = self._candidates(client, self._victims.pool(client)[0])
        if len(candidates.records):
            self._attack_network(client, after, candidates, "released")

    def _attack_members(
        self, victim: Victim, candidates: Candidates, level: Level, seen: Mapping[str, Message]
    ) -> None:
        """Score who is a member, by a server, from each of these messages."""
        for kind, remainder in level.remainders(seen).items():
            self._add(victim.client, candidates, SERVER, kind, level.attack.scores(remainder))

    def _attack_round(self, victim: Victim, candidates: Candidates, level: Level, seen: Mapping[str, Message]) -> None:
        """Score which of the members this round's message is of, by an auditor.

        The true state has been trained on all members in earlier rounds, and tells them from others without a message.
        So the message is that of a twin, which begins in that state and leaves half of the members out in this round.
        """
        k, members = victim.client, candidates.records[candidates.member]
        labels = self._task.labels[members]
        inside = every_second(labels)
        train = self._task.clients[k].train
        twin = self._shadow(victim, victim.states[AUDITOR], train[~torch.isin(train, members[~inside])], noise=True)
        remainders = level.remainders({**seen, "message": self._shown(k, twin)})
        scores = {kind: level.attack.scores(of)[candidates.member] for kind, of in remainders.items()}
        scores["state alone"] = -record_losses(self._lab.engine, k, victim.states[AUDITOR], members, self._t)
        for kind, of in scores.items():
            self._tables.add(
                "auditor",
                client=k,
                kind=kind,
                label=labels.cpu().numpy(),
                member=inside.cpu().numpy(),
                score=_unit(of),
            )

    def _candidates(self, client: int, known: Tensor) -> Candidates:
        size = self._size
        with torch_seeded("audit", seed=self._task.seed, client=client):  # the same in every round
            return Candidates.of(self._task, client, known, size.candidates, size.auxiliary)

    def _attack_network(self, client: int, state: State, candidates: Candidates, kind: str) -> None:
        losses = record_losses(self._lab.engine, client, state, candidates.records, self._t)
        self._add(client, candidates, "control", kind, -losses)

    def _level(self, victim: Victim, candidates: Candidates, state: State) -> Level:
        messages = RecordMessages(self._lab.engine, victim.client, state, self._t, self._server)
        attack = MembershipAttack.prepared(messages, candidates, self._task.labels)
        pool, most = _held_out(victim, candidates), self._size.shadow_records
        samples = [self._victims.again(victim.client, pool, most) for _ in range(self._size.shadows)]
        sent = [messages.difference(self._shadow(victim, state, some, noise=False)) for some in samples]
        expected = [attack.expected(self._task.class_counts[victim.client])]
        if self._lab.engine.config.message_clip is not None:  # a clipped message has some of the broadcast left in it
            expected.append(messages.difference(broadcast_like(victim.upload, victim.download)))
        return Level(messages, attack, samples, sent, torch.stack(expected))

    def _others(self, victim: Victim, candidates: Candidates) -> Others:
        """Let the client itself train on other data of the same labels: once as they are, once with some ten times.

        Whoever attacks, these begin in the client's true state and take as many steps as it does, so that they are as
        hard to attack as its message.
        """
        state = victim.states[AUDITOR]
        repeated = self._to_repeat(candidates)
        copies = candidates.records[repeated].repeat(DUPLICATED)
        pool = _held_out(victim, candidates)
        samples = [self._victims.again(victim.client, pool) for _ in range(2)]
        another, with_repeated = (
            self._shown(victim.client, self._shadow(victim, state, some, noise=False))
            for some in (samples[0], torch.cat([samples[1], copies]))
        )
        pictures = PictureAttack(self._task, victim.client, victim.known, candidates, self._size.decoys)
        return Others(another, with_repeated, repeated, pictures)

    def _to_repeat(self, candidates: Candidates) -> Tensor:
        """Draw ten records that are no members, half of each class at most: they have to stand above the rest."""
        others = (~candidates.member).nonzero()[:, 0]
        shuffled = others[torch.randperm(len(others)).to(others.device)]
        labels = self._task.labels[candidates.records[shuffled]]
        halves = [of[: len(of) // 2] for c in labels.unique() if len(of := shuffled[labels == c])]
        allowed = torch.isin(shuffled, torch.cat([shuffled[:0], *halves]))
        return shuffled[allowed][:DUPLICATED]

    def _shadow(self, victim: Victim, state: State, samples: Tensor, noise: bool) -> Message:
        """Return what the client would send that had trained on these; without noise for what an attacker expects."""
        message = self._lab.train(victim.client, copied(state), samples, self._t).message
        return self._lab.defended(victim.client, message, victim.download, self._t, noise)

    def _add(self, client: int, candidates: Candidates, level: str, kind: str, scores: Tensor) -> None:
        self._tables.add(
            "membership",
            round=self._t.round,
            client=client,
            level=level,
            kind=kind,
            label=self._task.labels[candidates.records].cpu().numpy(),
            member=candidates.member.cpu().numpy(),
            calibration=candidates.calibration.cpu().numpy(),
            score=_unit(scores),
        )

    def _control(self, victim: Victim, candidates: Candidates) -> None:
        for control in membership_controls(self._task, victim.client, candidates):
            self._add(victim.client, control.candidates, "control", control.name, control.scores)

    def _duplicates(self, victim: Victim, candidates: Candidates, name: str, level: Level, others: Others) -> None:
        """Look for the records that are no members, and stand ten times in the data of a client: they must be found."""
        scores = level.attack.scores(level.remainder(level.messages.difference(others.with_repeated)))
        judged = (~candidates.member).nonzero()[:, 0]
        self._tables.add(
            "duplicates",
            client=victim.client,
            level=name,
            duplicated=torch.isin(judged, others.repeated).cpu().numpy(),
            label=self._task.labels[candidates.records[judged]].cpu().numpy(),
            score=_unit(scores[judged]),
        )


def _held_out(victim: Victim, candidates: Candidates) -> Tensor:
    """Return the records that an attacker's own clients train on: of those that pictures are learned from none."""
    return victim.known[~torch.isin(victim.known, candidates.auxiliary)]


def _unit(scores: Tensor) -> np.ndarray:
    """Return scores in standard deviations, which fit into 16 bits; order and areas are what they were.

    What is not finite, of a network that has diverged, stands behind all that is.
    """
    values = scores.detach().double().cpu().numpy()
    finite = np.isfinite(values)
    values = np.where(finite, values, values[finite].min() if finite.any() else 0.0)
    deviation = values.std()
    return (values - values.mean()) / (deviation if deviation > 0 else 1.0)
