"""Seconds and FLOPs of the same work."""

import contextlib
from collections.abc import Iterator

import torch

from benchmark.measure.clock import Stopwatch
from benchmark.measure.flops import FlopCounter


class Meter(Stopwatch):
    """Seconds by purpose, and the FLOPs of what was metered; flops: their number so far."""

    def __init__(self, device: torch.device) -> None:
        super().__init__(device)
        self.flops = 0

    @contextlib.contextmanager
    def meter(self, purpose: str) -> Iterator[None]:
        """Add the duration of the block to a purpose, and its FLOPs. Counting slows each operation by microseconds."""
        with self.measure(purpose), FlopCounter() as counter:
            yield
        self.flops += counter.total
