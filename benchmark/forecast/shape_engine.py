"""An engine that counts what training steps cost from shapes alone."""

import torch
from torch import Tensor

from benchmark.client import Client
from benchmark.engine.eager import EagerEngine, Indices
from benchmark.method import Phase


class Prospect(EagerEngine):
    """Counts training steps on the meta device: from shapes alone, nothing is computed and no memory is taken."""

    def _step(self, client: Client, phase: Phase, optimiser: torch.optim.Optimizer, batches: Indices) -> Tensor:
        loss = self._loss(client, phase, batches)
        loss.backward()
        return loss.detach()
