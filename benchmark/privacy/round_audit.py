"""All attacks on the messages of one round."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from benchmark.channel import Message, RoundNumber, State, copied
from benchmark.privacy.audit_size import AuditSize
from benchmark.privacy.exposure import exposure
from benchmark.privacy.labels import features, guessed, learned, random_labels
from benchmark.privacy.private_model import PrivateModelAttack, private_parts, with_noise
from benchmark.privacy.record_attacks import RecordAttacks
from benchmark.privacy.shadow_clients import ShadowClients
from benchmark.privacy.sums import sums_suffice
from benchmark.privacy.tables import Columns, Tables
from benchmark.privacy.victims import AUDITOR, SERVER, Victim, Victims


class RoundAudit:
    """The attacks of one round, each on all audited clients.

    before: audited clients -> their states before the download; messages: direction -> client -> message
    server: the server's state before the round
    """

    def __init__(
        self,
        federation: Any,
        t: RoundNumber,
        size: AuditSize,
        before: Mapping[int, State],
        messages: Mapping[str, Mapping[int, Message]],
        server: State,
    ) -> None:
        self._federation, self._t, self._size, self._server = federation, t, size, server
        self._task, self._method = federation.task, federation.method
        self._before, self._up, self._down = before, messages["up"], messages["down"]
        self._lab = ShadowClients(self._method, self._task, federation.config, federation.device)
        self._victims = Victims(self._task, self._method, self._lab, t, size.surrogate_records)
        self._tables = Tables()

    @property
    def sends_nothing(self) -> bool:
        """True if no client sends anything."""
        return not any(self._up[k] for k in self._before)

    @property
    def _last(self) -> bool:
        return self._t.round == self._t.rounds

    def sheet(self) -> dict[str, Any]:
        """Return the exposure sheet, read off this round's messages."""
        up, down = ({k: of[k] for k in self._before} for of in (self._up, self._down))
        own = {k: private_parts(self._federation.states[k]) for k in self._before}
        message = next(iter(up.values()))
        return exposure(self._task, up, down, own, sums_suffice(self._method, self._server, message, self._t))

    def scores(self) -> Columns:
        """Make all attacks; return their scores as columns."""
        victims = [self._victims.of(k, state, self._down[k], self._up[k]) for k, state in self._before.items()]
        records = RecordAttacks(self._lab, self._victims, self._size, self._tables, self._t, self._server)
        for victim in victims:
            records.attack(victim, self._another(victims, victim), self._federation.states[victim.client])
        if self._last:
            self._attack_labels(victims)
            for victim in victims:
                self._attack_model(victim)
        return self._tables.arrays()

    def _another(self, victims: list[Victim], victim: Victim) -> Message | None:
        """Return the message of the next client, if there is one: it says nothing of this one's records."""
        others = [v for v in victims if v is not victim]
        return next((v.upload for v in others if v.client > victim.client), others[0].upload) if others else None

    def _attack_labels(self, victims: list[Victim]) -> None:
        """Guess classes, shares and networks of all clients at once, from clients with random labels."""
        task, size = self._task, self._size
        names = sorted({task.infos[v.client].architecture for v in victims})
        vectors, shares, networks = [], [], []
        for number in range(size.label_shadows):
            victim = victims[number % len(victims)]
            drawn = random_labels(task.num_classes).to(task.labels.device)
            samples = self._victims.drawn(victim.known, drawn, size.label_records)
            state = next(iter(victim.states.values()))
            message = self._lab.train(victim.client, copied(state), samples, self._t).message
            vectors.append(self._features(self._method.decoded(message, self._server), victim.download))
            counts = torch.bincount(task.labels[samples], minlength=task.num_classes)
            shares.append(counts / counts.sum())
            networks.append(names.index(task.infos[victim.client].architecture))
        shares_, of_network = torch.stack(shares), F.one_hot(torch.tensor(networks), len(names)).to(shares[0])
        reader = learned(torch.stack(vectors), shares_, of_network)
        real = torch.stack([self._features(self._method.decoded(v.upload, self._server), v.download) for v in victims])
        truth = torch.stack([task.class_counts[v.client] / task.class_counts[v.client].sum() for v in victims])
        clear = learned((shares_ > 0).float(), shares_, of_network)
        guesses = {
            "message": guessed(reader, real, task.num_classes),
            "noise": guessed(reader, F.normalize(torch.randn_like(real), dim=1), task.num_classes),
            "clear": guessed(clear, (truth > 0).float(), task.num_classes),
        }
        for kind, guess in guesses.items():
            self._tables.add(
                "labels",
                client=np.array([v.client for v in victims]),
                kind=kind,
                truth=truth.cpu().numpy(),
                presence=guess.presence.cpu().numpy(),
                shares=guess.shares.cpu().numpy(),
                prior=shares_.mean(0).cpu().numpy()[None],
                architecture=np.array([names.index(task.infos[v.client].architecture) for v in victims]),
                architecture_guess=guess.architecture.argmax(1).cpu().numpy(),
                architectures=len(names),
            )

    def _features(self, message: Message, download: Message) -> Tensor:
        return features(message, download, self._task.num_classes)

    def _attack_model(self, victim: Victim) -> None:
        """Compare copies of a private network with the original on the client's test records."""
        k, t = victim.client, self._t
        samples = self._victims.like(k, victim.known, self._size.shadow_records)
        attack = PrivateModelAttack(self._lab, k, t, samples, self._task.clients[k].test, self._size.passes)
        original = self._federation.states[k]
        surrogate = victim.states.get(SERVER) or victim.states[AUDITOR]
        truth = attack.predicted(original)
        blind = attack.copy(surrogate, victim.download, {})
        copies = {
            "message": attack.copy(surrogate, victim.download, victim.upload),
            "noise": attack.copy(surrogate, victim.download, with_noise(victim.upload, victim.download)),
            "clear": attack.distilled(surrogate, original),
        }
        for kind, guess in copies.items():
            self._tables.add(
                "model",
                client=k,
                kind=kind,
                agreement=float((guess == truth).float().mean()),
                blind=float((blind == truth).float().mean()),
                records=len(truth),
            )
