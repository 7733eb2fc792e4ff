"""Which run is begun first where several go on at a time: the longest, so that none is left over at the end."""

from collections.abc import Sequence
from functools import partial
from math import inf

import torch

from benchmark.engine.rehearsal import Prospect
from benchmark.federation import Federation
from benchmark.plan import Run

META = torch.device("meta")


def longest_first(runs: Sequence[Run]) -> list[Run]:
    """Those with the most predicted FLOPs first, in the order of the grid where they are alike."""
    rounds: dict[str, float] = {}

    def flops(run: Run) -> float:
        alike = run.spec.model_copy(update={"seed": 0}).key  # seeds differ in who holds what, hardly in how much
        if alike not in rounds:
            rounds[alike] = round_flops(run)
        return rounds[alike] * run.rounds

    return sorted(runs, key=flops, reverse=True)


def round_flops(run: Run) -> float:
    """FLOPs of the clients' training in a round, predicted from shapes alone; infinite where that can't be done.

    Counted for the first client of each architecture, and for the others in proportion to their samples.
    """
    config = run.spec.federation
    try:
        with META:
            federation = Federation(run.method, run.problem.task(), config, META)
            engine = federation.engine = Prospect(run.method, federation.task, config, META)
            per_sample = {}
            for name, k in federation.task.by_architecture.items():
                client = federation.client(k)
                turn = engine.flops(client, partial(federation.schedule.epochs, k, 0))
                per_sample[name] = turn / client.info.num_samples
    except Exception:  # a method looks at values, which are not there; what it gets wrong is told when it runs
        return inf
    everyone = sum(per_sample[info.architecture] * info.num_samples for info in federation.task.infos)
    return everyone * config.participants / config.clients
