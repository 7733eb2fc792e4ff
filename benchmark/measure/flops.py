"""FLOPs: those of matrix products, convolutions, recurrent layers, distances and singular values, forward and backward.

A multiply-add is 2. Element-wise work and the optimiser are not counted. The formulas are torch's, and ours where torch
has none or a wrong one.
"""

from collections.abc import Callable, Hashable, Sequence
from functools import cache
from math import prod
from time import perf_counter
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry, sdpa_backward_flop_count, sdpa_flop_count, shape_wrapper

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


def _svd_flops(
    matrix: Sequence[int], full_matrices: bool = False, compute_uv: bool = True, *args: object, **kwargs: object
) -> int:
    """Return the FLOPs of the singular values of a matrix [..., m, n], m >= n or transposed, and of its vectors.

    They are those of Golub and Van Loan, Matrix Computations, 4th ed. (2013), figure 8.6.1: of its two algorithms
    (Golub-Reinsch; R-SVD, which makes a QR decomposition first) the one that needs fewer.
    """
    *batch, m, n = *matrix[:-2], max(matrix[-2:]), min(matrix[-2:])
    if not compute_uv:
        flops = min(4 * m * n**2 - 4 * n**3 // 3, 2 * m * n**2 + 2 * n**3)
    elif full_matrices:
        flops = min(4 * m**2 * n + 8 * m * n**2 + 9 * n**3, 4 * m**2 * n + 22 * n**3)
    else:
        flops = min(14 * m * n**2 + 8 * n**3, 6 * m * n**2 + 20 * n**3)
    return prod(batch) * flops


def _distance_flops(a: Sequence[int], b: Sequence[int], *args: object, **kwargs: object) -> int:
    """Return the FLOPs of all distances between rows of [..., m, d] and [..., n, d]: subtract, multiply, add."""
    return 3 * prod(a) * b[-2]


def _distance_backward_flops(grad_out: Sequence[int], a: Sequence[int], b: Sequence[int], *args: Any, **kw: Any) -> int:
    """Return the FLOPs of the gradient by the first rows: subtract, multiply and add once more."""
    return _distance_flops(a, b)


def _distance_by_product_flops(a: Sequence[int], b: Sequence[int], *args: object, **kwargs: object) -> int:
    """Return the FLOPs of distances between more rows, which torch takes from one matrix product of d + 2 columns."""
    return 2 * prod(a[:-1]) * (a[-1] + 2) * b[-2]


def _recurrent_flops(x: Sequence[int], by_input: Sequence[int], by_state: Sequence[int], *args: Any, **kw: Any) -> int:
    """Return the FLOPs of one direction of a recurrent layer on [T, B, ...]: two products a step and sample."""
    return 2 * prod(x[:-1]) * (prod(by_input) + prod(by_state))


def _recurrent_backward_flops(
    x: Sequence[int], by_input: Sequence[int], by_state: Sequence[int], *args: Any, **kwargs: Any
) -> int:
    return 2 * _recurrent_flops(x, by_input, by_state)


def _cudnn_recurrent_flops(x: Sequence[int], weights: Sequence[Sequence[int]], *args: Any, **kwargs: Any) -> int:
    """Return the FLOPs of a whole recurrent network on a GPU: every matrix among its weights meets each step once."""
    return 2 * prod(x[:-1]) * sum(prod(weight) for weight in weights if len(weight) == 2)


def _cudnn_recurrent_backward_flops(x: Sequence[int], weights: Any, *args: Any, **kwargs: Any) -> int:
    return 2 * _cudnn_recurrent_flops(x, weights)


CORRECTED: dict[Any, Callable[..., int]] = {
    torch.ops.aten.convolution_backward: _convolution_backward_flops,
    torch.ops.aten._native_multi_head_attention: _attention_flops,
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _cpu_attention_flops,
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward: _cpu_attention_backward_flops,
    torch.ops.aten._linalg_svd: _svd_flops,
    torch.ops.aten._cdist_forward: _distance_flops,
    torch.ops.aten._cdist_backward: _distance_backward_flops,
    torch.ops.aten._euclidean_dist: _distance_by_product_flops,
    torch.ops.aten.mkldnn_rnn_layer: _recurrent_flops,
    torch.ops.aten.mkldnn_rnn_layer_backward: _recurrent_backward_flops,
    torch.ops.aten._cudnn_rnn: _cudnn_recurrent_flops,
    torch.ops.aten._cudnn_rnn_backward: _cudnn_recurrent_backward_flops,
}
FORMULAS = {**flop_registry, **{operation: shape_wrapper(formula) for operation, formula in CORRECTED.items()}}
"""Operation -> the formula of its FLOPs."""


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


class FlopCounter(TorchDispatchMode):
    """Counts the FLOPs of what runs inside `with`; total: their number so far.

    torch's own FlopCounterMode tries to take every operation apart, which takes half a millisecond each: too long for
    the hooks of messages, which are counted while they are timed.
    """

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operation and add its FLOPs; one that is made of others is taken apart."""
        kwargs = kwargs or {}
        if func._overloadpacket not in FORMULAS and _is_composite(func):
            with self:
                return func.decompose(*args, **kwargs)
        result = func(*args, **kwargs)
        if formula := FORMULAS.get(func._overloadpacket):
            self.total += int(formula(*args, **kwargs, out_val=result))
        return result


@cache
def _is_composite(func: Any) -> bool:
    """Return whether an operation is only a sequence of others, which autograd takes apart unless it is off."""
    key = "CompositeImplicitAutograd"
    return func.namespace == "aten" and bool(torch._C._dispatch_has_kernel_for_dispatch_key(func.name(), key))
