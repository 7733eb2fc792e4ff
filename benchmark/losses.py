"""Losses that several methods share."""

import torch.nn.functional as F
from torch import Tensor


def divergence(teacher: Tensor, student: Tensor) -> Tensor:
    """KL(teacher || student) of logits [B, C], batch mean; no gradient reaches the teacher.

    The sum over classes of t log(t / s), as it is defined: torch's default reduction divides by C as well.
    """
    return F.kl_div(student.log_softmax(1), teacher.detach().log_softmax(1), reduction="batchmean", log_target=True)
