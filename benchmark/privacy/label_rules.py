"""P2 without learning: a class is present if what a classifier has of it has grown. A check of what is learned.

The gradient of cross-entropy by the bias of a class is the mean probability of the class less its share of the records;
by its row of weights the same with each record's input as a factor, which has no negative numbers behind a ReLU. So a
step raises both for classes that are more frequent than the network expects, and lowers them for absent ones (Zhao et
al. 2020, arXiv 2001.02610; Wainakh et al. 2022, LLG, arXiv 2105.09369).
"""

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmark.channel import Message
from benchmark.privacy.findings import BIAS_SIGN, ROW_SUMS
from benchmark.privacy.labels import LabelGuess, as_shares
from benchmark.privacy.vectors import readable

DIMENSIONS: Mapping[str, int] = {BIAS_SIGN: 1, ROW_SUMS: 2}
"""Of the tensor that a rule reads."""


def guessed_by_rules(changes: Sequence[Message], num_classes: int) -> dict[str, LabelGuess]:
    """Return what each rule says of messages [n]; rules that find nothing to read in one of them are left out.

    changes: what each message adds to the broadcast
    """
    guesses = {}
    for rule, dims in DIMENSIONS.items():
        grown = [row for of in changes if (row := _grown(of, dims, num_classes)) is not None]
        if len(grown) == len(changes):
            presence = torch.stack(grown)
            guesses[rule] = LabelGuess(presence, torch.zeros_like(presence[0]), as_shares(presence), None)
    return guesses


def _grown(changes: Message, dims: int, num_classes: int) -> Tensor | None:
    """Return by how much a classifier has grown in each class [C], the largest change being 1.

    It is the last tensor with a row for each class: networks end in their classifiers.
    """
    tensors = [tensor for value in changes.values() if isinstance(value, dict) for tensor in value.values()]
    rows = [tensor for tensor in tensors if tensor.dim() == dims and len(tensor) == num_classes]
    if not rows:
        return None
    return F.normalize(readable(rows[-1].detach().double()).reshape(num_classes, -1).sum(1), p=torch.inf, dim=0)
