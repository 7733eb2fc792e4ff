"""Partitions of the pooled data among clients, then training, validation and test samples within each client."""

import hashlib
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heapreplace
from typing import NamedTuple

import numpy as np

from benchmark.errors import RequestError
from benchmark.seeds import numpy_generator

TEST_SHARE = 0.2
MINIMUM = 10
"""Samples that every client has at least after `fill_up` (the number of Qin et al., "FedAPEN", KDD 2023)."""

Partitioner = Callable[..., list[np.ndarray]]
"""(labels [N], clients, generator) -> indices per client; one that has a parameter `owners` gets them too."""

Shift = Callable[[np.ndarray, int], np.ndarray]
"""(images [n, h, w, c] uint8, client) -> the images as that client has them, of the same shape."""


class Division(NamedTuple):
    """The way in which a data set is divided among clients, and in which each client sees its images.

    name:  in full, `dirichlet:0.3+rotated`
    plain: without shifts, `dirichlet:0.3`: what the draw is seeded by, so that both give the same indices
    """

    name: str
    plain: str
    partitioner: Partitioner
    shifts: tuple[Shift, ...] = ()


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
    division: Division,
    *,
    dataset: str,
    labels: np.ndarray,
    clients: int,
    validation: float,
    seed: int,
    owners: np.ndarray | None = None,
) -> Partition:
    """Divide the samples among clients, then each client's 80:20 into training and test.

    Validation takes its share out of the 80. owners: [N], who each sample belongs to, or None if that is unknown.
    Raises RequestError if a client would be left without training or test samples, or if the partition needs owners
    that are unknown.
    """
    classes = int(labels.max()) + 1
    name = division.name
    rng = numpy_generator("partition", dataset=dataset, partition=division.plain, clients=clients, seed=seed)
    if clients > len(labels):
        raise RequestError(
            f"{name} with {clients} clients on {dataset} leaves clients empty: it has {len(labels)} samples; "
            "use fewer clients"
        )
    supplied = {}
    if "owners" in inspect.signature(division.partitioner).parameters:
        if owners is None:
            raise RequestError(
                f"{name} needs to know who each sample belongs to, and {dataset} does not say; "
                "an .npz says it with the keys owners_train and owners_test"
            )
        supplied["owners"] = owners
    owned = division.partitioner(labels, clients, rng, **supplied)
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


def shifted(images: np.ndarray, partition: Partition, shifts: Sequence[Shift]) -> np.ndarray:
    """Return the images [N, h, w, c] as their clients have them; a copy if there are shifts, as runs share images."""
    if not shifts:
        return images
    own = images.copy()
    for client, splits in enumerate(partition.splits):
        indices = np.concatenate(splits)
        for shift in shifts:
            own[indices] = shift(own[indices], client)
    return own


def dirichlet_shares(mean: np.ndarray, a: float, rng: np.random.Generator) -> np.ndarray:
    """Draw shares [n] of a whole from a Dirichlet distribution around `mean` [n], with concentrations a x n x mean.

    With equal means it is the symmetric Dirichlet(a). Concentrations are clipped: floats neither under- nor overflow.
    """
    return rng.dirichlet(np.clip(a * len(mean) * mean, 1e-300, 1e12))


def cut(samples: np.ndarray, shares: np.ndarray) -> list[np.ndarray]:
    """Cut the samples, in their order, in proportion to the shares, one part for each."""
    return np.split(samples, (np.cumsum(shares)[:-1] / shares.sum() * len(samples)).round().astype(int))


def fill_up(shares: Sequence[Sequence[int]], rng: np.random.Generator) -> list[np.ndarray]:
    """Return indices per client, at least MINIMUM for each: the smallest take single samples from the largest.

    Raises RequestError if there are too few samples.
    """
    samples, lists = sum(map(len, shares)), [list(share) for share in shares]
    if samples < MINIMUM * len(lists):
        raise RequestError(
            f"{samples} samples among {len(lists)} clients leaves clients with fewer than {MINIMUM}; "
            f"use at most {samples // MINIMUM} clients"
        )
    poor = [(len(share), k) for k, share in enumerate(lists) if len(share) < MINIMUM]
    rich = [(-len(share), k) for k, share in enumerate(lists)]  # the poor are here too, and never come to the top
    heapify(poor)
    heapify(rich)
    while poor:
        (size, taker), (_, giver) = poor[0], rich[0]
        lists[taker].append(lists[giver].pop(int(rng.integers(len(lists[giver])))))
        heapreplace(rich, (-len(lists[giver]), giver))
        if size + 1 < MINIMUM:
            heapreplace(poor, (size + 1, taker))
        else:
            heappop(poor)
    return [np.array(share) for share in lists]
