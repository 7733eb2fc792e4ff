"""Outputs of parts on test images, kept while their weights do not change: an evaluation computes nothing twice.

Two predictors of a method often begin with the same representation; after a download a client has a new expert in front
of its old header; and a client that took no part since the last evaluation has all of its own parts as they were.
"""

import contextlib
from collections.abc import Callable, Hashable, Iterator, Mapping
from typing import Any

from torch import Tensor, nn

MOST_CACHED_BYTES = 2**28
"""Bytes of cached outputs: enough for 128 numbers for each of half a million samples."""


class EvaluationCache:
    """Outputs of the parts of one federation's clients.

    An output's key is (part name, key of its input); an input is a batch of test images or another cached output.
    limit: bytes that outputs may take; outputs beyond it are not kept
    """

    def __init__(self, limit: int = MOST_CACHED_BYTES) -> None:
        self._limit, self._bytes = limit, 0
        self._known: dict[int, dict[Hashable, Tensor]] = {}

    def forget(self, client: int) -> None:
        """Drop a client's outputs: it has trained, so its parts have changed."""
        self._bytes -= sum(output.nbytes for output in self._known.pop(client, {}).values())

    @contextlib.contextmanager
    def answering(self, client: int, batch: Hashable, images: Tensor, parts: Mapping[str, nn.Module]) -> Iterator[None]:
        """Let these parts of a client, unchanged since it last trained, answer from the cache within the block.

        batch: a key for the images. Only for evaluation mode without gradients.
        """
        known = self._known.setdefault(client, {})
        # Tensors have no cheap equality, so inputs are recognised as objects. Their ids are safe as keys: images and
        # all cached outputs are referred to until the block ends, so no other tensor can get one of these ids.
        keys = {id(images): batch} | {id(output): key for key, output in known.items()}

        def caching(name: str, module: nn.Module) -> Callable[..., Any]:
            forward, own = module.forward, _weights(module)

            def answer(*inputs: Any, **others: Any) -> Any:
                lent = _weights(module) != own  # a method may call the part with other weights by functional_call
                if lent or len(inputs) != 1 or others or id(inputs[0]) not in keys:
                    return forward(*inputs, **others)  # an input that the method has computed itself has no key
                key = name, keys[id(inputs[0])]
                if key in known:
                    return known[key]
                output = forward(*inputs)
                if isinstance(output, Tensor) and self._bytes + output.nbytes <= self._limit:
                    self._bytes += output.nbytes
                    known[key] = output
                    keys[id(output)] = key  # outputs of a part that reads this one are cached, too
                return output

            return answer

        # An attribute of the instance hides the class's forward, so that the method's call of its part comes here; a
        # wrapper module would change what the method sees as its part.
        for name, module in parts.items():
            module.forward = caching(name, module)
        try:
            yield
        finally:
            for module in parts.values():
                del module.forward


def _weights(module: nn.Module) -> list[int]:
    return [*map(id, module.parameters())]
