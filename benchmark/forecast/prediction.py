"""Predictions of a run's costs, made before it begins and compared with the measurements once it has ended."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import torch

from benchmark.errors import Diverged, HookError
from benchmark.federation import Federation
from benchmark.forecast.calibration import Calibration, calibration
from benchmark.forecast.shape_engine import ShapeOnlyEngine
from benchmark.forecast.workload import STATISTICS, Flops, Workload, WorkShape, count_with, workload
from benchmark.measure.memory import PeakMemory
from benchmark.problem import Run
from benchmark.storage.schema import Errors, Prediction

META = torch.device("meta")
SERVER_SHAPES = 2
"""Times that the server's FLOPs are counted in most runs: before it holds what participants sent, and after that."""
UNKNOWN = Prediction(
    client_flops=None,
    bytes_up=None,
    bytes_down=None,
    peak_memory_bytes=None,
    client_seconds=None,
    server_seconds=None,
    eval_seconds=None,
    seconds=None,
    varying=[],
)


def forecast(run: Run, device: torch.device, engine: str = "eager") -> Prediction:
    """Predict what a run costs on a device. Random draws and states of the run stay as they are.

    A hook that raises, or a loss that is not finite, leaves all or part of the prediction null; the run will report it.
    The rehearsal is the plain engine's, so seconds of training, and in all, are null for another.
    """
    prediction = _forecast(run, device)
    return prediction if engine == "eager" else prediction | {"client_seconds": None, "seconds": None}


def _forecast(run: Run, device: torch.device) -> Prediction:
    try:
        work = workload_of(run)
        found = calibration(run, work, device)
        prediction = _prediction(run, work, found)
    except (HookError, Diverged):
        with suppress(HookError):
            return UNKNOWN | {"client_flops": shape_flops(run)}
        return UNKNOWN
    needed, base = memory_needed(work, found), PeakMemory(device).bytes
    if needed is None or base is None:
        return prediction
    return prediction | {"peak_memory_bytes": base + needed}


def errors(prediction: Prediction | None, measured: Mapping[str, Any]) -> Errors | None:
    """Return (predicted - measured) / measured of each cost; None if either is missing or 0 was measured."""
    if prediction is None:
        return None

    def error(name: str) -> float | None:
        predicted, actual = prediction[name], measured.get(name)  # type: ignore[literal-required]
        return None if predicted is None or not actual else (predicted - actual) / actual

    return Errors(**{name: error(name) for name in Errors.__annotations__})  # type: ignore[typeddict-item]


def workload_of(run: Run) -> Workload:
    """Return the work of a run, divided into steps as the plain engine divides it."""
    task, config = run.problem.task(), run.spec.config
    return workload(run.method, task, config, ShapeOnlyEngine(run.method, task, config, META))


def shape_flops(run: Run) -> int:
    """Count the FLOPs of the clients in all rounds from shapes alone. Raises HookError if a method looks at values."""
    with META:
        federation = Federation(run.method, run.problem.task(), run.spec.config, META, engine=ShapeOnlyEngine)
        count = count_with(federation.engine, lambda name: federation.client(federation.task.by_architecture[name]))
        work = workload_of(run)
        return Flops.counting(count, [*work.shapes]).total(work, count)


def _prediction(run: Run, work: Workload, found: Calibration) -> Prediction:
    sizes = {"up": 0.0, "down": 0.0}
    for turn in work.turns():
        for direction in sizes:
            sizes[direction] += sum(rule.size(turn) for rule in getattr(found, direction).values())
    clients, server, evaluation = _client_seconds(work, found), _server_seconds(work, found), _eval_seconds(work, found)
    turns = sum(work.turns_of.values())
    elsewhere = turns * found.beside + len(work.shapes) * found.counting
    elsewhere += min(SERVER_SHAPES, len(work.participants)) * found.server_counting
    elsewhere += sum(found.visits[_architecture(work, k)].initial for k in work.turns_of)
    return Prediction(
        client_flops=found.flops.total(work, _counted_anew(run)) + round(_message_flops(work, found)),
        bytes_up=round(sizes["up"]),
        bytes_down=round(sizes["down"]),
        peak_memory_bytes=None,
        client_seconds=clients,
        server_seconds=server,
        eval_seconds=evaluation,
        seconds=clients + server + evaluation + elsewhere + _steps_seconds(work.fine_tuned, found),
        varying=sorted({name for rules in (found.up, found.down) for name, rule in rules.items() if not rule.exact}),
    )


def _counted_anew(run: Run) -> Any:
    """Return a function that counts shapes that are on no line, in a federation made for the first of them."""
    federations: list[Federation] = []

    def count(shape: WorkShape) -> int:
        if not federations:
            federations.append(Federation(run.method, run.problem.task(), run.spec.config, torch.device("cpu")))
        (federation,) = federations
        first = federation.task.by_architecture
        return count_with(federation.engine, lambda name: federation.client(first[name]))(shape)

    return count


def _client_seconds(work: Workload, found: Calibration) -> float:
    messages = sum(n * found.messages[_architecture(work, k)] for k, n in work.turns_of.items())
    return _steps_seconds(work.shapes, found) + messages


def _message_flops(work: Workload, found: Calibration) -> float:
    return sum(n * found.message_flops[_architecture(work, k)] for k, n in work.turns_of.items())


def _steps_seconds(shapes: Mapping[WorkShape, int], found: Calibration) -> float:
    """Return the seconds of so many steps and statistics of each shape."""
    total = 0.0
    for shape, n in shapes.items():
        if shape.phase == STATISTICS:
            total += n * found.statistics[shape.architecture] * shape.sizes[0]
        else:
            # All steps of a rehearsal's only pass may collect statistics; those of other passes take about as long.
            line = found.step.get(shape.kind) or found.step[shape._replace(collects=True).kind]
            total += n * line(sum(shape.sizes))
    return total


def _server_seconds(work: Workload, found: Calibration) -> float:
    return sum(found.server(len(ids)) for ids in work.participants)


def _eval_seconds(work: Workload, found: Calibration) -> float:
    """Return the seconds of evaluation: of clients that changed, and again of all if the method sends downloads."""
    again = bool(found.down)
    total = 0.0
    for changed, seen in work.evaluated:
        for k, data in enumerate(work.task.clients):
            times = (k in changed) + again
            visit = found.visits[_architecture(work, k)]
            total += (k in changed) * (len(data.test) + len(data.validation)) * visit.evaluation
            total += again * len(data.test) * visit.again + times * visit.load
            total += (k not in seen) * times * visit.initial
    return total


def memory_needed(work: Workload, found: Calibration) -> int | None:
    """Return the bytes on top of those before the run: the rehearsal's, and what further clients hold and send."""
    if found.memory is None:
        return None
    held = sum(found.state[_architecture(work, k)] for k in work.turns_of)
    rehearsed = sum(found.state[_architecture(work, k)] for k in range(found.clients))
    inbox = max(sum(found.sent[_architecture(work, k)] for k in ids) for ids in work.participants)
    received = sum(found.sent[_architecture(work, k)] for k in range(found.clients))
    return max(0, found.memory + held - rehearsed + inbox - received)


def _architecture(work: Workload, client: int) -> str:
    return work.task.infos[client].architecture
