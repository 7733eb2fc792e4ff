"""An engine that measures the costs of a round by one step of each phase."""

from torch import Tensor

from benchmark.client import Client
from benchmark.engine.eager import EagerEngine, Step, Trained
from benchmark.method import Phase


class OneStepEngine(EagerEngine):
    """Takes one step of each phase: bytes and FLOPs are those of full training, weights those after a step or two."""

    def train_phase(self, client: Client, number: int, phase: Phase, steps: list[Step], trained: Trained) -> None:
        """Take one step alone, the last, which collects statistics if any does."""
        super().train_phase(client, number, phase, steps[-1:], trained)

    def collect_statistics(self, client: Client, chunks: tuple[Tensor, ...]) -> dict[str, Tensor]:
        """Return the statistics of the first chunk."""
        return super().collect_statistics(client, chunks[:1])
