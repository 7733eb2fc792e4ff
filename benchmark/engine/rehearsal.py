"""An engine that counts a client's turn in full and takes one step of each phase: what rounds cost, without them."""

from torch import Tensor

from benchmark.client import Client
from benchmark.engine.eager import EagerEngine, Indices
from benchmark.method import Phase


class Rehearsal(EagerEngine):
    """Messages are as large, and FLOPs as many, as after training; the weights are those after a step or two."""

    def _train_phase(self, client: Client, phase: Phase, steps: list[Indices]) -> Tensor:
        return super()._train_phase(client, phase, steps[:1])

    def _statistics(self, client: Client, chunks: tuple[Tensor, ...]) -> dict[str, Tensor]:
        return super()._statistics(client, chunks[:1])
