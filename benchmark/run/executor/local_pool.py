"""Execute several runs at a time on one machine, in processes that each execute one run after another.

If a process dies, its run is recorded as failed.
"""

import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from itertools import cycle, islice
from multiprocessing import connection, get_context
from typing import Any

from benchmark.errors import DeviceLost
from benchmark.measure.cores import cores
from benchmark.problem import Run
from benchmark.run.executor import pool
from benchmark.run.executor.worker import serve_as_process
from benchmark.run.plan import Request
from benchmark.run.progress_display import Display, RunProgress
from benchmark.run.runner import Outcome, execute_all

SPAWN = get_context("spawn")
"""Processes start afresh, for threads and CUDA do not survive a fork."""
TERMINATION_SECONDS = 10.0
"""Seconds that processes have to end after SIGTERM, before they are killed."""


def execute_in_processes(runs: Sequence[Run], request: Request, display: Display) -> list[Outcome]:
    """Execute the grid, as many runs at a time as the request has jobs; outcomes in the order of the grid.

    Raises RequestError and StorageError as soon as a worker does.
    """
    return pool.execute_with_workers(runs, request, display, ProcessBackend(request))


def execute_here(runs: Sequence[Run], request: Request, display: Display) -> list[Outcome]:
    """Execute the grid in this process; if its device is lost, the runs that are left in a process of their own.

    Raises RequestError and StorageError.
    """
    try:
        return execute_all(runs, request, display)
    except DeviceLost as error:
        display.say(f"{error}: this process has lost its device, another executes the runs that are left")
        return execute_in_processes(runs, replace(request, jobs=1), display)


class ProcessWorker:
    """A process that executes runs of a request; it starts at once, and takes seconds to be ready."""

    ready = True
    """A run that is assigned before the process has started waits in the pipe."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.run: Run | None = None
        self.progress: RunProgress | None = None
        self.pipe, child_end = SPAWN.Pipe()
        self.process = SPAWN.Process(target=serve_as_process, args=(request, child_end), daemon=True)
        with _uninterrupted():
            self.process.start()
        child_end.close()  # or this end of the pipe would not notice that the process has ended

    def assign(self, run: Run) -> None:
        """Send it a run; if it is dead already, its next messages say so."""
        self.run = run
        with suppress(OSError):
            self.pipe.send(run.folder.path)

    def messages(self) -> Iterator[tuple[Any, ...]]:
        """Yield the messages that have arrived whole, then ("died", reason) if the process has ended without one."""
        dead = not self.process.is_alive()  # asked first, so that no message is lost that it sent before it ended
        with suppress(EOFError, OSError):
            while self.pipe.poll():
                message = self.pipe.recv()
                yield message
                if message[0] == "died":
                    return
        if dead:
            yield "died", cause_of_process_death(self.process.exitcode or 0)


class ProcessBackend:
    """Starts processes on this machine, as many as the request has jobs."""

    max_deaths = 1
    """One, because whatever killed a process on this machine would kill the next one too."""

    def __init__(self, request: Request) -> None:
        self._request = request

    def start(self, runs: int) -> list[ProcessWorker]:
        """Start a process per job, or per run if there are fewer runs than jobs."""
        requests = cycle(requests_of_workers(self._request))
        return [ProcessWorker(request) for request in islice(requests, min(self._request.jobs or 1, runs))]

    def replace(self, dead: ProcessWorker) -> ProcessWorker:
        """Start a process with the same device, and end what is left of the dead one, which may hold memory of it."""
        dead.process.kill()
        return ProcessWorker(dead.request)

    def listen(self, workers: Sequence[ProcessWorker], timeout: float | None) -> list[ProcessWorker]:
        """Wait for processes that have sent a message or ended, and return their workers."""
        pipes: list[Any] = [worker.pipe for worker in workers]
        sentinels = [worker.process.sentinel for worker in workers]
        ready = connection.wait([*pipes, *sentinels], timeout)
        return [
            worker
            for worker, pipe, sentinel in zip(workers, pipes, sentinels, strict=True)
            if pipe in ready or sentinel in ready
        ]

    def stop(self, workers: Sequence[ProcessWorker]) -> None:
        """Terminate the processes, and kill those that have not ended after TERMINATION_SECONDS."""
        for worker in workers:
            worker.process.terminate()
        deadline = time.monotonic() + TERMINATION_SECONDS
        for worker in workers:
            worker.process.join(max(0.0, deadline - time.monotonic()))
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()


def requests_of_workers(request: Request) -> list[Request]:
    """Return the requests to give to workers in turn: one per device, each with its share of the cores.

    If the request says how many threads a worker has, it has those instead.
    """
    threads = request.threads or max(1, cores() // (request.jobs or 1))
    return [replace(request, device=device, threads=threads) for device in request.devices]


def cause_of_process_death(exit_code: int) -> str:
    """Say in one line why a process ended unexpectedly; an exit code below 0 is the negative of a signal."""
    if exit_code >= 0:
        return f"its process ended with exit code {exit_code}"
    if -exit_code == getattr(signal, "SIGKILL", None):
        return f"its process was killed by signal {-exit_code} (out of memory?)"
    return f"its process was killed by signal {-exit_code} ({signal.strsignal(-exit_code)})"


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Ignore Ctrl-C within the block; a process that is started there ignores it from its first moment on."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
