"""From a request to results: check everything first, then run what is not there yet."""

import traceback
from collections.abc import Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from itertools import product
from pathlib import Path
from time import sleep
from typing import Any

import numpy as np
import torch

from benchmark import registry
from benchmark.checkpoint import Checkpoint, fingerprint
from benchmark.config import MethodSpec, RunSpec, federation_config
from benchmark.cost import PeakMemory, matrix_product_rate
from benchmark.data import Arrays
from benchmark.display import Display
from benchmark.environment import environment, find_device
from benchmark.errors import Diverged, RequestError, StorageError
from benchmark.federation import Federation
from benchmark.files import check_writable, write_whole
from benchmark.inspection import condensed, representations
from benchmark.method import Method, initial_parts
from benchmark.models.line_up import LineUp
from benchmark.partition import Partition, draw
from benchmark.record import RunFolder, accuracies, summarise
from benchmark.schema import FINAL
from benchmark.task import ClientData, Task

PATIENCE = 1.0
"""Seconds until another process's runs are looked at again."""


@dataclass(frozen=True)
class Request:
    """What was asked for; the grid is the product of the axes."""

    methods: Sequence[str]
    datasets: Sequence[str]
    partition: Sequence[str]
    models: Sequence[str]
    clients: Sequence[int]
    participation: Sequence[float]
    seeds: Sequence[int]
    federation: Mapping[str, Any]
    """The other fields of FederationConfig."""
    experiment: str
    data: Path
    results: Path
    device: str
    command: Sequence[str]
    force: bool = False
    """Run again what had ended before this request."""
    inspect: bool = False
    """Store what methods show of their predictions."""
    begun: str = field(default_factory=lambda: now())


@dataclass(frozen=True)
class Run:
    """One run of the grid, checked and ready."""

    spec: RunSpec
    method: Method
    problem: "Problem"
    folder: RunFolder

    @property
    def rounds(self) -> int:
        """Rounds in all."""
        return self.spec.federation.rounds


@dataclass(frozen=True, eq=False)
class Problem:
    """A task before it is made of tensors, shared by the runs that differ in method alone."""

    dataset: "Dataset"
    line_up: LineUp
    partition: Partition
    seed: int

    def task(self) -> Task:
        """The task, on the CPU."""
        return Task(
            images=self.dataset.images,
            labels=self.dataset.labels,
            mean=self.dataset.mean,
            std=self.dataset.std,
            num_classes=len(self.dataset.classes),
            clients=tuple(ClientData(*map(torch.from_numpy, splits)) for splits in self.partition.splits),
            line_up=self.line_up,
            seed=self.seed,
        )


@dataclass(frozen=True, eq=False)
class Dataset:
    """A data set as tensors, read once and shared by all runs on it."""

    name: str
    images: torch.Tensor
    labels: torch.Tensor
    mean: torch.Tensor
    std: torch.Tensor
    classes: tuple[str, ...]
    hash: str
    target: float | None

    @classmethod
    def of(cls, name: str, arrays: Arrays, target: float | None) -> "Dataset":
        """Pool and convert; the arrays can be dropped afterwards."""
        mean, std = (torch.from_numpy(array).float() for array in arrays.statistics)
        images, labels = torch.from_numpy(arrays.images), torch.from_numpy(arrays.labels)
        return cls(name, images, labels, mean, std, arrays.classes, arrays.hash, target)


@dataclass(frozen=True)
class Outcome:
    """What became of one run."""

    spec: RunSpec
    path: Path
    status: str
    reason: str | None
    summary: Mapping[str, Any] | None


def plan(request: Request) -> list[Run]:
    """Every run of the grid, in order. Raises RequestError for the first thing that can't be, before anything runs."""
    find_device(request.device)
    methods = [registry.method(text) for text in request.methods]
    _distinct("method", [spec.label for _, spec in methods])
    for axis in ("datasets", "models", "clients", "participation", "seeds"):
        _distinct(axis, getattr(request, axis))
    line_ups = [registry.line_up(name) for name in request.models]
    federations = [
        federation_config({**request.federation, "clients": clients, "participation": participation})
        for clients, participation in product(request.clients, request.participation)
    ]
    if any(seed < 0 for seed in request.seeds):
        raise RequestError(f"a seed is at least 0, not {min(request.seeds)}")
    check_writable(request.results / request.experiment)

    runs: list[Run] = []
    for text in request.datasets:
        dataset = Dataset.of(*registry.dataset(text, request.data))
        _distinct("partition", [registry.partition(name, len(dataset.classes))[0] for name in request.partition])
        drawn = cache(_partition)
        for partition, line_up, federation, seed in product(request.partition, line_ups, federations, request.seeds):
            name, division = drawn(dataset, partition, federation.clients, federation.validation, seed)
            problem = Problem(dataset, line_up, division, seed)
            _check_models(problem, methods)
            for method, spec in methods:
                run = RunSpec(
                    dataset=dataset.name,
                    data_hash=dataset.hash,
                    method=spec,
                    partition=name,
                    models=line_up.name,
                    federation=federation,
                    seed=seed,
                )
                folder = RunFolder.of(request.results, request.experiment, dataset.name, spec.label, run.key)
                if folder.exists and not request.force:
                    folder.read()  # one that is damaged is told of now, not when its turn comes
                runs.append(Run(run, method, problem, folder))
    return runs


