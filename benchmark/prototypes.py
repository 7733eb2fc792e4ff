"""Tables with a row per class: means over a client's samples, and distances to the rows."""

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmark.channel import Rows


def class_sums(values: Tensor, labels: Tensor, num_classes: int) -> dict[str, Tensor]:
    """Statistics of a batch of values [B, d]: their sums [C, d] and their counts [C] by class."""
    one_hot = F.one_hot(labels, num_classes).to(values.dtype)  # [B, C]
    return {"sums": one_hot.T @ values, "counts": one_hot.sum(0)}


def class_means(statistics: dict[str, Tensor]) -> Rows:
    """A row [d] for each class that the client has, from the statistics of all its batches."""
    sums, counts = statistics["sums"], statistics["counts"]
    return Rows(sums / counts.clamp_min(1)[:, None], counts > 0)


def pull(representation: Tensor, labels: Tensor, prototypes: Rows) -> Tensor:
    """Mean over a batch [B, d] of ||representation - its class's row||^2 / d; 0 for classes without a row."""
    values, present = prototypes
    distance = (representation - values[labels]).square().mean(1)  # [B]
    return (distance * present[labels]).mean()


def nearest(representation: Tensor, prototypes: Rows) -> Tensor:
    """Scores [B, C] of a batch [B, d]: minus the distance to each row, -inf for classes without one."""
    values, present = prototypes
    return (-torch.cdist(representation, values)).masked_fill(~present, -torch.inf)
