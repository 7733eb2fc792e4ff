"""Many runs at a time on many machines: actors of a Ray cluster that each do one run after another.

What an actor dies of may be its node's doing, not the run's: another goes on with the run from its checkpoint.
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
from benchmark.run.executor.ray_actor import Hand
from benchmark.run.executor.ray_connection import connected, examine, nodes, one_line, token
from benchmark.run.executor.ray_node_check import look
from benchmark.run.executor.ray_resources import demand, room
from benchmark.run.plan import Request
from benchmark.run.progress_display import Display, Shown
from benchmark.run.runner import Outcome
from benchmark.storage.run_folder import RunFolder

BUSY = 10.0
"""Seconds without any worker after which it is said that the cluster is busy."""
BUSY_SAYS = "no worker has room on the cluster yet; waiting for its other jobs, or for more nodes"
GRACE = 5.0
"""Seconds that killed workers are given to be gone."""


def execute_all(runs: Sequence[Run], request: Request, display: Display) -> list[Outcome]:
    """Every run of the grid, as many at a time as the cluster has room for; outcomes in the order of the grid.

    Raises RequestError and StorageError as soon as one of them does.
    """
    with Cluster(runs, request, display) as place:
        return pool.execute_all(runs, request, display, place)


class Worker:
    """An actor somewhere in the cluster, and the run that it does now, if any."""

    def __init__(self, request: Request, hand: Any, ready: Any, paths: Mapping[Path, Path]) -> None:
        """hand: the actor; ready: the reference to what it finds wrong; paths: what it calls the folders of runs."""
        self.request = request
        self.run: Run | None = None
        self.shown: Shown | None = None
        self.ready = False
        self.hand, self._paths = hand, paths
        self.news = ready
        """What has to be waited for, if anything."""

    def begin(self, run: Run) -> None:
        """Let it do a run; where it is dead already that shows when it is listened to."""
        self.run = run
        self.news = self.hand.do.options(num_returns="streaming").remote(self._paths[run.folder.path])

    def messages(self) -> Iterator[tuple[Any, ...]]:
        """What it has said by now, and why it is dead, if it is."""
        try:
            if self.ready:
                yield from self._told()
            elif problem := ray.get(self.news):
                yield "error", RequestError(problem)
            else:
                self.ready, self.news = True, None
        except RayError as error:
            yield "died", cause_of_death(error)

    def _told(self) -> Iterator[tuple[Any, ...]]:
        while self.news is not None and ray.wait([self.news], timeout=0)[0]:
            kind, *values = ray.get(next(self.news))
            if kind == "outcome":
                self.news = None
                if values[0] is not None and self.run:
                    values = [replace(values[0], path=self.run.folder.path)]
            yield kind, *values


class Cluster:
    """Workers on the nodes of a Ray cluster; nothing is begun before there is a run to do."""

    lives = 3
    """A node may be lost, or run out of memory for what another job does."""

    def __init__(self, runs: Sequence[Run], request: Request, display: Display) -> None:
        """Nobody is connected yet."""
        self._runs, self._request, self._display = runs, request, display
        self._open = ExitStack()
        self._stillborn = 0

    def __enter__(self) -> "Cluster":
        """Nothing yet."""
        return self

    def __exit__(self, *error: Any) -> None:
        """Leave the cluster, and end it if it is one's own."""
        self._open.close()

    def hire(self, runs: int) -> list[Worker]:
        """As many as have room now, or as the request has jobs: those that have none yet wait for it."""
        self._open.enter_context(connected(self._request))
        there = nodes()
        wanted = demand(self._request, there)
        self._token = self._open.enter_context(token(self._request.results))
        self._expected = look(self._token)
        examine([node for node in there if room(node, wanted)], self._token, self._expected)
        device = "cuda" if wanted.gpus else "cpu"
        self._own = replace(self._request, device=device, threads=wanted.cpus)
        self._actor: Any = ray.remote(num_cpus=wanted.cpus, num_gpus=wanted.gpus)(Hand)
        self._paths = {run.folder.path: run.folder.path.absolute() for run in self._runs}
        self._box = [ray.put([replace(run, folder=RunFolder(self._paths[run.folder.path])) for run in self._runs])]
        most = self._request.jobs or sum(room(node, wanted) for node in there)
        self._most = min(most, runs)
        return [self._worker() for _ in range(self._most)]

    def replace(self, dead: Worker) -> Worker:
        """Another, on whatever node has room. Raises RequestError where many die before they are ready."""
        ray.kill(dead.hand)  # where only what ran in it has ended
        self._stillborn = 0 if dead.ready else self._stillborn + 1
        if self._stillborn > self.lives * self._most:
            raise RequestError("workers die before they are ready; the logs of Ray on their nodes say why")
        return self._worker()

    def listen(self, workers: Sequence[Worker], timeout: float | None) -> list[Worker]:
        """Those who have said something or have died."""
        news = {worker.news: worker for worker in workers if worker.news is not None}
        if not news:
            time.sleep(timeout or 0)
            return []
        patient = timeout is not None or any(worker.ready for worker in workers)
        first, _ = ray.wait([*news], timeout=timeout if patient else BUSY)
        if not patient and not first:
            self._display.say(BUSY_SAYS)
            first, _ = ray.wait([*news], timeout=None)
        ready, _ = ray.wait([*news], num_returns=len(news), timeout=0) if first else ([], [])
        return [news[found] for found in ready]

    def dismiss(self, workers: Sequence[Worker]) -> None:
        """Kill them, and take away the claims that they leave."""
        for worker in workers:
            ray.kill(worker.hand)
        deadline = time.monotonic() + GRACE
        for run in [worker.run for worker in workers if worker.run]:
            while not _released(run) and time.monotonic() < deadline:
                time.sleep(0.1)

    def _worker(self) -> Worker:
        hand = self._actor.remote()
        ready = hand.prepare.remote(self._own, Path.cwd(), self._token, self._expected, self._box)
        return Worker(replace(self._request, device="auto"), hand, ready, self._paths)


def cause_of_death(error: RayError) -> str:
    """Why a worker ended that should not have, in one line."""
    _, _, detail = one_line(error).rpartition("Worker exit detail: ")
    return f"its worker died: {detail.partition(' Some common causes')[0].rstrip('.')}"


def _released(run: Run) -> bool:
    """Whether nobody claims a run any more; the file of a claim is gone then."""
    with run.folder.claim() as mine:
        return mine
