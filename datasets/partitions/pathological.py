"""pathological[:n]: every client has n classes (2 of 10, 10 of 100 unless n is given).

Shamsian et al., "Personalized Federated Learning using Hypernetworks", ICML 2021, as in the code of pFedMoE's authors:
clients pick classes one at a time among those with most places left, and the owners of a class share its samples in
proportion to draws from Uniform(0.4, 0.6). Places are clients x n; if that is no multiple of the number of classes,
some classes, drawn at random, have one owner more, so that no sample is lost.
"""

from math import ceil

import numpy as np

from benchmark.api import RequestError
from benchmark.fields import PositiveInt


def default(num_classes: int) -> str:
    """Return a tenth of the classes, at least two: what the field uses for CIFAR-10 and CIFAR-100."""
    return str(max(2, num_classes // 10))


def promise(counts: np.ndarray, classes_per_client: PositiveInt) -> str | None:
    """Return which client has fewer classes than it should, and why. counts: [clients, C]."""
    held = (counts > 0).sum(1)
    if (held >= classes_per_client).all():
        return None
    rare, client = int(counts.sum(0).argmin()), int(held.argmin())
    return (
        f"client {client} would have {held[client]} of {classes_per_client} classes, for some have fewer samples than "
        f"owners (class number {rare} has {counts.sum(0)[rare]}); use fewer clients, or leave rare classes out"
    )


def partition(
    labels: np.ndarray, clients: int, rng: np.random.Generator, classes_per_client: PositiveInt
) -> list[np.ndarray]:
    """Return indices per client."""
    num_classes = int(labels.max()) + 1
    if classes_per_client > num_classes:
        raise RequestError(
            f"pathological:{classes_per_client} is more classes per client than the {num_classes} there are"
        )
    if clients * classes_per_client < num_classes:
        classes_needed, clients_needed = ceil(num_classes / clients), ceil(num_classes / classes_per_client)
        raise RequestError(
            f"pathological:{classes_per_client} with {clients} clients leaves classes without an owner, there are "
            f"{num_classes}; use pathological:{classes_needed} or more, or {clients_needed} clients or more"
        )
    owners = _assign(num_classes, clients, classes_per_client, rng)
    shares: list[list[np.ndarray]] = [[] for _ in range(clients)]
    for label in range(num_classes):
        samples = rng.permutation(np.flatnonzero(labels == label))
        draws = rng.uniform(0.4, 0.6, size=len(owners[label]))
        spare = max(0, len(samples) - len(draws))  # beyond one for each owner
        cuts = (np.cumsum(draws)[:-1] / draws.sum() * spare).round().astype(int) + np.arange(1, len(draws))
        for client, part in zip(owners[label], np.split(samples, cuts), strict=True):
            shares[client].append(part)
    return [np.concatenate(share) for share in shares]


def _assign(num_classes: int, clients: int, each: int, rng: np.random.Generator) -> list[list[int]]:
    """Return owners per class: every client picks `each` different classes among those with most places left."""
    places = np.full(num_classes, clients * each // num_classes)
    places[rng.permutation(num_classes)[: clients * each % num_classes]] += 1
    owners: list[list[int]] = [[] for _ in range(num_classes)]
    for client in range(clients):
        open_places = places.astype(float)
        for _ in range(each):
            label = int(rng.choice(np.flatnonzero(open_places == open_places.max())))
            owners[label].append(client)
            places[label] -= 1
            open_places[label] = -np.inf
    return owners
