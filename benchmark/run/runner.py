"""Execution of runs: a missing run is executed, an interrupted one resumes, and a failure is recorded."""

import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, nullcontext, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import perf_counter, sleep
from typing import Any

import torch

from benchmark.config import RunSpec
from benchmark.engine.inspection import InspectionObserver
from benchmark.errors import (
    NOT_OF_USERS,
    DeviceLost,
    Diverged,
    HookError,
    RequestError,
    StorageError,
    described,
    located,
    plain,
)
from benchmark.federation import Federation
from benchmark.forecast.prediction import forecast
from benchmark.measure.clock import matrix_product_rate
from benchmark.measure.code import code_hashes
from benchmark.measure.environment import answers, environment, find_device
from benchmark.measure.memory import gc_frozen
from benchmark.method import Method
from benchmark.privacy.audit import AUDIT_NAME, PrivacyAudit
from benchmark.privacy.audit_size import SIZES
from benchmark.privacy.tables import ATTACK, read_scores, version_of
from benchmark.problem import Run
from benchmark.run.engine_choice import ENGINES, choose
from benchmark.run.plan import Request, now
from benchmark.run.progress_display import Display, RunProgress
from benchmark.run.run_log import RunLog
from benchmark.storage.checkpoint import Checkpoint, Manifest, fingerprint
from benchmark.storage.schema import ENDED, FINAL, RunRecord
from benchmark.storage.summary import accuracies

AUDITED_FILE = f"{AUDIT_NAME}.npz"
REASON_CHARACTERS = 500
LOOK_AGAIN_SECONDS = 1.0
"""Seconds until runs that another process holds are tried again."""


@dataclass(frozen=True)
class Outcome:
    """The end of one run, as it is stored; summary: None if there is none."""

    spec: RunSpec
    path: Path
    status: str
    reason: str | None
    summary: Mapping[str, Any] | None


