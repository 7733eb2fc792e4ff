"""Many runs at a time on one machine: processes that each do one run after another.

A process that dies costs the run that it did: that is recorded as failed.
"""

import os
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from itertools import cycle, islice
from multiprocessing import connection, get_context
from typing import Any

from benchmark.problem import Run
from benchmark.run.executor import pool
from benchmark.run.executor.worker import serve_as_process
from benchmark.run.plan import Request
from benchmark.run.progress_display import Display, RunProgress
from benchmark.run.runner import Outcome

SPAWN = get_context("spawn")
"""A process begins from nothing: threads and CUDA do not survive a fork."""
TERMINATION_SECONDS = 10.0
"""Seconds that processes are given to end when they are asked to."""


def execute_in_processes(runs: Sequence[Run], request: Request, display: Display) -> list[Outcome]:
    """Every run of the grid, as many at a time as the request has jobs; outcomes in the order of the grid.

    Raises RequestError and StorageError as soon as one of them does.
    """
    return pool.execute_with_workers(runs, request, display, ProcessBackend(request))


class ProcessWorker:
    """A process for runs of a request, and the run that it does now, if any."""

    ready = True
    """What it is given before it is ready waits in the pipe."""

    def __init__(self, request: Request) -> None:
        """It starts at once, and takes seconds to be ready."""
        self.request = request
        self.run: Run | None = None
        self.progress: RunProgress | None = None
        self.pipe, child_end = SPAWN.Pipe()
        self.process = SPAWN.Process(target=serve_as_process, args=(request, child_end), daemon=True)
        with _uninterrupted():
            self.process.start()
        child_end.close()  # so that its end shows here

    def assign(self, run: Run) -> None:
        """Let it do a run; where it is dead already that shows when it is waited for."""
        self.run = run
        with suppress(OSError):
            self.pipe.send(run.folder.path)

    def messages(self) -> Iterator[tuple[Any, ...]]:
        """What it has sent by now, as far as it came to send it, and why it is dead, if it is."""
        dead = not self.process.is_alive()  # before the last message is read
        with suppress(EOFError, OSError):
            while self.pipe.poll():
                yield self.pipe.recv()
        if dead:
            yield "died", cause_of_process_death(self.process.exitcode or 0)


class ProcessBackend:
    """Those of this machine, as many as a request has jobs."""

    max_deaths = 1
    """What kills a process here would kill the next one as well."""

    def __init__(self, request: Request) -> None:
        """There are none yet."""
        self._request = request

    def start(self, runs: int) -> list[ProcessWorker]:
        """A process per job, or per run where there are fewer."""
        requests = cycle(requests_of_workers(self._request))
        return [ProcessWorker(request) for request in islice(requests, min(self._request.jobs or 1, runs))]

    def replace(self, dead: ProcessWorker) -> ProcessWorker:
        """One with the same device."""
        return ProcessWorker(dead.request)

    def listen(self, workers: Sequence[ProcessWorker], timeout: float | None) -> list[ProcessWorker]:
        """Those who have sent something or have ended."""
        pipes: list[Any] = [worker.pipe for worker in workers]
        sentinels = [worker.process.sentinel for worker in workers]
        ready = connection.wait([*pipes, *sentinels], timeout)
        return [
            worker
            for worker, pipe, sentinel in zip(workers, pipes, sentinels, strict=True)
            if pipe in ready or sentinel in ready
        ]

    def stop(self, workers: Sequence[ProcessWorker]) -> None:
        """Ask them to end, and end those that do not."""
        for worker in workers:
            worker.process.terminate()
        deadline = time.monotonic() + TERMINATION_SECONDS
        for worker in workers:
            worker.process.join(max(0.0, deadline - time.monotonic()))
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()


def requests_of_workers(request: Request) -> list[Request]:
    """What each worker is asked, in turn: on which device, and with its share of the cores unless told otherwise."""
    threads = request.threads or max(1, cores() // (request.jobs or 1))
    return [replace(request, device=device, threads=threads) for device in request.devices]


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def cause_of_process_death(exit_code: int) -> str:
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
