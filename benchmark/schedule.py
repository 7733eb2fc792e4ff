"""Who takes part in which round, and in which order each client sees its samples: drawn before any method acts."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from benchmark.config import FederationConfig
from benchmark.seeds import numpy_generator
from benchmark.task import Task


@dataclass(frozen=True)
class Schedule:
    """Participants and batches of one federation: functions of the seed alone, the same under every method."""

    task: Task
    config: FederationConfig

    def participants(self, round_: int) -> list[int]:
        """Ids of the clients of a round, ascending, drawn uniformly without replacement."""
        rng = numpy_generator("participants", seed=self.task.seed, round=round_)
        return sorted(rng.choice(self.config.clients, self.config.participants, replace=False).tolist())

    def epochs(self, client: int, round_: int) -> Iterator[list[Tensor]]:
        """The passes of a client over its training samples in a round, without end: batches of indices [B]."""
        rng = numpy_generator("batches", seed=self.task.seed, client=client, round=round_)
        samples = self.task.clients[client].train
        while True:
            order = torch.from_numpy(rng.permutation(len(samples))).to(samples.device)
            yield [samples[order[chosen]] for chosen in slices(len(samples), self.config.batch_size)]


def slices(num_samples: int, batch_size: int) -> list[np.ndarray]:
    """Positions of each batch in an order of num_samples: all samples, in batches of at least two.

    Batch normalisation can't train on one sample. A last batch of one joins the batch before it, and a client that
    has one sample in all sees it twice.
    """
    if num_samples == 1:
        return [np.zeros(2, dtype=int)]
    starts = list(range(0, num_samples, batch_size))
    if num_samples % batch_size == 1:
        starts.pop()
    return np.split(np.arange(num_samples), starts[1:])
