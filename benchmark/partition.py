"""Who holds which sample: a partition of the pooled data, then training, validation and test within each client."""

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
"""(labels [N], clients, generator) -> indices per client; one that has a parameter `owners` is given them too."""

Shift = Callable[[np.ndarray, int], np.ndarray]
"""(images [n, h, w, c] uint8, client) -> the images as that client has them, of the same shape."""


class Division(NamedTuple):
    """How a data set is divided among clients, and how each client sees its images.

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

    Validation takes its share out of the 80. owners: [N], who each sample belongs to, or None where nobody knows.
    Raises RequestError where a client would be left without training or test samples, and where owners are asked for
    and not known.
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
    """The images [N, h, w, c] as their clients have them: copied where there are shifts, for other runs share them."""
    if not shifts:
        return images
    own = images.copy()
    for client, splits in enumerate(partition.splits):
        indices = np.concatenate(splits)
        for shift in shifts:
            own[indices] = shift(own[indices], client)
    return own


def dirichlet_shares(mean: np.ndarray, a: float, rng: np.random.Generator) -> np.ndarray:
    """Shares [n] of a whole from a Dirichlet distribution around `mean` [n], with concentrations a x n x mean.

    With equal means it is the symmetric Dirichlet(a). Concentrations are kept where floats neither under- nor overflow.
    """
    return rng.dirichlet(np.clip(a * len(mean) * mean, 1e-300, 1e12))


def cut(samples: np.ndarray, shares: np.ndarray) -> list[np.ndarray]:
    """The samples, in their order, cut in proportion to the shares, one part for each."""
    return np.split(samples, (np.cumsum(shares)[:-1] / shares.sum() * len(samples)).round().astype(int))


def fill_up(shares: Sequence[Sequence[int]], rng: np.random.Generator) -> list[np.ndarray]:
    """Indices per client where each has at least MINIMUM: the smallest take single samples from the largest.

    Raises RequestError where there are not samples enough.
    """
    samples, lists = sum(map(len, shares)), [list(share) for share in shares]
    if samples < MINIMUM * len(lists):
        raise RequestError(
            f"{samples} samples among {len(lists)} clients leaves clients with fewer than {MINIMUM}; "
            f"use at most {samples // MINIMUM} clients"
        )
    poor = [(len(share), k) for k, share in enumerate(lists) if len(share) < MINIMUM]
    rich = [(-len(share), k) for k, share in enumerate(lists)]  # whoever is poor here never comes to the top
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
