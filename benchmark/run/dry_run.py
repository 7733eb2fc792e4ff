"""A grid that is told and not run: what every run of it would cost, and how long they would take together."""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass

from benchmark.forecast.prediction import forecast
from benchmark.measure.environment import find_device
from benchmark.measure.memory import gc_frozen
from benchmark.problem import Run
from benchmark.run.executor.local_pool import requests_of_workers
from benchmark.run.plan import Request
from benchmark.run.runner import is_complete, use_threads
from benchmark.storage.schema import Prediction

COSTS = ("client_flops", "bytes_up", "bytes_down")


@dataclass(frozen=True)
class Planned:
    """One run, what it would cost, and what would become of it: "new", "goes on", "again" or "already there"."""

    run: Run
    prediction: Prediction
    status: str

    @property
    def to_do(self) -> bool:
        """Whether there is anything to do."""
        return self.status != "already there"


def planned(runs: Sequence[Run], request: Request) -> list[Planned]:
    """Every run, on the device and with the threads that it would have. Nothing is written."""
    own = requests_of_workers(request)[0] if request.jobs else request
    use_threads(own.threads)
    device = find_device(own.device)
    plans = []
    for run in runs:
        with gc_frozen():
            plans.append(Planned(run, forecast(run, device), _status(run, request)))
    return plans


def _status(run: Run, request: Request) -> str:
    if is_complete(run, request):
        return "already there"
    if not run.folder.exists:
        return "new"
    return "again" if request.force or run.folder.read()["status"] != "running" else "goes on"


def totals(plans: Sequence[Planned], jobs: int) -> dict[str, float | int | None]:
    """What all that is to be done costs, as far as it can be told: runs, how many of them can't be told, sums, seconds.

    seconds: until the last of so many workers is ready, where each takes the longest run that is left.
    """
    left = [plan.prediction for plan in plans if plan.to_do]
    told = [p["seconds"] for p in left if p["seconds"] is not None]
    sums = {name: _sum([p[name] for p in left]) for name in COSTS}  # type: ignore[literal-required]
    unknown = sum(any(p[name] is None for name in (*COSTS, "seconds")) for p in left)  # type: ignore[literal-required]
    seconds = together(told, jobs) if told or not left else None
    return {"runs": len(left), "not_predicted": unknown, **sums, "seconds": seconds}


def _sum(values: Sequence[int | None]) -> int | None:
    """Of those that are known; None where there are others only."""
    known = [value for value in values if value is not None]
    return sum(known) if known or not values else None


def together(seconds: Sequence[float], jobs: int) -> float:
    """How long runs of these durations take with so many at a time, the longest first."""
    ends = [0.0] * jobs
    for duration in sorted(seconds, reverse=True):
        heapq.heapreplace(ends, ends[0] + duration)
    return max(ends)
