"""Computations that several methods share: distillation, prototypes, training inside a hook, weights in fewer bytes."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmark.channel import Rows, Weights

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
    """Return KL(teacher || student) of logits [B, C], batch mean; no gradient reaches the teacher.

    The sum over classes of t log(t / s), as it is defined: torch's default reduction divides by C as well.
    """
    return F.kl_div(student.log_softmax(1), teacher.detach().log_softmax(1), reduction="batchmean", log_target=True)


def class_sums(values: Tensor, labels: Tensor, num_classes: int) -> dict[str, Tensor]:
    """Return statistics of a batch of values [B, d]: their sums [C, d] and their counts [C] by class."""
    one_hot = F.one_hot(labels, num_classes).to(values.dtype)  # [B, C]
    return {"sums": one_hot.T @ values, "counts": one_hot.sum(0)}


def class_means(statistics: dict[str, Tensor]) -> Rows:
    """Return a row [d] for each class that the client has, from the statistics of all its batches."""
    sums, counts = statistics["sums"], statistics["counts"]
    return Rows(sums / counts.clamp_min(1)[:, None], counts > 0)


def pull(representation: Tensor, labels: Tensor, prototypes: Rows) -> Tensor:
    """Return ||representation [B, d] - its class's row||^2 / d, mean over the batch; 0 for classes without a row."""
    values, present = prototypes
    distance = (representation - values[labels]).square().mean(1)  # [B]
    return (distance * present[labels]).mean()


def nearest(representation: Tensor, prototypes: Rows) -> Tensor:
    """Return scores [B, C] of a batch [B, d]: minus the distance to each row, -inf for classes without one."""
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
    """Return the parameters after one gradient step on loss(parameters), differentiable; the module does not change.

    They are for torch.func.functional_call; gradients flow through them to everything that the loss depends on.
    """
    before = {name: parameter.detach().requires_grad_() for name, parameter in module.named_parameters()}
    gradients = torch.autograd.grad(loss(before), tuple(before.values()), create_graph=True)
    return {name: w - lr * gradient for (name, w), gradient in zip(before.items(), gradients, strict=True)}


FACTORS = ("u", "sigma", "v")


def compressed(weights: Weights, energy: float) -> Weights:
    """Compress weights: each matrix in the smallest rank whose squared singular values reach this share of their sum.

    The rank is at least 1, and full if the share requires it; a matrix whose factors would be no smaller stays as it
    is. Factors lie in memory as they will at the receiver's, so both sides compute the same weights from them, to the
    bit.
    """
    return {name: part for key, tensor in weights.items() for name, part in _factors(key, tensor, energy).items()}


def decompressed(sent: Weights, like: Weights) -> Weights:
    """Return the weights of what was compressed, in the shapes of `like`."""
    return {key: _product(key, sent).view(tensor.shape) for key, tensor in like.items()}


def rank(singular: Tensor, energy: float) -> int:
    """Return the smallest r >= 1 for which the first r of the descending singular values hold this share of energy."""
    held = singular.double().square().cumsum(0)
    return int((held < energy * held[-1]).sum()) + 1


def _factors(key: str, tensor: Tensor, energy: float) -> Weights:
    if tensor.dim() < 2 or not tensor.is_floating_point() or not tensor.isfinite().all():
        return {key: tensor}
    u, sigma, v = torch.linalg.svd(tensor.flatten(1), full_matrices=False)
    r = rank(sigma, energy)
    if r * (len(u) + 1 + v.shape[1]) >= tensor.numel():
        return {key: tensor}
    return {
        f"{key}.{name}": part.contiguous() for name, part in zip(FACTORS, (u[:, :r], sigma[:r], v[:r]), strict=True)
    }


def _product(key: str, sent: Weights) -> Tensor:
    if key in sent:
        return sent[key]
    u, sigma, v = (sent[f"{key}.{name}"] for name in FACTORS)
    return u * sigma @ v
