"""From runs to results: what is not there yet is run, what was interrupted goes on, what fails is recorded."""

import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, nullcontext, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import sleep
from typing import Any

import numpy as np
import torch

from benchmark.config import RunSpec
from benchmark.engine.inspection import condensed, representations
from benchmark.errors import Diverged, RequestError, StorageError
from benchmark.federation import Federation
from benchmark.forecast.prediction import errors, forecast
from benchmark.measure.clock import matrix_product_rate
from benchmark.measure.environment import environment, find_device
from benchmark.measure.memory import PeakMemory, settled
from benchmark.method import Method
from benchmark.problem import Run
from benchmark.run.engine_choice import ENGINES, choose
from benchmark.run.plan import Request, now, seconds_between
from benchmark.run.progress_display import Display, Shown
from benchmark.storage.checkpoint import Checkpoint, Manifest, fingerprint
from benchmark.storage.files import write_whole
from benchmark.storage.run_folder import RunFolder
from benchmark.storage.schema import ENDED, FINAL
from benchmark.storage.summary import accuracies, summarise

LONGEST_REASON = 500
PATIENCE = 1.0
"""Seconds until another process's runs are looked at again."""


@dataclass(frozen=True)
class Outcome:
    """What became of one run."""

    spec: RunSpec
    path: Path
    status: str
    reason: str | None
    summary: Mapping[str, Any] | None


def execute_all(runs: Sequence[Run], request: Request, display: Display) -> list[Outcome]:
    """Every run of the grid, in order, in this process; a failure is recorded and the next run begins.

    Another process with the same grid shares it: a run that it works on is left to it, and taken over when it dies.
    Raises StorageError where results can't be kept.
    """
    use_threads(request.threads)
    outcomes: dict[Path, Outcome] = {}
    while left := [(i, run) for i, run in enumerate(runs, start=1) if run.folder.path not in outcomes]:
        for i, run in left:
            start = partial(display.start, title(run, i, len(runs)), run.rounds)
            if outcome := attempt(run, request, start):
                outcomes[run.folder.path] = outcome
        if waiting := len(runs) - len(outcomes):
            display.wait(waiting)
            sleep(PATIENCE)
    return [outcomes[run.folder.path] for run in runs]


def use_threads(number: int | None) -> None:
    """Compute with so many threads from now on; None: as many as torch chooses."""
    if number is not None:
        torch.set_num_threads(number)


def title(run: Run, number: int, of: int) -> str:
    """What a display calls the run that has this number in its grid."""
    return f"{number}/{of} {run.spec.dataset} {run.spec.method.label}"


def attempt(run: Run, request: Request, start: Callable[[], Shown]) -> Outcome | None:
    """One run, unless it is there: its outcome, or None while another process works on it.

    start is called once the run is this process's own, and gives where it is shown. Raises StorageError.
    """
    with nullcontext(True) if is_settled(run, request) else run.folder.claim() as mine:
        if not mine:
            return None
        shown = start()
        outcome = _there(run, request) or execute(run, request, shown)
        run.folder.tidy_up()
        shown.finish(outcome.status if outcome.reason is None else outcome.reason)
        return outcome


def is_there(run: Run, request: Request) -> bool:
    """Whether a run has ended already and is not to be run again."""
    return _there(run, request) is not None


def is_settled(run: Run, request: Request) -> bool:
    """Whether there is nothing left to do for a run, so that its outcome can be read without a claim."""
    return _there(run, request) is not None and run.folder.tidy


