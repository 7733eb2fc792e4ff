"""Training on the server, on what clients have sent."""

from collections.abc import Callable

import torch
from torch import Tensor, nn


def fit(
    module: nn.Module, loss: Callable[..., Tensor], data: tuple[Tensor, ...], *, epochs: int, batch_size: int, lr: float
) -> None:
    """Train a module in place by SGD on batches of data, shuffled anew in every epoch.

    data: tensors of one length n; loss gets a batch of each, and may run the module. Draws from torch's generator,
    which the harness has seeded for the server's part of the round.
    """
    optimiser = torch.optim.SGD(module.parameters(), lr=lr)
    with torch.enable_grad():
        for _ in range(epochs):
            order = torch.randperm(len(data[0])).to(data[0].device)
            for indices in order.split(batch_size):
                optimiser.zero_grad()
                loss(*(tensor[indices] for tensor in data)).backward()
                optimiser.step()
