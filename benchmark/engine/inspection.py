"""Inspection: what a method shows of its predictions, in a form small enough to keep; `run --inspect` stores it."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmark.channel import Observer, RoundNumber
from benchmark.client import Client
from benchmark.engine.eager import EagerEngine

MOST_SAMPLES = 400
"""Test samples of all clients together whose representations are kept, but two of each client at least."""
COMPONENTS = 32
"""Principal components of a representation that are kept; t-SNE starts from them."""


class InspectionObserver(Observer):
    """Adds the weights of experts to the record of every evaluated round, and keeps representations at the end."""

    def round_over(self, federation: Any, record: Any) -> None:
        """Add expert -> per client, class -> mean weight, if the round was evaluated."""
        if "post_local" in record:
            t = RoundNumber(record["round"], federation.config.rounds)
            clients = (federation.client(k, t) for k in range(federation.task.num_clients))
            weights = [weights_by_class(federation.engine, client) for client in clients]
            record["inspection"] = {name: [of_client[name] for of_client in weights] for name in weights[0]}

    def artefacts(self, federation: Any, rounds: Sequence[Any]) -> dict[str, dict[str, np.ndarray]]:
        """Return the arrays of inspection.npz if the method shows representations."""
        t, clients = RoundNumber(len(rounds), federation.config.rounds), range(federation.task.num_clients)
        found = condensed({k: representations(federation.engine, federation.client(k, t)) for k in clients})
        return {"inspection": found} if found else {}


def weights_by_class(engine: EagerEngine, client: Client) -> Mapping[str, dict[str, float]]:
    """Return expert -> class -> its mean weight over the client's test samples of that class."""
    test = engine.task.clients[client.info.id].test
    labels = engine.task.labels.index_select(0, test)
    shown = engine.inspect(client, test).weights
    classes = labels.unique().tolist()
    return {
        name: {str(c): round(float(weight[labels == c].mean()), 4) for c in classes} for name, weight in shown.items()
    }


def representations(engine: EagerEngine, client: Client) -> tuple[Mapping[str, Tensor], Tensor]:
    """Return representations [n, d] of the client's first test samples, by name, and labels [n], on the CPU."""
    test = engine.task.clients[client.info.id].test[: max(2, MOST_SAMPLES // engine.task.num_clients)]
    shown = engine.inspect(client, test).representations
    return {name: vectors.cpu() for name, vectors in shown.items()}, engine.task.labels.index_select(0, test).cpu()


def condensed(of_clients: Mapping[int, tuple[Mapping[str, Tensor], Tensor]]) -> dict[str, np.ndarray]:
    """Return all clients' representations as arrays to store; none if there are none.

    points: [n, components] float32, in the principal components of them all; kind (position in names), client, label:
    [n] int32, of each point; names: [kinds]
    """
    rows = [(name, k, found, labels) for k, (shown, labels) in of_clients.items() for name, found in shown.items()]
    if not rows:
        return {}
    names = list(dict.fromkeys(name for name, *_ in rows))
    vectors = torch.cat([vectors for _, _, vectors, _ in rows]).double()
    _, _, directions = torch.linalg.svd(vectors - vectors.mean(0), full_matrices=False)
    points = (vectors - vectors.mean(0)) @ directions[:COMPONENTS].T
    counts = [len(labels) for *_, labels in rows]
    return {
        "points": points.numpy().astype(np.float32),
        "kind": np.repeat([names.index(name) for name, *_ in rows], counts).astype(np.int32),
        "client": np.repeat([k for _, k, *_ in rows], counts).astype(np.int32),
        "label": torch.cat([labels for *_, labels in rows]).numpy().astype(np.int32),
        "names": np.array(names),
    }
