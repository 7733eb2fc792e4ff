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

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from benchmark.channel import Message, RoundNumber, State
from benchmark.client import Client
from benchmark.engine.eager import EagerEngine, frozen
from benchmark.method import Batch, Phase
from benchmark.privacy.vectors import Flat, Sketch, flattened
from benchmark.seeds import torch_seeded

LEAST_NUMBERS = 4096
NUMBERS_PER_RECORD = 20
MOST_NUMBERS = 32_768
"""A sketch has 20 numbers for each training record, but never more than this: they cap what an attack can reach, its
area at Phi(sqrt(numbers / 2 records))."""


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
        self._zero = {name: torch.zeros_like(value) for name, value in self._statistics(self._any_record).items()}
        self._sent = [name for name in self._client.parts if self._is_sent(name)]
        self.untrained = self._message(self._zero, None)
        records = engine.task.infos[client].num_samples
        self.sketch = Sketch(len(self.untrained.values), sketch_size(records), self.untrained.values.device)

    def of(self, records: Tensor) -> Tensor:
        """Return the messages [n, numbers] of single records, given as indices [n] into the task's images."""
        return torch.stack([self.sketch.of(self._flat(index).less(self.untrained)) for index in records.split(1)])

    def difference(self, message: Message) -> Tensor:
        """Return a real message of this client as the same numbers."""
        return self.sketch.of(flattened(self._engine.method.decoded(message, self._server)).less(self.untrained))

    @property
    def _any_record(self) -> Batch:
        return self._engine.batch(torch.zeros(1, dtype=torch.int64, device=self._engine.device))

    def _flat(self, index: Tensor) -> Flat:
        record = self._engine.batch(index)
        statistics = self._statistics(record)
        if not self._sent:
            return self._message(statistics, record)
        self._step(record)
        flat = self._message(statistics, record)
        self._restore(self._sent)
        return flat

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

    def _step(self, record: Batch) -> None:
        """Take a step of length one down the gradients of all phases that train a part that is sent."""
        gradients: dict[Tensor, Tensor] = {}
        for phase, names in self._training():
            tensors = self._set_to_train(names)
            loss = phase.loss or self._engine.method.loss
            # Twice the same: a client with one record has batches of two, and the mean over it is the record's.
            batch = Batch(record.x.expand(2, -1, -1, -1), record.y.expand(2))
            with torch_seeded("observer"):
                value = loss(self._client, *[batch] * len(phase.samples))
            found = torch.autograd.grad(value, tensors, allow_unused=True)
            for tensor, gradient in zip(tensors, found, strict=True):
                if gradient is not None:
                    gradients[tensor] = gradients[tensor] + gradient if tensor in gradients else gradient
        with torch.no_grad():
            for tensor, gradient in gradients.items():
                tensor.sub_(gradient)

    def _training(self) -> Iterator[tuple[Phase, list[str]]]:
        """Yield the phases, with those of their parts that are sent."""
        for phase in self._phases:
            names = [name for name in self._sent if phase.trains is None or name in phase.trains]
            if names:
                yield phase, names

    def _set_to_train(self, names: list[str]) -> list[Tensor]:
        """Put all parts into evaluation mode, let gradients reach these alone, and return their parameters."""
        for name, module in self._client.parts.items():
            module.eval().requires_grad_(name in names)
        return [tensor for name in names for tensor in self._client.parts[name].parameters()]

    def _restore(self, names: Sequence[str]) -> None:
        """Put the weights of these parts back to what they were."""
        for name in names:
            held, weights = self._client.parts[name].state_dict(), self._state[name]
            if held:
                torch._foreach_copy_([held[key] for key in weights], [*weights.values()])
