"""dirichlet:a: of every class, clients get shares drawn from a symmetric Dirichlet distribution; small a is uneven.

The practical split of pFedMoE, after Qin et al., "FedAPEN", KDD 2023: a client that already holds its N-th of all
samples gets no more while others do not. Their code redraws until the smallest client has enough, which need not end;
here the smallest clients are filled up from the largest instead.
"""

import numpy as np

from benchmark.api import cut, fill_up
from benchmark.fields import Positive


def partition(labels: np.ndarray, clients: int, rng: np.random.Generator, a: Positive) -> list[np.ndarray]:
    """Return indices per client."""
    shares: list[list[int]] = [[] for _ in range(clients)]
    for label in rng.permutation(int(labels.max()) + 1):
        samples = rng.permutation(np.flatnonzero(labels == label))
        hungry = np.array([len(share) * clients < len(labels) for share in shares])
        draws = np.nan_to_num(rng.dirichlet(np.full(clients, a))) * hungry
        if draws.sum() == 0:  # all shares of the hungry have underflowed
            draws = hungry.astype(float)
        for share, part in zip(shares, cut(samples, draws), strict=True):
            share.extend(part)
    return fill_up(shares, rng)
