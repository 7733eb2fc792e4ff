"""quantity:a: client sizes from a symmetric Dirichlet distribution, labels alike at all clients; small a is uneven.

The quantity skew of Li et al., "Federated Learning on Non-IID Data Silos", ICDE 2022, arXiv 2102.02079. Clients that
get too few samples to train and test on are filled up from the largest.
"""

import numpy as np

from benchmark.api import cut, dirichlet_shares, fill_up
from benchmark.fields import Positive


def partition(labels: np.ndarray, clients: int, rng: np.random.Generator, a: Positive) -> list[np.ndarray]:
    """Return indices per client."""
    sizes = dirichlet_shares(np.full(clients, 1 / clients), a, rng)
    return fill_up([part.tolist() for part in cut(rng.permutation(len(labels)), sizes)], rng)
