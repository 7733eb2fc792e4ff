"""given: clients are the owners, in their order, and keep the split into training and test samples that the data have.

For data that were divided elsewhere: folders with a file for each client, LEAF's files, or an .npz with owners.
"""

import numpy as np

from benchmark.api import RequestError


def partition(
    labels: np.ndarray, clients: int, rng: np.random.Generator, owners: np.ndarray, held_out: np.ndarray
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return (training, test) indices per client. owners: [N], who each sample belongs to; held_out: [N] bool."""
    names = np.unique(owners)
    if len(names) != clients:
        raise RequestError(
            f"given has a client for each of the {len(names)} owners, not {clients}; use {len(names)} clients"
        )
    found = []
    for owner in names:
        own = owners == owner
        train, test = np.flatnonzero(own & ~held_out), np.flatnonzero(own & held_out)
        if not len(train) or not len(test):
            lacks = "training" if len(test) else "test"
            raise RequestError(
                f"given: owner {owner} has no {lacks} samples in the data; use natural, which splits anew"
            )
        found.append((train, test))
    return found
