"""Many runs at a time: what is left for the workers that share a grid, and what has come of the rest.

Where workers are, and how they are started, heard and stopped, is the affair of a place: processes of this machine, or
a Ray cluster. A worker that dies costs the others nothing, and another takes its place.
"""

import time
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from benchmark.problem import Run
from benchmark.run.executor.order import longest_first
from benchmark.run.plan import Request
from benchmark.run.progress_display import Display, RunProgress
from benchmark.run.runner import PATIENCE, Outcome, attempt, is_settled, record_death, title


class Worker(Protocol):
    """Does one run after another, somewhere."""

    request: Request
    """What its death is recorded with."""
    run: Run | None
    """What it does now."""
    progress: RunProgress | None
    """Where that is shown, once it has begun."""
    ready: bool
    """Whether it can be given a run."""

    def assign(self, run: Run) -> None:
        """Let it do a run; where it is dead already that shows when it is listened to."""

    def messages(self) -> Iterator[tuple[Any, ...]]:
        """What it has said by now: what `worker.serve` sends, and ("died", reason) at its end."""
        ...


W = TypeVar("W", bound=Worker)
"""The workers of one backend."""


class Backend(Protocol[W]):
    """Where workers are."""

    max_deaths: int
    """A run is recorded as failed once so many workers have died over it with no new round in between."""

    def start(self, runs: int) -> list[W]:
        """As many new workers as are of use for so many runs. Raises RequestError where there can't be any."""
        ...

    def replace(self, dead: W) -> W:
        """A new worker for one that died."""
        ...

    def listen(self, workers: Sequence[W], timeout: float | None) -> Iterable[W]:
        """Those who have something to say or are dead, as soon as there are any, none after so many seconds."""
        ...

    def stop(self, workers: Sequence[W]) -> None:
        """End these: what they are at goes on with the next call."""


def execute_with_workers(runs: Sequence[Run], request: Request, display: Display, backend: Backend[W]) -> list[Outcome]:
    """Every run of the grid, as many at a time as the place has workers; outcomes in the order of the grid.

    Raises RequestError and StorageError as soon as one of them does.
    """
    titles = {run.folder.path: title(run, i, len(runs)) for i, run in enumerate(runs, start=1)}
    pool = WorkerPool(backend, request, titles, display)
    try:
        return pool.execute(runs)
    finally:
        pool.stop()


class WorkerPool(Generic[W]):
    """The workers that share a grid, what is left for them, and what has come of the rest."""

    def __init__(self, backend: Backend[W], request: Request, titles: dict[Path, str], display: Display) -> None:
        """titles: by folder, what runs are called on the display. Nobody is there yet."""
        self._backend, self._request, self._titles, self._display = backend, request, titles, display
        self._workers: list[W] = []
        self._queue: deque[Run] = deque()
        self._claimed_elsewhere: list[Run] = []  # another process works on these, or did when they were last looked at
        self._retry_at = 0.0
        self._furthest_round: Counter[Path] = Counter()  # of a run, by any worker; a resumed run may repeat rounds
        self._deaths: Counter[Path] = Counter()  # over a run, since it completed its furthest round
        self._outcomes: dict[Path, Outcome] = {}

    def execute(self, runs: Sequence[Run]) -> list[Outcome]:
        """The outcomes of all runs, in their order."""
        for run in runs:
            if is_settled(run, self._request):  # that needs no worker
                self._keep_outcome(run, attempt(run, self._request, partial(self._start_progress, run)))
            else:
                self._queue.append(run)
        if self._queue:
            self._workers = self._backend.start(len(self._queue))
        if 1 < len(self._workers) < len(self._queue):
            self._queue = deque(longest_first(self._queue))  # while they get ready
        while len(self._outcomes) < len(runs):
            self._assign_runs()
            self._handle_messages()
        return [self._outcomes[run.folder.path] for run in runs]

    def stop(self) -> None:
        """End all workers."""
        self._backend.stop(self._workers)

    def _assign_runs(self) -> None:
        """Give every idle worker its next run, as far as there are any."""
        if self._claimed_elsewhere and time.monotonic() >= self._retry_at:
            self._queue.extend(self._claimed_elsewhere)
            self._claimed_elsewhere.clear()
        for worker in self._workers:
            if self._queue and worker.ready and worker.run is None:
                worker.assign(self._queue.popleft())

    def _handle_messages(self) -> None:
        """Wait until a worker says something or dies, or until it is time to look again."""
        if len(self._claimed_elsewhere) == len(self._titles) - len(self._outcomes):
            self._display.wait(len(self._claimed_elsewhere))
        for worker in self._backend.listen(self._workers, PATIENCE if self._claimed_elsewhere else None):
            for message in worker.messages():
                self._handle(worker, message)

    def _handle(self, worker: W, message: tuple[Any, ...]) -> None:
        match message:
            case ("error", error):
                raise error
            case ("died", reason):
                self._replace_worker(worker, reason)
            case ("start",) if worker.run:
                worker.progress = self._start_progress(worker.run)
            case ("outcome", outcome) if worker.run:
                self._keep_outcome(worker.run, outcome, worker.progress)
                worker.run = worker.progress = None
            case (name, *values) if worker.run:
                getattr(worker.progress, name)(*values)
                if name == "round":
                    self._note_round(worker.run.folder.path, number=values[0])

    def _note_round(self, path: Path, number: int) -> None:
        """Forget the deaths over a run once it has completed a round that it had never reached before."""
        if number > self._furthest_round[path]:
            self._furthest_round[path] = number
            del self._deaths[path]

    def _replace_worker(self, dead: W, reason: str) -> None:
        """See to what the dead worker was at, and put a new one into its place."""
        self._workers.remove(dead)
        if dead.run:
            self._requeue_or_fail(dead.run, dead, reason)
        if self._queue or self._claimed_elsewhere:
            self._workers.append(self._backend.replace(dead))

    def _requeue_or_fail(self, run: Run, dead: Worker, reason: str) -> None:
        """A run's worker has died: the run is another's next, or has failed."""
        self._deaths[run.folder.path] += 1
        progress = dead.progress or self._start_progress(run)
        if (deaths := self._deaths[run.folder.path]) < self._backend.max_deaths:
            self._queue.appendleft(run)
            progress.finish(f"{reason}; another goes on with it")
        else:
            again = f"; {deaths} workers in a row died with no new round in between" if deaths > 1 else ""
            self._keep_outcome(run, record_death(run, dead.request, reason + again), progress)

    def _start_progress(self, run: Run) -> RunProgress:
        return self._display.start(self._titles[run.folder.path], run.rounds)

    def _keep_outcome(self, run: Run, outcome: Outcome | None, progress: RunProgress | None = None) -> None:
        """Keep the outcome of a run; None: another process works on it."""
        if outcome is None:
            self._claimed_elsewhere.append(run)
            self._retry_at = time.monotonic() + PATIENCE
        else:
            self._outcomes[run.folder.path] = outcome
        if progress:
            progress.finish((outcome.reason or outcome.status) if outcome else "another process has taken it over")
