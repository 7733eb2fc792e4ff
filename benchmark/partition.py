"""Partitions of the pooled data among clients, then training, validation and test samples within each client."""

import hashlib
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heapreplace
from typing import NamedTuple

import numpy as np

from benchmark.errors import RequestError, plural, refusing, tell
from benchmark.seeds import numpy_generator

TEST_SHARE = 0.2
MINIMUM = 10
"""Samples that every client has at least after `fill_up` (the number of Qin et al., "FedAPEN", KDD 2023)."""

Samples = np.ndarray | tuple[np.ndarray, np.ndarray]
Partitioner = Callable[..., list[np.ndarray] | list[tuple[np.ndarray, np.ndarray]]]
"""(labels [N], clients, generator) -> indices per client, or (training, test) indices per client, which stay so.

One that has a parameter `owners` gets them too, and one with `held_out` which samples are of the data's own test part.
"""

Promise = Callable[[np.ndarray], str | None]
"""(samples of each class at each client [clients, C]) -> how they break what the partition's name says, or None."""

Shift = Callable[[np.ndarray, int], np.ndarray]
"""(images [n, h, w, c] uint8, client) -> the images as that client has them, of the same shape."""


class Division(NamedTuple):
    """The way in which a data set is divided among clients, and in which each client sees its images.

    name:  in full, `dirichlet:0.3+rotated`
    plain: without shifts, `dirichlet:0.3`: what the draw is seeded by, so that both give the same indices
    promise: what the name says of every draw, if it can be broken
    """

    name: str
    plain: str
    partitioner: Partitioner
    shifts: tuple[Shift, ...] = ()
    promise: Promise | None = None


@dataclass(frozen=True, eq=False)
class Partition:
    """Samples per client and split, shared by every method of a comparison.

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
    held_out: np.ndarray | None = None,
) -> Partition:
    """Divide the samples among clients, then each client's 80:20 into training and test.

    Validation takes its share out of the 80. owners: [N], who each sample belongs to, or None if that is unknown;
    held_out: [N], which samples are of the data's own test part. Samples that no client gets are told of. Raises
    RequestError if a client would be left without training or test samples, if the partition needs owners that are
    unknown, or if the classes are too rare for what the partition promises.
    """
    what = f"{division.name} with {clients} clients on {dataset}"
    if clients > len(labels):
        raise RequestError(f"{what} leaves clients empty: it has {len(labels)} samples; use fewer clients")
    rng = numpy_generator("partition", dataset=dataset, partition=division.plain, clients=clients, seed=seed)
    supplied = _supplied(division, dataset, owners, held_out)
    with refusing(f"the partition {division.name} fails"):
        shares = _checked(division.partitioner(labels, clients, rng, **supplied), clients, len(labels))
    splits = [_split(share, validation, rng) for share in shares]
    for k, (train, validating, tests) in enumerate(splits):
        if not len(tests) or not len(train):
            few = len(train) + len(validating) + len(tests)
            raise RequestError(
                f"{what} ({len(labels)} samples) leaves client {k} with {few} samples, too few to "
                "train and test on; use fewer clients or a more even partition"
                f"{', or natural:n to leave out owners of fewer than n samples' if supplied else ''}"
            )
    classes = int(labels.max()) + 1
    counts = np.array([np.bincount(labels[np.concatenate(split)], minlength=classes) for split in splits])
    if division.promise and (broken := division.promise(counts)):
        raise RequestError(f"{what}: {broken}")
    if unused := len(labels) - counts.sum():
        tell(f"{what}: left out: {unused} of {len(labels)} samples")
    return Partition(tuple(splits), counts.tolist())


def _checked(shares: Sequence[Samples], clients: int, samples: int) -> list[Samples]:
    """Return what a partition gave. Raises RequestError if these are not clients' shares, or share a sample."""
    if len(shares) != clients:
        raise RequestError(f"it gives {plural(len(shares), 'client')} a share, not {clients}")
    parts = [np.asarray(part) for share in shares for part in (share if isinstance(share, tuple) else (share,))]
    indices = np.concatenate([part for part in parts if part.size] or [np.zeros(0, int)])
    if any(part.ndim != 1 for part in parts) or indices.dtype.kind not in "iu":
        raise RequestError("a client's share is a vector of whole numbers, the indices of its samples")
    if indices.size and not 0 <= indices.min() <= indices.max() < samples:
        raise RequestError(f"it gives indices from {indices.min()} to {indices.max()}; there are {samples} samples")
    if len(np.unique(indices)) < len(indices):
        raise RequestError("it gives a sample twice; no two clients may have one, nor one client twice")
    return list(shares)


def _supplied(
    division: Division, dataset: str, owners: np.ndarray | None, held_out: np.ndarray | None
) -> dict[str, np.ndarray]:
    """Return what a partition asks of the data beside the labels. Raises RequestError if the data do not say it."""
    supplied = {}
    for key, values in (("owners", owners), ("held_out", held_out)):
        if key in inspect.signature(division.partitioner).parameters:
            if values is None:
                raise RequestError(
                    f"{division.name} needs to know who each sample belongs to, and {dataset} does not say; "
                    "an .npz says it with the keys owners_train and owners_test"
                )
            supplied[key] = values
    return supplied


def _split(share: Samples, validation: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (training, validation, test) indices of a client's share, shuffled unless they are split already."""
    if isinstance(share, tuple):
        others, tests = share
        others = rng.permutation(others) if validation else others
    else:
        shuffled = rng.permutation(share)
        number = round(TEST_SHARE * len(shuffled))
        tests, others = shuffled[:number], shuffled[number:]
    held_back = max(1, round(validation * len(others))) if validation else 0
    return others[held_back:], others[:held_back], tests


def contents_hash(images: np.ndarray, labels: np.ndarray, splits: Sequence[tuple[np.ndarray, np.ndarray]]) -> str:
    """Hex digest of which samples each client trains and tests on, whatever their order or their place in the data set.

    images: [N, h, w, c] as their clients have them; labels: [N]; splits: (training, test) indices of each client
    """
    own = [
        hashlib.sha256(image.tobytes() + int(label).to_bytes(8, "big")).digest()
        for image, label in zip(images, labels, strict=True)
    ]
    digest = hashlib.sha256(str(images.shape[1:]).encode())
    for split in splits:
        for indices in split:
            digest.update(len(indices).to_bytes(8, "big"))
            digest.update(b"".join(sorted(own[i] for i in indices)))
    return digest.hexdigest()[:16]


def shifted(images: np.ndarray, partition: Partition, shifts: Sequence[Shift]) -> np.ndarray:
    """Return the images [N, h, w, c] as their clients have them; a copy if there are shifts, as runs share images."""
    if not shifts:
        return images
    own = images.copy()
    for client, splits in enumerate(partition.splits):
        indices = np.concatenate(splits)
        for shift in shifts:
            own[indices] = _checked_shift(shift, own[indices], client)
    return own


def _checked_shift(shift: Shift, images: np.ndarray, client: int) -> np.ndarray:
    """Return the images as a client has them. Raises RequestError if a shift fails, or gives something else."""
    name = shift.__module__.rpartition(".")[2]
    with refusing(f"the shift {name} fails"):
        found = shift(images, client)
        if not isinstance(found, np.ndarray) or (found.shape, found.dtype) != (images.shape, images.dtype):
            what = f"{found.dtype} {found.shape}" if isinstance(found, np.ndarray) else type(found).__name__
            raise RequestError(f"the shift {name} gives {what}, not {images.dtype} {images.shape} as it got")
    return found


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
