"""Which run is begun first where several go on at a time: the longest, so that none is left over at the end."""

from collections.abc import Sequence
from math import inf

from benchmark.errors import HookError
from benchmark.forecast.prediction import shape_flops
from benchmark.problem import Run


def longest_first(runs: Sequence[Run]) -> list[Run]:
    """Those with the most predicted FLOPs first, in the order of the grid where they are alike."""
    total: dict[str, float] = {}

    def flops(run: Run) -> float:
        alike = run.spec.model_copy(update={"seed": 0}).key  # seeds differ in who holds what, hardly in how much
        if alike not in total:
            total[alike] = flops_or_infinite(run)
        return total[alike]

    return sorted(runs, key=flops, reverse=True)


def flops_or_infinite(run: Run) -> float:
    """FLOPs of the clients, predicted from shapes alone; infinite where that can't be done."""
    try:
        return shape_flops(run)
    except HookError:  # a method looks at values, which are not there; whatever else it gets wrong, the run reports
        return inf
