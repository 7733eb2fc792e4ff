"""The attacks on one client's records: who is a member, and what pictures look like on average."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from benchmark.channel import Message, RoundNumber, State, copied
from benchmark.privacy.audit_size import AuditSize
from benchmark.privacy.controls import membership_controls, pictures_of
from benchmark.privacy.identity import LEAST_RECORDS, Inversion, candidate_means, fitted_scale, identified
from benchmark.privacy.membership import Candidates, MembershipAttack
from benchmark.privacy.private_model import record_losses
from benchmark.privacy.record_messages import RecordMessages
from benchmark.privacy.shadow_clients import ShadowClients
from benchmark.privacy.tables import Tables
from benchmark.privacy.victims import Victim, Victims
from benchmark.seeds import torch_seeded

DUPLICATED = 10
"""Copies of a record that must be found, and how many such records there are."""


MOST_GAIN = 99.0
"""Decibels that stand for a picture without an error."""


class Level(NamedTuple):
    """An attack at one level of knowledge, ready to judge messages.

    samples: records of each shadow; shadows: [s, m], what shadows send; references: [2, m], what others would send
    """

    name: str
    state: State
    messages: RecordMessages
    attack: MembershipAttack
    samples: Sequence[Tensor]
    shadows: Sequence[Tensor]
    references: Tensor

    def remainder(self, message: Tensor) -> Tensor:
        """Return of a message [m] what clients with other data of the same labels do not send."""
        return self.attack.remainder(message, self.references)


class RecordAttacks:
    """The attacks on one client in one round. last: whether it is the last round, in which all are made."""

    def __init__(
        self, lab: ShadowClients, victims: Victims, size: AuditSize, tables: Tables, t: RoundNumber, server: State
    ) -> None:
        self._lab, self._victims, self._size, self._tables = lab, victims, size, tables
        self._t, self._server, self._task = t, server, lab.engine.task

    def attack(self, victim: Victim, another: Message | None, after: State) -> None:
        """Make them. another: the message of another client; after: the client's state after its training"""
        with torch_seeded("audit", seed=self._task.seed, client=victim.client):  # the same in every round
            candidates = Candidates.of(
                self._task, victim.client, victim.known, self._size.candidates, self._size.auxiliary
            )
        if not len(candidates.records):
            return
        for name, state in victim.states.items():
            level = self._level(victim, candidates, name, state)
            seen = {"message": level.messages.difference(victim.upload)}
            seen["noise"] = torch.randn_like(seen["message"])
            if another is not None:
                seen["another client"] = level.messages.difference(another)
            remainders = {kind: level.remainder(of) for kind, of in seen.items()}
            for kind, remainder in remainders.items():
                self._add(victim, candidates, name, kind, level.attack.scores(remainder))
            if self._t.round == self._t.rounds:
                self._duplicates(victim, candidates, level)
                self._identify(victim, candidates, level, remainders)
        if self._t.round == self._t.rounds:
            self._control(victim, candidates, after)

    def _level(self, victim: Victim, candidates: Candidates, name: str, state: State) -> Level:
        messages = RecordMessages(self._lab.engine, victim.client, state, self._t, self._server)
        attack = MembershipAttack.prepared(messages, candidates, self._task.labels)
        number, most = self._size.shadows, self._size.shadow_records
        samples = [self._victims.like(victim.client, victim.known, most) for _ in range(number)]
        shadows = [messages.difference(self._shadow(victim, state, some)) for some in samples]
        expected = attack.expected(self._task.class_counts[victim.client])
        references = torch.stack([expected, torch.stack(shadows).mean(0)])
        return Level(name, state, messages, attack, samples, shadows, references)

    def _shadow(self, victim: Victim, state: State, samples: Tensor) -> Message:
        return self._lab.train(victim.client, copied(state), samples, self._t).message

    def _add(self, victim: Victim, candidates: Candidates, level: str, kind: str, scores: Tensor) -> None:
        self._tables.add(
            "membership",
            round=self._t.round,
            client=victim.client,
            level=level,
            kind=kind,
            label=self._task.labels[candidates.records].cpu().numpy(),
            member=candidates.member.cpu().numpy(),
            calibration=candidates.calibration.cpu().numpy(),
            score=_unit(scores),
        )

    def _control(self, victim: Victim, candidates: Candidates, after: State) -> None:
        """Add the controls, and what the network itself would give away if it were released."""
        for control in membership_controls(self._task, victim.client, candidates):
            self._add(victim, candidates, "control", control.name, control.scores)
        losses = record_losses(self._lab.engine, victim.client, after, candidates.records, self._t)
        self._add(victim, candidates, "control", "released", -losses)

    def _duplicates(self, victim: Victim, candidates: Candidates, level: Level) -> None:
        """Train a shadow on ten copies of each of ten records that are no members: they must be found."""
        others = (~candidates.member).nonzero()[:, 0]
        chosen = others[torch.randperm(len(others))[:DUPLICATED].to(others.device)]
        samples = self._victims.like(victim.client, victim.known, self._size.shadow_records)
        copies = candidates.records[chosen].repeat(DUPLICATED)
        message = self._shadow(victim, level.state, torch.cat([samples, copies]))
        scores = level.attack.scores(level.remainder(level.messages.difference(message)))
        duplicated = torch.zeros_like(candidates.member)
        duplicated[chosen] = True
        self._tables.add(
            "duplicates",
            client=victim.client,
            level=level.name,
            duplicated=duplicated[others].cpu().numpy(),
            label=self._task.labels[candidates.records[others]].cpu().numpy(),
            score=_unit(scores[others]),
        )

    def _identify(self, victim: Victim, candidates: Candidates, level: Level, remainders: Mapping[str, Tensor]) -> None:
        """Rank the true mean picture of each class among those of other records."""
        task, of_auxiliary = self._task, self._task.labels[candidates.auxiliary]
        data, trains = task.clients[victim.client], [d.train for k, d in enumerate(task.clients) if k != victim.client]
        others = torch.cat([victim.apart, data.test, *trains])
        shadows = [level.attack.remainder(of, level.references[:1]) for of in level.shadows]
        for c in of_auxiliary.unique().tolist():
            own, apart = (some[task.labels[some] == c] for some in (data.train, others))
            rows = of_auxiliary == c
            if min(len(own), len(apart), int(rows.sum())) < LEAST_RECORDS:
                continue
            inversion = Inversion(level.attack.auxiliary[rows], pictures_of(task, candidates.auxiliary[rows]))
            means = candidate_means(pictures_of(task, own), pictures_of(task, apart), self._size.decoys)
            scale = self._scale(inversion, shadows, level.samples, c)
            seen = {kind: (inversion.deviation(of), scale) for kind, of in remainders.items()}
            seen["clear"] = (means[0].double() - inversion.mean, 1.0)
            for kind, (deviation, factor) in seen.items():
                found = identified(deviation, factor, inversion.mean, means[0], means[1:])
                self._tables.add(
                    "identity",
                    client=victim.client,
                    level=level.name,
                    kind=kind,
                    label=c,
                    rank=found.rank,
                    candidates=self._size.decoys + 1,
                    gain=min(found.gain, MOST_GAIN),
                )

    def _scale(self, inversion: Inversion, shadows: Sequence[Tensor], samples: Sequence[Tensor], c: int) -> float:
        """Return the scale of deviations as the attacker's own clients have it, whose pictures it knows."""
        pairs = [
            (inversion.deviation(message), pictures_of(self._task, of).mean(0).double() - inversion.mean)
            for message, some in zip(shadows, samples, strict=True)
            if len(of := some[self._task.labels[some] == c])
        ]
        return fitted_scale(*(torch.stack(of) for of in zip(*pairs, strict=True))) if pairs else 0.0


def _unit(scores: Tensor) -> np.ndarray:
    """Return scores in standard deviations, which fit into 16 bits; order and areas are what they were."""
    values = scores.detach().double().cpu().numpy()
    deviation = values.std()
    return (values - values.mean()) / (deviation if deviation > 0 else 1.0)
