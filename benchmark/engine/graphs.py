"""CUDA graphs: a training step is recorded once per phase, architecture and batch shape, then replayed in one launch.

Small networks leave a GPU waiting for its next kernel, for each has to be launched from Python. A replay does what the
plain step does, on the memory that the step was recorded on: the modules of an architecture, into which every client is
loaded; copies of the values that a client holds beside them; the indices of a batch; an optimiser that stays.

What can't be recorded (a step that waits for the device, or looks at who the client is) is done by the plain engine.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from benchmark.channel import Value, copied
from benchmark.client import Client
from benchmark.engine.anonymous_client import AnonymousClientInfo
from benchmark.engine.eager import EagerEngine, Indices, set_to_train
from benchmark.method import Phase
from benchmark.seeds import torch_seeded

STEPS_BEFORE_RECORDING = 8
"""Steps of one shape that are done before it is recorded: that takes as long as several, and remainders are rare."""
WARM_UP_STEPS = 2
"""Steps on a stream of their own before a recording, in which libraries make their workspaces."""


@dataclass(frozen=True)
class Recording:
    """One step on memory that stays: replay() trains on the batches of these indices and gives the loss."""

    indices: Indices
    replay: Callable[[], Tensor]

    def __call__(self, batches: Indices) -> Tensor:
        """Take the step on these batches; return its loss, until the next replay."""
        for place, given in zip(self.indices, batches, strict=True):
            place.copy_(given)
        return self.replay()


class GraphEngine(EagerEngine):
    """Replays steps that come again."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._standing: dict[tuple, Client] = {}
        self._optimisers: dict[tuple[str, int], torch.optim.Optimizer] = {}
        self._seen: Counter[tuple] = Counter()
        self._recordings: dict[tuple, Recording | None] = {}
        self._pool: Any = None

    def train_phase(self, client: Client, number: int, phase: Phase, steps: list[Indices]) -> Tensor:
        """Sum of the losses over the steps of the phase with this number, still on the device."""
        total = torch.zeros((), device=self.device)
        key, standing = self._stand_in(client)
        optimiser = self._lasting_optimiser(client, number, phase)
        for batches in steps:
            shape = (*key, number, *map(len, batches))
            recording = self._recording(shape, standing, client, phase, optimiser, batches)
            total += recording(batches) if recording else self.step(client, phase, optimiser, batches)
        return total

    def _stand_in(self, client: Client) -> tuple[tuple, Client]:
        """A key, and an anonymous client of that key: the client's parts, and its values where recordings read them."""
        leaves, structure = pytree.tree_flatten(dict(client.values))
        key = (client.info.architecture, structure, *((leaf.shape, leaf.dtype) for leaf in leaves))
        if key not in self._standing:
            values = pytree.tree_unflatten([leaf.clone() for leaf in leaves], structure)
            self._standing[key] = Client(AnonymousClientInfo(), client.parts, values)
        else:
            _overwrite(self._standing[key].values, leaves)
        return key, self._standing[key]

    def _lasting_optimiser(self, client: Client, number: int, phase: Phase) -> torch.optim.Optimizer:
        """The optimiser of a phase over the modules of an architecture, as if it were new.

        Momentum that is zero at first moves weights as momentum that is not there yet.
        """
        key = client.info.architecture, number
        trained = set_to_train(client.parts, phase)
        if key not in self._optimisers:
            self._optimisers[key] = self._sgd(phase, {name: list(client.parts[name].parameters()) for name in trained})
        optimiser = self._optimisers[key]
        for group in optimiser.param_groups if self.config.momentum else ():
            for tensor in group["params"]:
                optimiser.state[tensor].setdefault("momentum_buffer", torch.zeros_like(tensor)).zero_()
        return optimiser

    def _recording(
        self,
        shape: tuple,
        standing: Client,
        client: Client,
        phase: Phase,
        optimiser: torch.optim.Optimizer,
        batches: Indices,
    ) -> Recording | None:
        """The recording of a step of this shape; None before it has come often enough, or if it can't be recorded."""
        self._seen[shape] += 1
        if shape not in self._recordings and self._seen[shape] > STEPS_BEFORE_RECORDING:
            indices = tuple(batch.clone() for batch in batches)
            before = copied(self.state(client)), [m.clone() for m in _momentum(optimiser)]
            try:
                with torch_seeded("warm-up"):
                    replay = self.record(lambda: self.step(standing, phase, optimiser, indices))
                self._recordings[shape] = Recording(indices, replay)
            except RuntimeError as error:
                self._recordings[shape] = None
                self.fell_back = f"no graph: {' '.join(str(error).split())[:200]}"
                optimiser.zero_grad()
            self.load(client.info.id, before[0])
            for momentum, held in zip(_momentum(optimiser), before[1], strict=True):
                momentum.copy_(held)
        return self._recordings.get(shape)

    def record(self, step: Callable[[], Tensor]) -> Callable[[], Tensor]:
        """Take a step for warm-up, then record it; return what replays it and gives its loss."""
        self._pool = self._pool or torch.cuda.graph_pool_handle()  # no memory of a step is needed after it: one for all
        with torch.cuda.device(self.device):
            here, aside = torch.cuda.current_stream(), torch.cuda.Stream()
            aside.wait_stream(here)
            with torch.cuda.stream(aside):
                for _ in range(WARM_UP_STEPS):
                    step()
            here.wait_stream(aside)
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, pool=self._pool):
                loss = step()

        def replay() -> Tensor:
            graph.replay()
            return loss

        return replay


def _overwrite(values: Mapping[str, Value], leaves: list[Tensor]) -> None:
    """Put new numbers into values that stay where they are."""
    for place, given in zip(pytree.tree_leaves(dict(values)), leaves, strict=True):
        place.copy_(given)


def _momentum(optimiser: torch.optim.Optimizer) -> list[Tensor]:
    return [state["momentum_buffer"] for state in optimiser.state.values() if "momentum_buffer" in state]
