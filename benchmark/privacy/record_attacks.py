"""The attacks on one client's records: who is a member, and what pictures look like on average."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from benchmark.channel import Message, RoundNumber, State, copied
from benchmark.privacy.audit_size import AuditSize
from benchmark.privacy.controls import membership_controls, pictures_of
from benchmark.privacy.findings import AUDITOR
from benchmark.privacy.identity import LEAST_RECORDS, Inversion, candidate_means, fitted_scale, identified
from benchmark.privacy.membership import Candidates, MembershipAttack
from benchmark.privacy.private_model import record_losses
from benchmark.privacy.record_messages import RecordMessages
from benchmark.privacy.shadow_clients import ShadowClients
from benchmark.privacy.tables import Tables
from benchmark.privacy.vectors import broadcast_like
from benchmark.privacy.victims import Victim, Victims
from benchmark.seeds import torch_seeded

DUPLICATED = 10
"""Copies of a record that must be found, and how many such records there are."""


MOST_GAIN = 99.0
"""Decibels that stand for a picture without an error."""


class Level(NamedTuple):
    """An attack at one level of knowledge, ready to judge messages.

    samples: records of each shadow; shadows: [m] each, what they send; another: the same of one more in the last round
    references: [r, m], what others would send
    """

    name: str
    state: State
    messages: RecordMessages
    attack: MembershipAttack
    samples: Sequence[Tensor]
    shadows: Sequence[Tensor]
    another: Sequence[Tensor]
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
        self._last = t.round == t.rounds

    def attack(self, victim: Victim, after: State) -> None:
        """Make them. after: the client's state after its training"""
        candidates = self._candidates(victim.client, victim.known)
        if not len(candidates.records):
            return
        for name, state in victim.states.items():
            level = self._level(victim, candidates, name, state)
            seen = {"message": level.messages.difference(victim.upload)}
            if self._last:
                seen |= {"noise": torch.randn_like(seen["message"]), "another client": level.another[0]}
            remainders = {kind: level.remainder(of) for kind, of in seen.items()}
            for kind, remainder in remainders.items():
                self._add(victim.client, candidates, name, kind, level.attack.scores(remainder))
            if self._last:
                self._duplicates(victim, candidates, level)
                self._identify(victim, candidates, level, remainders)
        if self._last:
            self._control(victim, candidates)
            self._attack_network(victim.client, victim.states[AUDITOR], candidates, "state alone")
            self._attack_network(victim.client, after, candidates, "released")

    def attack_released(self, client: int, after: State) -> None:
        """Attack a client's own network alone, as if it were released: all that can be done if it sends nothing."""
        candidates = self._candidates(client, self._victims.pool(client)[0])
        if len(candidates.records):
            self._attack_network(client, after, candidates, "released")

    def _candidates(self, client: int, known: Tensor) -> Candidates:
        size = self._size
        with torch_seeded("audit", seed=self._task.seed, client=client):  # the same in every round
            return Candidates.of(self._task, client, known, size.candidates, size.auxiliary)

    def _attack_network(self, client: int, state: State, candidates: Candidates, kind: str) -> None:
        losses = record_losses(self._lab.engine, client, state, candidates.records, self._t)
        self._add(client, candidates, "control", kind, -losses)

    def _level(self, victim: Victim, candidates: Candidates, name: str, state: State) -> Level:
        messages = RecordMessages(self._lab.engine, victim.client, state, self._t, self._server)
        attack = MembershipAttack.prepared(messages, candidates, self._task.labels)
        number, most = self._size.shadows, self._size.shadow_records
        samples = [self._victims.like(victim.client, victim.known, most) for _ in range(number + self._last)]
        sent = [messages.difference(self._shadow(victim, state, some)) for some in samples]
        shadows, another = sent[:number], sent[number:]
        references = [attack.expected(self._task.class_counts[victim.client]), torch.stack(shadows).mean(0)]
        if self._lab.engine.config.message_clip is not None:  # a clipped message has some of the broadcast left in it
            references.append(messages.difference(broadcast_like(victim.upload, victim.download)))
        return Level(name, state, messages, attack, samples[:number], shadows, another, torch.stack(references))

    def _shadow(self, victim: Victim, state: State, samples: Tensor) -> Message:
        """Return what the client would send that had trained on these, without noise, which has a mean of zero."""
        message = self._lab.train(victim.client, copied(state), samples, self._t).message
        return self._lab.defended(victim.client, message, victim.download, self._t, noise=False)

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
