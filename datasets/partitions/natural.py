"""natural[:n]: clients are the writers, patients or cameras that samples belong to; for data that say which.

With more owners than clients, whole owners are dealt out in a random order, each to the client with the fewest samples
so far (Graham's list scheduling, 1966): sizes differ by at most the largest owner's samples, and no owner is divided.
With n, owners of fewer than n samples are left out.
"""

import numpy as np

from benchmark.api import RequestError
from benchmark.fields import PositiveInt


def partition(
    labels: np.ndarray, clients: int, rng: np.random.Generator, owners: np.ndarray, least: PositiveInt = 1
) -> list[np.ndarray]:
    """Return indices per client. owners: [N], who each sample belongs to; least: samples of an owner who takes part."""
    _, every_owner, every_size = np.unique(owners, return_inverse=True, return_counts=True)
    taken = np.flatnonzero(every_size[every_owner] >= least)
    names, owner_of, sizes = np.unique(owners[taken], return_inverse=True, return_counts=True)
    if len(names) < clients:
        with_enough = f" with {least} samples or more" if least > 1 else ""
        raise RequestError(
            f"natural with {clients} clients leaves clients empty: the samples belong to {len(names)} owners"
            f"{with_enough}; use at most {len(names)} clients"
        )
    held = np.zeros(clients, dtype=np.int64)
    client_of = np.empty(len(names), dtype=np.int64)
    for owner in rng.permutation(len(names)):
        client_of[owner] = held.argmin()
        held[client_of[owner]] += sizes[owner]
    holder = client_of[owner_of]  # [N]
    ends = np.cumsum(np.bincount(holder, minlength=clients))
    return np.split(taken[np.argsort(holder, kind="stable")], ends[:-1])