def execute(run: Run, request: Request, shown: Shown) -> Outcome:
    """Run it, or what is left of it, and record it; a failure is recorded too."""
    device = find_device(request.device)
    checkpoint, cleanup = Checkpoint(run.folder.path), ExitStack()
    interrupted, speed = _interrupted(run, request, checkpoint), _speed(device)
    facts, rounds, peak = _facts(run, request, device, speed), list[Mapping[str, Any]](), 0
    cleanup.enter_context(settled())
    memory = PeakMemory(device)
    ended: dict[str, Any] = {"status": "done", "reason": None, "traceback": None, "weights_hash": None}
    try:
        task, config = run.problem.task(), run.spec.federation
        engine = _engine(request, interrupted) or choose(run.method, task, config, device)
        facts["environment"] |= {"engine": engine}
        facts, rounds, manifest = _begin(run, request, facts, interrupted)
        federation = Federation(run.method, task, config, device, request.inspect, ENGINES[engine])
        cleanup.callback(federation.states.close)
        federation.states.keep(run.folder.path)
        if manifest:
            federation.server = checkpoint.restore(manifest, federation.states, device)
            peak = manifest["peak_memory_bytes"] or 0
        shown.go_on(len(rounds))
        for record in federation.run(len(rounds)):
            rounds.append(record)
            run.folder.append(record)
            peak = max(peak, memory.bytes or 0)
            checkpoint.save(record["round"], federation.server, federation.states, peak)
            scores = accuracies([record])
            shown.round(record["round"], float(scores.mean()) if len(scores) else None)
            if record["round"] == 1:  # not before: a rehearsal takes as long as all else that comes before a round
                prediction, memory = forecast(run, device, federation.states.bytes)
                facts = {**facts, "prediction": prediction}
                run.folder.write(facts)
        ended["weights_hash"] = fingerprint(federation.server, federation.states)
        if federation.engine.fell_back:
            ended["environment"] = facts["environment"] | {"engine_fell_back": federation.engine.fell_back}
        if request.inspect:
            _keep_representations(run.folder, federation)
    except StorageError:
        raise
    except Diverged as error:
        ended |= {"status": "diverged", "reason": str(error)}
    except Exception as error:
        ended |= {"status": "failed", "reason": _reason(error), "traceback": traceback.format_exc()}
    finally:
        cleanup.close()
    return _finish(run, facts | ended, rounds, device, max(peak, memory.bytes or 0))


def record_death(run: Run, request: Request, reason: str) -> Outcome | None:
    """Record that a run failed with the process that did it, of which nothing is left but what it had stored.

    What it had ended before stays as it was. None where another process has taken it over already. Raises StorageError.
    """
    with run.folder.claim() as mine:
        if not mine:
            return None
        if found := _there(run, request):
            return found
        device = find_device(request.device)
        facts: Mapping[str, Any]
        try:
            facts = run.folder.read()
            if facts["status"] in FINAL:
                return Outcome(run.spec, run.folder.path, "failed", reason, None)
            rounds = run.folder.go_on(facts)
        except RequestError:  # it died before it had stored anything, or left what can't be read
            facts, rounds = _facts(run, request, device, speed=None), []
            run.folder.start(facts)
        manifest = Checkpoint(run.folder.path).manifest()
        peak = (manifest["peak_memory_bytes"] if manifest else None) or 0
        ended = {"status": "failed", "reason": reason, "traceback": None, "weights_hash": None}
        return _finish(run, {**facts, **ended}, rounds, device, peak)


def _finish(
    run: Run, facts: Mapping[str, Any], rounds: Sequence[Mapping[str, Any]], device: torch.device, peak: int
) -> Outcome:
    """Write how a run ended, with its summary and, once it is done, how far off its prediction was.

    peak: memory in bytes, 0 where it is not known.
    """
    summary = summarise(rounds)
    busy = summary["client_seconds"] + summary["server_seconds"]
    summary |= {"gpu_seconds": busy if device.type == "cuda" else None, "peak_memory_bytes": peak or None}
    ended: dict[str, Any] = {"finished": now(), "summary": summary}
    if facts["status"] == "done":
        passed = None if facts["resumed"] else seconds_between(facts["started"], ended["finished"])
        ended["prediction_error"] = errors(facts["prediction"], {**summary, "seconds": passed})
    run.folder.finish({**facts, **ended})
    return Outcome(run.spec, run.folder.path, facts["status"], facts["reason"], summary)


