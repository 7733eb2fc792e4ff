"""An engine that counts the FLOPs of training steps from shapes alone."""

import torch
from torch import Tensor

from benchmark.client import Client
from benchmark.engine.eager import EagerEngine, Step
from benchmark.engine.recorded_outputs import Statistics
from benchmark.method import Phase


class ShapeOnlyEngine(EagerEngine):
    """Counts training steps on the meta device: nothing is computed and no memory is taken."""

    def step(
        self, client: Client, phase: Phase, optimiser: torch.optim.Optimizer, step: Step
    ) -> tuple[Tensor, Statistics]:
        """Do forward and backward alone: an optimiser has no FLOPs that count, and `project` may look at values."""
        loss, statistics = self.loss(client, phase, step)
        loss.backward()
        return loss.detach(), statistics
