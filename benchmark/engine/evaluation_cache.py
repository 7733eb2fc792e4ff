"""What parts have made of images, for as long as their weights stand still: an evaluation asks nothing twice.

Two predictors of a method often begin with the same representation; after a download a client has a new expert in front
of its old header; and a client that took no part since the last evaluation has all of its own parts as they were.
"""

import contextlib
from collections.abc import Callable, Hashable, Iterator, Mapping
from typing import Any

from torch import Tensor, nn

MOST_BYTES = 2**28
"""Of answers that are kept: 128 numbers for each of half a million samples."""


class Recall:
    """Answers of one federation's clients.

    An answer has a key: (name of the part, what it was asked), and that is a place among the images or a key again.
    """

    def __init__(self, limit: int = MOST_BYTES) -> None:
        """Nothing is known. limit: bytes that answers may take; what comes later is not kept."""
        self._limit, self._bytes = limit, 0
        self._known: dict[int, dict[Hashable, Tensor]] = {}

    def forget(self, client: int) -> None:
        """The client has trained: its parts have changed."""
        self._bytes -= sum(answer.nbytes for answer in self._known.pop(client, {}).values())

    @contextlib.contextmanager
    def asked(self, client: int, place: Hashable, images: Tensor, parts: Mapping[str, nn.Module]) -> Iterator[None]:
        """Within the block these parts of a client, unchanged since it last trained, answer from memory.

        place: which of the client's images these are. Without gradients, in evaluation mode.
        """
        known = self._known.setdefault(client, {})
        keys = {id(images): place} | {id(answer): key for key, answer in known.items()}

        def remembering(name: str, module: nn.Module) -> Callable[..., Any]:
            forward, own = module.forward, _weights(module)

            def answered(*inputs: Any, **others: Any) -> Any:
                lent = _weights(module) != own  # torch.func.functional_call lends others for a call
                if lent or len(inputs) != 1 or others or id(inputs[0]) not in keys:
                    return forward(*inputs, **others)
                key = name, keys[id(inputs[0])]
                if key in known:
                    return known[key]
                answer = forward(*inputs)
                if isinstance(answer, Tensor) and self._bytes + answer.nbytes <= self._limit:
                    self._bytes += answer.nbytes
                    known[key] = answer
                    keys[id(answer)] = key
                return answer

            return answered

        for name, module in parts.items():
            module.forward = remembering(name, module)
        try:
            yield
        finally:
            for module in parts.values():
                del module.forward  # the class has its own


def _weights(module: nn.Module) -> list[int]:
    return [*map(id, module.parameters())]
