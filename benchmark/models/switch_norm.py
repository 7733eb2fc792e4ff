"""Switchable normalisation (Luo et al., ICLR 2019, arXiv 1806.10779)."""

import torch
from torch import Tensor, nn


class SwitchNorm2d(nn.Module):
    """Normalises an image with a learned mix of instance, layer and batch statistics: [B, c, h, w] -> [B, c, h, w].

        y = gamma (x - sum_k w_k mu_k) / sqrt(sum_k w'_k sigma_k^2 + eps) + beta,   k in {instance, layer, batch}

    w and w' are softmaxes of three learned numbers each, all equal at first. In evaluation the batch statistics are
    running means. momentum is the weight of a new batch in them, as in BatchNorm2d.
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int, momentum: float = 0.1, eps: float = 1e-5) -> None:
        super().__init__()
        self.momentum, self.eps = momentum, eps
        self.weight = nn.Parameter(torch.ones(1, channels, 1, 1))
        self.bias = nn.Parameter(torch.zeros(1, channels, 1, 1))
        self.mean_logits = nn.Parameter(torch.ones(3))
        self.var_logits = nn.Parameter(torch.ones(3))
        self.register_buffer("running_mean", torch.zeros(1, channels, 1, 1))
        self.register_buffer("running_var", torch.ones(1, channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise a batch of images."""
        x = x.contiguous()  # channels last, the few channels of a pixel are an inner loop: twice the time
        var_in, mean_in = torch.var_mean(x, dim=(2, 3), keepdim=True, correction=0)  # [B, c, 1, 1]
        square_in = var_in + mean_in.square()
        mean_ln = mean_in.mean(1, keepdim=True)  # [B, 1, 1, 1]
        var_ln = square_in.mean(1, keepdim=True) - mean_ln.square()
        if self.training:
            mean_bn = mean_in.mean(0, keepdim=True)  # [1, c, 1, 1]
            var_bn = square_in.mean(0, keepdim=True) - mean_bn.square()
            self.running_mean.lerp_(mean_bn.detach(), self.momentum)
            self.running_var.lerp_(var_bn.detach(), self.momentum)
        else:
            mean_bn, var_bn = self.running_mean, self.running_var
        w, v = self.mean_logits.softmax(0), self.var_logits.softmax(0)
        mean = w[0] * mean_in + w[1] * mean_ln + w[2] * mean_bn
        var = v[0] * var_in + v[1] * var_ln + v[2] * var_bn
        return self.weight * (x - mean) * torch.rsqrt(var + self.eps) + self.bias
