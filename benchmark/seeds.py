"""Seeds of random choices: each choice has a name, and its seed is a hash of that name. Nothing is seeded globally.

The axes in use:

    partition     dataset, partition, clients, seed  which client holds which sample
    participants  seed, round                        the participants of a round
    batches       seed, client, round, stretch       the order of a client's samples, or of a stretch of them
    init          seed, client, part                 weights before training
    training      seed, client, round                dropout, augmentation
    server        seed, round                        draws of a method outside of training
    defence       seed, client, round                noise and filler of a message
    observer                                         draws of an observer
    audit         seed, client                       the clients and the records that an audit looks at
    warm-up                                          work that is counted and thrown away
    check                                            draws of a check of the conformance suite itself

The method is never an axis: two methods get the same partition, participants, batches and initial weights, so
their difference is paired.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


def seed_for(purpose: str, **axes: int | str) -> int:
    """Return a seed in [0, 2**63) for a purpose at one point of its axes; the order of the axes does not matter."""
    name = "|".join([purpose, *(f"{axis}={axes[axis]}" for axis in sorted(axes))])
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "big") >> 1


def seed_round(round: int) -> int:
    """Return a round, counted from 1, as seeds count it: from 0, which results made so far depend on."""
    return round - 1


def numpy_generator(purpose: str, **axes: int | str) -> np.random.Generator:
    """Return a new NumPy generator for one purpose."""
    return np.random.default_rng(seed_for(purpose, **axes))


@contextmanager
def torch_seeded(purpose: str, **axes: int | str) -> Iterator[None]:
    """Let torch draw from the seed of this purpose within the block, and after it from where it was before."""
    devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()
    with torch.random.fork_rng(devices=devices):
        seed = seed_for(purpose, **axes)
        # torch.manual_seed would keep a stack trace of every call for the time when CUDA is initialised.
        torch.default_generator.manual_seed(seed)
        if devices:
            torch.cuda.manual_seed_all(seed)
        yield
