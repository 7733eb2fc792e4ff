"""The graph engine: it records a step once per phase, architecture and batch shape, and replays it in one launch.

Small networks leave a GPU waiting for its next kernel, for each has to be launched from Python. A replay does what the
plain step does, on the memory that the step was recorded on: the modules of an architecture, into which every client is
loaded; copies of the values that a client holds besides them; the indices of a batch; an optimiser that is kept.

Steps that can't be recorded, because they wait for the device or read the client's info, are taken by the plain engine.
"""

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
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

Made = tuple[Tensor, Statistics]
"""The result of a step: its loss and its statistics."""
STEPS_BEFORE_RECORDING = 8
"""Plain steps of a shape before it is recorded: recording takes as long as several. A shape that comes once in a phase,
a remainder, is never recorded."""
WARM_UP_STEPS = 2
"""Steps on a separate stream before a recording, in which libraries make their workspaces."""


@dataclass(frozen=True)
class Recording:
    """A step on memory that stays in place: replay() trains on these indices and returns loss and statistics."""

    indices: Indices
    replay: Callable[[], Made]

    def __call__(self, batches: Indices) -> Made:
        """Take the step on these batches; return its loss and statistics, which the next replay overwrites."""
        for place, given in zip(self.indices, batches, strict=True):
            place.copy_(given)
        return self.replay()


class GraphEngine(EagerEngine):
    """Records steps whose shape recurs, and replays them.

    A failed recording ends recording: the engine goes on step by step, and says why.
    """

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._standing: dict[tuple, Client] = {}
        self._optimisers: dict[tuple[str, int], torch.optim.Optimizer] = {}
        self._seen: Counter[tuple] = Counter()
        self._recordings: dict[tuple, Recording] = {}
        self._recorder = Recorder(self.device)
        if self.config.lr_decay != 1:  # a recording has the rate of the round that it was made in
            self.fell_back = "no graph: rates decay from round to round"

    def prepare(self, client: Client, number: int, phase: Phase, steps: list[Step]) -> None:
        """Record the steps of a phase whose shapes come often."""
        if self.fell_back:
            return
        kind = (*_kind(client), number)
        for shape, count in Counter(step.shape for step in steps).items():
            key = (*kind, *shape)
            self._seen[key] += count
            often = count > 1 and self._seen[key] > STEPS_BEFORE_RECORDING
            if often and key not in self._recordings and not self.fell_back:
                example = next(step for step in steps if step.shape == shape)
                self._record(key, client, number, phase, example)

    def train_phase(self, client: Client, number: int, phase: Phase, steps: list[Step], trained: Trained) -> None:
        """Take the steps of the phase with this number; add their losses and statistics, still on the device."""
        if self.fell_back:
            super().train_phase(client, number, phase, steps, trained)
            return
        self._stand_in(client)
        optimiser = self._lasting_optimiser(client, number, phase)
        kind = (*_kind(client), number)
        recordings = {shape: self._recordings.get((*kind, *shape)) for shape in {step.shape for step in steps}}
        for step in steps:
            recording = recordings[step.shape]
            trained.add(*(recording(step.batches) if recording else self.step(client, phase, optimiser, step)))

    def _stand_in(self, client: Client) -> Client:
        """Return the anonymous client of a kind: its parts, and copies of this client's values that recordings read."""
        leaves, structure = pytree.tree_flatten(dict(client.values))
        key = _kind(client)
        if key not in self._standing:
            values = pytree.tree_unflatten([leaf.clone() for leaf in leaves], structure)
            self._standing[key] = Client(AnonymousClientInfo(), client.parts, values)
        else:
            _overwrite(self._standing[key].values, leaves)
        return self._standing[key]

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

    def _record(self, key: tuple, client: Client, number: int, phase: Phase, step: Step) -> None:
        """Record a step, and leave the client as it was."""
        standing, optimiser = self._stand_in(client), self._lasting_optimiser(client, number, phase)
        lasting = step._replace(batches=tuple(batch.clone() for batch in step.batches))
        before = copied(self.state(client))
        try:
            with torch_seeded("warm-up"):
                replay = self.record(lambda: self.step(standing, phase, optimiser, lasting))
            self._recordings[key] = Recording(lasting.batches, replay)
        except RuntimeError as error:
            self._give_up(error)
            optimiser.zero_grad()
        self.load(client.info.id, before, client.info.progress)

    def record(self, step: Callable[[], Made]) -> Callable[[], Made]:
        """Record a step; return a function that replays it and returns what it returned."""
        return self._recorder.record(step)

    def _give_up(self, error: RuntimeError) -> None:
        """Record nothing from now on: memory pool and generator are no longer fit for it."""
        self.fell_back = f"no graph: {' '.join(str(error).split())[:200]}"
        self._recordings.clear()
        self._recorder.heal()


class Recorder:
    """Records steps on one stream of a GPU, in one pool of memory: a step's memory is free after it."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream: Any = None
        self._pool: Any = None

    def record(self, step: Callable[[], Made]) -> Callable[[], Made]:
        """Take a step for warm-up, one that may not wait for the device, then record it; return its replay.

        Raises RuntimeError if it can't be recorded; the stream is then the one that it was.
        """
        with torch.cuda.device(self._device):
            here = torch.cuda.current_stream()
            self._stream = self._stream or torch.cuda.Stream()
            self._pool = self._pool or torch.cuda.graph_pool_handle()
            self._stream.wait_stream(here)
            # Around torch's own context, which leaves its stream on if the end of a recording raises.
            with torch.cuda.stream(self._stream):
                for _ in range(WARM_UP_STEPS - 1):
                    step()
                with _no_waiting():
                    step()
                graph = torch.cuda.CUDAGraph()
                with torch.cuda.graph(graph, pool=self._pool, stream=self._stream):
                    made = step()
            here.wait_stream(self._stream)

        def replay() -> Made:
            graph.replay()
            return made

        return replay

    def heal(self) -> None:
        """Forget the pool, which a failed recording leaves in use, and free the generator from that recording."""
        self._pool = None
        if self._device.type == "cuda":
            generator = torch.cuda.default_generators[self._device.index or torch.cuda.current_device()]
            generator.graphsafe_set_state(generator.clone_state())


@contextlib.contextmanager
def _no_waiting() -> Iterator[None]:
    """Let whatever waits for the GPU within the block raise: it could not be recorded, and would fail in the middle."""
    before = torch.cuda.get_sync_debug_mode()
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode(before)


def _kind(client: Client) -> tuple:
    """Return what clients have in common that one recording serves: architecture, names and shapes of their values."""
    leaves, structure = pytree.tree_flatten(dict(client.values))
    return client.info.architecture, structure, *((leaf.shape, leaf.dtype) for leaf in leaves)


def _overwrite(values: Mapping[str, Value], leaves: list[Tensor]) -> None:
    """Copy new numbers into values, whose memory stays in place."""
    for place, given in zip(pytree.tree_leaves(dict(values)), leaves, strict=True):
        place.copy_(given)


def _state_of(optimiser: torch.optim.Optimizer) -> list[Tensor]:
    """The tensors that an optimiser keeps: momentum of SGD, or moments and counts of Adam; all zero in a new one."""
    return [tensor for state in optimiser.state.values() for tensor in state.values() if isinstance(tensor, Tensor)]
