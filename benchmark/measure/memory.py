"""Memory: its peak in use, and settings that save time in the allocator and the garbage collector."""

import contextlib
import ctypes
import gc
import sys
from collections.abc import Iterator
from pathlib import Path

import torch


class PeakMemory:
    """The most memory in use since this object was made: on a GPU that of torch, otherwise that of the process.

    The peak of the process counts from its start if the system does not let it be reset.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        if device.type == "cuda":
            torch.cuda.init()  # it refuses to be reset before
            torch.cuda.reset_peak_memory_stats(device)
        gc.collect()
        return_freed_memory()  # what an earlier run has freed is not this one's
        with contextlib.suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")

    @property
    def bytes(self) -> int | None:
        """Return the peak in bytes: allocated on a GPU, resident on a CPU; None if the system does not report it."""
        if self._device.type == "cuda":
            return torch.cuda.max_memory_allocated(self._device)
        return peak_resident_bytes()


_open_blocks: list[None] = []
"""One for each block of `gc_frozen` that has begun; gc.get_freeze_count would count 400,000 objects one by one."""


@contextlib.contextmanager
def gc_frozen() -> Iterator[None]:
    """Exclude existing objects (300,000 of torch alone) from garbage collection inside the block.

    Each measurement of memory collects garbage first, which took a third of the time of small runs. Blocks may lie in
    each other; objects are excluded until the outermost ends.
    """
    gc.collect()
    gc.freeze()
    _open_blocks.append(None)
    try:
        yield
    finally:
        _open_blocks.pop()
        if not _open_blocks:
            gc.unfreeze()


def keep_freed_memory() -> None:
    """Let glibc keep memory that a training step frees for the next step; other C libraries are left alone.

    By default it gives large blocks, such as the gradients of a wide layer, back to the system and faults them in
    again: some 4,500 page faults a step for CNN-1, a tenth to a fifth of its time.
    """
    mmap_threshold, trim_threshold = -3, -1  # M_MMAP_THRESHOLD and M_TRIM_THRESHOLD of malloc.h
    if (libc := _glibc()) and libc.mallopt(mmap_threshold, 2**25):
        libc.mallopt(trim_threshold, 2**27)


def return_freed_memory() -> None:
    """Let glibc give free memory back to the system; other C libraries are left alone."""
    if libc := _glibc():
        libc.malloc_trim(0)


def _glibc() -> ctypes.CDLL | None:
    try:
        return ctypes.CDLL("libc.so.6")
    except OSError:  # another system, or another C library
        return None


def peak_resident_bytes() -> int | None:
    """Return the peak resident memory of this process in bytes, or None if the system does not report it."""
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
