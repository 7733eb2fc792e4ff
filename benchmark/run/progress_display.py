"""What a person sees while runs go on (on standard error) and at their end (on standard output)."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from math import ceil
from types import TracebackType
from typing import Any, Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

LINES_PER_RUN = 10


WAITING_MESSAGE = "another process works on the last {}; waiting for it, and taking over what it leaves"


class RunProgress(Protocol):
    """One run that is shown."""

    def go_on(self, rounds_done: int) -> None:
        """So many of its rounds are there already."""

    def round(self, number: int, accuracy: float | None) -> None:
        """A round is over; accuracy in percent, where it was evaluated."""

    def finish(self, status: str) -> None:
        """The run is over."""


class Display(Protocol):
    """Shows runs, one or several at a time; used as a context manager around all of them."""

    def __enter__(self) -> "Display":
        """Begin."""
        ...

    def __exit__(self, *error: Any) -> None:
        """End."""
        ...

    def start(self, title: str, rounds: int) -> RunProgress:
        """A run begins: where its rounds are to be told."""
        ...

    def wait(self, runs: int) -> None:
        """Nothing is left but runs that another process works on."""

    def say(self, line: str) -> None:
        """Something that is of no run."""


def display(quiet: bool = False) -> Display:
    """Bars on a terminal, plain lines elsewhere."""
    console = Console(stderr=True, quiet=quiet)
    return BarDisplay(console) if console.is_terminal else LineDisplay(console)


class BarDisplay:
    """One progress bar per run: round, accuracy, time left. A run that is over moves up, out of the way."""

    def __init__(self, console: Console) -> None:
        """Nothing runs yet."""
        self._bars = Progress(
            TextColumn("{task.description}", markup=False),  # an error may have brackets in it
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}", markup=False),
            TimeRemainingColumn(elapsed_when_finished=True),
            console=console,
        )
        self._waiting = 0

    def __enter__(self) -> "BarDisplay":
        """Show the bars."""
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave them as they are."""
        self._bars.stop()

    def start(self, title: str, rounds: int) -> "BarProgress":
        """Add a bar."""
        return BarProgress(self._bars, self._bars.add_task(title, total=rounds, note=""))

    def wait(self, runs: int) -> None:
        """Say so, once."""
        if self._waiting != runs:
            self._waiting = runs
            self.say(WAITING_MESSAGE.format(runs))

    def say(self, line: str) -> None:
        """Above the bars."""
        self._bars.console.print(line, highlight=False, markup=False)


@dataclass
class BarProgress:
    """The bar of one run."""

    bars: Progress
    task: TaskID

    def go_on(self, rounds_done: int) -> None:
        """Move it to there; the time left is reckoned from there."""
        self.bars.reset(self.task, completed=rounds_done)

    def round(self, number: int, accuracy: float | None) -> None:
        """Move it on."""
        self.bars.update(self.task, completed=number)
        if accuracy is not None:
            self.bars.update(self.task, note=f"{accuracy:5.1f} %")

    def finish(self, status: str) -> None:
        """Say how it ended, if not well, and print it above the bars that still move."""
        if status != "done":
            self.bars.update(self.task, note=status)
            self.bars.stop_task(self.task)
        (ended,) = (task for task in self.bars.tasks if task.id == self.task)
        self.bars.remove_task(self.task)
        self.bars.console.print(self.bars.make_tasks_table([ended]))


class LineDisplay:
    """A few plain lines per run."""

    def __init__(self, console: Console) -> None:
        """Nothing runs yet."""
        self._console, self._waiting = console, 0

    def __enter__(self) -> "LineDisplay":
        """Nothing to prepare."""
        return self

    def __exit__(self, *error: Any) -> None:
        """Nothing to undo."""

    def start(self, title: str, rounds: int) -> "LineProgress":
        """Remember what runs."""
        return LineProgress(self.say, title, rounds)

    def wait(self, runs: int) -> None:
        """Say so, once."""
        if self._waiting != runs:
            self._waiting = runs
            self.say(WAITING_MESSAGE.format(runs))

    def say(self, line: str) -> None:
        """One line."""
        self._console.print(line, highlight=False, markup=False, soft_wrap=True)


@dataclass
class LineProgress:
    """One run of which lines tell."""

    say: Callable[[str], None]
    title: str
    rounds: int
    rounds_before: int = 0
    """Rounds that were there at the start."""
    accuracy: str = ""
    began_at: float = field(default_factory=time.monotonic)

    def go_on(self, rounds_done: int) -> None:
        """Say so."""
        if rounds_done:
            self.rounds_before = rounds_done
            self.say(f"{self.title}: goes on after round {rounds_done}/{self.rounds}")

    def round(self, number: int, accuracy: float | None) -> None:
        """Every tenth of the run, say where it is."""
        if accuracy is not None:
            self.accuracy = f", accuracy {accuracy:.1f} %"
        every = ceil(self.rounds / LINES_PER_RUN)
        if number % every == 0 or number == self.rounds:
            left = (time.monotonic() - self.began_at) / (number - self.rounds_before) * (self.rounds - number)
            self.say(f"{self.title}: round {number}/{self.rounds}{self.accuracy}, {left:.0f} s left")

    def finish(self, status: str) -> None:
        """Say how it ended, if not well."""
        if status != "done":
            self.say(f"{self.title}: {status}")
