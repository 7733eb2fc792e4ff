"""A client as a hook sees it: its own parts, what it has received, and its size."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from benchmark.channel import FIRST, RoundNumber, Value


@dataclass(frozen=True)
class ClientInfo:
    """The facts that the server may know of a client.

    id, architecture; num_samples: n_k, its number of training samples; progress: the round it is in
    """

    id: int
    architecture: str
    num_samples: int
    progress: RoundNumber = FIRST


class Client:
    """One client inside a hook.

    client.gate(x) runs the part named gate on this client's weights; client.prototypes is a value that it holds or
    has received. Any other name raises an AttributeError that lists the names that are held.

    parts: modules that carry its weights now; values: its values by name
    """

    def __init__(
        self,
        info: ClientInfo,
        parts: Mapping[str, nn.Module],
        values: Mapping[str, Value],
        class_counts: Tensor | None = None,
    ) -> None:
        self.info = info
        self.parts = parts
        self.values = values
        self._class_counts = class_counts
        if taken := {"info", "parts", "values", "class_counts"} & {*parts, *values}:
            raise ValueError(f"{', '.join(sorted(taken))} can't name a part or a value of a client; choose another")
        self._held = {**values, **parts}

    @property
    def class_counts(self) -> Tensor:
        """The number [C] of its training samples of each class, which the server learns only if it is sent."""
        if self._class_counts is None:
            raise RuntimeError("a step that several clients share can't read the class counts of one")
        return self._class_counts

    def __getattr__(self, name: str) -> Any:
        held = self.__dict__.get("_held", {})
        if name in held:
            return held[name]
        raise AttributeError(f"the client holds no {name!r}; it holds {', '.join(sorted(held))}")
