"""label-quantity:a:q: labels uneven as by dirichlet:a and client sizes uneven as by quantity:q, together.

Two skews of Li et al., "Federated Learning on Non-IID Data Silos", ICDE 2022, arXiv 2102.02079, which has them apart.
Client k's share s_k of all samples is drawn from a symmetric Dirichlet(q); of every class, clients get shares drawn
from a Dirichlet distribution with concentrations a x N x s_k, whose mean is s. With large q all s_k are 1/N and the
shares of a class are those of a symmetric Dirichlet(a); with large a the labels are alike and the sizes are s. Clients
that get too few samples are filled up from the largest.
"""

import numpy as np

from benchmark.api import cut, dirichlet_shares, fill_up
from benchmark.fields import Positive


def partition(labels: np.ndarray, clients: int, rng: np.random.Generator, a: Positive, q: Positive) -> list[np.ndarray]:
    """Return indices per client."""
    sizes = dirichlet_shares(np.full(clients, 1 / clients), q, rng)
    shares: list[list[int]] = [[] for _ in range(clients)]
    for label in range(int(labels.max()) + 1):
        samples = rng.permutation(np.flatnonzero(labels == label))
        for share, part in zip(shares, cut(samples, dirichlet_shares(sizes, a, rng)), strict=True):
            share.extend(part)
    return fill_up(shares, rng)
