"""Execute runs on many machines: in actors of a Ray cluster that each execute one run after another.

An actor may die because of its node, not of its run, so another one resumes the run from its checkpoint.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayError

from benchmark.errors import RequestError
from benchmark.problem import Run
from benchmark.run.executor import pool
from benchmark.run.executor.ray_actor import RayWorkerActor
from benchmark.run.executor.ray_connection import alive_nodes, check_nodes, connected, one_line, token_file
from benchmark.run.executor.ray_node_check import inspect_node
from benchmark.run.executor.ray_resources import capacity, worker_demand
from benchmark.run.plan import Request
from benchmark.run.progress_display import Display, RunProgress
from benchmark.run.runner import Outcome
from benchmark.storage.run_folder import RunFolder

BUSY_AFTER_SECONDS = 10.0
"""Seconds without any worker after which the display says that the cluster is busy."""
BUSY_MESSAGE = "no worker has room on the cluster yet; waiting for its other jobs, or for more nodes"
KILL_SECONDS = 5.0
"""Seconds to wait until killed workers have let go of their runs."""


def execute_on_ray(runs: Sequence[Run], request: Request, display: Display) -> list[Outcome]:
    """Execute the grid, as many runs at a time as the cluster has room for; outcomes in the order of the grid.

    Raises RequestError and StorageError as soon as a worker does.
    """
    with RayBackend(runs, request, display) as backend:
        return pool.execute_with_workers(runs, request, display, backend)


class RayWorker:
    """An actor of the cluster that executes runs; ready once its preparation has succeeded.

    preparation: the reference to the result of RayWorkerActor.prepare.
    paths: the path by which the actor knows the folder of a run, by the path by which this process knows it.
    """

    def __init__(self, request: Request, actor: Any, preparation: Any, paths: Mapping[Path, Path]) -> None:
        self.request = request
        self.run: Run | None = None
        self.progress: RunProgress | None = None
        self.ready = False
        self.actor, self._paths = actor, paths
        self.pending = preparation
        """The reference or stream to wait for: of the preparation, then of the messages of a run; None if idle."""

    def assign(self, run: Run) -> None:
        """Give the actor a run; if it is dead already, its next messages say so."""
        self.run = run
        self.pending = self.actor.execute_run.options(num_returns="streaming").remote(self._paths[run.folder.path])

    def messages(self) -> Iterator[tuple[Any, ...]]:
        """Yield the messages that have arrived, then ("died", reason) if the actor is dead."""
        try:
            if self.ready:
                yield from self._stream_messages()
            elif problem := ray.get(self.pending):
                yield "error", RequestError(problem)
            else:
                self.ready, self.pending = True, None
        except RayError as error:
            yield "died", cause_of_ray_death(error)

    def _stream_messages(self) -> Iterator[tuple[Any, ...]]:
        while self.pending is not None and ray.wait([self.pending], timeout=0)[0]:
            kind, *values = ray.get(next(self.pending))
            if kind == "outcome":
                self.pending = None
                if values[0] is not None and self.run:
                    values = [replace(values[0], path=self.run.folder.path)]
            yield kind, *values


class RayBackend:
    """Starts workers on the nodes of a Ray cluster; a context manager.

    It connects when the first worker is needed; its exit leaves the cluster, and ends it if this process started it.
    """

    max_deaths = 3
    """More than one, because a node may be lost, or run out of memory because of another job."""

    def __init__(self, runs: Sequence[Run], request: Request, display: Display) -> None:
        self._runs, self._request, self._display = runs, request, display
        self._exit_stack = ExitStack()
        self._failed_starts = 0

    def __enter__(self) -> "RayBackend":
        return self

    def __exit__(self, *error: Any) -> None:
        self._exit_stack.close()

    def start(self, runs: int) -> list[RayWorker]:
        """Connect, check the nodes, and start as many workers as fit on them, or as the request has jobs.

        A worker waits while other jobs of the cluster leave no room. Raises RequestError if a node can't execute runs.
        """
        self._exit_stack.enter_context(connected(self._request))
        nodes = alive_nodes()
        demand = worker_demand(self._request, nodes)
        self._token = self._exit_stack.enter_context(token_file(self._request.results))
        self._expected_check = inspect_node(self._token)
        check_nodes([node for node in nodes if capacity(node, demand)], self._token, self._expected_check)
        device = "cuda" if demand.gpus else "cpu"
        self._worker_request = replace(self._request, device=device, threads=demand.cpus)
        self._actor_class: Any = ray.remote(num_cpus=demand.cpus, num_gpus=demand.gpus)(RayWorkerActor)
        self._paths = {run.folder.path: run.folder.path.absolute() for run in self._runs}
        absolute_runs = [replace(run, folder=RunFolder(self._paths[run.folder.path])) for run in self._runs]
        self._runs_reference = [ray.put(absolute_runs)]  # in a list, where Ray does not resolve it
        most = self._request.jobs or sum(capacity(node, demand) for node in nodes)
        self._worker_count = min(most, runs)
        return [self._start_worker() for _ in range(self._worker_count)]

    def replace(self, dead: RayWorker) -> RayWorker:
        """Start a worker on whichever node has room. Raises RequestError if too many die before they are ready."""
        ray.kill(dead.actor)  # it lives on if only the thread of its run has ended
        self._failed_starts = 0 if dead.ready else self._failed_starts + 1
        if self._failed_starts > self.max_deaths * self._worker_count:
            raise RequestError("workers die before they are ready; the logs of Ray on their nodes say why")
        return self._start_worker()

    def listen(self, workers: Sequence[RayWorker], timeout: float | None) -> list[RayWorker]:
        """Wait for workers that have sent a message or died, and return them."""
        by_pending = {worker.pending: worker for worker in workers if worker.pending is not None}
        if not by_pending:
            time.sleep(timeout or 0)
            return []
        may_be_busy = timeout is None and not any(worker.ready for worker in workers)
        first, _ = ray.wait([*by_pending], timeout=BUSY_AFTER_SECONDS if may_be_busy else timeout)
        if may_be_busy and not first:
            self._display.say(BUSY_MESSAGE)
            first, _ = ray.wait([*by_pending], timeout=None)
        ready, _ = ray.wait([*by_pending], num_returns=len(by_pending), timeout=0) if first else ([], [])
        return [by_pending[reference] for reference in ready]

    def stop(self, workers: Sequence[RayWorker]) -> None:
        """Kill the actors, and wait until their runs are no longer claimed; that removes the files of the claims."""
        for worker in workers:
            ray.kill(worker.actor)
        deadline = time.monotonic() + KILL_SECONDS
        for run in [worker.run for worker in workers if worker.run]:
            while not _is_released(run) and time.monotonic() < deadline:
                time.sleep(0.1)

    def _start_worker(self) -> RayWorker:
        actor = self._actor_class.remote()
        preparation = actor.prepare.remote(
            self._worker_request, Path.cwd(), self._token, self._expected_check, self._runs_reference
        )
        return RayWorker(replace(self._request, device="auto"), actor, preparation, self._paths)


def cause_of_ray_death(error: RayError) -> str:
    """Say in one line why a worker ended unexpectedly."""
    _, _, detail = one_line(error).rpartition("Worker exit detail: ")
    return f"its worker died: {detail.partition(' Some common causes')[0].rstrip('.')}"


def _is_released(run: Run) -> bool:
    """Return whether no process claims a run; if so, the file of the claim is removed."""
    with run.folder.claim() as mine:
        return mine
