"""Training inside a hook: on the server, and a step that one can differentiate through."""

from collections.abc import Callable, Mapping

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


def step_ahead(module: nn.Module, loss: Callable[[Mapping[str, Tensor]], Tensor], lr: float) -> dict[str, Tensor]:
    """The parameters after one gradient step on loss(parameters); gradients flow through it, the module stands still.

    For torch.func.functional_call: what it returns may be differentiated for everything that the loss depends on.
    """
    before = {name: parameter.detach().requires_grad_() for name, parameter in module.named_parameters()}
    gradients = torch.autograd.grad(loss(before), tuple(before.values()), create_graph=True)
    return {name: w - lr * gradient for (name, w), gradient in zip(before.items(), gradients, strict=True)}
