"""The message of one record: what a client would send that has trained on nothing else.

It is built by the method's own hooks, so an attack that compares it with a real message needs to know no method. From
the state after a download the client takes one step down the gradient of this record's loss, in all phases of the
round at once, and its statistics are this record's. What it would then send, less what it would send untrained and
without a record, is

    for weights                     minus the gradient of the record's loss
    for a table of class means      zero, but for its class's row, which is the record's own
    for class counts                a one at its class

Networks are in evaluation mode: batch normalisation can't train on one record.
"""

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor
from torch.func import functional_call, grad

from benchmark.channel import Message, RoundNumber, State
from benchmark.client import Client
from benchmark.engine.eager import EagerEngine, frozen
from benchmark.engine.stacked import Parts
from benchmark.method import Batch, Phase
from benchmark.privacy.vectors import Flat, Sketch, flattened
from benchmark.seeds import torch_seeded

LEAST_NUMBERS = 4096
NUMBERS_PER_RECORD = 20
MOST_NUMBERS = 32_768
"""A sketch has 20 numbers for each training record, but never more than this: they cap what an attack can reach, its
area at Phi(sqrt(numbers / 2 records))."""
GRADIENT_NUMBERS = 2**23
"""Most numbers of gradients that are held at once: so many records go through a network together."""


def sketch_size(records: int) -> int:
    """Return the most numbers of a sketch of a message that so many records have made."""
    return min(max(LEAST_NUMBERS, NUMBERS_PER_RECORD * records), MOST_NUMBERS)


