"""A plan: from a request to the runs of its grid; everything is checked before anything runs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import torch

from benchmark.channel import Observer
from benchmark.compatibility import unsupported
from benchmark.config import SEEDS, FederationConfig, MethodSpec, RunSpec, federation_config
from benchmark.defence.accounting import promise_of
from benchmark.errors import RequestError, refusing
from benchmark.measure.environment import find_device
from benchmark.method import Method, hyperparameters_of, with_client_rate
from benchmark.models.line_up import LineUp, LineUpOptions
from benchmark.partition import Division, Partition, draw
from benchmark.plugins import registry
from benchmark.privacy.sums import refusal
from benchmark.problem import Dataset, Problem, Run
from benchmark.storage.files import check_writable
from benchmark.storage.names import folded
from benchmark.storage.run_folder import RunFolder
from benchmark.task import Task


@dataclass(frozen=True)
class Request:
    """A user's request for a grid of runs; the grid is the product of the axes."""

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
    """One, or several with commas between them, which are dealt to the processes in turn."""
    command: Sequence[str]
    force: bool = False
    """Repeat runs that ended before this request."""
    engine: str = "auto"
    """A name in benchmark.run.engine_choice, or auto."""
    inspect: bool = False
    """Store what methods show of their predictions, such as the weights of experts."""
    audit: str | None = None
    """A name in benchmark.privacy.audit_size: attack the messages of a few clients; None: of nobody."""
    observers: Sequence[Callable[[], Observer]] = ()
    """Functions that make additional observers of each run; they are sent to worker processes."""
    forecast: bool = False
    """Predict what a run costs before its first round."""
    checkpoint_every: float = 20.0
    """Seconds between two checkpoints of a run, at least; 0: one after every round."""
    executor: str = "local"
    """The place of the processes: local, or ray for a cluster."""
    ray_address: str | None = None
    """The cluster's address; None: that in the environment, or a cluster of this machine that ends with the request."""
    jobs: int | None = None
    """Processes that execute runs, each one at a time; None: this process alone, or all that a cluster has room for."""
    threads: int | None = None
    """Threads that each process computes with; None: an equal share of the cores, on a cluster one, or torch's choice
    in this process."""
    shard: tuple[int, int] = (1, 1)
    """(i, n): every n-th run of the grid, beginning with the i-th."""
    begun: str = field(default_factory=lambda: now())

    @property
    def devices(self) -> list[str]:
        """Return the names of the devices."""
        return self.device.split(",")


def plan(request: Request) -> list[Run]:
    """Return every run of the grid, or of the shard of it, in order.

    Raises RequestError for the first part of the request that is impossible, before anything runs.
    """
    _check_devices(request)
    methods = [registry.method(text) for text in request.methods]
    _distinct("method", [spec.label for _, spec in methods])
    for axis in ("datasets", "clients", "participation", "seeds"):
        _distinct(axis, getattr(request, axis))
    line_ups = [registry.line_up(text) for text in request.models]
    _distinct("models", [line_up.name for line_up in line_ups])
    federations = [
        federation_config({**request.federation, "clients": clients, "participation": participation})
        for clients, participation in product(request.clients, request.participation)
    ]
    if request.audit and min(request.clients) < 2:
        raise RequestError(
            "--audit takes records that nobody trains on from other clients; it needs --clients 2 or more"
        )
    if wrong := [seed for seed in request.seeds if not 0 <= seed < SEEDS]:
        raise RequestError(f"a seed is at least 0 and below 2^63, not {wrong[0]}")
    check_writable(request.results / request.experiment)

    runs: list[Run] = []
    names: list[str] = []
    for text in request.datasets:
        dataset = Dataset.of(*registry.dataset(text, request.data))
        _distinct("datasets", names := [*names, dataset.name])  # two paths can have one name
        _distinct("partition", [registry.partition(name, len(dataset.classes)).name for name in request.partition])
        drawn = cache(_partition)
        for partition, line_up, federation, seed in product(request.partition, line_ups, federations, request.seeds):
            division, shares = drawn(dataset, partition, federation.clients, federation.validation, seed)
            problem = Problem(dataset, line_up, shares, seed, division.shifts)
            _check_models(problem, methods)
            _check_defences(problem, methods, federation)
            for method, spec in (_with_rates(*each, federation) for each in methods):
                run = RunSpec(
                    dataset=dataset.name,
                    data_hash=dataset.hash,
                    method=spec,
                    partition=division.name,
                    models=line_up.name,
                    models_hash=line_up.source_hash,
                    federation=federation,
                    seed=seed,
                )
                folder = RunFolder.of(request.results, request.experiment, dataset.name, spec.label, run.key)
                if folder.exists and not request.force:
                    folder.check()  # so that a damaged one raises now, not when its turn comes
                runs.append(Run(run, method, problem, folder))
    first, every = request.shard
    return runs[first - 1 :: every]


