"""The plain engine: it trains one client after another, one step after another. The other engines build on it.

There is one set of modules per architecture. A client's state is loaded into them, trained and read back by copy. A
batch is an index into images that lie on the device. Optimisers are new for every client and round: momentum never
leaks from one client, or one round, into another.
"""

import contextlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import chain, islice
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from benchmark.channel import FIRST, RoundNumber, State, Weights, copied
from benchmark.client import Client
from benchmark.config import FederationConfig
from benchmark.engine import augment
from benchmark.engine.evaluation_cache import EvaluationCache
from benchmark.engine.recorded_outputs import Statistics, with_statistics
from benchmark.errors import located
from benchmark.measure.flops import FlopTable
from benchmark.measure.memory import keep_freed_memory
from benchmark.measure.meter import Meter
from benchmark.method import Batch, Inspection, Method, Phase, Stretch, initial_parts, weights
from benchmark.seeds import seed_round, torch_seeded
from benchmark.task import Task

EVALUATION_BATCH = 500

Indices = tuple[Tensor, ...]
"""Batches as indices [B] into the task's images."""
Epochs = Callable[[Stretch], Iterator[Indices]]
"""A function: stretch of a client's training samples -> its passes, without end."""


class LocalWork(NamedTuple):
    """The work of a phase that sets none of its own: passes over the local data, or steps if they are not None."""

    epochs: int | None
    steps: int | None = None

    @classmethod
    def of(cls, config: FederationConfig) -> "LocalWork":
        """Return the local work of a round."""
        return cls(config.local_epochs) if config.local_steps is None else cls(None, config.local_steps)


class Step(NamedTuple):
    """A step: its batches, one for each stretch of its phase, and whether the statistics of the first are taken."""

    batches: Indices
    collects: bool = False

    @property
    def sizes(self) -> tuple[int, ...]:
        """Return the samples of each batch."""
        return tuple(map(len, self.batches))

    @property
    def shape(self) -> tuple[bool, tuple[int, ...]]:
        """Return all that the work of a step of one phase and architecture depends on."""
        return self.collects, self.sizes


@dataclass(frozen=True)
class Participant:
    """A client that is about to train: its id, its state after the download, its batches, its meter.

    work: how much it trains; None: as much as the federation has every client do in a round
    """

    id: int
    state: State
    epochs: Epochs
    meter: Meter
    work: LocalWork | None = None


@dataclass
class Trained:
    """Results of a participant's training besides its new weights.

    loss: sum over the steps, on the device; statistics: sums over the training data, as the method defines them;
    meter: has the seconds by purpose, and the FLOPs of messages
    """

    loss: Tensor
    meter: Meter
    steps: int = 0
    flops: int = 0
    statistics: Statistics = field(default_factory=dict)

    def add(self, loss: Tensor, statistics: Statistics) -> None:
        """Add the loss and the statistics of a step, which is counted elsewhere."""
        self.loss += loss
        for name, value in statistics.items():
            self.statistics[name] = self.statistics[name] + value if name in self.statistics else value.clone()


