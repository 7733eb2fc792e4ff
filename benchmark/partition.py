"""Who holds which sample: a partition of the pooled data, then training, validation and test within each client."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from benchmark.errors import RequestError
from benchmark.seeds import numpy_generator

TEST_SHARE = 0.2

Partitioner = Callable[[np.ndarray, int, np.random.Generator], list[np.ndarray]]
"""(labels [N], clients, generator) -> indices per client."""


@dataclass(frozen=True, eq=False)
class Partition:
    """Indices per client and split, shared by every method of a comparison.

    splits: for each client, its (train, validation, test) indices
    counts: [clients][C], samples of each class at each client
    """

    splits: tuple[tuple[np.ndarray, np.ndarray, np.ndarray], ...]
    counts: list[list[int]]

    @property
    def hash(self) -> str:
        """Hex digest of all indices in their order."""
        digest = hashlib.sha256()
        for splits in self.splits:
            for split in splits:
                digest.update(len(split).to_bytes(8, "big"))
                digest.update(np.ascontiguousarray(split, dtype="<i8").data)
        return digest.hexdigest()[:16]


def draw(
    partitioner: Partitioner, *, name: str, dataset: str, labels: np.ndarray, clients: int, validation: float, seed: int
) -> Partition:
    """Divide the samples among clients, then each client's 80:20 into training and test.

    Validation takes its share out of the 80. Raises RequestError where a client would be left without training or
    test samples.
    """
    classes = int(labels.max()) + 1
    rng = numpy_generator("partition", dataset=dataset, partition=name, clients=clients, seed=seed)
    if clients > len(labels):
        raise RequestError(
            f"{name} with {clients} clients on {dataset} leaves clients empty: it has {len(labels)} samples"
        )
    owned = partitioner(labels, clients, rng)
    splits = []
    for k, indices in enumerate(owned):
        shuffled = rng.permutation(indices)
        tests = round(TEST_SHARE * len(shuffled))
        held_out = round(validation * (len(shuffled) - tests))
        if validation:
            held_out = max(1, held_out)
        train = shuffled[tests + held_out :]
        if not tests or not len(train):
            raise RequestError(
                f"{name} with {clients} clients on {dataset} ({len(labels)} samples) leaves client {k} with "
                f"{len(shuffled)} samples, too few to train and test on; use fewer clients or a more even partition"
            )
        splits.append((train, shuffled[tests : tests + held_out], shuffled[:tests]))
    counts = [np.bincount(labels[indices], minlength=classes).tolist() for indices in owned]
    return Partition(tuple(splits), counts)
