"""Representations in a plane, by t-SNE, if that is possible: it can end the process for points that do not differ."""

from collections.abc import Mapping

import numpy as np

LEAST_POINTS = 4
MOST_POINTS = 3000
"""Points that are embedded: the time grows faster than their number. Of more every n-th is taken."""
LARGEST_COORDINATE = 1e6
LEAST_SPREAD = 1e-6
"""Standard deviation along the main direction, in units of the largest coordinate, below which points are the same."""


def embeddable(found: Mapping[str, np.ndarray]) -> bool:
    """Return whether the points of inspection.npz can be embedded: some that differ, with two coordinates at least."""
    points = found.get("points", np.empty((0, 0)))
    return len(points) >= LEAST_POINTS and points.shape[1] >= 2 and _spread(_scaled(points)) > LEAST_SPREAD


def embedded(found: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return the places of points in the plane, [n, 2], and which points they are of, [n]: all, or every n-th."""
    from sklearn.manifold import TSNE  # only here: it takes a second to import

    points = found["points"]
    taken = np.arange(0, len(points), 1 + (len(points) - 1) // MOST_POINTS)
    perplexity = min(30, (len(taken) - 1) / 3)
    return TSNE(init="pca", perplexity=perplexity, random_state=0).fit_transform(_scaled(points)[taken]), taken


def _scaled(points: np.ndarray) -> np.ndarray:
    """Return points as they are, or where their squares would be no usual numbers, over the largest coordinate."""
    largest = float(np.abs(points).max(initial=0))
    usual = largest == 0 or 1 / LARGEST_COORDINATE < largest < LARGEST_COORDINATE
    return points if usual else points / largest


def _spread(points: np.ndarray) -> float:
    """Return the standard deviation along the direction in which points differ most, over the largest coordinate."""
    centred = points.astype(np.float64) - points.mean(0, dtype=np.float64)
    taken = centred[:: 1 + len(centred) // MOST_POINTS]
    largest = float(np.abs(points).max(initial=0))
    return float(np.linalg.norm(taken, 2) / np.sqrt(len(taken)) / largest) if largest else 0.0
