"""The choice of the engine of a comparison's runs."""

from time import perf_counter

import torch

from benchmark.config import FederationConfig
from benchmark.engine.eager import EagerEngine
from benchmark.engine.graphs import GraphEngine
from benchmark.engine.stacked import StackedEngine
from benchmark.federation import Federation
from benchmark.method import Method
from benchmark.schedule import Schedule
from benchmark.task import Task

ENGINES: dict[str, type[EagerEngine]] = {"eager": EagerEngine, "graphs": GraphEngine, "stacked": StackedEngine}
WORTH_TRYING = 100
"""Rounds from which on it pays to try all engines first: the trials take less than a tenth of the run."""
TRIALS = 3
"""Rounds of an engine's trial; the last one counts, because work that is done once is done by then."""
WORTH_A_CHANGE = 0.8
"""An engine is chosen in place of the plain one if its round takes less than this share of the plain one's."""


class RepeatedParticipants(Schedule):
    """A schedule in which the first round's participants take part in every round, so that none is new in the last."""

    def participants(self, round: int) -> list[int]:
        """Return the first round's participants."""
        return super().participants(1)


def choose(task: Task, config: FederationConfig, device: torch.device) -> str:
    """Return the name of the engine for a run whose request names none.

    It is the same for all methods of a comparison, whose seconds would otherwise be those of different engines: engines
    train the clients' own networks in a trial, whatever the method. On a CPU it is the plain one, which is the fastest
    there (docs/performance.md), and so it is for runs that are too short for a trial.
    """
    if device.type == "cpu" or config.rounds < WORTH_TRYING:
        return "eager"
    seconds = {name: round_seconds(engine, task, config, device) for name, engine in ENGINES.items()}
    fastest = min(seconds, key=lambda name: seconds[name])
    return fastest if seconds[fastest] < WORTH_A_CHANGE * seconds["eager"] else "eager"


def round_seconds(engine: type[EagerEngine], task: Task, config: FederationConfig, device: torch.device) -> float:
    """Return the seconds that this engine takes for a round of plain training, infinity if it fails."""
    unevaluated = config.model_copy(update={"rounds": TRIALS + 1, "eval_every": TRIALS + 1})
    seconds = float("inf")
    try:
        federation = Federation(Method(), task, unevaluated, device, engine=engine, schedule=RepeatedParticipants)
        for t in range(1, TRIALS + 1):
            begun = perf_counter()
            federation.round(t)  # its end waits for the device
            seconds = perf_counter() - begun
    except RuntimeError:  # such as too little memory
        return float("inf")
    return seconds