def execute_all(runs: Sequence[Run], request: Request, display: Display) -> list[Outcome]:
    """Every run of the grid, in order; a failure is recorded and the next run begins.

    Another process with the same grid shares it: a run that it works on is left to it, and taken over when it dies.
    Raises StorageError where results can't be kept.
    """
    outcomes: dict[Path, Outcome] = {}
    while left := [(i, run) for i, run in enumerate(runs, start=1) if run.folder.path not in outcomes]:
        for i, run in left:
            with nullcontext(True) if _there(run, request) and run.folder.tidy else run.folder.claim() as mine:
                if mine:
                    display.start(f"{i}/{len(runs)} {run.spec.dataset} {run.spec.method.label}", run.rounds)
                    outcome = outcomes[run.folder.path] = _there(run, request) or execute(run, request, display)
                    run.folder.tidy_up()
                    display.finish(outcome.status if outcome.reason is None else outcome.reason)
        if waiting := len(runs) - len(outcomes):
            display.wait(waiting)
            sleep(PATIENCE)
    return [outcomes[run.folder.path] for run in runs]


def execute(run: Run, request: Request, display: Display) -> Outcome:
    """Run it, or what is left of it, and record it; a failure is recorded too."""
    device = find_device(request.device)
    checkpoint, memory = Checkpoint(run.folder.path), PeakMemory(device)
    facts, rounds, peak = _facts(run, request, device), list[Mapping[str, Any]](), 0
    ended: dict[str, Any] = {"status": "done", "reason": None, "traceback": None, "weights_hash": None}
    try:
        federation = Federation(run.method, run.problem.task(), run.spec.federation, device, request.inspect)
        facts, rounds, peak = _begin(run, request, facts, federation, checkpoint)
        display.go_on(len(rounds))
        for record in federation.run(len(rounds)):
            rounds.append(record)
            run.folder.append(record)
            peak = max(peak, memory.bytes or 0)
            checkpoint.save(federation, record, peak)
            scores = accuracies([record])
            display.round(record["round"], float(scores.mean()) if len(scores) else None)
        ended["weights_hash"] = fingerprint(federation)
        if request.inspect:
            _keep_representations(run.folder, federation)
    except StorageError:
        raise
    except Diverged as error:
        ended |= {"status": "diverged", "reason": str(error)}
    except Exception as error:
        ended |= {"status": "failed", "reason": _reason(error), "traceback": traceback.format_exc()}
    summary = summarise(rounds)
    busy = summary["client_seconds"] + summary["server_seconds"]
    summary |= {
        "gpu_seconds": busy if device.type == "cuda" else None,
        "peak_memory_bytes": max(peak, memory.bytes or 0) or None,
    }
    run.folder.finish(facts | ended | {"finished": now(), "summary": summary})
    return Outcome(run.spec, run.folder.path, ended["status"], ended["reason"], summary)


def _there(run: Run, request: Request) -> Outcome | None:
    """The outcome of a run that need not be run: it ended for good, and holds all that is asked for."""
    if not run.folder.final:
        return None
    found = run.folder.read()
    forced = (
        request.force and (found["finished"] or "") <= request.begun
    )  # what another process did since is not redone
    lacking = request.inspect and not found["inspected"] and type(run.method).inspect is not Method.inspect
    if forced or lacking:
        return None
    reason = "already there" if found["status"] == "done" else found["reason"]
    return Outcome(run.spec, run.folder.path, found["status"], reason, found["summary"])


def _begin(
    run: Run, request: Request, facts: dict[str, Any], federation: Federation, checkpoint: Checkpoint
) -> tuple[dict[str, Any], list[Mapping[str, Any]], int]:
    """Go on where an interrupted attempt stopped, or begin anew: (run.json, rounds that are done, peak memory)."""
    manifest = checkpoint.manifest()
    if manifest and run.folder.exists and not request.force:
        before = run.folder.read()
        done = manifest["rounds_done"]
        here = {"rounds_done": done, "started": facts["started"], "environment": facts["environment"]}
        undone = {name: facts[name] for name in ("status", "reason", "traceback", "finished", "summary", "files")}
        resumed = {**before, **undone, "inspected": request.inspect, "resumed": [*before["resumed"], here]}
        with suppress(RequestError):  # rounds.jsonl is damaged
            rounds: list[Mapping[str, Any]] = (
                [*run.folder.go_on(resumed, done)] if before["status"] not in FINAL else []
            )
            if rounds and checkpoint.restore(federation, manifest):
                return resumed, rounds, manifest["peak_memory_bytes"] or 0
    run.folder.start(facts)
    return facts, [], 0