class EagerEngine:
    """Trains and evaluates the clients of one task under one method.

    task: has its images on the device; flops: of every piece of work that was counted; cache: outputs of parts on test
    images; takes_statistics: True if the method reads the training data once more after training; fell_back: why an
    engine that builds on this one trained as this one does, or None
    """

    def __init__(self, method: Method, task: Task, config: FederationConfig, device: torch.device) -> None:
        self.method, self.task, self.config, self.device = method, task, config, device
        self.memory_format = memory_format(device, config.precision)
        self._resident: dict[str, dict[str, nn.Module]] = {}
        self._weights: dict[str, State] = {}  # of the same modules, sharing their memory
        self.flops = FlopTable()
        self.cache = EvaluationCache()
        collected = any(phase.collects for phase in method.phases())
        self.takes_statistics = type(method).statistics is not Method.statistics and not collected
        self.fell_back: str | None = None
        torch.set_flush_denormal(True)
        keep_freed_memory()

    def initial_state(self, client: int) -> State:
        """Return a client's state before it has ever taken part: a function of the seed."""
        return weights(self._new_parts(client))

    def load(self, client: int, state: State, t: RoundNumber = FIRST) -> Client:
        """Return the client in round t; until the next is loaded, the modules of its architecture hold its weights."""
        info = self.task.infos[client]
        if info.architecture not in self._resident:
            self._resident[info.architecture] = self._new_parts(client)
            self._weights[info.architecture] = weights(self._resident[info.architecture])
        parts = self._resident[info.architecture]
        values = {name: value for name, value in state.items() if name not in parts}
        with located(f"client {client}, round {t.round}, state"):
            for name, held in self._weights[info.architecture].items():
                _copy(name, state[name], held)
            return Client(replace(info, progress=t), parts, values, self.task.class_counts[client])

    def state(self, client: Client) -> State:
        """Return the client's state; its parts lie in the modules' memory, so a caller that keeps it copies it."""
        return {**self._weights[client.info.architecture], **copied(dict(client.values))}

    def train(self, participants: Iterable[Participant], t: RoundNumber) -> Iterator[tuple[Client, Trained]]:
        """Train the participants of round t; yield each after its training, valid until the next one is requested."""
        for participant in participants:
            client = self.load(participant.id, participant.state, t)
            with self._seeded(client):
                trained = self.train_client(client, participant.epochs, participant.meter, participant.work)
            yield client, trained

    def train_client(self, client: Client, epochs: Epochs, meter: Meter, work: LocalWork | None = None) -> Trained:
        """Train the client in place through all phases of the method, then take the statistics."""
        passes = cache(epochs)  # a stretch's passes go on from phase to phase
        trained = Trained(torch.zeros((), device=self.device), meter)
        with self.kernels(), located(f"{place(client)}, training"):
            for number, phase in self.phases(client.info.progress):
                steps = self.steps(phase, passes, work)
                with located(f"{place(client)}, training, phase {number}"):
                    trained.flops += sum(self.step_flops(client, number, phase, step) for step in steps)
                    self.prepare(client, number, phase, steps)
                    done = Trained(torch.zeros_like(trained.loss), meter)
                    with meter.measure("training"):
                        self.train_phase(client, number, phase, steps, done)
                trained.add(done.loss, done.statistics)
                trained.steps += len(steps)
        self._add_statistics(client, trained)
        return trained

    def _add_statistics(self, client: Client, trained: Trained) -> None:
        """Take the statistics of a client whose steps are done, unless the steps have collected them."""
        if not self.takes_statistics:
            return
        chunks = self.task.clients[client.info.id].train.split(EVALUATION_BATCH)
        with pinned_kernels(), located(f"{place(client)}, statistics"):
            trained.flops += sum(self.statistics_flops(client, chunk) for chunk in chunks)
            with trained.meter.measure("statistics"):
                trained.statistics = self.collect_statistics(client, chunks)

    def _seeded(self, client: Client) -> contextlib.AbstractContextManager[None]:
        """Let torch draw within the block from the seed of this client's training in its round."""
        info = client.info
        return torch_seeded("training", seed=self.task.seed, client=info.id, round=seed_round(info.progress.round))

    def evaluate(self, client: Client, indices: Tensor, split: str, unchanged: Collection[str]) -> dict[str, Tensor]:
        """Return the number of correct predictions on these samples for each of the method's predictors, on the device.

        split: name of the split that the samples are from; unchanged: names of parts that are as when it last trained
        """
        predictors = self.method.predictors()
        correct = {name: torch.zeros((), dtype=torch.int64, device=self.device) for name in predictors}
        with pinned_kernels(), frozen(client), located(f"{place(client)}, evaluation"):
            for number, chunk in enumerate(indices.split(EVALUATION_BATCH)):
                batch = self.batch(chunk)
                parts = {name: client.parts[name] for name in unchanged}
                with self.cache.answering(client.info.id, (split, number), batch.x, parts):
                    for name, predictor in predictors.items():
                        best, label = predictor(client, batch.x).max(1)
                        correct[name] += ((label == batch.y) & (best > -torch.inf)).sum()
        return correct

    def inspect(self, client: Client, indices: Tensor) -> Inspection:
        """Return what the method shows of its predictions on these samples."""
        with pinned_kernels(), frozen(client), located(f"{place(client)}, inspection"):
            shown = [self.method.inspect(client, self.batch(chunk).x) for chunk in indices.split(EVALUATION_BATCH)]
        kinds = zip(*shown, strict=True)
        return Inspection(*({name: torch.cat([part[name] for part in kind]) for name in kind[0]} for kind in kinds))

    def _new_parts(self, client: int) -> dict[str, nn.Module]:
        with located(f"client {client}, parts"):
            parts = initial_parts(self.method, self.task, client)
        formats: Any = {"memory_format": self.memory_format}  # mypy knows no overload with device and format
        return {name: module.to(self.device, **formats) for name, module in parts.items()}

    def batch(self, indices: Tensor) -> Batch:
        """Return the samples of these indices, images in the memory format of the networks."""
        x, y = self.task.batch(indices)
        return Batch(x.contiguous(memory_format=self.memory_format), y)

    def phases(self, t: RoundNumber) -> list[tuple[int, Phase]]:
        """Return (number, phase) of the phases of round t."""
        return [(number, phase) for number, phase in enumerate(self.method.phases()) if phase.first_round <= t.round]

    def steps(self, phase: Phase, passes: Epochs, work: LocalWork | None = None) -> list[Step]:
        """Return the steps of a phase: of each stretch a batch, as indices. Those of the last pass may collect."""
        epochs, steps = work or LocalWork.of(self.config)
        if phase.epochs is not None or phase.steps is not None:
            epochs, steps = epochs or 1 if phase.epochs is None else phase.epochs, phase.steps
        lengths: list[list[int]] = [[] for _ in phase.samples]
        stretches = [
            chain.from_iterable(_noted(islice(passes(stretch), epochs), of))
            for stretch, of in zip(phase.samples, lengths, strict=True)
        ]
        batches = list(islice(zip(*stretches, strict=False), steps))
        last = min((of[-1] for of in lengths if of), default=0) if phase.collects else 0
        return [Step(step, i >= len(batches) - last) for i, step in enumerate(batches)]

    def prepare(self, client: Client, number: int, phase: Phase, steps: list[Step]) -> None:
        """Do what an engine does once for many steps, off the clock, and leave the client as it is. Here nothing."""

    def train_phase(self, client: Client, number: int, phase: Phase, steps: list[Step], trained: Trained) -> None:
        """Take the steps of the phase with this number; add their losses and statistics, still on the device."""
        optimiser = self.optimiser(client, phase)
        for step in steps:
            trained.add(*self.step(client, phase, optimiser, step))

    def step(
        self, client: Client, phase: Phase, optimiser: torch.optim.Optimizer, step: Step
    ) -> tuple[Tensor, Statistics]:
        """Take one step; return its loss, and the statistics of its batch if it collects them."""
        loss, statistics = self.loss(client, phase, step)
        loss.backward()
        if self.config.clip_norm is not None:
            trained = [tensor for group in optimiser.param_groups for tensor in group["params"]]
            nn.utils.clip_grad_norm_(trained, self.config.clip_norm)
        optimiser.step()
        optimiser.zero_grad()
        with torch.no_grad():
            self.method.project(client)
        return loss.detach(), statistics

    def optimiser(self, client: Client, phase: Phase) -> torch.optim.Optimizer:
        """Set the parts of a phase to train and the others to stand still; return an optimiser of the former."""
        trained = set_to_train(client.parts, phase)
        tensors = {name: list(client.parts[name].parameters()) for name in trained}
        return self.optimiser_of(phase, tensors, client.info.progress)

    def optimiser_of(
        self, phase: Phase, tensors: Mapping[str, Sequence[Tensor]], t: RoundNumber
    ) -> torch.optim.Optimizer:
        """Return an optimiser with the rates of a phase in round t over the parameters of each part by name."""
        config, decay = self.config, self.config.lr_decay ** (t.round - 1)
        groups: list[dict[str, Any]] = [
            {"params": of, "lr": phase.lr.get(name, config.lr) * decay} for name, of in tensors.items() if of
        ]
        common: dict[str, Any] = {
            "lr": config.lr,
            "weight_decay": config.weight_decay if phase.weight_decay is None else phase.weight_decay,
            "fused": True,
        }
        if (phase.optimizer or config.optimizer) == "adam":
            return torch.optim.Adam(groups, capturable=self.device.type == "cuda", **common)
        return torch.optim.SGD(groups, momentum=config.momentum, **common)

    def loss(self, client: Client, phase: Phase, step: Step) -> tuple[Tensor, Statistics]:
        """Return the loss of a step and its statistics; batches are augmented, networks in the training precision."""
        drawn = [self.batch(indices) for indices in step.batches]
        if self.config.augmentation == "lab":
            drawn = [batch._replace(x=augment.lab(batch.x)) for batch in drawn]
        with self._precision():
            return self.hook(phase, step.collects)(client, *drawn)

    def hook(self, phase: Phase, collects: bool) -> Callable[..., tuple[Tensor, Statistics]]:
        """Return the function of a step: (client, batches) -> loss and statistics, of which there may be none."""
        loss = phase.loss or self.method.loss
        if collects:
            return with_statistics(self.method, loss)
        return lambda client, *batches: (loss(client, *batches), {})

    def kernels(self) -> contextlib.AbstractContextManager[None]:
        """Let a GPU train within the block by the kernels that the training precision allows."""
        return pinned_kernels(tf32=self.config.precision == "tf32")

    def _precision(self) -> contextlib.AbstractContextManager[object]:
        """Let networks compute in the training precision within the block; statistics and evaluation are in full."""
        if self.config.precision == "bf16" and torch.amp.is_autocast_available(self.device.type):
            return torch.autocast(self.device.type, torch.bfloat16)
        return contextlib.nullcontext()

    def step_flops(self, client: Client, number: int, phase: Phase, step: Step) -> int:
        """Return the FLOPs of a training step. Counting takes a step that has no effect and warms up, off the clock."""

        def alike() -> None:
            before = copied(self.state(client))
            sample = self.task.clients[client.info.id].train[:1]
            batches = tuple(sample.expand(n) for n in step.sizes)
            self.step(client, phase, self.optimiser(client, phase), step._replace(batches=batches))
            self.load(client.info.id, before)

        return self.flops.of((client.info.architecture, number, step.shape), alike)

    def statistics_flops(self, client: Client, chunk: Tensor) -> int:
        """Return the FLOPs of the statistics of some training samples."""
        key = (client.info.architecture, "statistics", len(chunk))
        return self.flops.of(key, lambda: self.collect_statistics(client, (chunk,)))

    def collect_statistics(self, client: Client, chunks: tuple[Tensor, ...]) -> Statistics:
        """Return the method's statistics, summed over these chunks of training samples."""
        sums: Statistics = {}
        with frozen(client):
            for chunk in chunks:
                part = self.method.statistics(client, self.batch(chunk))
                sums = {name: sums[name] + value if sums else value for name, value in part.items()}
        return sums


