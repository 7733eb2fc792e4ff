"""Means of something over a client's samples of each class: prototypes, mean outputs."""

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
