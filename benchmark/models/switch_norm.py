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
        var_in, mean_in = torch.var_mean(x, dim=(2, 3), correction=0)  # [B, c]
        square_in = var_in + mean_in.square()
        mean_ln = mean_in.mean(1, keepdim=True)  # [B, 1]
        var_ln = square_in.mean(1, keepdim=True) - mean_ln.square()
        mean_bn, var_bn = self._of_batch(mean_in, square_in)  # [1, c]
        kinds = torch.broadcast_tensors(mean_in, mean_ln, mean_bn, var_in, var_ln, var_bn)
        weights = torch.cat([self.mean_logits.softmax(0), self.var_logits.softmax(0)])
        mean, var = (weights[:, None, None] * torch.stack(kinds)).unflatten(0, (2, 3)).sum(1)[..., None, None]
        # One factor and one summand for each image and channel: few steps on whole images, gradients included.
        scale = self.weight * torch.rsqrt(var + self.eps)
        return torch.addcmul(torch.addcmul(self.bias, mean, scale, value=-1), x, scale)

    def _of_batch(self, mean_in: Tensor, square_in: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and variance [1, c] of a batch whose images have these means and mean squares [B, c]."""
        if not self.training:
            return self.running_mean.flatten(1), self.running_var.flatten(1)
        mean_bn = mean_in.mean(0, keepdim=True)
        var_bn = square_in.mean(0, keepdim=True) - mean_bn.square()
        for running, now in ((self.running_mean, mean_bn), (self.running_var, var_bn)):
            running.lerp_(now.detach().view_as(running), self.momentum)
        return mean_bn, var_bn
