"""What the parts of a run cost, measured in a rehearsal: a few rounds of a few clients, one for every architecture.

They have few samples, of which some have more classes than others, so that one sees what the size of a message depends
on. Runs that differ in seed, partition or length alone have one rehearsal in common.
"""

import json
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from statistics import mean
from typing import Any

import torch
from torch import Tensor

from benchmark.channel import nbytes
from benchmark.client import Client
from benchmark.cost import PeakMemory, Stopwatch
from benchmark.engine.eager import EVALUATION_BATCH, EagerEngine, Epochs, Indices, Trained
from benchmark.federation import Federation, Record
from benchmark.forecast.sizes import Rule, rules
from benchmark.forecast.workload import STATISTICS, Flops, Line, Shape, Workload, count_with, turns
from benchmark.method import Phase
from benchmark.plan import Run
from benchmark.schedule import Schedule
from benchmark.seeds import torch_seeded
from benchmark.task import ClientData, Task

STEPS = 2
"""Full batches that a client of the rehearsal has."""
LONG_ENOUGH = 0.01
"""Seconds that steps are repeated for, to be timed together; a single step may take longer."""
MOST = 20
"""Times that they are repeated at most."""
ROUNDS = 4
SOLO = 2
"""The round that client 0 does alone, so that the others miss one; the rounds before and after it are timed."""
TIMED = (SOLO - 1, SOLO + 1)


@dataclass(frozen=True)
class Calibration:
    """What one rehearsal gave.

    Seconds: of a step by its samples (step), of a sample (statistics, evaluation), of a turn (messages, beside: what is
    on no clock), of the server by the number of participants, of loading a client, of making its initial state, of
    counting the FLOPs of a shape.
    state, sent: bytes by architecture; memory: bytes, of this rehearsal at its peak; clients: how many it had
    """

    flops: Flops
    up: Mapping[str, Rule]
    down: Mapping[str, Rule]
    step: Mapping[tuple[str, int], Line]
    statistics: Mapping[str, float]
    evaluation: Mapping[str, float]
    messages: Mapping[str, float]
    beside: float
    server: Line
    load: Mapping[str, float]
    initial: Mapping[str, float]
    counting: float
    state: Mapping[str, int]
    sent: Mapping[str, int]
    memory: int | None
    clients: int


CALIBRATIONS: dict[str, Calibration] = {}
"""By what they depend on; those of this process."""


def calibration(run: Run, work: Workload, device: torch.device) -> Calibration:
    """What a run's parts cost on a device; rehearsed the first time that something is asked about runs like it."""
    batch, test = work.common_batch, min(EVALUATION_BATCH, max(len(data.test) for data in work.task.clients))
    clients = min(max(2, len(work.task.line_up.architectures)), work.task.num_clients)
    numbers = {"clients": clients, "participation": 1.0, "rounds": ROUNDS + 1, "eval_every": ROUNDS + 1}
    numbers |= {"batch_size": batch, "local_epochs": 1, "validation": 0.0}
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
        rest = PeakMemory(device).bytes  # what it has freed is not its own
        used = None if memory is None or rest is None else max(0, memory - rest)
        CALIBRATIONS[key] = replace(found, memory=used)
    return CALIBRATIONS[key]


class TimedEngine(EagerEngine):
    """Takes a step or two of every shape, and in some rounds keeps how long they took."""

    def __init__(self, *given: Any) -> None:
        """Nothing has been measured yet."""
        super().__init__(*given)
        self.seconds: dict[Shape, list[float]] = defaultdict(list)
        self._phase = 0

    def train(self, client: Client, epochs: Epochs, watch: Stopwatch) -> Trained:
        """As always, phase by phase."""
        self._phase = 0
        return super().train(client, epochs, watch)

    def _train_phase(self, client: Client, phase: Phase, steps: list[Indices]) -> Tensor:
        total = torch.zeros((), device=self.device)
        for sizes, alike in groupby(sorted(steps, key=_sizes), _sizes):
            few = [*alike][:STEPS]
            if self.progress.round - 1 in TIMED:
                taken = self._timed(client, phase, few)
                if taken < LONG_ENOUGH:
                    few = few * min(MOST, int(LONG_ENOUGH / taken) + 1)
                    taken = self._timed(client, phase, few)
                self.seconds[Shape(client.info.architecture, self._phase, sizes)].append(taken / len(few))
            else:
                total += super()._train_phase(client, phase, few[:1])
        self._phase += 1
        return total

    def _timed(self, client: Client, phase: Phase, steps: list[Indices]) -> float:
        watch = Stopwatch(self.device)
        with watch.measure("steps"):
            super()._train_phase(client, phase, steps)
        return watch.seconds["steps"]


def _sizes(batches: Indices) -> tuple[int, ...]:
    return tuple(map(len, batches))


class Script(Schedule):
    """All take part in every round but one."""

    def participants(self, round_: int) -> list[int]:
        """Client 0 alone in the third round."""
        return [0] if round_ == SOLO else [*range(self.task.num_clients)]


