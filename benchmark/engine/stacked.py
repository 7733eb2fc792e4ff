"""The stacked engine: it trains all participants of one architecture in one step, their weights side by side.

Weights, buffers, values and batches of K clients are stacked along a new first dimension, the method's loss is mapped
over it (torch.vmap), and one optimiser moves all K. Clients stay together as long as their batches have equal sizes;
when a client has a batch of another size, or none left, they go on in smaller stacks.

Methods that can't be mapped (random draws, a loss that reads the client's info) are trained by the plain engine.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils import _pytree as pytree

from benchmark.channel import RoundNumber, Value
from benchmark.client import Client
from benchmark.engine.anonymous_client import AnonymousClientInfo
from benchmark.engine.eager import EagerEngine, Participant, Step, Trained, set_to_train
from benchmark.engine.recorded_outputs import Statistics
from benchmark.measure.clock import Span
from benchmark.method import Batch, Method, Phase


@dataclass(frozen=True)
class Stack:
    """K clients of one architecture side by side: every tensor is [K, ...].

    tensors: weights and buffers, by names in `net`; momentum: of the weights that are trained; loss [K] and statistics
    [K, ...]: sums so far
    """

    net: "Parts"
    t: RoundNumber
    tensors: dict[str, Tensor]
    values: Mapping[str, Value]
    momentum: dict[str, Tensor]
    loss: Tensor
    statistics: Statistics

    def of(self, rows: Tensor) -> "Stack":
        """Return a copy of some of the clients."""
        held = self.tensors, self.values, self.momentum, self.loss, self.statistics
        return Stack(self.net, self.t, *pytree.tree_map(lambda tensor: tensor.detach()[rows], held))

    def put(self, rows: Tensor, those: "Stack") -> None:
        """Copy what some of the clients, which were trained apart, hold now back into these rows."""
        self.expect(those.statistics)
        mine, theirs = (pytree.tree_leaves((s.tensors, s.momentum, s.loss, s.statistics)) for s in (self, those))
        for all_of_them, some in zip(mine, theirs, strict=True):
            all_of_them.index_copy_(0, rows, some)

    def expect(self, statistics: Statistics) -> None:
        """Hold sums of the names and shapes of these, which are zero at first."""
        for name, value in statistics.items():
            if name not in self.statistics:
                self.statistics[name] = value.new_zeros(len(self.loss), *value.shape[1:])

    def mapped(self, hook: Callable[..., Any], *batches: Batch) -> Any:
        """Return hook(client, *batches) of every client, [K, ...]; batches are [K, B, ...]."""

        def of_one(tensors: dict[str, Tensor], values: Mapping[str, Value], *own: Batch) -> Any:
            return functional_call(self.net, tensors, (hook, values, *own))

        return torch.vmap(of_one)(self.tensors, dict(self.values), *batches)

    def each(self, hook: Callable[[Client], None]) -> None:
        """Call hook(client) for one client after the other, without gradients; it may change weights in place."""
        with torch.no_grad():
            for row in range(len(self.loss)):  # a view of each row: changes in place reach the stack; vmap allows none
                tensors, values = pytree.tree_map(lambda tensor, k=row: tensor[k], (self.tensors, dict(self.values)))
                functional_call(self.net, tensors, (hook, values))


class Parts(nn.ModuleList):
    """The parts of a client as one module, because functional_call lends weights to one module only."""

    def __init__(self, parts: Mapping[str, nn.Module]) -> None:
        super().__init__(parts.values())
        self.names = list(parts)

    def forward(self, hook: Callable[..., Any], values: Mapping[str, Value], *batches: Batch) -> Any:
        """Return hook(client, *batches) of a client that has the weights that functional_call lends now."""
        return hook(Client(AnonymousClientInfo(), dict(zip(self.names, self, strict=True)), values), *batches)


class StackedEngine(EagerEngine):
    """Trains all participants of one architecture together."""

    def train(self, participants: Iterable[Participant], t: RoundNumber) -> Iterator[tuple[Client, Trained]]:
        """Train the participants of round t; yield each after its training, valid until the next one is requested."""
        participants = list(participants)
        if self.fell_back is None:
            try:
                trained = self._trained_together(participants, t)
            except (RuntimeError, ValueError) as error:
                self.fell_back = f"no stack: {' '.join(str(error).split())[:200]}"
        if self.fell_back is None:
            yield from (self._finished(participant, trained[participant.id], t) for participant in participants)
        else:
            yield from super().train(participants, t)

    def _trained_together(self, participants: list[Participant], t: RoundNumber) -> dict[int, "_Row"]:
        if self.config.augmentation != "none":
            raise RuntimeError("augmentation draws at random")
        if "adam" in {phase.optimizer or self.config.optimizer for _, phase in self.phases(t)}:
            raise RuntimeError("Adam counts the steps of all clients together")
        groups: dict[tuple, list[Participant]] = {}
        for participant in participants:
            parts = self.load(participant.id, participant.state, t).parts
            values = {name: value for name, value in participant.state.items() if name not in parts}
            leaves, structure = pytree.tree_flatten(values)
            alike = self.task.infos[participant.id].architecture, structure, *(leaf.shape for leaf in leaves)
            groups.setdefault(alike, []).append(participant)
        return {k: row for group in groups.values() for k, row in self._group(group, t).items()}

    def _group(self, participants: list[Participant], t: RoundNumber) -> dict[int, "_Row"]:
        """Train clients of one architecture, whose values have the same names and shapes."""
        client = self.load(participants[0].id, participants[0].state, t)
        stack = _stacked(Parts(client.parts), t, participants, torch.zeros(len(participants), device=self.device))
        passes = [cache(participant.epochs) for participant in participants]  # they go on from phase to phase
        rows = [_Row(stack, number) for number in range(len(participants))]
        with self.kernels():
            for number, phase in self.phases(t):
                steps = [self.steps(phase, of, p.work) for of, p in zip(passes, participants, strict=True)]
                for row, own in zip(rows, steps, strict=True):
                    row.steps += len(own)
                    row.flops += sum(self.step_flops(client, number, phase, step) for step in own)
                names = _weights(stack.net, set_to_train(client.parts, phase))
                stack.momentum.clear()  # each phase has a new optimiser in the plain engine, too
                if self.config.momentum:
                    stack.momentum.update({n: torch.zeros_like(stack.tensors[n]) for of in names.values() for n in of})
                span = Span(self.device)
                self._advance(stack, phase, names, steps)
                span.end()
                for row, own in zip(rows, steps, strict=True):
                    row.spans.append(
                        (span, len(own) / max(1, sum(map(len, steps))))
                    )  # by steps: only the stack is timed
        return {participant.id: row for participant, row in zip(participants, rows, strict=True)}

    def _advance(self, stack: Stack, phase: Phase, names: Mapping[str, list[str]], steps: list[list[Step]]) -> None:
        """Train each client through its steps of a phase, together as long as these have equal shapes."""
        shapes = [[step.shape for step in own] for own in steps]
        alike = next((i for i, of in enumerate(zip(*shapes, strict=False)) if len(set(of)) > 1), min(map(len, steps)))
        self._train_stack(stack, phase, names, [own[:alike] for own in steps])
        apart: dict[tuple, list[int]] = {}
        for row, own in enumerate(shapes):
            if own[alike:]:
                apart.setdefault(own[alike], []).append(row)
        for rows in apart.values():
            index = torch.tensor(rows, device=self.device)
            part = stack.of(index)
            self._advance(part, phase, names, [steps[row][alike:] for row in rows])
            stack.put(index, part)

    def _train_stack(self, stack: Stack, phase: Phase, names: Mapping[str, list[str]], steps: list[list[Step]]) -> None:
        """Train all clients through steps of equal shapes."""
        # One optimiser moves all K clients: SGD works number by number, so on stacked weights it does what K would do.
        trained = {part: [stack.tensors[n].requires_grad_() for n in names[part]] for part in names}
        optimiser = self.optimiser_of(phase, trained, stack.t)
        for name, momentum in stack.momentum.items():
            optimiser.state[stack.tensors[name]]["momentum_buffer"] = momentum
        for each in zip(*steps, strict=True):  # one step of every client
            drawn = [self._batches(torch.stack(of)) for of in zip(*(step.batches for step in each), strict=True)]
            with self._precision():
                losses, statistics = stack.mapped(self.hook(phase, each[0].collects), *drawn)
            losses.sum().backward()  # a client's loss depends on its own row alone, so the sum mixes no gradients
            if self.config.clip_norm is not None:
                _clip_each([tensor for of in trained.values() for tensor in of], self.config.clip_norm)
            optimiser.step()
            optimiser.zero_grad()
            stack.loss.add_(losses.detach())
            stack.expect(statistics)
            for name, value in statistics.items():
                stack.statistics[name].add_(value)
            if type(self.method).project is not Method.project:
                stack.each(self.method.project)
        for tensor in stack.tensors.values():  # the next phase may train other parts, and copies must not be tracked
            tensor.requires_grad_(False)

    def _batches(self, indices: Tensor) -> Batch:
        """Return the batches [K, B] of all clients: images [K, B, c, h, w], labels [K, B]."""
        x, y = self.batch(indices.flatten())
        return Batch(x.unflatten(0, indices.shape), y.view(indices.shape))

    def _finished(self, participant: Participant, row: "_Row", t: RoundNumber) -> tuple[Client, Trained]:
        client = self.load(participant.id, participant.state | row.state, t)
        for span, share in row.spans:  # only now: the time of a stack that failed must not count
            participant.meter.add("training", span, share)
        statistics = {name: of[row.number] for name, of in row.stack.statistics.items()}
        trained = Trained(row.stack.loss[row.number], participant.meter, row.steps, row.flops, statistics)
        with self._seeded(client):
            self._add_statistics(client, trained)
        return client, trained


@dataclass
class _Row:
    """One client of a stack: its steps, their FLOPs, and its shares of the time that the stack took."""

    stack: Stack
    number: int
    steps: int = 0
    flops: int = 0
    spans: list[tuple[Span, float]] = field(default_factory=list)

    @property
    def state(self) -> dict[str, dict[str, Tensor]]:
        """Return the weights of its parts, by part."""
        own: dict[str, dict[str, Tensor]] = {name: {} for name in self.stack.net.names}
        for name, tensor in self.stack.tensors.items():
            part, _, key = name.partition(".")
            own[self.stack.net.names[int(part)]][key] = tensor[self.number]
        return own


def _stacked(net: Parts, t: RoundNumber, participants: list[Participant], loss: Tensor) -> Stack:
    """Stack the states of these clients; loss [K] is zero."""
    parts = [{str(i): p.state[name] for i, name in enumerate(net.names)} for p in participants]
    values = [{name: value for name, value in p.state.items() if name not in net.names} for p in participants]
    weights, held = (pytree.tree_map(lambda *of: torch.stack(of), *trees) for trees in (parts, values))
    tensors = {f"{i}.{key}": tensor for i, part in weights.items() for key, tensor in part.items()}
    return Stack(net, t, tensors, held, {}, loss, {})


def _clip_each(tensors: list[Tensor], most: float) -> None:
    """Scale the gradients [K, ...] of each client to at most this norm over all tensors, as clip_grad_norm_ does."""
    gradients = [tensor.grad for tensor in tensors if tensor.grad is not None]
    norms = torch.stack([gradient.flatten(1).norm(dim=1) for gradient in gradients]).norm(dim=0)  # [K]
    scale = (most / (norms + 1e-6)).clamp(max=1)
    for gradient in gradients:
        gradient.mul_(scale.view(-1, *[1] * (gradient.dim() - 1)))


def _weights(net: Parts, trained: list[str]) -> dict[str, list[str]]:
    """Return the names in `net` of the weights of each part that is trained."""
    return {
        name: [f"{i}.{key}" for key, _ in module.named_parameters()]
        for i, (name, module) in enumerate(zip(net.names, net, strict=True))
        if name in trained
    }
