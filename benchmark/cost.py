"""What a run costs: FLOPs, seconds, peak memory.

FLOPs are those of matrix products and convolutions, forward and backward, 2 per multiply-add; element-wise work and
the optimiser are not counted.
"""

import contextlib
import ctypes
import gc
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from math import prod
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode, sdpa_backward_flop_count, sdpa_flop_count


def _convolution_backward_flops(
    grad_out: Sequence[int],
    x: Sequence[int],
    weight: Sequence[int],
    bias: object,
    stride: object,
    padding: object,
    dilation: object,
    transposed: bool,
    output_padding: object,
    groups: int,
    output_mask: Sequence[bool],
    **kwargs: object,
) -> int:
    """Either gradient costs what the forward pass costs.

    weight is [out, in / groups, ...], so grouping is in its shape; torch's own formula counts the weight's gradient
    `groups` times (torch 2.14; pytorch#183405).
    """
    forward = 2 * prod(x if transposed else grad_out) * prod(weight[1:])
    return forward * (output_mask[0] + output_mask[1])


def _attention_flops(
    query: Sequence[int], key: Sequence[int], value: Sequence[int], width: int, *args: object, **kwargs: object
) -> int:
    """Self-attention of tokens [B, T, d] without gradients, which torch does in one operation and counts as nothing.

    Three projections, Q K^T and its product with V for all heads together, and the projection of what comes out.
    """
    batch, tokens, _ = query
    return 2 * batch * tokens * width * (4 * width + 2 * tokens)


def _cpu_attention_flops(query: Sequence[int], key: Sequence[int], value: Sequence[int], *args: Any, **kw: Any) -> int:
    """Scaled dot products on a CPU, which torch counts from 2.15 on."""
    return int(sdpa_flop_count(query, key, value))


def _cpu_attention_backward_flops(
    grad_out: Sequence[int], query: Sequence[int], key: Sequence[int], value: Sequence[int], *args: Any, **kw: Any
) -> int:
    return int(sdpa_backward_flop_count(grad_out, query, key, value))


CORRECTED: dict[Any, Callable[..., int]] = {
    torch.ops.aten.convolution_backward: _convolution_backward_flops,
    torch.ops.aten._native_multi_head_attention: _attention_flops,
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _cpu_attention_flops,
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward: _cpu_attention_backward_flops,
}


class FlopCounter:
    """Counts what runs inside `with`; .total is the FLOPs so far."""

    def __init__(self) -> None:
        """Start at 0."""
        self._mode = FlopCounterMode(display=False, custom_mapping=CORRECTED)
        self.total = 0

    def __enter__(self) -> "FlopCounter":
        """Start to count."""
        self._mode.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        """Stop and keep the sum."""
        self._mode.__exit__(*error)
        self.total = int(self._mode.get_total_flops())


class Span:
    """A stretch of time on the device's own clock: CUDA events on a GPU, a monotonic clock on a CPU."""

    def __init__(self, device: torch.device) -> None:
        """It begins now."""
        self._device = device
        self._begin = self._end = self._now()

    def end(self) -> None:
        """It ends now. On a GPU nobody waits: the event is reached when the work before it is done."""
        self._end = self._now()

    @property
    def seconds(self) -> float:
        """How long it was; on a GPU this waits for its end."""
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
        """Nothing has been measured yet."""
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
        """Seconds by purpose, 0 where there were none; on a GPU this waits for the end of all that was measured."""
        total: dict[str, float] = defaultdict(float)
        for purpose, span, share in self._spans:
            total[purpose] += share * span.seconds
        return total


class PeakMemory:
    """The most memory in use since it was made: on the device, and of the process where the system can tell."""

    def __init__(self, device: torch.device) -> None:
        """Start over, where the system lets one."""
        self._device = device
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        gc.collect()
        return_freed_memory()  # what an earlier run has freed is not this one's
        with contextlib.suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")

    @property
    def bytes(self) -> int | None:
        """Peak in bytes: allocated on a GPU, resident on a CPU; None where it can't be known."""
        if self._device.type == "cuda":
            return torch.cuda.max_memory_allocated(self._device)
        return peak_resident_bytes()


@contextlib.contextmanager
def settled() -> Iterator[None]:
    """Within the block nobody looks for garbage among what there is now, such as torch's 300,000 objects.

    Each measurement of memory looks for garbage first, which took a third of the time of small runs.
    """
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def keep_freed_memory() -> None:
    """Let glibc keep what a training step frees for the next step, where the C library is glibc.

    By default it gives large blocks, such as the gradients of a wide layer, back to the system and faults them in
    again: some 4,500 page faults a step for CNN-1, a tenth to a fifth of its time.
    """
    mmap_threshold, trim_threshold = -3, -1  # M_MMAP_THRESHOLD and M_TRIM_THRESHOLD of malloc.h
    if (libc := _glibc()) and libc.mallopt(mmap_threshold, 2**25):
        libc.mallopt(trim_threshold, 2**27)


def return_freed_memory() -> None:
    """Give what is free back to the system, where the C library is glibc."""
    if libc := _glibc():
        libc.malloc_trim(0)


def _glibc() -> ctypes.CDLL | None:
    try:
        return ctypes.CDLL("libc.so.6")
    except OSError:  # another system, or another C library
        return None


def peak_resident_bytes() -> int | None:
    """Peak resident memory of this process in bytes, or None where the system does not tell."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def matrix_product_rate(device: torch.device, size: int = 2048, repeats: int = 7) -> float:
    """FLOPs per second of a single-precision matrix product, the yardstick for training: a median of several."""
    a, b = (torch.rand(size, size, device=device) for _ in range(2))
    seconds = []
    for _ in range(repeats + 2):
        span = Span(device)
        torch.mm(a, b)
        span.end()
        seconds.append(span.seconds)
    return 2 * size**3 / median(seconds[2:])
