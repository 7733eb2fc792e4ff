"""A dry run: predictions of the costs of every run of a grid, and of the time of all together. No run is executed."""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from benchmark.forecast.prediction import forecast
from benchmark.measure.environment import find_device
from benchmark.measure.memory import gc_frozen
from benchmark.problem import Run
from benchmark.run.engine_choice import WORTH_TRYING
from benchmark.run.executor.local_pool import requests_of_workers
from benchmark.run.plan import Request
from benchmark.run.runner import interrupted_attempt, is_complete, use_threads
from benchmark.storage.schema import Prediction

COSTS = ("client_flops", "bytes_up", "bytes_down")


@dataclass(frozen=True)
class Planned:
    """One run, its predicted costs, and what a request would do: "new", "goes on", "again" or "already there"."""

    run: Run
    prediction: Prediction
    status: str

    @property
    def to_do(self) -> bool:
        """Return whether the run would be executed."""
        return self.status != "already there"


def planned(runs: Sequence[Run], request: Request, every_seed: bool = True) -> list[Planned]:
    """Predict every run on the device and with the threads that it would have. Nothing is written.

    What is already there keeps the prediction that was made before it.
    every_seed: otherwise runs that differ in their seeds alone have the costs of the first
    """
    of_worker = requests_of_workers(request)[0] if request.jobs else request
    use_threads(of_worker.threads)
    device = find_device(of_worker.device)
    predictions: dict[str, Prediction] = {}
    plans = []
    with gc_frozen():
        for run in runs:
            status = _status(run, request)
            made_before = run.folder.read().get("prediction") if status == "already there" else None
            name = run.spec.key if every_seed else run.spec.model_copy(update={"seed": 0}).key
            if not made_before and name not in predictions:
                predictions[name] = forecast(run, device, _engine(run, request, device))
            plans.append(Planned(run, made_before or predictions[name], status))
    return plans


def _engine(run: Run, request: Request, device: torch.device) -> str:
    """Return the engine that a run would have: its name, or auto if that is found out in a trial."""
    tried = device.type == "cuda" and run.rounds >= WORTH_TRYING
    return request.engine if request.engine != "auto" or tried else "eager"


def stand_in(plan: Planned) -> Planned:
    """Return the plan of a run of what will be chosen instead of a default: it costs about as much, and is still to do.

    Its label says so; it has the default's key, as its own is not known.
    """
    method = plan.run.spec.method
    spec = plan.run.spec.model_copy(update={"method": method.model_copy(update={"label": f"{method.label} (tuned)"})})
    return replace(plan, run=replace(plan.run, spec=spec), status="new")


def _status(run: Run, request: Request) -> str:
    if is_complete(run, request):
        return "already there"
    if not run.folder.exists:
        return "new"
    return "goes on" if interrupted_attempt(run, request) else "again"


def totals(plans: Sequence[Planned], jobs: int) -> dict[str, float | int | None]:
    """Return the costs of all runs to do, as far as they are predicted: number of runs, of those not predicted, sums.

    seconds: until the last of so many workers is ready, if each takes the longest run that is left
    """
    left = [plan.prediction for plan in plans if plan.to_do]
    predicted = [p["seconds"] for p in left if p["seconds"] is not None]
    sums = {name: _sum([p[name] for p in left]) for name in COSTS}  # type: ignore[literal-required]
    unknown = sum(any(p[name] is None for name in (*COSTS, "seconds")) for p in left)  # type: ignore[literal-required]
    seconds = together(predicted, jobs) if predicted or not left else None
    return {"runs": len(left), "not_predicted": unknown, **sums, "seconds": seconds}


def _sum(values: Sequence[int | None]) -> int | None:
    """Return the sum of those that are known, None if all are unknown."""
    known = [value for value in values if value is not None]
    return sum(known) if known or not values else None


def together(seconds: Sequence[float], jobs: int) -> float:
    """Return the seconds that runs of these durations take with so many at a time, the longest first."""
    ends = [0.0] * jobs
    for duration in sorted(seconds, reverse=True):
        heapq.heapreplace(ends, ends[0] + duration)
    return max(ends)
