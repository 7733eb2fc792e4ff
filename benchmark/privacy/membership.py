"""P1: was a record in a client's training data? Asked of one message.

Members are of the client's training split, others of its test split, matched class by class: both are from one random
permutation, and an attacker that knows the client's labels but no message is at chance. A record's message, less the
mean of its class, is compared with the real message, less what clients with other data of the same labels send, in the
metric of records' messages (Homer et al. 2008 for averages; FedMIA, arXiv 2402.06289, for gradients).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from benchmark.privacy.record_messages import RecordMessages
from benchmark.privacy.whitening import Whitening
from benchmark.task import Task

LEAST_PER_CLASS = 2
"""Auxiliary records that a class needs, and candidates of each kind; other classes are left out."""
ENOUGH_PER_CLASS = 10
"""Candidates of each kind by which scores of a class can be compared: of two others in each of a hundred classes one
sets the scale, and one is judged by it."""


@dataclass(frozen=True)
class Candidates:
    """Records that an attack judges, and those it knows; indices into the task's images.

    records: [n], members first; member: [n] bool; calibration: [n] bool, non-members that only set the scale
    auxiliary: [a], of the same classes, which no audited client trains on
    """

    records: Tensor
    member: Tensor
    calibration: Tensor
    auxiliary: Tensor

    def with_members(self, most: int) -> "Candidates":
        """Return these with so many of the members at most, drawn at random; the others are all there."""
        members = self.member.nonzero()[:, 0]
        some = members[torch.randperm(len(members))[:most].to(members.device)].sort().values
        kept = torch.cat([some, (~self.member).nonzero()[:, 0]])
        return replace(self, records=self.records[kept], member=self.member[kept], calibration=self.calibration[kept])

    @classmethod
    def of(cls, task: Task, client: int, pool: Tensor, per_side: int, auxiliary: int) -> "Candidates":
        """Draw the candidates of a client, `per_side` members and as many others at most, from torch's generator.

        pool: auxiliary records to choose from
        """
        data = task.clients[client]
        wanted = _matched(task, (data.train, data.test, pool), per_side)
        members, others = (_drawn(task.labels, split, wanted) for split in (data.train, data.test))
        shares = {c: max(LEAST_PER_CLASS, round(auxiliary * n / sum(wanted.values()))) for c, n in wanted.items()}
        calibration = torch.cat([torch.zeros_like(members, dtype=torch.bool), every_second(task.labels[others])])
        member = torch.arange(len(calibration), device=members.device) < len(members)
        return cls(torch.cat([members, others]), member, calibration, _drawn(task.labels, pool, shares))


def _matched(task: Task, splits: Sequence[Tensor], most: int) -> dict[int, int]:
    """Return class -> how many members, and as many others, to draw: of each class alike, as far as both sides have.

    There is one class for ten of `most`, at most; those with enough on both sides come first, in random order.
    """
    train, test, pool = (torch.bincount(task.labels[split], minlength=task.num_classes) for split in splits)
    both = (torch.minimum(train, test) * (pool >= LEAST_PER_CLASS)).tolist()
    order = sorted(torch.randperm(len(both)).tolist(), key=lambda c: -min(both[c], ENOUGH_PER_CLASS))
    chosen = [c for c in order[: max(1, most // ENOUGH_PER_CLASS)] if both[c] >= LEAST_PER_CLASS]
    return {c: min(both[c], most // len(chosen)) for c in sorted(chosen)}


def _drawn(labels: Tensor, pool: Tensor, wanted: dict[int, int]) -> Tensor:
    """Draw so many records of each class from a pool, without replacement, or all that there are."""
    found = [pool[labels[pool] == c] for c in wanted]
    chosen = [of[torch.randperm(len(of))[:n].to(of.device)] for of, n in zip(found, wanted.values(), strict=True)]
    return torch.cat(chosen) if chosen else pool[:0]


def every_second(labels: Tensor) -> Tensor:
    """Return a mask [n] of every second record of each class."""
    mask = torch.zeros_like(labels, dtype=torch.bool)
    for c in labels.unique():
        mask[(labels == c).nonzero()[::2, 0]] = True
    return mask


class MembershipAttack:
    """The attack on one client at one level of knowledge: the state in which records' messages are built."""

    def __init__(self, records: Tensor, labels: Tensor, auxiliary: Tensor, auxiliary_labels: Tensor) -> None:
        """Take the messages of candidates [n, m] and of auxiliary records [a, m], and their classes."""
        classes = auxiliary_labels.unique()
        self._means = {int(c): auxiliary[auxiliary_labels == c].mean(0) for c in classes}
        self.auxiliary = auxiliary - self.class_means(auxiliary_labels)
        self._records = records - self.class_means(labels)
        self.metric = Whitening(self.auxiliary)
        self._seen = self.metric.along(self._records)
        self._lengths = self.metric.norms(self._records, self._seen)

    @classmethod
    def prepared(cls, messages: RecordMessages, candidates: Candidates, labels: Tensor) -> "MembershipAttack":
        """Return the attack on a client whose one-record messages these are. labels: [N] of all records."""
        found = messages.of(torch.cat([candidates.records, candidates.auxiliary]))
        records, auxiliary = found.split([len(candidates.records), len(candidates.auxiliary)])
        return cls(records, labels[candidates.records], auxiliary, labels[candidates.auxiliary])

    def class_means(self, labels: Tensor) -> Tensor:
        """Return the mean message of each record's class [n, m], as auxiliary records have it."""
        return torch.stack([self._means[int(c)] for c in labels])

    def expected(self, counts: Tensor) -> Tensor:
        """Return the sum of the messages [m] of so many records [C] of each class."""
        return torch.stack([counts[c] * mean for c, mean in self._means.items()]).sum(0)

    def remainder(self, message: Tensor, references: Tensor) -> Tensor:
        """Return of a message [m] what these reference messages [r, m], of other data, do not explain."""
        return self.metric.without(message, references)

    def scores(self, remainder: Tensor) -> Tensor:
        """Return the score [n] of each candidate: how much of its own message is in the remainder."""
        products = self.metric.products(self._records, remainder[None], self._seen)[:, 0]
        return products / self._lengths.clamp_min(1e-30)

    def plain_scores(self, remainder: Tensor) -> Tensor:
        """Return the same without whitening, to see what it is good for."""
        records = self._records.double()
        return (records @ remainder.double()) / records.norm(dim=1).clamp_min(1e-30)
