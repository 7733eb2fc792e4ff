"""Weights as low-rank factors, to send fewer bytes (FedKD: Wu et al., 2022, Nature Communications 13:2032).

A weight of out x in (a convolution's kernels are flattened to out x rest) travels as U [out, r], sigma [r], V [r, in],
or as it is, whichever is smaller. What has no second dimension travels as it is, and so does what is not finite: there
are no singular values of it, and the next loss tells that training has diverged.
"""

import torch
from torch import Tensor

from benchmark.channel import Weights

FACTORS = ("u", "sigma", "v")


def compressed(weights: Weights, energy: float) -> Weights:
    """What travels: each matrix in the smallest rank whose squared singular values reach this share of their sum.

    The rank is at least 1, and full where the share asks for it. Factors lie in memory as they will at the receiver's,
    so both sides make the same weights of them, to the bit.
    """
    return {name: part for key, tensor in weights.items() for name, part in _factors(key, tensor, energy).items()}


def decompressed(sent: Weights, like: Weights) -> Weights:
    """The weights again, in the shapes of `like`."""
    return {key: _product(key, sent).view(tensor.shape) for key, tensor in like.items()}


def rank(singular: Tensor, energy: float) -> int:
    """The smallest r, at least 1, so that the first r of the descending singular values hold this share of energy."""
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
