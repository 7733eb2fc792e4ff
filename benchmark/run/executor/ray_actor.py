"""The actor of a worker in a Ray cluster: executes runs in one thread, and yields their messages in another.

It gets the runs themselves and plans nothing; their arrays lie in the node's shared memory, once for all its workers.
"""

import os
import platform
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from multiprocessing.dummy import Pipe
from pathlib import Path
from typing import Any

import ray

from benchmark.errors import RequestError
from benchmark.plugins import registry
from benchmark.problem import Run
from benchmark.run.executor.ray_node_check import NodeCheck, complaint, inspect_node
from benchmark.run.executor.worker import serve
from benchmark.run.plan import Request

LAST_MESSAGES = ("outcome", "error", "died")
"""The kinds of message that can be the last one of a run."""


class RayWorkerActor:
    """Executes one run after another."""

    def prepare(
        self,
        request: Request,
        directory: Path,
        token: Path,
        expected: NodeCheck,
        runs: "Sequence[ray.ObjectRef[list[Run]]]",
    ) -> str | None:
        """Get ready to execute runs; return what is wrong with this node, or None.

        directory: the caller's working directory, which becomes that of this process too, if it exists here.
        runs: the reference to the list of runs, resolved only once user-defined methods and line-ups are imported.
        """
        with suppress(OSError):
            os.chdir(directory)
        if problem := complaint(inspect_node(token), expected, token.parent):
            return f"node {platform.node()} {problem}"
        try:
            for text in request.methods:
                registry.method(text)
            for text in request.models:
                registry.line_up(text)
            planned: list[Run] = ray.get(runs[0])
        except (RequestError, ImportError, AttributeError) as error:
            return f"node {platform.node()} lacks code: {error}"
        self._pipe, other_end = Pipe()
        threading.Thread(target=_serve, args=(planned, request, other_end), daemon=True).start()
        return None

    def execute_run(self, path: Path) -> Iterator[tuple[Any, ...]]:
        """Execute the run of that folder and yield the messages of `worker.serve`, or ("died", reason)."""
        self._pipe.send(path)
        while True:
            message = self._pipe.recv()
            yield message
            if message[0] in LAST_MESSAGES:
                return


def _serve(runs: list[Run], request: Request, pipe: Any) -> None:
    try:
        serve(lambda: runs, request, pipe)
    except BaseException as error:
        pipe.send(("died", f"its worker failed: {type(error).__name__}: {error}"))
        raise