class RecordMessages:
    """One-record messages of a client in one state.

    untrained: its message without a record; sketch: shortens messages
    """

    def __init__(self, engine: EagerEngine, client: int, state: State, t: RoundNumber, server: State) -> None:
        self._engine, self._server = engine, server
        self._state = state
        self._client = engine.load(client, state, t)
        self._classes = len(self._client.class_counts)
        self._phases = [phase for _, phase in engine.phases(t)]
        self._maps = True
        self._zero = {name: torch.zeros_like(value) for name, value in self._statistics(self._any_record).items()}
        self._sent = [name for name in self._client.parts if self._is_sent(name)]
        self.untrained = self._message(self._zero, None)
        records = engine.task.infos[client].num_samples
        self.sketch = Sketch(len(self.untrained.values), sketch_size(records), self.untrained.values.device)

    def of(self, records: Tensor) -> Tensor:
        """Return the messages [n, numbers] of single records, given as indices [n] into the task's images."""
        numbers = sum(tensor.numel() for name in self._sent for tensor in self._client.parts[name].parameters())
        chunks = records.split(max(1, GRADIENT_NUMBERS // max(1, numbers)))
        flats = (flat for chunk in chunks for flat in self._flats(chunk))
        return torch.stack([self.sketch.of(flat.less(self.untrained)) for flat in flats])

    def difference(self, message: Message) -> Tensor:
        """Return a real message of this client as the same numbers."""
        return self.sketch.of(flattened(self._engine.method.decoded(message, self._server)).less(self.untrained))

    @property
    def _any_record(self) -> Batch:
        return self._engine.batch(torch.zeros(1, dtype=torch.int64, device=self._engine.device))

    def _flats(self, indices: Tensor) -> Iterator[Flat]:
        """Yield each record's message, after a step of length one down the gradients of all that is sent."""
        records = self._engine.batch(indices)
        gradients = self._gradients(records)
        for row, record in enumerate(map(Batch, records.x.split(1), records.y.split(1))):
            statistics = self._statistics(record)
            with torch.no_grad():
                for tensor, gradient in gradients.items():
                    tensor.sub_(gradient[row])
            flat = self._message(statistics, record)
            self._restore(self._sent)
            yield flat

    def _statistics(self, record: Batch) -> dict[str, Tensor]:
        with frozen(self._client):
            return self._engine.method.statistics(self._client, record)

    def _message(self, statistics: dict[str, Tensor], record: Batch | None) -> Flat:
        """Return what the client sends as it is now, with one record or none."""
        counts = torch.zeros(self._classes, dtype=torch.int64, device=self._engine.device)
        if record is not None:
            counts[record.y] = 1
        held = Client(self._client.info, self._client.parts, self._client.values, counts)
        method = self._engine.method
        with torch.no_grad():
            return flattened(method.decoded(method.record_message(held, statistics), self._server))

    def _is_sent(self, name: str) -> bool:
        """Return whether the message depends on the weights of a part: only then is its gradient of use."""
        before = self._message(self._zero, None)
        with torch.no_grad():
            for tensor in self._client.parts[name].parameters():
                tensor.add_(1.0)
        after = self._message(self._zero, None)
        self._restore([name])
        return not torch.equal(before.values, after.values)

    def _gradients(self, records: Batch) -> dict[Tensor, Tensor]:
        """Return the gradient [n, ...] of each record's losses, of all phases, for each tensor that is sent."""
        gradients: dict[Tensor, Tensor] = {}
        for phase, names in self._training():
            for name, module in self._client.parts.items():
                module.eval().requires_grad_(name in names)
            tensors: list[Tensor] = [tensor for name in names for tensor in self._client.parts[name].parameters()]
            found = self._of_phase(phase, tensors, records)
            for tensor, gradient in zip(tensors, found, strict=True):
                gradients[tensor] = gradients[tensor] + gradient if tensor in gradients else gradient
        return gradients

    def _of_phase(self, phase: Phase, tensors: list[Tensor], records: Batch) -> list[Tensor]:
        """Return gradients [n, ...] for these tensors, of all records together if the loss can be mapped over them."""
        hook = phase.loss or self._engine.method.loss
        # Twice the same: a client with one record has batches of two, and the mean over it is the record's.
        batch = Batch(records.x[:, None].expand(-1, 2, -1, -1, -1), records.y[:, None].expand(-1, 2))
        if self._maps:
            try:
                return self._mapped(hook, len(phase.samples), tensors, batch)
            except (RuntimeError, ValueError):  # it draws at random, or its steps depend on numbers
                self._maps = False
        found = []
        for of_one in map(Batch, *batch):
            with torch_seeded("observer"):
                value = hook(self._client, *[of_one] * len(phase.samples))
            found.append(torch.autograd.grad(value, tensors, allow_unused=True, materialize_grads=True))
        return [torch.stack(of) for of in zip(*found, strict=True)]

    def _mapped(self, hook: Callable[..., Tensor], batches: int, tensors: list[Tensor], batch: Batch) -> list[Tensor]:
        """Return the gradients of hook(client, *batches), mapped over records, each twice: [n, 2, ...]."""
        net = Parts(self._client.parts)
        names: dict[Tensor, str] = {tensor: name for name, tensor in net.named_parameters()}

        def loss(lent: dict[str, Tensor], x: Tensor, y: Tensor) -> Tensor:
            return functional_call(net, lent, (hook, self._client.values, *[Batch(x, y)] * batches))

        lent = {names[tensor]: tensor.detach() for tensor in tensors}
        found = torch.vmap(grad(loss), in_dims=(None, 0, 0))(lent, *batch)
        return [found[name] for name in lent]

    def _training(self) -> Iterator[tuple[Phase, list[str]]]:
        """Yield the phases, with those of their parts that are sent."""
        for phase in self._phases:
            names = [name for name in self._sent if phase.trains is None or name in phase.trains]
            if names:
                yield phase, names

    def _restore(self, names: Sequence[str]) -> None:
        """Put the weights of these parts back to what they were."""
        for name in names:
            held, weights = self._client.parts[name].state_dict(), self._state[name]
            if held:
                torch._foreach_copy_([held[key] for key in weights], [*weights.values()])
