"""Attacks on messages of which one knows what they give away; a column counts only if its controls read as they must.

Besides those here, every attack is made on noise in place of the message, and those on records on the message of a
client with other data of the same labels.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from benchmark.privacy.identity import pictures_of
from benchmark.privacy.membership import Candidates, MembershipAttack
from benchmark.privacy.metrics import NOISE_MU
from benchmark.privacy.record_messages import MOST_NUMBERS, NUMBERS_PER_RECORD
from benchmark.privacy.vectors import Sketch
from benchmark.task import Task

FEW_PICTURES = 50
"""Members that are in the control's mean pictures, at most: an attack worth its name finds them among so few."""


class Control(NamedTuple):
    """Scores [n] of a client's candidates, or of some of them, under a control."""

    name: str
    candidates: Candidates
    scores: Tensor


def membership_controls(task: Task, client: int, candidates: Candidates) -> list[Control]:
    """Return the controls of membership on one client's candidates."""
    fingerprints = Fingerprints(task, candidates)
    few = candidates.with_members(FEW_PICTURES)
    pixels = PixelMeans(task, few, few.auxiliary)
    in_means = pixels.remainder(few.records[few.member])
    counts = task.class_counts[client].double()
    return [
        Control("clear", candidates, fingerprints.scores(noise=0.0)),
        Control("known noise", candidates, fingerprints.scores(noise=1 / NOISE_MU)),
        Control("pixel means", few, pixels.attack.scores(in_means)),
        Control("pixel means, not whitened", few, pixels.attack.plain_scores(in_means)),
        Control("labels alone", candidates, counts[task.labels[candidates.records]]),
        Control("pictures alone", candidates, blind_scores(task, candidates)),
    ]


class Fingerprints:
    """Data in the clear: the message is the sum of a random vector of length one for each member."""

    def __init__(self, task: Task, candidates: Candidates) -> None:
        self._member = candidates.member
        numbers = NUMBERS_PER_RECORD * int(candidates.member.sum())
        records = torch.cat([candidates.records, candidates.auxiliary])
        vectors = torch.nn.functional.normalize(torch.randn(len(records), max(numbers, 1), dtype=torch.float64), dim=1)
        self._vectors, auxiliary = vectors.split([len(candidates.records), len(candidates.auxiliary)])
        labels, others = task.labels[candidates.records].cpu(), task.labels[candidates.auxiliary].cpu()
        self._attack = MembershipAttack(self._vectors, labels, auxiliary, others)

    def scores(self, noise: float) -> Tensor:
        """Return the scores when so much noise is added to each number; one record adds a vector of length one."""
        message = self._vectors[self._member.cpu()].sum(0)
        return self._attack.scores(message + noise * torch.randn_like(message))


class PixelMeans:
    """Data in the clear as a message: the mean picture of each class, one row per class.

    known: records whose mean pictures are what others would send
    """

    def __init__(self, task: Task, candidates: Candidates, known: Tensor) -> None:
        self._task, self._known = task, known
        records, auxiliary = (self._rows(of) for of in (candidates.records, candidates.auxiliary))
        self.attack = MembershipAttack(
            records, task.labels[candidates.records], auxiliary, task.labels[candidates.auxiliary]
        )

    def remainder(self, trained_on: Tensor) -> Tensor:
        """Return what a client says that has trained on these records, less what others would: [m]."""
        labels, known = self._task.labels[trained_on], self._task.labels[self._known]
        rows = [
            self._row(self._mean(trained_on[labels == c]) - self._mean(self._known[known == c]), int(c))
            for c in known.unique()
            if (labels == c).any()
        ]
        return torch.stack(rows).sum(0).double()

    def _mean(self, records: Tensor) -> Tensor:
        return pictures_of(self._task, records).mean(0)

    def _rows(self, records: Tensor) -> Tensor:
        pictures = pictures_of(self._task, records)
        return torch.stack([self._row(x, int(y)) for x, y in zip(pictures, self._task.labels[records], strict=True)])

    def _row(self, picture: Tensor, label: int) -> Tensor:
        table = torch.zeros(self._task.num_classes, len(picture), device=picture.device)
        table[label] = picture
        return Sketch(table.numel(), MOST_NUMBERS, table.device).of(table.flatten())


def blind_scores(task: Task, candidates: Candidates) -> Tensor:
    """Return how much a record's picture alone looks like a member's: each half is judged by a ridge on the other."""
    pictures = pictures_of(task, candidates.records).double()
    pictures = pictures - pictures.mean(0)
    targets = candidates.member.double() - candidates.member.double().mean()
    half = torch.arange(len(targets), device=targets.device) % 2 == 0
    scores = torch.zeros_like(targets)
    for judged in (half, ~half):
        known = pictures[~judged]
        gram = known @ known.T
        gram.diagonal().add_(0.1 * float(gram.diagonal().mean()) or 1.0)
        scores[judged] = pictures[judged] @ known.T @ torch.linalg.solve(gram, targets[~judged])
    return scores