def _facts(run: Run, request: Request, device: torch.device) -> dict[str, Any]:
    """run.json of a run that begins now."""
    problem = run.problem
    speed = {"matrix_product_flops_per_second": matrix_product_rate(device, size=1024, repeats=3)}
    return {
        "status": "running",
        "reason": None,
        "traceback": None,
        "key": run.spec.key,
        "specification": run.spec.model_dump(mode="json", exclude_none=True),
        "dataset": {
            "name": problem.dataset.name,
            "hash": problem.dataset.hash,
            "classes": len(problem.dataset.classes),
            "samples": len(problem.dataset.labels),
            "target_accuracy": problem.dataset.target,
        },
        "partition": {"hash": problem.partition.hash, "counts": problem.partition.counts},
        "architectures": [problem.line_up.of(k).name for k in range(run.spec.federation.clients)],
        "environment": environment(device) | speed,
        "command": list(request.command),
        "inspected": request.inspect,
        "started": now(),
        "resumed": [],
        "finished": None,
        "summary": None,
        "weights_hash": None,
        "files": {},
    }


def _keep_representations(folder: RunFolder, federation: Federation) -> None:
    clients = range(federation.task.num_clients)
    arrays: Any = condensed({k: representations(federation.engine, federation.client(k)) for k in clients})
    if arrays:
        write_whole(folder.path / "inspection.npz", lambda file: np.savez_compressed(file, **arrays))


def _reason(error: Exception) -> str:
    """An exception in one line."""
    text = " ".join(f"{type(error).__name__}: {error}".split())
    lacks = ("can't allocate memory", "not enough memory")  # torch on a CPU raises a plain RuntimeError
    if isinstance(error, MemoryError | torch.OutOfMemoryError) or any(words in text for words in lacks):
        return f"out of memory: {text}"
    return text


def unsupported(method: Method, task: Task) -> str | None:
    """Why a method can't work with a task, or None: its own reason, or a shared part without a common shape."""
    if reason := method.unsupported(task):
        return reason
    first: dict[str, tuple[str, dict[str, tuple[int, ...]]]] = {}  # shared part -> where it was first seen, its shapes
    for architecture, client in task.by_architecture.items() if method.shares() else ():
        with torch.device("meta"):
            parts = initial_parts(method, task, client)
        for name in method.shares():
            if name not in parts:
                return f"it shares {name!r}, and a client holds {', '.join(parts)}"
            shapes = {key: tuple(tensor.shape) for key, tensor in parts[name].state_dict().items()}
            where, expected = first.setdefault(name, (architecture, shapes))
            if shapes != expected:
                return f"it shares the {name}, which differs between {where} and {architecture}"
    return None


def _check_models(problem: Problem, methods: Sequence[tuple[Method, MethodSpec]]) -> None:
    task = problem.task()
    smallest = min(task.input_shape[1:])
    if smallest < problem.line_up.min_size:
        raise RequestError(
            f"{problem.line_up.name} needs images of at least {problem.line_up.min_size} pixels a side, "
            f"those of {problem.dataset.name} have {smallest}"
        )
    for method, spec in methods:
        try:
            reason = unsupported(method, task)
        except Exception as error:  # code of anybody's
            raise RequestError(f"{spec.label} fails before it runs: {type(error).__name__}: {error}") from error
        if reason:
            raise RequestError(
                f"{spec.label} can't use the line-up {problem.line_up.name}: {reason}; "
                "choose another line-up, see `list models`"
            )


def _partition(dataset: Dataset, text: str, clients: int, validation: float, seed: int) -> tuple[str, Partition]:
    name, partitioner = registry.partition(text, len(dataset.classes))
    labels = dataset.labels.numpy()
    return name, draw(
        partitioner,
        name=name,
        dataset=dataset.name,
        labels=labels,
        clients=clients,
        validation=validation,
        seed=seed,
    )


def _distinct(what: str, values: Sequence[object]) -> None:
    for i, value in enumerate(values):
        if value in values[:i]:
            raise RequestError(f"{what}: {value} stands twice in the request; name each once")


def now() -> str:
    """The time in words that sort as it passes."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")
