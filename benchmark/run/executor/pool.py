"""A pool of workers that share the runs of a grid: gives them runs, collects outcomes, replaces workers that die.

A backend starts workers, receives their messages and stops them: as processes of this machine, or on a Ray cluster. The
death of a worker does not affect the others.
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
from benchmark.run.runner import LOOK_AGAIN_SECONDS, Outcome, attempt, nothing_to_do, record_death, title


class Worker(Protocol):
    """Executes one run after another, in a process of this machine or of another."""

    request: Request
    """The request with which a run is recorded as failed if the worker dies."""
    run: Run | None
    """The run that it executes now, if any."""
    progress: RunProgress | None
    """The progress of that run on the display, once it has begun."""
    ready: bool
    """True if it can be given a run."""

    def assign(self, run: Run) -> None:
        """Give it a run; if it is dead already, its next messages say so."""

    def messages(self) -> Iterator[tuple[Any, ...]]:
        """Yield the messages that have arrived: those of `worker.serve`, then ("died", reason) if it is dead."""
        ...


WorkerT = TypeVar("WorkerT", bound=Worker)
"""The type of a backend's workers."""


class Backend(Protocol[WorkerT]):
    """Starts workers in one kind of place, receives their messages, and stops them."""

    max_deaths: int
    """A run is recorded as failed once so many workers have died over it with no new round in between."""

    def start(self, runs: int) -> list[WorkerT]:
        """Start as many workers as are of use for so many runs. Raises RequestError if none can be started."""
        ...

    def replace(self, dead: WorkerT) -> WorkerT:
        """Start a worker in place of one that died."""
        ...

    def listen(self, workers: Sequence[WorkerT], timeout: float | None) -> Iterable[WorkerT]:
        """Wait for workers that have sent a message or died, and return them; none after timeout seconds."""
        ...

    def stop(self, workers: Sequence[WorkerT]) -> None:
        """End these workers; the next call of the benchmark resumes their runs."""


def execute_with_workers(
    runs: Sequence[Run], request: Request, display: Display, backend: Backend[WorkerT]
) -> list[Outcome]:
    """Execute the grid, as many runs at a time as the backend has workers; outcomes in the order of the grid.

    Raises RequestError and StorageError as soon as a worker does.
    """
    titles = {run.folder.path: title(run, i, len(runs)) for i, run in enumerate(runs, start=1)}
    pool = WorkerPool(backend, request, titles, display)
    try:
        return pool.execute(runs)
    finally:
        pool.stop()


class WorkerPool(Generic[WorkerT]):
    """The workers that share a grid, the runs that wait for one, and the outcomes so far.

    titles: what the display calls each run, by the path of its folder.
    """

    def __init__(self, backend: Backend[WorkerT], request: Request, titles: dict[Path, str], display: Display) -> None:
        self._backend, self._request, self._titles, self._display = backend, request, titles, display
        self._workers: list[WorkerT] = []
        self._queue: deque[Run] = deque()
        self._claimed_elsewhere: list[Run] = []  # by other processes, when last asked
        self._retry_at = 0.0
        self._furthest_round: Counter[Path] = Counter()  # of a run, by any worker; a resumed run may repeat rounds
        self._deaths: Counter[Path] = Counter()  # over a run, since it completed its furthest round
        self._outcomes: dict[Path, Outcome] = {}

    def execute(self, runs: Sequence[Run]) -> list[Outcome]:
        """Execute all runs and return their outcomes, in the order of the runs."""
        for run in runs:
            if nothing_to_do(run, self._request):  # it needs no worker
                self._keep_outcome(run, attempt(run, self._request, partial(self._start_progress, run)))
            else:
                self._queue.append(run)
        if self._queue:
            self._workers = self._backend.start(len(self._queue))
        if 1 < len(self._workers) < len(self._queue):
            self._queue = deque(longest_first(self._queue))  # computed while the workers get ready
        while len(self._outcomes) < len(runs):
            self._assign_runs()
            self._handle_messages()
        return [self._outcomes[run.folder.path] for run in runs]

    def stop(self) -> None:
        """Stop all workers."""
        self._backend.stop(self._workers)

    def _assign_runs(self) -> None:
        """Give each idle worker a run, as long as any wait."""
        if self._claimed_elsewhere and time.monotonic() >= self._retry_at:
            self._queue.extend(self._claimed_elsewhere)
            self._claimed_elsewhere.clear()
        for worker in self._workers:
            if self._queue and worker.ready and worker.run is None:
                worker.assign(self._queue.popleft())

    def _handle_messages(self) -> None:
        """Wait for messages and handle them; give up when it is time to try runs of other processes again."""
        if len(self._claimed_elsewhere) == len(self._titles) - len(self._outcomes):
            self._display.wait(len(self._claimed_elsewhere))
        for worker in self._backend.listen(self._workers, LOOK_AGAIN_SECONDS if self._claimed_elsewhere else None):
            for message in worker.messages():
                self._handle(worker, message)

    def _handle(self, worker: WorkerT, message: tuple[Any, ...]) -> None:
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

    def _replace_worker(self, dead: WorkerT, reason: str) -> None:
        """Requeue or fail the run of a dead worker, and start another worker if any run is left."""
        self._workers.remove(dead)
        if dead.run:
            self._requeue_or_fail(dead.run, dead, reason)
        if self._queue or self._claimed_elsewhere:
            self._workers.append(self._backend.replace(dead))

    def _requeue_or_fail(self, run: Run, dead: Worker, reason: str) -> None:
        """Put a run whose worker died at the head of the queue, or record it as failed after too many deaths."""
        self._deaths[run.folder.path] += 1
        progress = dead.progress or self._start_progress(run)
        if (deaths := self._deaths[run.folder.path]) < self._backend.max_deaths:
            self._queue.appendleft(run)
            progress.leave(f"{reason}; another goes on with it")
        else:
            again = f"; {deaths} workers in a row died with no new round in between" if deaths > 1 else ""
            self._keep_outcome(run, record_death(run, dead.request, reason + again), progress)

    def _start_progress(self, run: Run) -> RunProgress:
        return self._display.start(self._titles[run.folder.path], run.rounds)

    def _keep_outcome(self, run: Run, outcome: Outcome | None, progress: RunProgress | None = None) -> None:
        """Keep the outcome of a run; None means that another process works on it, so try again later."""
        if outcome is None:
            self._claimed_elsewhere.append(run)
            self._retry_at = time.monotonic() + LOOK_AGAIN_SECONDS
        else:
            self._outcomes[run.folder.path] = outcome
        if progress and outcome:
            progress.finish(outcome.reason or outcome.status)
        elif progress:
            progress.leave("another process has taken it over")