def execute_all(runs: Sequence[Run], request: Request, display: Display) -> list[Outcome]:
    """Execute every run of the grid, in order, in this process; a failure is recorded and the next run begins.

    Another process with the same grid shares it: this one leaves to it the run that it works on, and takes that over if
    it dies. Raises StorageError if results can't be stored, and DeviceLost if nothing can be computed here any more.
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
            sleep(LOOK_AGAIN_SECONDS)
    return [outcomes[run.folder.path] for run in runs]


def use_threads(number: int | None) -> None:
    """Let torch compute with so many threads from now on; None: as many as it chooses."""
    if number is not None:
        torch.set_num_threads(number)


def title(run: Run, number: int, of: int) -> str:
    """Return the title under which progress is shown for the run with this number in its grid."""
    return f"{number}/{of} {run.spec.dataset} {run.spec.method.label} seed {run.spec.seed}"


def attempt(run: Run, request: Request, start: Callable[[], RunProgress]) -> Outcome | None:
    """Execute one run unless a finished result exists. Returns None while another process holds it.

    start: is called once this process holds the run, and returns what shows its progress. Raises StorageError, and
    RequestError if the run can't go on as requested.
    """
    with nullcontext(True) if nothing_to_do(run, request) else run.folder.claim() as mine:
        if not mine:
            return None
        shown = start()
        outcome = _stored_outcome(run, request) or execute(run, request, shown)
        run.folder.tidy_up()
        shown.finish(outcome.status if outcome.reason is None else outcome.reason)
        return outcome


def is_complete(run: Run, request: Request) -> bool:
    """Return whether a run has ended already and the request does not repeat it.

    Raises RequestError if the run can't go on as requested.
    """
    return _stored_outcome(run, request) is not None


def nothing_to_do(run: Run, request: Request) -> bool:
    """Return whether a run is complete and its folder tidy, so that its outcome can be read without a claim."""
    return _stored_outcome(run, request) is not None and run.folder.tidy


def execute(run: Run, request: Request, shown: RunProgress) -> Outcome:
    """Execute a run, or the rest of it, and record it, even if it fails.

    Raises StorageError, and DeviceLost once it has recorded a failure after which this process can't go on.
    """
    device = find_device(request.device)
    log = RunLog(run.folder, _facts(run, request, device, _speed(device)), device)
    ended: dict[str, Any]
    with gc_frozen():
        log.watch_memory()
        try:
            ended = {"status": "done", **_train(run, request, device, log, shown)}
        except StorageError:
            raise
        except Diverged as error:
            ended = {"status": "diverged", "reason": str(error)}
        except NOT_OF_USERS:
            raise
        except BaseException as error:
            ended = {"status": "failed", "reason": _reason(error), "traceback": _traceback()}
        summary = log.finish(**ended)
    if ended["status"] == "failed" and not answers(device):
        raise DeviceLost(ended["reason"])
    return Outcome(run.spec, run.folder.path, ended["status"], ended.get("reason"), summary)


def _train(run: Run, request: Request, device: torch.device, log: RunLog, shown: RunProgress) -> dict[str, Any]:
    """Do the remaining rounds; return the hash of the final weights, and the reason if an engine fell back."""
    checkpoint = Checkpoint(run.folder.path)
    interrupted = interrupted_attempt(run, request)
    task, config = run.problem.task(), run.spec.config
    engine = _engine(request, interrupted) or choose(task, run.spec.federation, device)
    log.watch_memory()  # anew, without that of the engines' trials
    log.facts["environment"] |= {"engine": engine}
    if not (interrupted and log.resume(*interrupted)):
        log.begin()
        interrupted = None
        if request.forecast:
            log.predict(forecast(run, device, engine))
            log.watch_memory()
    observers = [make() for make in request.observers]
    if request.inspect:
        observers.append(InspectionObserver())
    if request.audit:
        observers.append(PrivacyAudit(SIZES[request.audit]))
    federation = Federation(run.method, task, config, device, engine=ENGINES[engine], observers=observers)
    with closing(federation.states):
        federation.states.keep(run.folder.path)
        if interrupted:
            federation.server = checkpoint.restore(interrupted[1], federation.states, device)
        shown.go_on(log.rounds_done)
        pace = CheckpointPace(request.checkpoint_every, config.rounds)
        federation.states.write_early = pace.expects_one(log.rounds_done + 1)
        for record in federation.run(log.rounds_done):
            log.add(record)
            if pace.is_due(record["round"]):
                checkpoint.save(record["round"], federation.server, federation.states, log.peak, log.record)
                pace.saved()
            federation.states.write_early = pace.expects_one(record["round"] + 1)
            scores = accuracies([record], "validation" if "validation" in record else "post_local")
            shown.round(record["round"], float(scores.mean()) if len(scores) else None)
        for observer in observers:
            with located(f"{type(observer).__name__}, artefacts"):
                log.keep(observer.artefacts(federation, log.rounds))
        ended: dict[str, Any] = {"weights_hash": fingerprint(federation.server, federation.states)}
    if federation.engine.fell_back:
        ended["engine_fell_back"] = federation.engine.fell_back
    return ended


class CheckpointPace:
    """A schedule of checkpoints: at most one every so many seconds, and one after the last round."""

    def __init__(self, seconds: float, rounds: int) -> None:
        self._seconds, self._rounds = seconds, rounds
        self._last = self._round_begun = perf_counter()
        self._round_seconds = 0.0

    def is_due(self, round: int) -> bool:
        """Return whether this round, which is over now, ends with a checkpoint."""
        now = perf_counter()
        self._round_seconds, self._round_begun = now - self._round_begun, now
        return round == self._rounds or now - self._last >= self._seconds

    def saved(self) -> None:
        """Count from now on; the time of a checkpoint is no part of the next round."""
        self._last = self._round_begun = perf_counter()

    def expects_one(self, round: int) -> bool:
        """Return whether this round, which begins now, ends with a checkpoint if it takes as long as the last one."""
        return round == self._rounds or perf_counter() + self._round_seconds - self._last >= self._seconds


def record_death(run: Run, request: Request, reason: str) -> Outcome | None:
    """Record a run as failed because its worker died; only what it had written remains.

    A run that had ended stays as it was. None if another process has taken it over already. Raises StorageError.
    """
    with run.folder.claim() as mine:
        if not mine:
            return None
        if found := _stored_outcome(run, request):
            return found
        device = find_device(request.device)
        log = RunLog(run.folder, _facts(run, request, device, speed=None), device)
        with suppress(RequestError):  # it died before it had stored anything, or left what can't be read
            before = run.folder.read()
            if before["status"] in FINAL:
                return Outcome(run.spec, run.folder.path, "failed", reason, None)
            manifest = Checkpoint(run.folder.path).manifest()
            log.take_up(before, manifest["peak_memory_bytes"] if manifest else None)
        summary = log.finish("failed", reason)
        return Outcome(run.spec, run.folder.path, "failed", reason, summary)


def _stored_outcome(run: Run, request: Request) -> Outcome | None:
    """Return the outcome of a run that need not be executed again, or None. Raises RequestError if it can't go on."""
    try:
        found = run.folder.read() if run.folder.exists else None
    except RequestError:
        if request.force:
            return None
        raise
    if found is None:
        return None
    since = (found["finished"] or "") > request.begun  # by another process with the same request
    again = request.force or found["status"] not in FINAL
    if found["status"] not in ENDED or (again and not since):
        _check_audit(run, request, found)
        return None
    reason = _already_there(run, request, found) if found["status"] == "done" else found["reason"]
    return Outcome(run.spec, run.folder.path, found["status"], reason, found["summary"])


