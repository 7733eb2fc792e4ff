"""Participants of each round, and the order in which each client sees its samples: drawn before any method acts."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from benchmark.config import FederationConfig
from benchmark.method import WHOLE, Stretch
from benchmark.seeds import numpy_generator, seed_round
from benchmark.task import Task


@dataclass(frozen=True)
class Schedule:
    """Participants and batches of one federation: functions of the seed alone, the same under every method."""

    task: Task
    config: FederationConfig

    def participants(self, round: int) -> list[int]:
        """Draw the ids of a round's clients uniformly without replacement; they ascend. Rounds count from 1."""
        rng = numpy_generator("participants", seed=self.task.seed, round=seed_round(round))
        return sorted(rng.choice(self.config.clients, self.config.participants, replace=False).tolist())

    def epochs(self, client: int, round: int, stretch: Stretch = WHOLE) -> Iterator[tuple[Tensor, ...]]:
        """Yield the passes of a client over a stretch of its training samples in a round, without end.

        A pass is a tuple of batches of indices [B]. Batch normalisation can't train on one sample, so a pass of a
        single sample has it twice.
        """
        part = {} if stretch == WHOLE else {"stretch": f"{stretch[0]:g}-{stretch[1]:g}"}
        rng = numpy_generator("batches", seed=self.task.seed, client=client, round=seed_round(round), **part)
        samples = _stretch(self.task.clients[client].train, *stretch)
        while True:
            order = rng.permutation(len(samples)) if len(samples) > 1 else np.zeros(2, dtype=int)
            shuffled = samples[_sent(torch.from_numpy(order), samples.device)]
            yield shuffled.split(batch_sizes(len(order), self.config.batch_size))


def _sent(order: Tensor, device: torch.device) -> Tensor:
    """Send the order to the device; to a GPU from pinned memory, so that the CPU does not wait for the GPU."""
    return order.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else order.to(device)


def _stretch(samples: Tensor, start: float, stop: float) -> Tensor:
    """Return the samples from start to stop, in shares of all; at least one sample."""
    first = min(_cut(start, len(samples)), len(samples) - 1)
    return samples[first : max(_cut(stop, len(samples)), first + 1)]


def _cut(share: float, n: int) -> int:
    """Return the index that splits n samples at a share: 0 -> 0, 1 -> n, otherwise within 1..n-1.

    So each side of any other share has at least one sample, and adjacent stretches never overlap, unless n is 1.
    """
    return round(share * n) if share in (0, 1) else min(max(round(share * n), 1), n - 1)


def batch_sizes(num_samples: int, batch_size: int) -> list[int]:
    """Return the sizes of full batches and of the remainder; a remainder of one sample joins the batch before it."""
    full, rest = divmod(num_samples, batch_size)
    if rest == 1:
        return [batch_size] * (full - 1) + [batch_size + 1]
    return [batch_size] * full + [rest] * (rest > 0)