def _there(run: Run, request: Request) -> Outcome | None:
    """The outcome of a run that need not be run: it ended for good, and holds all that is asked for."""
    try:
        found = run.folder.read() if run.folder.exists else None
    except RequestError:
        if request.force:
            return None
        raise
    if found is None or found["status"] not in ENDED:
        return None
    since = (found["finished"] or "") > request.begun  # by another process with the same request
    again = request.force or found["status"] not in FINAL
    if again and not since:
        return None
    reason = "already there" if found["status"] == "done" else found["reason"]
    if request.inspect and not found["inspected"] and type(run.method).inspect is not Method.inspect:
        reason = "already there, without what --inspect stores; --force runs it again"
    return Outcome(run.spec, run.folder.path, found["status"], reason, found["summary"])


def _interrupted(run: Run, request: Request, checkpoint: Checkpoint) -> tuple[Mapping[str, Any], Manifest] | None:
    """What an interrupted attempt has left, where one can go on from it: (run.json, the checkpoint)."""
    manifest = checkpoint.manifest()
    if not manifest:
        return None
    try:
        before = run.folder.read()
    except RequestError:
        return None
    unforced = before["status"] == "running" or not request.force
    goes_on = before["status"] not in FINAL and unforced and checkpoint.whole(manifest)
    return (before, manifest) if goes_on else None


def _engine(request: Request, interrupted: tuple[Mapping[str, Any], Manifest] | None) -> str | None:
    """The engine that was asked for, or with which an interrupted attempt had begun."""
    if request.engine != "auto":
        return request.engine
    return interrupted[0]["environment"].get("engine", "eager") if interrupted else None


def _begin(
    run: Run, request: Request, facts: dict[str, Any], interrupted: tuple[Mapping[str, Any], Manifest] | None
) -> tuple[dict[str, Any], list[Mapping[str, Any]], Manifest | None]:
    """Go on where an interrupted attempt stopped, or begin anew: (run.json, rounds that are done, their checkpoint)."""
    if interrupted:
        before, manifest = interrupted
        here = {name: facts[name] for name in ("started", "environment")} | {"rounds_done": manifest["rounds_done"]}
        names = ("status", "reason", "traceback", "finished", "summary", "files", "prediction_error")
        resumed = {**before, **{name: facts[name] for name in names}}
        resumed |= {"inspected": request.inspect, "resumed": [*before["resumed"], here]}
        with suppress(RequestError):  # rounds.jsonl is damaged
            return resumed, [*run.folder.go_on(resumed, manifest["rounds_done"])], manifest
    run.folder.start(facts)
    return facts, [], None


def _facts(run: Run, request: Request, device: torch.device, speed: float | None) -> dict[str, Any]:
    """run.json of a run that begins now, on a device of this speed in FLOPs per second."""
    problem = run.problem
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
        "environment": environment(device) | {"matrix_product_flops_per_second": speed},
        "command": list(request.command),
        "inspected": request.inspect,
        "started": now(),
        "resumed": [],
        "finished": None,
        "summary": None,
        "weights_hash": None,
        "prediction": None,
        "prediction_error": None,
        "files": {},
    }


def _speed(device: torch.device) -> float | None:
    """FLOPs per second of a matrix product, or None where there is no memory for one: the run will say so."""
    try:
        return matrix_product_rate(device, size=1024, repeats=3)
    except (MemoryError, RuntimeError):
        return None


def _keep_representations(folder: RunFolder, federation: Federation) -> None:
    clients = range(federation.task.num_clients)
    arrays: Any = condensed({k: representations(federation.engine, federation.client(k)) for k in clients})
    if arrays:
        write_whole(folder.path / "inspection.npz", lambda file: np.savez_compressed(file, **arrays))


def _reason(error: Exception) -> str:
    """An exception in one line; the traceback has it in full."""
    text = " ".join(f"{type(error).__name__}: {error}".split())[:LONGEST_REASON]
    lacks = ("can't allocate memory", "not enough memory")  # torch on a CPU raises a plain RuntimeError
    if isinstance(error, MemoryError | torch.OutOfMemoryError) or any(words in text for words in lacks):
        return f"out of memory: {text}"
    return text
