"""Costs of the parts of a run, measured in a rehearsal: a few rounds of a few clients, one for every architecture.

The clients have few samples, and some have more classes than others, which shows what the size of a message depends on.
Runs that differ only in seed, partition or number of rounds share a rehearsal.
"""

import json
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from math import ceil
from statistics import mean
from typing import Any, NamedTuple

import torch
from torch import Tensor

from benchmark.channel import RoundNumber, nbytes
from benchmark.client import Client
from benchmark.engine.eager import EVALUATION_BATCH, EagerEngine, Step, Trained
from benchmark.federation import Federation
from benchmark.forecast.sizes import Rule, rules
from benchmark.forecast.workload import (
    STATISTICS,
    Flops,
    Line,
    WorkKind,
    Workload,
    WorkShape,
    count_with,
    turns,
    workload,
)
from benchmark.measure.clock import Stopwatch
from benchmark.measure.memory import PeakMemory
from benchmark.method import Phase
from benchmark.problem import Run
from benchmark.schedule import Schedule
from benchmark.seeds import torch_seeded
from benchmark.storage.schema import ClientRound, Round
from benchmark.task import ClientData, Task

TIMED_SECONDS = 0.01
"""Steps are repeated for so many seconds, to be timed together; a single step may take longer."""
MOST_REPEATS = 20
"""The most often that they are repeated."""
SHORTEST_STRETCH = 0.1
"""The smallest share of a client's training samples that has a full batch in the rehearsal. A client has as many
samples as that takes, and two more, so that steps of two sizes are timed."""
ROUNDS = 4
SOLO = 3
"""The round in which client 0 is alone, so that the others miss one; the rounds before and after it are timed."""
TIMED = (SOLO - 1, SOLO + 1)


@dataclass(frozen=True)
class Calibration:
    """The measurements of one rehearsal.

    Seconds by architecture: of a step by its samples, of a sample's statistics, of a turn's messages, and of a visit;
    FLOPs of a turn's messages, which may depend on what was learned.
    Seconds: of what is on no clock in a turn (beside), of the server by the number of participants, of counting the
    FLOPs of one shape of a client's work, and of the server's. Bytes: by architecture, of a client's state and of what
    it sent; memory, of this rehearsal at its peak. clients: their number in it
    """

    flops: Flops
    up: Mapping[str, Rule]
    down: Mapping[str, Rule]
    step: Mapping[WorkKind, Line]
    statistics: Mapping[str, float]
    messages: Mapping[str, float]
    message_flops: Mapping[str, float]
    visits: Mapping[str, "Visit"]
    beside: float
    server: Line
    counting: float
    server_counting: float
    state: Mapping[str, int]
    sent: Mapping[str, int]
    memory: int | None
    clients: int


CALIBRATIONS: dict[str, Calibration] = {}
"""The calibrations of this process, by what they depend on."""


def calibration(run: Run, work: Workload, device: torch.device) -> Calibration:
    """Return the costs of a run's parts on a device; one rehearsal serves all runs that are alike in them."""
    batch, most = work.common_batch, max(len(data.test) for data in work.task.clients)
    test = min(EVALUATION_BATCH, 1 << (most - 1).bit_length())  # so that partitions alike in this share a rehearsal
    clients = min(max(2, len(work.task.line_up.architectures)), work.task.num_clients)
    numbers = {"clients": clients, "participation": 1.0, "rounds": ROUNDS + 1, "eval_every": ROUNDS + 1}
    numbers |= {"batch_size": batch, "local_epochs": 1, "validation": 0.0, "finetune": 0}
    spec = run.spec.model_copy(
        update={
            "federation": run.spec.federation.model_copy(update=numbers),
            "partition": f"{test} for tests",
            "seed": 0,
        }
    )
    key = json.dumps([spec.model_dump(mode="json"), str(device), torch.get_num_threads()], sort_keys=True)
    if key not in CALIBRATIONS:
        with torch_seeded("forecast"):
            found, memory = _rehearsed(replace(run, spec=spec), work, device, test)
        rest = PeakMemory(device).bytes  # memory in use after the rehearsal is not the rehearsal's
        used = None if memory is None or rest is None else max(0, memory - rest)
        CALIBRATIONS[key] = replace(found, memory=used)
    return CALIBRATIONS[key]


