"""The audit: an observer that attacks the messages of a few clients in a few rounds, and keeps raw scores."""

import json
from collections.abc import Mapping, Sequence
from time import perf_counter
from typing import Any

import numpy as np

from benchmark.channel import Message, Observer, Passage, RoundNumber, State, copied
from benchmark.privacy.audit_size import FULL_AUDIT, AuditSize
from benchmark.privacy.round_audit import RoundAudit
from benchmark.privacy.sums import mean_message
from benchmark.privacy.tables import ATTACK, from_text, joined, to_text
from benchmark.seeds import numpy_generator
from benchmark.task import Task

AUDIT_NAME = "privacy"
"""Of the facts in a round's record, and of the artefact."""


class PrivacyAudit(Observer):
    """Attacks messages; training, bytes and FLOPs are what they are without it.

    It remembers nothing beyond a round: what it found is in the record of the round.
    """

    def __init__(self, size: AuditSize = FULL_AUDIT) -> None:
        self._size = size
        self._before: dict[int, State] = {}
        self._messages: dict[str, dict[int, Message]] = {}
        self._server: State = {}
        self._sums_alone = False

    def round_begins(self, federation: Any, round: RoundNumber) -> None:
        """Keep the states of the clients that are audited in this round, if it is one of those."""
        self._before, self._messages, self._server = {}, {"up": {}, "down": {}}, federation.server
        self._sums_alone = federation.config.sums_alone
        if round.round in audited_rounds(round.rounds, self._size.rounds):
            taking_part = federation.schedule.participants(round.round)
            chosen = audited_clients(federation.task, taking_part, self._size.clients)
            self._before = {k: copied(federation.state(k)) for k in chosen}

    def message(self, passage: Passage) -> None:
        """Keep what audited clients receive and send."""
        if self._before and (passage.client in self._before or (self._sums_alone and passage.direction == "up")):
            self._messages[passage.direction][passage.client] = copied(passage.message)

    def round_over(self, federation: Any, record: Any) -> None:
        """Attack, and add the scores to the record."""
        sent = {k: state for k, state in self._before.items() if k in self._messages["up"]}
        if not sent:
            return
        begun, t = perf_counter(), RoundNumber(record["round"], federation.config.rounds)
        uploads, samples = self._messages["up"], {i.id: i.num_samples for i in federation.task.infos}

        def shown(client: int, message: Message) -> Message:
            return mean_message(uploads | {client: message}, samples) if self._sums_alone else message

        self._messages["up"] = {k: shown(k, uploads[k]) for k in sent}
        audit = RoundAudit(federation, t, self._size, sent, self._messages, self._server, shown)
        found: dict[str, Any] = {"sends_nothing": True} if audit.sends_nothing else {"sheet": audit.sheet()}
        found["attack"] = ATTACK
        if scores := audit.scores():
            found["scores"] = to_text(scores)
        record.setdefault("observed", {})[AUDIT_NAME] = found | {"seconds": perf_counter() - begun}
        self._before = {}

    def artefacts(self, federation: Any, rounds: Sequence[Any]) -> Mapping[str, Mapping[str, np.ndarray]]:
        """Return the scores of all rounds as privacy.npz, with the sheet of the last one."""
        found = {r["round"]: r["observed"][AUDIT_NAME] for r in rounds if AUDIT_NAME in r.get("observed", {})}
        if not found:
            return {}
        facts = {
            "sheet": next((of["sheet"] for of in reversed(found.values()) if "sheet" in of), None),
            "seconds": sum(of["seconds"] for of in found.values()),
            "rounds": list(found),
            "candidates": self._size.candidates,
            "attack": min(of.get("attack", 1) for of in found.values()),
        }
        scores = joined([from_text(of["scores"]) for of in found.values() if "scores" in of])
        return {AUDIT_NAME: {**scores, "facts": np.array(json.dumps(facts))}}


def audited_rounds(rounds: int, number: int) -> list[int]:
    """Return so many rounds, evenly spaced, the first and the last among them; all if there are fewer."""
    return sorted({round(t) for t in np.linspace(1, rounds, min(number, rounds))})


def audited_clients(task: Task, taking_part: Sequence[int], number: int) -> list[int]:
    """Choose so many of a round's participants, by the seed alone, each architecture in its turn."""
    order = numpy_generator("audit", seed=task.seed).permutation(task.num_clients).tolist()
    before: dict[str, int] = {}
    turns: list[tuple[int, int, int]] = []
    for k in (k for k in order if k in set(taking_part)):
        architecture = task.infos[k].architecture
        before[architecture] = before.get(architecture, 0) + 1
        turns.append((before[architecture], len(turns), k))
    return sorted(k for _, _, k in sorted(turns)[:number])
