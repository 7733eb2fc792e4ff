"""What several methods compute: distillation, prototypes, training inside a hook, weights in fewer bytes."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmark.channel import Rows
from benchmark.low_rank import compressed, decompressed

__all__ = [
    "class_means",
    "class_sums",
    "compressed",
    "decompressed",
    "divergence",
    "fit",
    "nearest",
    "pull",
    "step_ahead",
]


def divergence(teacher: Tensor, student: Tensor) -> Tensor:
    """KL(teacher || student) of logits [B, C], batch mean; no gradient reaches the teacher.

    The sum over classes of t log(t / s), as it is defined: torch's default reduction divides by C as well.
    """
    return F.kl_div(student.log_softmax(1), teacher.detach().log_softmax(1), reduction="batchmean", log_target=True)


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


def step_ahead(module: nn.Module, loss: Callable[[dict[str, Tensor]], Tensor], lr: float) -> dict[str, Tensor]:
    """The parameters after one gradient step on loss(parameters); gradients flow through it, the module stands still.

    For torch.func.functional_call: what it returns may be differentiated for everything that the loss depends on.
    """
    before = {name: parameter.detach().requires_grad_() for name, parameter in module.named_parameters()}
    gradients = torch.autograd.grad(loss(before), tuple(before.values()), create_graph=True)
    return {name: w - lr * gradient for (name, w), gradient in zip(before.items(), gradients, strict=True)}
