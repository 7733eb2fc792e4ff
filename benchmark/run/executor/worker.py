"""The end of a worker that executes runs: receives their folders through a pipe, sends progress and outcomes."""

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

from benchmark.errors import DeviceLost, RequestError, StorageError, Terminated
from benchmark.problem import Run
from benchmark.run.ending import TERMINATED, raise_on_sigterm
from benchmark.run.plan import Request, plan
from benchmark.run.runner import attempt, use_threads
from benchmark.run.streams import leave_to_users_code


class Pipe(Protocol):
    """One end of a connection to another process or thread."""

    def send(self, message: Any, /) -> None:
        """Send a message to the other end."""

    def recv(self) -> Any:
        """Wait for a message from the other end and return it."""


@dataclass(frozen=True)
class PipeProgress:
    """Forwards the calls of a RunProgress through a pipe to the process with the display, as (name, *values)."""

    pipe: Pipe

    def go_on(self, rounds_done: int) -> None:
        """Send how many rounds are done already."""
        self.pipe.send(("go_on", rounds_done))

    def round(self, number: int, accuracy: float | None) -> None:
        """Send that a round is over, with its accuracy in percent if it was evaluated."""
        self.pipe.send(("round", number, accuracy))

    def finish(self, status: str) -> None:
        """Send nothing, for the outcome follows and has the status."""

    def leave(self, why: str) -> None:
        """Send nothing: a worker that leaves its run is dead, and the pool notices that by itself."""

    def start(self) -> "PipeProgress":
        """Send that the run begins."""
        self.pipe.send(("start",))
        return self


def serve_as_process(request: Request, pipe: Pipe) -> None:
    """Serve a request in a process of its own until the parent ends it, or ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles Ctrl-C
    raise_on_sigterm()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    leave_to_users_code()
    try:
        serve(partial(plan, request), request, pipe)
    except (Terminated, EOFError, BrokenPipeError):  # the parent ends it, or has ended
        sys.exit(TERMINATED)


def serve(planned: Callable[[], Sequence[Run]], request: Request, pipe: Pipe) -> None:
    """Execute those of the planned runs whose folders arrive through the pipe.

    Sends the messages of PipeProgress and then ("outcome", Outcome), with None instead of an Outcome while another
    process works on the run; ("died", reason) if this process can't execute another; or ("error", error) if no further
    run makes sense.
    """
    use_threads(request.threads)
    try:
        runs = {run.folder.path: run for run in planned()}
        while True:
            path: Path = pipe.recv()
            if path not in runs:
                raise RequestError(f"{path} is no run of the grid any more: code or data have changed since it began")
            pipe.send(("outcome", attempt(runs[path], request, PipeProgress(pipe).start)))
    except DeviceLost as error:
        pipe.send(("died", str(error)))
    except (RequestError, StorageError) as error:
        pipe.send(("error", error))


def _end_with_parent() -> None:
    """End this process when the parent ends, however it does, even in the middle of a round."""
    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(TERMINATED)
