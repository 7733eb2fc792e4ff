"""Which engine a run gets."""

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
"""Rounds of a run that is worth trying all engines first: they take less than a tenth of it."""
TRIALS = 3
"""Rounds that an engine is tried for; the last one counts, when what is done once has been done."""


def choose(method: Method, task: Task, config: FederationConfig, device: torch.device) -> str:
    """The engine for a run that asks for none.

    On a CPU the plain one, which is the fastest there (docs/performance.md). On a GPU that depends on card, network and
    batch: there a long run gets the one that trains a round fastest when it is tried, a short one the plain one.
    """
    if device.type == "cpu" or config.rounds < WORTH_TRYING:
        return "eager"
    return min(ENGINES, key=lambda name: round_seconds(ENGINES[name], method, task, config, device))


def round_seconds(
    engine: type[EagerEngine], method: Method, task: Task, config: FederationConfig, device: torch.device
) -> float:
    """Seconds that this engine takes for a round, without evaluation; infinite where it fails."""
    unevaluated = config.model_copy(update={"rounds": TRIALS + 1, "eval_every": TRIALS + 1})
    federation = Federation(method, task, unevaluated, device, engine=engine)
    seconds = float("inf")
    try:
        for t in range(1, TRIALS + 1):
            begun = perf_counter()
            federation.round(t)  # its end waits for the device
            seconds = perf_counter() - begun
    except Exception:  # what is wrong with the method is told when it runs
        return float("inf")
    return seconds
