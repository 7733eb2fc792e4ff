"""Many runs at a time on one machine: processes that each do one run after another.

A process that dies costs the run that it did: that is recorded as failed, and another process takes its place.
"""

import os
import signal
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from itertools import cycle, islice
from multiprocessing import connection, get_context
from pathlib import Path
from typing import Any

from benchmark.display import Display, Shown
from benchmark.executor.order import longest_first
from benchmark.executor.worker import work
from benchmark.plan import Request, Run
from benchmark.runner import PATIENCE, Outcome, attempt, is_settled, record_death, title

SPAWN = get_context("spawn")
"""A process begins from nothing: threads and CUDA do not survive a fork."""
GRACE = 10.0
"""Seconds that processes are given to end when they are asked to."""


def execute_all(runs: Sequence[Run], request: Request, display: Display) -> list[Outcome]:
    """Every run of the grid, as many at a time as the request has jobs; outcomes in the order of the grid.

    Raises RequestError and StorageError as soon as one of them does.
    """
    titles = {run.folder.path: title(run, i, len(runs)) for i, run in enumerate(runs, start=1)}
    crew = Crew(titles, display)
    try:
        return crew.execute_all(runs, request)
    finally:
        crew.stop()


class Worker:
    """A process for runs of a request, and the run that it does now, if any."""

    def __init__(self, request: Request) -> None:
        """It starts at once, and takes seconds to be ready."""
        self.request = request
        self.run: Run | None = None
        self.shown: Shown | None = None
        self.pipe, theirs = SPAWN.Pipe()
        self.process = SPAWN.Process(target=work, args=(request, theirs), daemon=True)
        with _uninterrupted():
            self.process.start()
        theirs.close()  # so that its end shows here

    def begin(self, run: Run) -> None:
        """Let it do a run; where it is dead already that shows when it is waited for."""
        self.run = run
        with suppress(OSError):
            self.pipe.send(run.folder.path)

    def messages(self) -> Iterator[tuple[Any, ...]]:
        """What it has sent by now, as far as it came to send it."""
        with suppress(EOFError, OSError):
            while self.pipe.poll():
                yield self.pipe.recv()


class Crew:
    """The workers that share a grid, what is left for them, and what has come of the rest."""

    def __init__(self, titles: dict[Path, str], display: Display) -> None:
        """titles: by folder, what runs are called on the display. Nobody is there yet."""
        self._titles, self._display = titles, display
        self._workers: list[Worker] = []
        self._left: deque[Run] = deque()
        self._elsewhere: list[Run] = []  # another process works on these, or did when they were last looked at
        self._look_again = 0.0
        self._outcomes: dict[Path, Outcome] = {}

    def execute_all(self, runs: Sequence[Run], request: Request) -> list[Outcome]:
        """The outcomes of all runs, in their order."""
        for run in runs:
            if is_settled(run, request):  # that needs no process
                self._end(run, attempt(run, request, partial(self._start, run)))
            else:
                self._left.append(run)
        requests = cycle(requests_of_workers(request))
        self._workers = [Worker(own) for own in islice(requests, min(request.jobs or 1, len(self._left)))]
        if 1 < len(self._workers) < len(self._left):
            self._left = deque(longest_first(self._left))  # while they get ready
        while len(self._outcomes) < len(runs):
            self._hand_out()
            self._listen()
        return [self._outcomes[run.folder.path] for run in runs]

    def stop(self) -> None:
        """End all workers: what they were at goes on with the next call."""
        for worker in self._workers:
            worker.process.terminate()
        deadline = time.monotonic() + GRACE
        for worker in self._workers:
            worker.process.join(max(0.0, deadline - time.monotonic()))
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()

    def _hand_out(self) -> None:
        """Give every idle worker its next run, as far as there are any."""
        if self._elsewhere and time.monotonic() >= self._look_again:
            self._left.extend(self._elsewhere)
            self._elsewhere.clear()
        for worker in self._workers:
            if self._left and worker.run is None:
                worker.begin(self._left.popleft())

    def _listen(self) -> None:
        """Wait until a worker says something or dies, or until it is time to look again."""
        if len(self._elsewhere) == len(self._titles) - len(self._outcomes):
            self._display.wait(len(self._elsewhere))
        pipes: list[Any] = [worker.pipe for worker in self._workers]
        sentinels = [worker.process.sentinel for worker in self._workers]
        ready = connection.wait([*pipes, *sentinels], PATIENCE if self._elsewhere else None)
        for worker, pipe, sentinel in zip([*self._workers], pipes, sentinels, strict=True):
            if pipe in ready or sentinel in ready:
                for message in worker.messages():
                    self._hear(worker, message)
            if sentinel in ready:
                self._replace(worker)

    def _hear(self, worker: Worker, message: tuple[Any, ...]) -> None:
        match message:
            case ("error", error):
                raise error
            case ("start",) if worker.run:
                worker.shown = self._start(worker.run)
            case ("outcome", outcome) if worker.run:
                self._end(worker.run, outcome, worker.shown)
                worker.run = worker.shown = None
            case (name, *values):
                getattr(worker.shown, name)(*values)

    def _replace(self, dead: Worker) -> None:
        """Record what the dead worker was at, and put a new one into its place."""
        dead.process.join()
        self._workers.remove(dead)
        if dead.run:
            shown = dead.shown or self._start(dead.run)
            self._end(dead.run, record_death(dead.run, dead.request, cause_of_death(dead.process.exitcode or 0)), shown)
        if self._left or self._elsewhere:
            self._workers.append(Worker(dead.request))

    def _start(self, run: Run) -> Shown:
        return self._display.start(self._titles[run.folder.path], run.rounds)

    def _end(self, run: Run, outcome: Outcome | None, shown: Shown | None = None) -> None:
        """Keep the outcome of a run; None: another process works on it."""
        if outcome is None:
            self._elsewhere.append(run)
            self._look_again = time.monotonic() + PATIENCE
        else:
            self._outcomes[run.folder.path] = outcome
        if shown:
            shown.finish((outcome.reason or outcome.status) if outcome else "another process has taken it over")


def requests_of_workers(request: Request) -> list[Request]:
    """What each worker is asked, in turn: on which device, and with its share of the cores unless told otherwise."""
    threads = request.threads or max(1, cores() // (request.jobs or 1))
    return [replace(request, device=device, threads=threads) for device in request.devices]


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def cause_of_death(exit_code: int) -> str:
    """Why a process ended that should not have, in one line; exit codes below 0 are signals."""
    if exit_code >= 0:
        return f"its process ended with exit code {exit_code}"
    if -exit_code == getattr(signal, "SIGKILL", None):
        return f"its process was killed by signal {-exit_code} (out of memory?)"
    return f"its process was killed by signal {-exit_code} ({signal.strsignal(-exit_code)})"


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """A process that is started in this block ignores Ctrl-C from its first moment on."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
