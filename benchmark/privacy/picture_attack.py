"""The attack on what a client's pictures look like on average, class by class."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmark.privacy.controls import PixelMeans
from benchmark.privacy.identity import LEAST_RECORDS, Inversion, candidate_means, fitted_scale, identified, pictures_of
from benchmark.privacy.level import Level
from benchmark.privacy.membership import Candidates
from benchmark.privacy.vectors import noise_of
from benchmark.task import Task

MOST_GAIN = 99.0
"""Decibels that stand for a picture without an error."""


class Pictured(NamedTuple):
    """A class of a client, in pictures of p numbers.

    known: [a, p], of auxiliary records; mean: [p], public; ranked: [q, p], the client's own mean first
    """

    label: int
    known: Tensor
    mean: Tensor
    ranked: Tensor


class Ranked(NamedTuple):
    """A class's true mean picture among all candidates: its rank, 0 being the first, and the gain.

    kind: of the message that the picture was made from; gain: in decibels over no message, less that of the decoys
    """

    kind: str
    label: int
    rank: int
    candidates: int
    gain: float


class PictureAttack:
    """The attack on one client.

    known: records that the attacker has; decoys: number of means that the true one is ranked among
    """

    def __init__(self, task: Task, client: int, known: Tensor, candidates: Candidates, decoys: int) -> None:
        self._task, self._candidates = task, candidates
        self._trained_on = task.clients[client].train
        self._pixels = PixelMeans(task, candidates, known)
        self._classes = [*self._pictured(client, known, decoys)]

    def ranked(self, level: Level, remainders: Mapping[str, Tensor]) -> Iterator[Ranked]:
        """Yield where the true mean of each class is ranked, by remainders of messages and by pictures in the clear.

        The scale of pictures is learned from the attacker's own clients; for noise in place of a message, from noise in
        place of theirs.
        """
        pixels = self._pixels
        shadows = [level.remainder(of, i) for i, of in enumerate(level.shadows)]
        noises = [level.remainder(noise_of(of), i) for i, of in enumerate(level.shadows)]
        seen = {kind: (level.attack, of, noises if kind == "noise" else shadows) for kind, of in remainders.items()} | {
            "clear": (pixels.attack, pixels.remainder(self._trained_on), [*map(pixels.remainder, level.samples)])
        }
        of_auxiliary = self._task.labels[self._candidates.auxiliary]
        for kind, (attack, message, of_known) in seen.items():
            # Only the direction: a guessed network makes a message longer than the attacker's own clients send.
            remainder, *examples = (F.normalize(of, dim=0) for of in (message, *of_known))
            maps = {
                of.label: Inversion(attack.auxiliary[of_auxiliary == of.label], of.known, of.mean)
                for of in self._classes
            }
            scale = self._scale(maps, examples, level.samples)
            for of in self._classes:
                deviation, (truth, *decoys) = maps[of.label].deviation(remainder), of.ranked
                found = identified(deviation, scale, of.mean.double(), truth, torch.stack(decoys))
                yield Ranked(kind, of.label, found.rank, len(of.ranked), min(found.gain, MOST_GAIN))

    def _pictured(self, client: int, known: Tensor, decoys: int) -> Iterator[Pictured]:
        """Yield the classes of which there are enough pictures."""
        task, of_auxiliary = self._task, self._task.labels[self._candidates.auxiliary]
        data, trains = task.clients[client], [d.train for k, d in enumerate(task.clients) if k != client]
        others = torch.cat([data.test, *trains])
        for c in of_auxiliary.unique().tolist():
            own, apart, of_class = (some[task.labels[some] == c] for some in (data.train, others, known))
            auxiliary = self._candidates.auxiliary[of_auxiliary == c]
            if min(len(own), len(apart), len(auxiliary)) >= LEAST_RECORDS:
                ranked = candidate_means(pictures_of(task, own), pictures_of(task, apart), decoys)
                yield Pictured(c, pictures_of(task, auxiliary), pictures_of(task, of_class).mean(0), ranked)

    def _scale(self, maps: Mapping[int, Inversion], examples: Sequence[Tensor], samples: Sequence[Tensor]) -> float:
        """Return the scale of deviations as it is for these examples [m], whose pictures the attacker knows."""
        labels = self._task.labels
        pairs = [
            (inversion.deviation(example), pictures_of(self._task, of).mean(0).double() - inversion.mean)
            for example, some in zip(examples, samples, strict=True)
            for c, inversion in maps.items()
            if len(of := some[labels[some] == c])
        ]
        return fitted_scale(*(torch.stack(of) for of in zip(*pairs, strict=True))) if pairs else 0.0