def _copy(part: str, weights: Weights, to: Weights) -> None:
    """Copy weights into those of a part. Raises ValueError if their names or shapes differ."""
    given, held = ({key: tuple(tensor.shape) for key, tensor in of.items()} for of in (weights, to))
    if given != held:
        raise ValueError(f"the state has weights {given} for {part}, which has {held}")
    if weights:
        torch._foreach_copy_([to[key] for key in weights], [*weights.values()])  # on a GPU few launches instead of many


def _noted(passes: Iterable[Indices], lengths: list[int]) -> Iterator[Indices]:
    """Yield the passes, and note how many batches each has."""
    for batches in passes:
        lengths.append(len(batches))
        yield batches


def place(client: Client) -> str:
    """Return client and round, as errors name them."""
    return f"client {client.info.id}, round {client.info.progress.round}"


@contextlib.contextmanager
def pinned_kernels(tf32: bool = False) -> Iterator[None]:
    """Let a GPU compute by the same kernels every time in the block, products and convolutions in TF32 or in full."""
    matmul = torch.backends.cuda.matmul
    before, matmul.allow_tf32 = matmul.allow_tf32, tf32
    try:
        with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=tf32):
            yield
    finally:
        matmul.allow_tf32 = before


def memory_format(device: torch.device, precision: str) -> torch.memory_format:
    """Return the order of images and weights in memory: channels last, but where a GPU computes in full precision.

    Its tensor cores want channels last, and without them cuDNN would turn every image round before it convolves it.
    """
    return torch.contiguous_format if device.type == "cuda" and precision == "fp32" else torch.channels_last


@contextlib.contextmanager
def frozen(client: Client) -> Iterator[None]:
    """Put the parts into evaluation mode, and take no gradients within the block."""
    for module in client.parts.values():
        module.eval()
    with torch.no_grad():
        yield


def set_to_train(parts: Mapping[str, nn.Module], phase: Phase) -> list[str]:
    """Set the parts that a phase trains to train, and freeze the others; return the names of the former."""
    trained = parts.keys() if phase.trains is None else phase.trains
    for name, module in parts.items():
        module.train(name in trained).requires_grad_(name in trained)
    return [name for name in parts if name in trained]