def sample(work: Workload, clients: int, train: int, test: int) -> Task:
    """The first clients with so many samples for training and tests, of one, two or three classes in turn."""
    task = work.task
    pool = torch.cat([data.train for data in task.clients])
    by_class = [pool[task.labels[pool] == c] for c in task.labels[pool].unique()]

    def of(k: int, n: int) -> Tensor:
        mine = [by_class[(k + i) % len(by_class)] for i in range(1 + k % min(3, len(by_class)))]
        return torch.stack([mine[i % len(mine)][i // len(mine) % len(mine[i % len(mine)])] for i in range(n)])

    few = tuple(ClientData(of(k, train), pool[:0], of(k, test)) for k in range(clients))
    return replace(task, clients=few)


def _rehearsed(run: Run, work: Workload, device: torch.device, test: int) -> tuple[Calibration, int | None]:
    """What a rehearsal gave, and the memory that was in use at its peak."""
    config = run.spec.federation
    memory = PeakMemory(device)
    task = sample(work, config.clients, STEPS * config.batch_size + 2, test)
    federation = Federation(run.method, task, config, device)
    engine = federation.engine = TimedEngine(run.method, federation.task, config, device)
    federation.schedule = Script(federation.task, config)
    ids = [federation.schedule.participants(t) for t in range(ROUNDS)]
    records, walls, counted = list[Record](), list[float](), 0
    for t in range(ROUNDS):
        begun = time.perf_counter()
        records.append(federation.round(t))
        walls.append(time.perf_counter() - begun)
        counted = counted or len(engine._flops)
    evaluation, load, initial = (dict[str, float]() for _ in range(3))
    for name, k in federation.task.by_architecture.items():
        evaluation[name], load[name], initial[name] = _evaluated(federation, k)
    peak = memory.bytes
    first, warm, solo, last = records
    sent = [(turn, client) for turn, client in zip(turns(task, ids), _clients(records), strict=True)]
    seconds = _by_architecture(task, [warm, last])
    off = [wall - _clocks(record) for wall, record in zip(walls, records, strict=True)]
    flops = Flops.counting(count_with(engine, lambda name: federation.client(task.by_architecture[name])), _shapes(engine))
    return Calibration(
        flops=flops,
        up=rules([(turn, client["bytes_up"]) for turn, client in sent]),
        down=rules([(turn, client["bytes_down"]) for turn, client in sent]),
        step=_step_lines(engine),
        statistics={name: by.get("statistics", 0) / len(task.clients[0].train) for name, by in seconds.items()},
        evaluation=evaluation,
        messages={name: by["messages"] for name, by in seconds.items()},
        beside=max(0.0, off[1] - warm["server_seconds"]) / len(ids[1]),
        server=Line.through({1: solo["server_seconds"], len(ids[1]): warm["server_seconds"]}),
        load=load,
        initial=initial,
        counting=max(0.0, off[0] - off[1] - sum(initial.values())) / counted,
        state={task.infos[k].architecture: sum(map(nbytes, state.values())) for k, state in federation.states.items()},
        sent={task.infos[c["id"]].architecture: sum(c["bytes_up"].values()) for c in last["clients"]},
        memory=None,
        clients=len(ids[1]),
    ), peak


def _clients(records: Sequence[Record]) -> Iterator[Mapping[str, Any]]:
    for record in records:
        yield from record["clients"]


def _clocks(record: Record) -> float:
    """What all clocks of a round say together."""
    return record["client_seconds"] + record["server_seconds"] + record["eval_seconds"]


def _by_architecture(task: Task, records: Sequence[Record]) -> dict[str, dict[str, float]]:
    """Architecture -> purpose -> mean seconds of a turn."""
    found: dict[str, list[Mapping[str, float]]] = defaultdict(list)
    for client in _clients(records):
        found[task.infos[client["id"]].architecture].append(client["seconds"])
    return {name: {purpose: mean(s[purpose] for s in some) for purpose in some[0]} for name, some in found.items()}


def _evaluated(federation: Federation, k: int) -> tuple[float, float, float]:
    """Seconds of a client: to evaluate a sample, to load its state, to make its initial state."""
    test, engine, watch = federation.task.clients[k].test, federation.engine, Stopwatch(federation.device)
    with watch.measure("load"):
        client = federation.client(k)
    with watch.measure("evaluation"):
        engine.evaluate(client, test)
    with watch.measure("initial"):
        engine.initial_state(k)
    return watch.seconds["evaluation"] / len(test), watch.seconds["load"], watch.seconds["initial"]


def _shapes(engine: TimedEngine) -> list[Shape]:
    """Of every phase the largest step that was timed, and of the statistics one chunk."""
    timed = sorted(engine.seconds, key=lambda shape: shape.sizes)
    names = engine.task.by_architecture if engine._takes_statistics else ()
    return [*reversed(timed), *(Shape(name, STATISTICS, (EVALUATION_BATCH,)) for name in names)]


def _step_lines(engine: TimedEngine) -> dict[tuple[str, int], Line]:
    """Architecture and phase -> seconds of a step by the samples that it sees."""
    points: dict[tuple[str, int], dict[int, float]] = defaultdict(dict)
    for shape, values in engine.seconds.items():
        points[shape.architecture, shape.phase][sum(shape.sizes)] = mean(values)
    return {key: Line.through(found) for key, found in points.items()}
