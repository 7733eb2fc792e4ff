"""The graph engine: it records a step once per phase, architecture and batch shape, and replays it in one launch.

Small networks leave a GPU waiting for its next kernel, for each has to be launched from Python. A replay does what the
plain step does, on the memory that the step was recorded on: the modules of an architecture, into which every client is
loaded; copies of the values that a client holds besides them; the indices of a batch; an optimiser that is kept.

Steps that can't be recorded, because they wait for the device or read the client's info, are taken by the plain engine.
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
from benchmark.engine.eager import EagerEngine, Indices, Step, Trained, set_to_train
from benchmark.engine.recorded_outputs import Statistics
from benchmark.method import Phase
from benchmark.seeds import torch_seeded

STEPS_BEFORE_RECORDING = 8
"""Plain steps of a shape before it is recorded: recording takes as long as several, and remainders are rare."""
WARM_UP_STEPS = 2
"""Steps on a separate stream before a recording, in which libraries make their workspaces."""


@dataclass(frozen=True)
class Recording:
    """A step on memory that stays in place: replay() trains on these indices and returns loss and statistics."""

    indices: Indices
    replay: Callable[[], tuple[Tensor, Statistics]]

    def __call__(self, batches: Indices) -> tuple[Tensor, Statistics]:
        """Take the step on these batches; return its loss and statistics, which the next replay overwrites."""
        for place, given in zip(self.indices, batches, strict=True):
            place.copy_(given)
        return self.replay()


class GraphEngine(EagerEngine):
    """Records steps whose shape recurs, and replays them."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._standing: dict[tuple, Client] = {}
        self._optimisers: dict[tuple[str, int], torch.optim.Optimizer] = {}
        self._seen: Counter[tuple] = Counter()
        self._recordings: dict[tuple, Recording | None] = {}
        self._pool: Any = None

    def train_phase(self, client: Client, number: int, phase: Phase, steps: list[Step], trained: Trained) -> None:
        """Take the steps of the phase with this number; add their losses and statistics, still on the device."""
        if self.config.lr_decay != 1:  # a recording has the rate of the round that it was made in
            self.fell_back = "no graph: rates decay from round to round"
            super().train_phase(client, number, phase, steps, trained)
            return
        key, standing = self._stand_in(client)
        optimiser = self._lasting_optimiser(client, number, phase)
        for step in steps:
            shape = (*key, number, *step.shape)
            recording = self._recording(shape, standing, client, phase, optimiser, step)
            trained.add(*(recording(step.batches) if recording else self.step(client, phase, optimiser, step)))

    def _stand_in(self, client: Client) -> tuple[tuple, Client]:
        """Return a key and its anonymous client: the client's parts, and copies of its values that recordings read."""
        leaves, structure = pytree.tree_flatten(dict(client.values))
        key = (client.info.architecture, structure, *((leaf.shape, leaf.dtype) for leaf in leaves))
        if key not in self._standing:
            values = pytree.tree_unflatten([leaf.clone() for leaf in leaves], structure)
            self._standing[key] = Client(AnonymousClientInfo(), client.parts, values)
        else:
            _overwrite(self._standing[key].values, leaves)
        return key, self._standing[key]

    def _lasting_optimiser(self, client: Client, number: int, phase: Phase) -> torch.optim.Optimizer:
        """Return the optimiser of a phase over the modules of an architecture, as if it were new.

        Momentum that begins at zero moves weights as momentum that does not exist yet.
        """
        key = client.info.architecture, number
        trained = set_to_train(client.parts, phase)
        if key not in self._optimisers:
            tensors = {name: list(client.parts[name].parameters()) for name in trained}
            self._optimisers[key] = self.optimiser_of(phase, tensors, client.info.progress)
        optimiser = self._optimisers[key]
        for group in optimiser.param_groups if self.config.momentum else ():
            for tensor in group["params"]:
                optimiser.state[tensor].setdefault("momentum_buffer", torch.zeros_like(tensor))
        for tensor in _state_of(optimiser):
            tensor.zero_()
        return optimiser

    def _recording(
        self,
        shape: tuple,
        standing: Client,
        client: Client,
        phase: Phase,
        optimiser: torch.optim.Optimizer,
        step: Step,
    ) -> Recording | None:
        """Return the recording of a step of this shape; None if it was too rare so far, or can't be recorded."""
        self._seen[shape] += 1
        if shape not in self._recordings and self._seen[shape] > STEPS_BEFORE_RECORDING:
            indices = tuple(batch.clone() for batch in step.batches)
            lasting = step._replace(batches=indices)
            before = copied(self.state(client)), [held.clone() for held in _state_of(optimiser)]
            try:
                with torch_seeded("warm-up"):
                    replay = self.record(lambda: self.step(standing, phase, optimiser, lasting))
                self._recordings[shape] = Recording(indices, replay)
            except RuntimeError as error:
                self._recordings[shape] = None
                self.fell_back = f"no graph: {' '.join(str(error).split())[:200]}"
                optimiser.zero_grad()
            self.load(client.info.id, before[0])
            for tensor, held in zip(_state_of(optimiser), before[1], strict=True):
                tensor.copy_(held)
        return self._recordings.get(shape)

    def record(self, step: Callable[[], tuple[Tensor, Statistics]]) -> Callable[[], tuple[Tensor, Statistics]]:
        """Take a step for warm-up, then record it; return a function that replays it and returns what it returned."""
        self._pool = self._pool or torch.cuda.graph_pool_handle()  # shared: a step's memory is free after it
        with torch.cuda.device(self.device):
            here, aside = torch.cuda.current_stream(), torch.cuda.Stream()
            aside.wait_stream(here)
            with torch.cuda.stream(aside):
                for _ in range(WARM_UP_STEPS):
                    step()
            here.wait_stream(aside)
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, pool=self._pool):
                made = step()

        def replay() -> tuple[Tensor, Statistics]:
            graph.replay()
            return made

        return replay


def _overwrite(values: Mapping[str, Value], leaves: list[Tensor]) -> None:
    """Copy new numbers into values, whose memory stays in place."""
    for place, given in zip(pytree.tree_leaves(dict(values)), leaves, strict=True):
        place.copy_(given)


def _state_of(optimiser: torch.optim.Optimizer) -> list[Tensor]:
    """The tensors that an optimiser keeps: momentum of SGD, or moments and counts of Adam; all zero in a new one."""
    return [tensor for state in optimiser.state.values() for tensor in state.values() if isinstance(tensor, Tensor)]
