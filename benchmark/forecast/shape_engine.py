"""An engine that counts the FLOPs of training steps from shapes alone."""

import torch
from torch import Tensor

from benchmark.client import Client
from benchmark.engine.eager import EagerEngine, Indices
from benchmark.method import Phase


class ShapeOnlyEngine(EagerEngine):
    """Counts training steps on the meta device: nothing is computed and no memory is taken."""

    def step(self, client: Client, phase: Phase, optimiser: torch.optim.Optimizer, batches: Indices) -> Tensor:
        """Do forward and backward alone: an optimiser has no FLOPs that count, and `project` may look at values."""
        loss = self.loss(client, phase, batches)
        loss.backward()
        return loss.detach()
