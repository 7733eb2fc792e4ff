"""Seconds on the device's own clock, by purpose."""

import contextlib
import time
from collections import defaultdict
from collections.abc import Iterator
from statistics import median
from typing import Any

import torch


class Span:
    """A stretch of time from its creation on, by the device's own clock: CUDA events; on a CPU a monotonic clock."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._begin = self._end = self._now()

    def end(self) -> None:
        """End now. On a GPU this does not wait: the GPU records the event when the work before it is done."""
        self._end = self._now()

    @property
    def seconds(self) -> float:
        """Return its length; on a GPU this waits for its end."""
        if isinstance(self._begin, torch.cuda.Event):
            self._end.synchronize()
            return self._begin.elapsed_time(self._end) / 1000
        return self._end - self._begin

    def _now(self) -> Any:
        if self._device.type != "cuda":
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)
        event.record(torch.cuda.current_stream(self._device))
        return event


class Stopwatch:
    """Seconds by purpose."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._spans: list[tuple[str, Span, float]] = []

    @contextlib.contextmanager
    def measure(self, purpose: str) -> Iterator[None]:
        """Add the duration of the block to a purpose."""
        span = Span(self._device)
        yield
        span.end()
        self.add(purpose, span)

    def add(self, purpose: str, span: Span, share: float = 1.0) -> None:
        """Add a share of a span to a purpose."""
        self._spans.append((purpose, span, share))

    @property
    def seconds(self) -> dict[str, float]:
        """Return seconds by purpose, 0 for others; on a GPU this waits for the end of all that was measured."""
        total: dict[str, float] = defaultdict(float)
        for purpose, span, share in self._spans:
            total[purpose] += share * span.seconds
        return total


GPU_SIZE = 8192
"""Rows of the matrices of a GPU's yardstick: smaller products end before its clock has risen."""
GPU_WARM_UP_SECONDS = 0.5


def matrix_product_rate(device: torch.device, size: int = 2048, repeats: int = 7) -> float:
    """Return FLOPs per second of a single-precision matrix product, a yardstick of training: the median of several.

    size: rows of the matrices; a GPU has larger ones, and products before them until its clock has risen
    """
    size = GPU_SIZE if device.type == "cuda" else size
    a, b = (torch.rand(size, size, device=device) for _ in range(2))
    seconds: list[float] = []
    begun = time.perf_counter()
    while device.type == "cuda" and time.perf_counter() - begun < GPU_WARM_UP_SECONDS:
        torch.mm(a, b)
        torch.cuda.synchronize(device)
    for _ in range(repeats + 2):
        span = Span(device)
        torch.mm(a, b)
        span.end()
        seconds.append(span.seconds)
    return 2 * size**3 / median(seconds[2:])
