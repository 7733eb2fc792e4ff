"""Break-even points of a workload against a limit, in closed form."""

import numpy as np

from benchmark.devices.clock import Rates, other_seconds, server_seconds, transfer_seconds
from benchmark.devices.stored_work import StoredWork


def break_even_factor(work: StoredWork, rates: Rates, limit: float) -> float | None:
    """Return by what both bandwidths have to be multiplied for all rounds to take `limit` seconds.

    With more bandwidth than that they take less. 0: they take less at any bandwidth; None: at none.

    Seconds are a sum over rounds of the largest of affine functions of x = 1 / factor, one for each participant: convex
    and made of straight pieces. Newton's steps go from piece to piece and end, after finitely many, on the one that
    crosses the limit, where x is (limit - what does not travel) / what does.
    """
    fixed, travelling = other_seconds(work, rates), transfer_seconds(work, rates)
    server = float(server_seconds(work, rates).sum())
    x = 0.0
    for _ in range(work.flops.size + 2):
        level, slope = _tangent(fixed, travelling, x)
        if x == 0 and level + server >= limit:
            return None
        if slope == 0:
            return 0.0
        crossing = (limit - server - level) / slope
        if np.isclose(crossing, x, rtol=1e-12, atol=0):
            break
        x = crossing
    return 1 / x


def _tangent(fixed: np.ndarray, travelling: np.ndarray, x: float) -> tuple[float, float]:
    """Return the straight piece that holds from x on: its value at 0 and its slope. Both arrays: [R, P]."""
    seconds = fixed + x * travelling
    slowest = np.isclose(seconds, seconds.max(axis=-1, keepdims=True), rtol=1e-12, atol=0)
    slopes = np.where(slowest, travelling, 0).max(axis=-1)
    return float((seconds.max(axis=-1) - x * slopes).sum()), float(slopes.sum())


def energy_ratio(work: StoredWork, reference: StoredWork) -> float | None:
    """Return the joules of a byte, in units of those of a FLOP, at which both workloads need as much energy.

    With cheaper bytes this workload needs less. 0: it never does; None: it sends no more than the reference, so that
    its bytes can't be what decides.
    """
    saved = float(reference.flops.sum() - work.flops.sum())
    sent = float((work.bytes_down + work.bytes_up).sum() - (reference.bytes_down + reference.bytes_up).sum())
    return max(0.0, saved / sent) if sent > 0 else None
