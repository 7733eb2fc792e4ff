"""P3: what do a client's pictures look like on average? Asked as: which of 100 averages is the client's?

A ridge regression from records' messages to records' pictures turns the real message into a picture for each class. By
its cosine to that picture the mean of the client's records of a class is ranked among means of as many others.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmark.task import Task

RIDGE_OF_INVERSION = 0.1
LEAST_RECORDS = 4
"""Records of a class from which pictures are learned, at least; and those that a mean is of."""

MOST_OTHERS = 4
"""Others for each of a client's own records that decoys are drawn from, at most."""


def pictures_of(task: Task, records: Tensor) -> Tensor:
    """Return pictures [n, p] of these records, from 0 to 1."""
    return task.images.index_select(0, records).flatten(1).float() / 255


class Identified(NamedTuple):
    """The rank of the true mean among all candidates, 0 being the first, and how many decibels more are gained of it.

    gain: over no message, of the true mean less the mean of the decoys, as a picture may come nearer to all of them
    """

    rank: int
    gain: float


class Inversion:
    """The map from messages to pictures of one class.

    messages: [a, m] of auxiliary records of the class, centred; pictures: [a, p] of the same records
    mean: [p], of all pictures of the class that the attacker has, public
    """

    def __init__(self, messages: Tensor, pictures: Tensor, mean: Tensor) -> None:
        self._messages, self.mean = messages.double(), mean.double()
        self._pictures = pictures.double() - pictures.double().mean(0)
        gram = self._messages @ self._messages.T
        gram.diagonal().add_(float(RIDGE_OF_INVERSION * gram.diagonal().mean()) or 1.0)
        self._factor = torch.linalg.cholesky(gram)

    def deviation(self, message: Tensor) -> Tensor:
        """Return how the picture [p] behind a message [m] differs from the class's public mean, up to its scale."""
        along = (self._messages @ message.double())[:, None]
        return torch.cholesky_solve(along, self._factor)[:, 0] @ self._pictures


def candidate_means(own: Tensor, apart: Tensor, decoys: int) -> Tensor:
    """Return the mean pictures [1 + decoys, p] that are ranked, the client's own first.

    own, apart: pictures [n, p] of one class. Decoys are means of as many records, drawn from the client's own and all
    others together: had it not trained on its own, they would be one draw like any other, so its rank is uniform.
    Decoys of others alone would have those others in common, and the client's mean would stand out without a message.
    """
    size = min(len(own), len(apart))
    union = torch.cat([_some(own, size), _some(apart, MOST_OTHERS * size)])
    drawn = torch.zeros(1 + decoys, len(union), device=union.device)
    drawn[0, :size] = 1 / size
    for row in drawn[1:]:
        row[torch.randperm(len(union))[:size].to(union.device)] = 1 / size
    return drawn @ union


def _some(pictures: Tensor, number: int) -> Tensor:
    return pictures[torch.randperm(len(pictures))[:number].to(pictures.device)]


def fitted_scale(deviations: Tensor, truth: Tensor) -> float:
    """Return the factor of deviations [s, p] that comes nearest to the true ones [s, p]; 0 where they say nothing.

    It is learned on the attacker's own clients, so that a useless message yields the public mean.
    """
    squared = float(deviations.square().sum())
    return max(0.0, float((deviations * truth).sum()) / squared) if squared > 0 else 0.0


def identified(deviation: Tensor, scale: float, mean: Tensor, truth: Tensor, decoys: Tensor) -> Identified:
    """Rank the true mean picture [p] among decoys [q, p]. mean: [p], public; ties are broken at random."""
    candidates = torch.cat([truth[None], decoys]).double() - mean
    likeness = F.cosine_similarity(candidates, deviation[None], dim=1)
    tie = torch.rand_like(likeness)
    above = (likeness > likeness[0]) | ((likeness == likeness[0]) & (tie > tie[0]))
    blind, seen = candidates.square().mean(1), (candidates - scale * deviation).square().mean(1)
    gains = 10 * (blind / seen.clamp_min(1e-30)).log10()
    return Identified(int(above.sum()), float(gains[0] - gains[1:].mean()))