def _check_devices(request: Request) -> None:
    """Raise RequestError if this machine lacks a device; the nodes of a cluster check their own."""
    if request.executor == "ray":
        if request.device not in ("auto", "cpu", "cuda"):
            raise RequestError(f"--device is auto, cpu or cuda with --executor ray, not {request.device!r}")
        return
    for device in request.devices:
        if find_device(device).type == "cpu" and request.engine == "graphs":
            raise RequestError("--engine graphs needs a GPU; eager and stacked work on a CPU")
    if len(request.devices) > (request.jobs or 1):
        raise RequestError(f"--device names {len(request.devices)} devices; --jobs must be at least as many")


def _with_rates(method: Method, spec: MethodSpec, federation: FederationConfig) -> tuple[Method, MethodSpec]:
    """Put the clients' learning rate in place of the method's rates that follow it, as its federation will."""
    config = federation_config(federation.model_dump(), spec.training)
    method = with_client_rate(method, config.lr)
    return method, spec.model_copy(update={"hyperparameters": hyperparameters_of(method)})


def _check_models(problem: Problem, methods: Sequence[tuple[Method, MethodSpec]]) -> None:
    task = problem.task()
    if problem.line_up.source_hash:
        _check_own_line_up(problem.line_up, task)
    smallest = min(task.input_shape[1:])
    if smallest < problem.line_up.min_size:
        raise RequestError(
            f"{problem.line_up.name} needs images of at least {problem.line_up.min_size} pixels a side, "
            f"those of {problem.dataset.name} have {smallest}; --image-size {problem.line_up.min_size} resizes them"
        )
    for method, spec in methods:
        try:
            with refusing(f"{spec.label} fails before it runs"):
                reason = unsupported(method, task)
        except RequestError as error:
            said = str(error)
            raise RequestError(said if said.startswith(spec.label) else f"{spec.label}: {said}") from error
        if reason:
            raise RequestError(
                f"{spec.label} can't use the line-up {problem.line_up.name}: {reason}; {_instead(method, problem)}"
            )


def _check_own_line_up(line_up: LineUp, task: Task) -> None:
    """Raise RequestError if a network of a user's line-up can't be built, or gives something else than it declares."""
    for network in dict.fromkeys((*line_up.architectures, line_up.small)):
        with refusing(f"{network.name} of the line-up {line_up.name} fails"), torch.no_grad():
            representation = network.extractor(task.input_shape, network.width).eval()(
                torch.zeros(2, *task.input_shape)
            )
            if (found := tuple(representation.shape)) != (2, network.width):
                raise RequestError(
                    f"{network.name} of the line-up {line_up.name} gives {list(found)} for two pictures, not "
                    f"{[2, network.width]}; `check` says more"
                )


def _check_defences(
    problem: Problem, methods: Sequence[tuple[Method, MethodSpec]], federation: FederationConfig
) -> None:
    for method, spec in methods:
        config = federation_config(federation.model_dump(), spec.training)
        try:
            promise_of(config)
            reason = refusal(method, problem.task(), config, torch.device("cpu")) if config.defended else None
        except ValueError as error:
            raise RequestError(str(error)) from error
        if reason:
            raise RequestError(f"{spec.label} can't be defended so: {reason}")


def _instead(method: Method, problem: Problem) -> str:
    """Return what to request instead if a method can't use the line-up of a problem."""
    line_up = problem.line_up
    adapted = line_up.adapted(LineUpOptions("linear", line_up.small.width))
    if line_up.adapter == "none" and not unsupported(method, replace(problem, line_up=adapted).task()):
        return f"+adapter=linear after its name gives all the width {adapted.small.width}"
    return "choose another line-up, see `list models`"


def _partition(dataset: Dataset, text: str, clients: int, validation: float, seed: int) -> tuple[Division, Partition]:
    division = registry.partition(text, len(dataset.classes))
    return division, draw(
        division,
        dataset=dataset.name,
        labels=dataset.labels,
        owners=dataset.owners,
        held_out=dataset.held_out,
        clients=clients,
        validation=validation,
        seed=seed,
    )


def _distinct(what: str, values: Sequence[object]) -> None:
    """Raise RequestError for a value that stands there twice, or a name that some file system takes for another."""
    met: dict[object, object] = {}
    for value in values:
        same = folded(value) if isinstance(value, str) else value
        if same in met and met[same] != value:
            raise RequestError(f"{what}: {met[same]} and {value} are one name on some file systems; rename one of them")
        if same in met:
            raise RequestError(f"{what}: {value} stands twice in the request; name each once")
        met[same] = value


def now() -> str:
    """Return the time as text that sorts by time."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def seconds_between(start: str, end: str) -> float:
    """Return the seconds from one such time to another."""
    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()