def _already_there(run: Run, request: Request, found: RunRecord) -> str:
    """Return what to say of a run that is done: that it is there, and what it lacks of what is requested."""
    audit = found.get("audit", request.audit if AUDITED_FILE in found["files"] else None)
    if request.audit not in (None, audit):
        stored = f"with what --audit {audit} stores" if audit else "without what --audit stores"
        return f"already there, {stored}; --force runs it again"
    if request.audit and version_of(read_scores(run.folder.path / AUDITED_FILE)) < ATTACK:
        return "already there, with attacks of an earlier version; --force runs it again"
    if request.inspect and not found["inspected"] and type(run.method).inspect is not Method.inspect:
        return "already there, without what --inspect stores; --force runs it again"
    return "already there"


def _check_audit(run: Run, request: Request, found: RunRecord) -> None:
    """Raise RequestError if a run would go on under another audit than it began with: it would be of two halves."""
    if request.force or _same_audit(request, found) or not Checkpoint(run.folder.path).manifest():
        return
    audit = found.get("audit")
    begun, again = (f"with --audit {audit}", "with it") if audit else ("without --audit", "without it")
    raise RequestError(f"{run.folder.path} was begun {begun} and goes on only {again}; remove it to begin again")


def _same_audit(request: Request, found: RunRecord) -> bool:
    """Return whether a run was begun under the audit that is requested; of an older version's run that is assumed."""
    return found.get("audit", request.audit) == request.audit


def interrupted_attempt(run: Run, request: Request) -> tuple[Mapping[str, Any], Manifest] | None:
    """Return the run.json and the checkpoint of an interrupted attempt, if this one can resume from them."""
    checkpoint = Checkpoint(run.folder.path)
    manifest = checkpoint.manifest()
    if not manifest:
        return None
    try:
        before = run.folder.read()
    except RequestError:
        return None
    unforced = before["status"] == "running" or not request.force
    unchanged = unforced and _same_audit(request, before)
    goes_on = before["status"] not in FINAL and unchanged and checkpoint.whole(manifest)
    return (before, manifest) if goes_on else None


def _engine(request: Request, interrupted: tuple[Mapping[str, Any], Manifest] | None) -> str | None:
    """Return the engine of the request, or that of an interrupted attempt; None if there is neither."""
    if request.engine != "auto":
        return request.engine
    return interrupted[0]["environment"].get("engine", "eager") if interrupted else None


def _facts(run: Run, request: Request, device: torch.device, speed: float | None) -> dict[str, Any]:
    """Return the run.json of a run that begins now, on a device of this speed in FLOPs per second."""
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
            "class_names": list(problem.dataset.classes),
            "samples": len(problem.dataset.labels),
            "target_accuracy": problem.dataset.target,
        },
        "partition": {"hash": problem.partition.hash, "counts": problem.partition.counts},
        "architectures": [problem.line_up.of(k).name for k in range(run.spec.federation.clients)],
        "environment": environment(device)
        | {"code": code_hashes(type(run.method)), "matrix_product_flops_per_second": speed},
        "command": list(request.command),
        "inspected": request.inspect,
        "audit": request.audit,
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
    """Return the FLOPs per second of a matrix product; None without memory for one: the run will fail and say so."""
    try:
        return matrix_product_rate(device, size=1024, repeats=3)
    except (MemoryError, RuntimeError, ArithmeticError):  # the last if the clock stands still
        return None


def _traceback() -> str:
    """Return the traceback of the exception at hand, as a text that any file can hold."""
    try:
        return plain(traceback.format_exc())
    except Exception:  # it can't say its message
        return plain("".join(traceback.format_tb(sys.exc_info()[2])))


def _reason(error: BaseException) -> str:
    """Return an exception in one line; the traceback has it in full."""
    text = (str(error) if isinstance(error, HookError) else described(error))[:REASON_CHARACTERS]
    cause = error.__cause__ if isinstance(error, HookError) else error
    lacks = ("can't allocate memory", "not enough memory")  # torch on a CPU raises a plain RuntimeError
    if isinstance(cause, MemoryError | torch.OutOfMemoryError) or any(words in text for words in lacks):
        return f"out of memory: {text}"
    return text
