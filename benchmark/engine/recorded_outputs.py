"""Outputs that parts have computed for a loss, answered again while statistics of the same batch are taken."""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from benchmark.client import Client
from benchmark.method import Batch, Loss, Method

Statistics = dict[str, Tensor]
"""Sums over training samples, by name, as a method defines them."""


def with_statistics(method: Method, loss: Loss) -> Callable[..., tuple[Tensor, Statistics]]:
    """Return a function that gives a loss together with the method's statistics of its first batch.

    What a part has computed for the loss is not computed again, so the statistics are of the weights before the step
    and of parts that train.
    """

    def both(client: Client, *batches: Batch) -> tuple[Tensor, Statistics]:
        outputs = RecordedOutputs()
        with outputs.recorded(client.parts):
            value = loss(client, *batches)
        with outputs.answered(client.parts), torch.no_grad():
            sums = method.statistics(client, batches[0])
        return value, {name: of.float() if of.dtype == torch.bfloat16 else of for name, of in sums.items()}

    return both


class RecordedOutputs:
    """Outputs by part and input; an input is recognised as an object, which is kept as long as its output is."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, int], tuple[Tensor, Tensor]] = {}

    def recorded(self, parts: Mapping[str, nn.Module]) -> contextlib.AbstractContextManager[None]:
        """Record what these parts compute within the block, the first time for each input."""

        def recording(name: str, forward: Callable[..., Any]) -> Callable[..., Any]:
            def compute(*inputs: Any, **others: Any) -> Any:
                output = forward(*inputs, **others)
                if len(inputs) == 1 and not others and isinstance(output, Tensor):
                    self._known.setdefault((name, id(inputs[0])), (inputs[0], output))
                return output

            return compute

        return _replaced(parts, recording)

    def answered(self, parts: Mapping[str, nn.Module]) -> contextlib.AbstractContextManager[None]:
        """Let these parts answer what they have computed before within the block, and compute the rest."""

        def answering(name: str, forward: Callable[..., Any]) -> Callable[..., Any]:
            def answer(*inputs: Any, **others: Any) -> Any:
                known = self._known.get((name, id(inputs[0]))) if len(inputs) == 1 and not others else None
                return forward(*inputs, **others) if known is None else known[1]

            return answer

        return _replaced(parts, answering)


@contextlib.contextmanager
def _replaced(
    parts: Mapping[str, nn.Module], by: Callable[[str, Callable[..., Any]], Callable[..., Any]]
) -> Iterator[None]:
    """Let the parts compute by other functions within the block: an instance's attribute hides the class's forward."""
    for name, module in parts.items():
        module.forward = by(name, module.forward)
    try:
        yield
    finally:
        for module in parts.values():
            del module.forward
