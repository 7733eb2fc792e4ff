"""All attacks on the messages of one round."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from benchmark.channel import Message, RoundNumber, State, copied, same
from benchmark.privacy.audit_size import AuditSize
from benchmark.privacy.exposure import exposure
from benchmark.privacy.findings import SERVER, of_noise
from benchmark.privacy.label_rules import guessed_by_rules
from benchmark.privacy.labels import LabelGuess, changes_of, features, guessed, in_the_clear, learned, random_labels
from benchmark.privacy.private_model import PrivateModelAttack, private_parts
from benchmark.privacy.record_attacks import RecordAttacks, Shown
from benchmark.privacy.shadow_clients import ShadowClients
from benchmark.privacy.sums import sums_suffice
from benchmark.privacy.tables import Columns, Tables
from benchmark.privacy.vectors import noise_like, with_all_rows
from benchmark.privacy.victims import Victim, Victims

NO_GUESS = -1
"""Stands for a guessed network where none is guessed, and where clients receive unlike messages, which would give each
client away instead."""


class RoundAudit:
    """The attacks of one round, each on all audited clients.

    before: audited clients -> their states before the download; messages: direction -> client -> message
    server: the server's state before the round; shown: a client and what it would send -> what is seen of that
    """

    def __init__(
        self,
        federation: Any,
        t: RoundNumber,
        size: AuditSize,
        before: Mapping[int, State],
        messages: Mapping[str, Mapping[int, Message]],
        server: State,
        shown: Shown,
    ) -> None:
        self._federation, self._t, self._size, self._server = federation, t, size, server
        self._task, self._method = federation.task, federation.method
        self._before, self._up, self._down = before, messages["up"], messages["down"]
        self._lab = ShadowClients(self._method, self._task, federation.config, federation.device)
        self._victims = Victims(self._task, self._method, self._lab, t, size)
        self._tables = Tables()
        self._records = RecordAttacks(self._lab, self._victims, size, self._tables, t, server, shown)

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
        states = self._federation.states
        own = {k: private_parts(self._method, self._task, k, states[k]) for k in self._before}
        message = next(iter(up.values()))
        suffice = sums_suffice(self._method, self._server, message, self._t)
        rounded = self._federation.config.message_bits is not None
        return exposure(self._task, up, down, own, suffice, self._lab.wire(self._t), rounded)

    def scores(self) -> Columns:
        """Make all attacks; return their scores as columns."""
        after = self._federation.states
        if self.sends_nothing:
            for k in self._before if self._last else ():
                self._records.attack_released(k, after[k])
            return self._tables.arrays()
        victims = [self._victims.of(k, state, self._down[k], self._up[k]) for k, state in self._before.items()]
        for victim in victims:
            self._records.attack(victim, after[victim.client])
        if self._last:
            self._attack_labels(victims)
            for victim in victims:
                self._attack_model(victim)
        return self._tables.arrays()

    def _attack_labels(self, victims: list[Victim]) -> None:
        """Guess classes, shares and networks of all clients at once, from clients with random labels."""
        task = self._task
        names = sorted({task.infos[v.client].architecture for v in victims})
        networks = torch.tensor([names.index(task.infos[v.client].architecture) for v in victims])
        vectors, shares, of_network = self._examples(victims, F.one_hot(networks, len(names)))
        reader, clear = (learned(seen, shares, of_network) for seen in (vectors, in_the_clear(shares, of_network)))
        real = [self._changes(v.upload, v.download) for v in victims]
        alike = all(same(v.download, victims[0].download) for v in victims)
        truth = torch.stack([task.class_counts[v.client] / task.class_counts[v.client].sum() for v in victims])
        noises = [noise_like(with_all_rows(v.upload, v.download), v.download) for v in victims]
        noise = [self._changes(of, v.download) for of, v in zip(noises, victims, strict=True)]
        guesses: dict[str, LabelGuess] = {
            "message": guessed(reader, self._features(real), task.num_classes),
            "noise": guessed(reader, self._features(noise), task.num_classes),
            "clear": guessed(clear, in_the_clear(truth, F.one_hot(networks, len(names)).to(truth)), task.num_classes),
            **guessed_by_rules(real, task.num_classes),
            **{of_noise(rule): guess for rule, guess in guessed_by_rules(noise, task.num_classes).items()},
        }
        for kind, guess in guesses.items():
            self._tables.add(
                "labels",
                client=np.array([v.client for v in victims]),
                kind=kind,
                truth=truth.cpu().numpy(),
                presence=guess.presence.cpu().numpy(),
                expected=guess.expected.cpu().numpy()[None],
                shares=guess.shares.cpu().numpy(),
                prior=shares.mean(0).cpu().numpy()[None],
                architecture=networks.numpy(),
                architecture_guess=NO_GUESS if guess.architecture is None or not alike else _best(guess.architecture),
                architectures=len(names),
            )

    def _examples(self, victims: list[Victim], networks: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Train clients with random labels; return features [s, m], shares of classes [s, C], networks [s, M]."""
        task, found = self._task, []
        others = [k for k in range(task.num_clients) if k not in self._before] or [*self._before]
        guesses = [self._victims.guesses(victim) for victim in victims]
        for number in range(self._size.label_shadows):
            turn = number % len(victims)
            victim, state = victims[turn], guesses[turn][number // len(victims) % len(guesses[turn])]
            drawn = random_labels(task.class_counts[others]).to(task.labels.device)
            samples = self._victims.drawn(victim.known, drawn, self._size.label_records)
            trained = self._lab.train(victim.client, copied(state), samples, self._t).message
            message = self._lab.defended(victim.client, trained, victim.download, self._t, noise=True)
            counts = torch.bincount(task.labels[samples], minlength=task.num_classes)
            network = networks[turn].to(counts.device).float()
            seen = features(self._changes(message, victim.download), task.num_classes)
            found.append((seen, counts / counts.sum(), network))
        vectors, shares, of_network = (torch.stack(column) for column in zip(*found, strict=True))
        return vectors, shares, of_network

    def _changes(self, message: Message, download: Message) -> Message:
        return changes_of(self._method.decoded(message, self._server), download)

    def _features(self, changes: Sequence[Message]) -> Tensor:
        return torch.stack([features(of, self._task.num_classes) for of in changes])

    def _attack_model(self, victim: Victim) -> None:
        """Compare copies of a private network with the original on the client's test records."""
        k, t, size = victim.client, self._t, self._size
        samples = self._victims.like(k, victim.known, size.shadow_records)
        attack = PrivateModelAttack(self._lab, k, t, samples, self._task.clients[k].test, size)
        original = self._federation.states[k]
        surrogate = victim.states[SERVER]
        if not attack.message_stands_in(surrogate, victim.download):
            return
        truth = attack.predicted(original)
        blind = attack.copy(surrogate, victim.download, {})
        copies = {
            "message": attack.copy(surrogate, victim.download, victim.upload),
            "noise": attack.copy(surrogate, victim.download, noise_like(victim.upload, victim.download)),
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


def _best(scores: Tensor) -> np.ndarray:
    return scores.argmax(1).cpu().numpy()
