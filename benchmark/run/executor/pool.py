"""Many runs at a time: what is left for the workers that share a grid, and what has come of the rest.

Where workers are, and how they are started, heard and stopped, is the affair of a place: processes of this machine, or
a Ray cluster. A worker that dies costs the others nothing, and another takes its place.
"""

import time
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from benchmark.problem import Run
from benchmark.run.executor.order import longest_first
from benchmark.run.plan import Request
from benchmark.run.progress_display import Display, Shown
from benchmark.run.runner import LOOK_AGAIN_SECONDS, Outcome, attempt, nothing_to_do, record_death, title


class Worker(Protocol):
    """Does one run after another, somewhere."""

    request: Request
    """What its death is recorded with."""
    run: Run | None
    """What it does now."""
    shown: Shown | None
    """Where that is shown, once it has begun."""
    ready: bool
    """Whether it can be given a run."""

    def begin(self, run: Run) -> None:
        """Let it do a run; where it is dead already that shows when it is listened to."""

    def messages(self) -> Iterator[tuple[Any, ...]]:
        """What it has said by now: what `worker.serve` sends, and ("died", reason) at its end."""
        ...


class Place(Protocol):
    """Where workers are."""

    lives: int
    """Workers that may die over a run, none of them having completed a round, before it is recorded as failed."""

    def hire(self, runs: int) -> list[Any]:
        """As many new workers as are of use for so many runs. Raises RequestError where there can't be any."""
        ...

    def replace(self, dead: Any) -> Any:
        """A new worker for one that died."""
        ...

    def listen(self, workers: Sequence[Any], timeout: float | None) -> Iterable[Any]:
        """Those who have something to say or are dead, as soon as there are any, none after so many seconds."""
        ...

    def dismiss(self, workers: Sequence[Any]) -> None:
        """End these: what they are at goes on with the next call."""


def execute_all(runs: Sequence[Run], request: Request, display: Display, place: Place) -> list[Outcome]:
    """Every run of the grid, as many at a time as the place has workers; outcomes in the order of the grid.

    Raises RequestError and StorageError as soon as one of them does.
    """
    titles = {run.folder.path: title(run, i, len(runs)) for i, run in enumerate(runs, start=1)}
    crew = Crew(place, request, titles, display)
    try:
        return crew.execute_all(runs)
    finally:
        crew.stop()


class Crew:
    """The workers that share a grid, what is left for them, and what has come of the rest."""

    def __init__(self, place: Place, request: Request, titles: dict[Path, str], display: Display) -> None:
        """titles: by folder, what runs are called on the display. Nobody is there yet."""
        self._place, self._request, self._titles, self._display = place, request, titles, display
        self._workers: list[Any] = []
        self._left: deque[Run] = deque()
        self._elsewhere: list[Run] = []  # another process works on these, or did when they were last looked at
        self._look_again = 0.0
        self._deaths: Counter[Path] = Counter()  # since a run's last completed round
        self._outcomes: dict[Path, Outcome] = {}

    def execute_all(self, runs: Sequence[Run]) -> list[Outcome]:
        """The outcomes of all runs, in their order."""
        for run in runs:
            if nothing_to_do(run, self._request):  # that needs no worker
                self._end(run, attempt(run, self._request, partial(self._start, run)))
            else:
                self._left.append(run)
        if self._left:
            self._workers = self._place.hire(len(self._left))
        if 1 < len(self._workers) < len(self._left):
            self._left = deque(longest_first(self._left))  # while they get ready
        while len(self._outcomes) < len(runs):
            self._hand_out()
            self._listen()
        return [self._outcomes[run.folder.path] for run in runs]

    def stop(self) -> None:
        """End all workers."""
        self._place.dismiss(self._workers)

    def _hand_out(self) -> None:
        """Give every idle worker its next run, as far as there are any."""
        if self._elsewhere and time.monotonic() >= self._look_again:
            self._left.extend(self._elsewhere)
            self._elsewhere.clear()
        for worker in self._workers:
            if self._left and worker.ready and worker.run is None:
                worker.begin(self._left.popleft())

    def _listen(self) -> None:
        """Wait until a worker says something or dies, or until it is time to look again."""
        if len(self._elsewhere) == len(self._titles) - len(self._outcomes):
            self._display.wait(len(self._elsewhere))
        for worker in self._place.listen(self._workers, LOOK_AGAIN_SECONDS if self._elsewhere else None):
            for message in worker.messages():
                self._hear(worker, message)

    def _hear(self, worker: Worker, message: tuple[Any, ...]) -> None:
        match message:
            case ("error", error):
                raise error
            case ("died", reason):
                self._replace(worker, reason)
            case ("start",) if worker.run:
                worker.shown = self._start(worker.run)
            case ("outcome", outcome) if worker.run:
                self._end(worker.run, outcome, worker.shown)
                worker.run = worker.shown = None
            case (name, *values) if worker.run:
                getattr(worker.shown, name)(*values)
                if name == "round":
                    self._deaths.pop(worker.run.folder.path, None)

    def _replace(self, dead: Worker, reason: str) -> None:
        """See to what the dead worker was at, and put a new one into its place."""
        self._workers.remove(dead)
        if dead.run:
            self._lose(dead.run, dead, reason)
        if self._left or self._elsewhere:
            self._workers.append(self._place.replace(dead))

    def _lose(self, run: Run, dead: Worker, reason: str) -> None:
        """A run's worker has died: the run is another's next, or has failed."""
        self._deaths[run.folder.path] += 1
        shown = dead.shown or self._start(run)
        if (deaths := self._deaths[run.folder.path]) < self._place.lives:
            self._left.appendleft(run)
            shown.finish(f"{reason}; another goes on with it")
        else:
            again = f"; {deaths} workers in a row died over the same round" if deaths > 1 else ""
            self._end(run, record_death(run, dead.request, reason + again), shown)

    def _start(self, run: Run) -> Shown:
        return self._display.start(self._titles[run.folder.path], run.rounds)

    def _end(self, run: Run, outcome: Outcome | None, shown: Shown | None = None) -> None:
        """Keep the outcome of a run; None: another process works on it."""
        if outcome is None:
            self._elsewhere.append(run)
            self._look_again = time.monotonic() + LOOK_AGAIN_SECONDS
        else:
            self._outcomes[run.folder.path] = outcome
        if shown:
            shown.finish((outcome.reason or outcome.status) if outcome else "another process has taken it over")
