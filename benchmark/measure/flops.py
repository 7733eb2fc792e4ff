"""FLOPs: those of matrix products and convolutions, forward and backward, 2 per multiply-add.

Element-wise work and the optimiser are not counted.
"""

from collections.abc import Callable, Hashable, Sequence
from math import prod
from time import perf_counter
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode, sdpa_backward_flop_count, sdpa_flop_count

from benchmark.seeds import torch_seeded


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
    """Return the FLOPs of the gradients that are asked for; each costs as much as the forward pass.

    weight is [out, in / groups, ...], so grouping is in its shape; torch's own formula counts the weight's gradient
    `groups` times (torch 2.14; pytorch#183405).
    """
    forward = 2 * prod(x if transposed else grad_out) * prod(weight[1:])
    return forward * (output_mask[0] + output_mask[1])


def _attention_flops(
    query: Sequence[int], key: Sequence[int], value: Sequence[int], width: int, *args: object, **kwargs: object
) -> int:
    """Return the FLOPs of self-attention of tokens [B, T, d] without gradients, one operation that torch counts as 0.

    They are three projections, Q K^T and its product with V for all heads together, and the projection of the result.
    """
    batch, tokens, _ = query
    return 2 * batch * tokens * width * (4 * width + 2 * tokens)


def _cpu_attention_flops(query: Sequence[int], key: Sequence[int], value: Sequence[int], *args: Any, **kw: Any) -> int:
    """Return the FLOPs of scaled dot products on a CPU, which torch counts from 2.15 on."""
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


class FlopTable:
    """FLOPs of pieces of work by what they depend on: a piece is run to be counted when its key is new, and only then.

    seconds: time that counting has taken so far
    """

    def __init__(self) -> None:
        self._known: dict[Hashable, int] = {}
        self.seconds = 0.0

    def __len__(self) -> int:
        return len(self._known)

    def of(self, key: Hashable, work: Callable[[], object]) -> int:
        """Return the FLOPs of the work with this key; the work must leave everything as it was."""
        if key not in self._known:
            begun = perf_counter()
            with torch_seeded("warm-up"), FlopCounter() as counter:
                work()
            self._known[key] = counter.total
            self.seconds += perf_counter() - begun
        return self._known[key]


class FlopCounter:
    """Counts the FLOPs of what runs inside `with`; total: their number, known at its end."""

    def __init__(self) -> None:
        self._mode = FlopCounterMode(display=False, custom_mapping=CORRECTED)
        self.total = 0

    def __enter__(self) -> "FlopCounter":
        self._mode.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._mode.__exit__(*error)
        self.total = int(self._mode.get_total_flops())
