"""An engine that counts what rounds cost by one step of each phase."""

from torch import Tensor

from benchmark.client import Client
from benchmark.engine.eager import EagerEngine, Indices
from benchmark.method import Phase


class OneStepEngine(EagerEngine):
    """Messages are as large, and FLOPs as many, as after training; the weights are those after a step or two."""

    def train_phase(self, client: Client, number: int, phase: Phase, steps: list[Indices]) -> Tensor:
        """The loss of the first step."""
        return super().train_phase(client, number, phase, steps[:1])

    def collect_statistics(self, client: Client, chunks: tuple[Tensor, ...]) -> dict[str, Tensor]:
        """The statistics of the first chunk."""
        return super().collect_statistics(client, chunks[:1])
