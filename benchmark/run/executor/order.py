"""The order in which runs begin when several go on at a time: the longest first, so that none is left at the end."""

from collections.abc import Sequence
from math import inf

from benchmark.errors import HookError
from benchmark.forecast.prediction import shape_flops
from benchmark.problem import Run


def longest_first(runs: Sequence[Run]) -> list[Run]:
    """Sort runs by predicted FLOPs, the most first; equal ones stay in the order of the grid."""
    total: dict[str, float] = {}

    def flops(run: Run) -> float:
        seedless = run.spec.model_copy(update={"seed": 0}).key  # seeds change who holds which samples, hardly how many
        if seedless not in total:
            total[seedless] = flops_or_infinite(run)
        return total[seedless]

    return sorted(runs, key=flops, reverse=True)


def flops_or_infinite(run: Run) -> float:
    """Predict the FLOPs of the clients from shapes alone; infinite if the method does not allow that."""
    try:
        return shape_flops(run)
    except HookError:  # the method reads values, which a shape lacks; if it is wrong, its run reports that
        return inf
