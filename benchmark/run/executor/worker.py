"""Does one run after another, as it is told, and tells what becomes of them: a process, or a part of one."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from multiprocessing import connection, parent_process
from pathlib import Path
from typing import Any, Protocol

from benchmark.errors import RequestError, StorageError
from benchmark.problem import Run
from benchmark.run.plan import Request, plan
from benchmark.run.runner import attempt, use_threads

TERMINATED = 128 + signal.SIGTERM


class Pipe(Protocol):
    """One end of what leads to another process, or to another thread."""

    def send(self, message: Any, /) -> None:
        """Put it in."""

    def recv(self) -> Any:
        """What was put in at the other end, as soon as there is something."""


@dataclass(frozen=True)
class PipeProgress:
    """Where a run is shown is in another process: it is sent what is to be called there, (name, *values)."""

    pipe: Pipe

    def go_on(self, rounds_done: int) -> None:
        """So many rounds are there already."""
        self.pipe.send(("go_on", rounds_done))

    def round(self, number: int, accuracy: float | None) -> None:
        """A round is over."""
        self.pipe.send(("round", number, accuracy))

    def finish(self, status: str) -> None:
        """Nothing: the outcome that follows says so."""

    def start(self) -> "PipeProgress":
        """The run begins."""
        self.pipe.send(("start",))
        return self


def serve_as_process(request: Request, pipe: Pipe) -> None:
    """Be a process that serves a request through a pipe until it is ended."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to answer
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(TERMINATED))  # and this its answer: claims are given back
    threading.Thread(target=_end_with_parent, daemon=True).start()
    serve(partial(plan, request), request, pipe)


def serve(planned: Callable[[], Sequence[Run]], request: Request, pipe: Pipe) -> None:
    """Do those of the planned runs whose folders come through the pipe.

    Sends what PipeProgress says and ("outcome", Outcome), None while another process works on the run, or
    ("error", error) where no further run makes sense.
    """
    use_threads(request.threads)
    try:
        runs = {run.folder.path: run for run in planned()}
        while True:
            path: Path = pipe.recv()
            if path not in runs:
                raise RequestError(f"{path} is no run of the grid any more: code or data have changed since it began")
            pipe.send(("outcome", attempt(runs[path], request, PipeProgress(pipe).start)))
    except (RequestError, StorageError) as error:
        pipe.send(("error", error))


def _end_with_parent() -> None:
    """However the parent dies, even in the middle of a round."""
    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(TERMINATED)