class TimedEngine(EagerEngine):
    """Takes one step of every shape, and in some rounds records its seconds."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.seconds: dict[WorkShape, list[float]] = defaultdict(list)

    def phases(self, t: RoundNumber) -> list[tuple[int, Phase]]:
        """Return all phases: a rehearsal is shorter than a warm-up."""
        return list(enumerate(self.method.phases()))

    def train_phase(self, client: Client, number: int, phase: Phase, steps: list[Step], trained: Trained) -> None:
        """Take one step of each shape, timed ones several times."""
        for (collects, sizes), alike in groupby(sorted(steps, key=_shape), _shape):
            few = [next(alike)]
            if client.info.progress.round in TIMED:
                taken = self._timed(client, number, phase, few, trained)
                if taken < TIMED_SECONDS:
                    few = few * min(MOST_REPEATS, int(TIMED_SECONDS / taken) + 1)
                    taken = self._timed(client, number, phase, few, trained)
                shape = WorkShape(client.info.architecture, number, sizes, collects)
                self.seconds[shape].append(taken / len(few))
            else:
                super().train_phase(client, number, phase, few, trained)

    def _timed(self, client: Client, number: int, phase: Phase, steps: list[Step], trained: Trained) -> float:
        watch = Stopwatch(self.device)
        with watch.measure("steps"):
            super().train_phase(client, number, phase, steps, trained)
        return watch.seconds["steps"]


def _shape(step: Step) -> tuple[bool, tuple[int, ...]]:
    return step.shape


class RehearsalSchedule(Schedule):
    """A schedule in which all clients take part in every round but one."""

    def participants(self, round: int) -> list[int]:
        """Return all clients, in round SOLO client 0 alone."""
        return [0] if round == SOLO else [*range(self.task.num_clients)]


def sample(work: Workload, clients: int, train: int, test: int) -> Task:
    """Make a task of the first clients with so many samples for training and tests, of one to three classes in turn."""
    task = work.task
    pool = torch.cat([data.train for data in task.clients])
    by_class = [pool[task.labels[pool] == c] for c in task.labels[pool].unique()]

    def of(k: int, n: int) -> Tensor:
        mine = [by_class[(k + i) % len(by_class)] for i in range(1 + k % max(1, min(3, len(by_class) - 1)))]
        return torch.stack([mine[i % len(mine)][i // len(mine) % len(mine[i % len(mine)])] for i in range(n)])

    few = tuple(ClientData(of(k, train), pool[:0], of(k, test)) for k in range(clients))
    return replace(task, clients=few)


def _rehearsed(run: Run, work: Workload, device: torch.device, test: int) -> tuple[Calibration, int | None]:
    """Rehearse a run; return the measurements, and the memory that was in use at the peak."""
    config, memory = run.spec.config, PeakMemory(device)
    stretches = [stop - start for phase in run.method.phases() for start, stop in phase.samples]
    train = ceil(config.batch_size / max(SHORTEST_STRETCH, min(stretches))) + 2
    task = sample(work, config.clients, train, test)
    federation = Federation(run.method, task, config, device, engine=TimedEngine, schedule=RehearsalSchedule)
    rounds = [_rehearsed_round(federation, t) for t in range(1, ROUNDS + 1)]
    visits = {name: _visit(federation, k) for name, k in federation.task.by_architecture.items()}
    peak = memory.bytes
    return _read(federation, rounds, visits), peak


class RehearsedRound(NamedTuple):
    """A round of the rehearsal.

    counting: seconds in which FLOPs were counted; counted: number of shapes; beside: all other seconds on no clock
    """

    record: Round
    counting: float
    counted: int
    beside: float


class Visit(NamedTuple):
    """Seconds of a client: to load its state, evaluate a sample, again after a download, and make its initial state."""

    load: float
    evaluation: float
    again: float
    initial: float


def _rehearsed_round(federation: Federation, t: int) -> RehearsedRound:
    table, begun = federation.engine.flops, time.perf_counter()
    counting, counted = table.seconds, len(table)
    record = federation.round(t)
    counting, counted = table.seconds - counting, len(table) - counted
    clocks = record["client_seconds"] + record["server_seconds"] + record["eval_seconds"]
    return RehearsedRound(record, counting, counted, time.perf_counter() - begun - clocks - counting)


def _visit(federation: Federation, k: int) -> Visit:
    """Time a visit to client k. Client 0 evaluates a full batch, for the peak of memory; for others a part suffices."""
    test, engine, watch = federation.task.clients[k].test, federation.engine, Stopwatch(federation.device)
    test = test[: len(test) if k == 0 else max(1, len(test) // 4)]
    with watch.measure("load"):
        client = federation.client(k)
    engine.cache.forget(k)
    with watch.measure("evaluation"):
        engine.evaluate(client, test, "test", client.parts)
    if downloaded := federation.evaluation.after_download(k, federation.server, RoundNumber(ROUNDS, ROUNDS + 1)):
        client, unchanged = downloaded
        with watch.measure("again"):
            engine.evaluate(client, test, "test", unchanged)
    with watch.measure("initial"):
        engine.initial_state(k)
    taken = watch.seconds
    return Visit(taken["load"], taken["evaluation"] / len(test), taken["again"] / len(test), taken["initial"])


def _read(federation: Federation, rounds: Sequence[RehearsedRound], visits: Mapping[str, Visit]) -> Calibration:
    """Read the costs off the rounds of a rehearsal."""
    task, engine = federation.task, federation.engine
    assert isinstance(engine, TimedEngine)
    first, warm, solo, last = rounds
    of = {name: [_turn(warm, k), _turn(last, k)] for name, k in task.by_architecture.items()}
    done = turns(task, [rehearsed.record["participants"] for rehearsed in rounds])
    sent = [*zip(done, (turn for rehearsed in rounds for turn in rehearsed.record["clients"]), strict=True)]

    def seconds(name: str, purpose: str) -> float:
        return mean(turn["seconds"][purpose] for turn in of[name])

    count = count_with(engine, lambda name: federation.client(task.by_architecture[name]))
    flops = Flops.counting(count, _shapes(engine))
    steps = workload(federation.method, task, federation.config, engine).steps

    def message_flops(name: str) -> float:
        trained = sum(n * flops.of(shape, count) for shape, n in steps[task.by_architecture[name]].items())
        return mean(turn["flops"] for turn in of[name]) - trained

    server = {1: solo.record["server_seconds"], task.num_clients: warm.record["server_seconds"]}
    server_counting = solo.counting / max(1, solo.counted)  # client 0's own shapes were counted before
    return Calibration(
        flops=flops,
        up=rules([(turn, client["bytes_up"]) for turn, client in sent]),
        down=rules([(turn, client["bytes_down"]) for turn, client in sent]),
        step=_step_lines(engine),
        statistics={name: seconds(name, "statistics") / task.infos[0].num_samples for name in of},
        messages={name: seconds(name, "messages") for name in of},
        message_flops={name: message_flops(name) for name in of},
        visits=visits,
        beside=max(0.0, warm.beside) / task.num_clients,
        server=Line.through(server),
        counting=max(0.0, first.counting - server_counting) / max(1, first.counted - 1),
        server_counting=server_counting,
        state={name: sum(map(nbytes, federation.states[k].values())) for name, k in task.by_architecture.items()},
        sent={name: sum(_turn(last, k)["bytes_up"].values()) for name, k in task.by_architecture.items()},
        memory=None,
        clients=task.num_clients,
    )


def _turn(rehearsed: RehearsedRound, k: int) -> ClientRound:
    """Return the record of a client in a round in which all take part."""
    return rehearsed.record["clients"][k]


def _shapes(engine: TimedEngine) -> list[WorkShape]:
    """Return the timed shapes of steps, the largest first, and a chunk of the statistics of each architecture."""
    timed = sorted(engine.seconds, key=lambda shape: shape.sizes)
    names = engine.task.by_architecture if engine.takes_statistics else ()
    return [*reversed(timed), *(WorkShape(name, STATISTICS, (EVALUATION_BATCH,)) for name in names)]


def _step_lines(engine: TimedEngine) -> dict[WorkKind, Line]:
    """Return kind of step -> its seconds by its number of samples."""
    points: dict[WorkKind, dict[int, float]] = defaultdict(dict)
    for shape, values in engine.seconds.items():
        points[shape.kind][sum(shape.sizes)] = mean(values)
    return {key: Line.through(found) for key, found in points.items()}
