"""The augmentation in the code of FedMoE's authors, for a whole batch at once; each sample has its own random draws.

In their order, on normalised tensors: horizontal flip (p = 0.5), random erasing (p = 0.5, area 0.04-0.2, ratio 0.5-2),
random shift by up to 4 pixels with zeros around.
"""

from math import log

import torch
import torch.nn.functional as F
from torch import Tensor

PADDING = 4


def lab(x: Tensor) -> Tensor:
    """Return the images [B, c, h, w] augmented by draws from torch's current generator."""
    return _shift(_erase(_flip(x)))


def _flip(x: Tensor) -> Tensor:
    flipped = torch.rand(len(x), 1, 1, 1, device=x.device) < 0.5
    return torch.where(flipped, x.flip(3), x)


def _erase(x: Tensor) -> Tensor:
    batch, _, height, width = x.shape
    area = torch.empty(batch, device=x.device).uniform_(0.04, 0.2) * height * width
    ratio = torch.empty(batch, device=x.device).uniform_(log(0.5), log(2)).exp()
    erased = (torch.rand(batch, device=x.device) < 0.5)[:, None, None]
    for axis, size, extent in ((1, height, (area * ratio).sqrt()), (2, width, (area / ratio).sqrt())):
        extent = extent.round().clamp_max(size - 1)
        start = (torch.rand(batch, device=x.device) * (size - extent + 1)).floor()
        place = torch.arange(size, device=x.device)
        within = (place >= start[:, None]) & (place < (start + extent)[:, None])  # [B, size]
        erased = erased & within.unsqueeze(3 - axis)
    return x.masked_fill(erased[:, None], 0)


def _shift(x: Tensor) -> Tensor:
    batch, _, height, width = x.shape
    padded = F.pad(x, [PADDING] * 4)
    top, left = torch.randint(0, 2 * PADDING + 1, (2, batch), device=x.device)
    rows = top[:, None, None] + torch.arange(height, device=x.device)[:, None]  # [B, h, 1]
    columns = left[:, None, None] + torch.arange(width, device=x.device)  # [B, 1, w]
    samples = torch.arange(batch, device=x.device)[:, None, None]
    return padded.permute(0, 2, 3, 1)[samples, rows, columns].permute(0, 3, 1, 2)
