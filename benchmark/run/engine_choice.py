"""The choice of a run's engine."""

from time import perf_counter

import torch

from benchmark.config import FederationConfig
from benchmark.engine.eager import EagerEngine
from benchmark.engine.graphs import GraphEngine
from benchmark.engine.stacked import StackedEngine
from benchmark.federation import Federation
from benchmark.method import Method
from benchmark.task import Task

ENGINES: dict[str, type[EagerEngine]] = {"eager": EagerEngine, "graphs": GraphEngine, "stacked": StackedEngine}
WORTH_TRYING = 100
"""Rounds from which on it pays to try all engines first: the trials take less than a tenth of the run."""
TRIALS = 3
"""Rounds of an engine's trial; the last one counts, because work that is done once is done by then."""


def choose(method: Method, task: Task, config: FederationConfig, device: torch.device) -> str:
    """Return the name of the engine for a run whose request names none.

    On a CPU it is the plain one, which is the fastest there (docs/performance.md). On a GPU the fastest depends on
    card, network and batch: a long run gets the engine whose trial has the fastest round, a short run the plain one.
    """
    if device.type == "cpu" or config.rounds < WORTH_TRYING:
        return "eager"
    return min(ENGINES, key=lambda name: round_seconds(ENGINES[name], method, task, config, device))


def round_seconds(
    engine: type[EagerEngine], method: Method, task: Task, config: FederationConfig, device: torch.device
) -> float:
    """Return the seconds that this engine takes for a round without evaluation, infinity if it fails."""
    unevaluated = config.model_copy(update={"rounds": TRIALS + 1, "eval_every": TRIALS + 1})
    federation = Federation(method, task, unevaluated, device, engine=engine)
    seconds = float("inf")
    try:
        for t in range(1, TRIALS + 1):
            begun = perf_counter()
            federation.round(t)  # its end waits for the device
            seconds = perf_counter() - begun
    except Exception:  # a faulty method fails again in its run, which reports it
        return float("inf")
    return seconds
