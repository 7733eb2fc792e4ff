"""Show the progress of runs on standard error: as bars on a terminal, as plain lines elsewhere."""

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
    """The progress of one run on a display."""

    def go_on(self, rounds_done: int) -> None:
        """Show that so many rounds were done already when the run began or resumed."""

    def round(self, number: int, accuracy: float | None) -> None:
        """Show that a round is over; accuracy in percent, None if it was not evaluated.

        It is that on validation samples if there are any: who looks at it chooses nothing by test samples.
        """

    def finish(self, status: str) -> None:
        """Show that the run is over; status is "done", another status of a run, or the reason for it."""


class Display(Protocol):
    """Shows one or several runs at a time; a context manager around all of them."""

    def __enter__(self) -> "Display": ...

    def __exit__(self, *error: Any) -> None: ...

    def start(self, title: str, rounds: int) -> RunProgress:
        """Show that a run begins, and return its progress, to be updated."""
        ...

    def wait(self, runs: int) -> None:
        """Show that only so many runs are left, and other processes work on all of them."""

    def say(self, line: str) -> None:
        """Show a line that belongs to no run."""


def display(quiet: bool = False) -> Display:
    """Return a display with bars on a terminal, with plain lines elsewhere; one that shows nothing if quiet."""
    console = Console(stderr=True, quiet=quiet)
    return BarDisplay(console) if console.is_terminal else LineDisplay(console)


class BarDisplay:
    """Shows a progress bar per run: round, accuracy, time left. A run that is over moves above those that go on."""

    def __init__(self, console: Console) -> None:
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
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def start(self, title: str, rounds: int) -> "BarProgress":
        """Add the bar of a run."""
        return BarProgress(self._bars, self._bars.add_task(title, total=rounds, note=""))

    def wait(self, runs: int) -> None:
        """Print that other processes work on the last runs, once for each number of them."""
        if self._waiting != runs:
            self._waiting = runs
            self.say(WAITING_MESSAGE.format(runs))

    def say(self, line: str) -> None:
        """Print a line above the bars."""
        self._bars.console.print(line, highlight=False, markup=False)


@dataclass
class BarProgress:
    """The progress of one run, as a bar."""

    bars: Progress
    task: TaskID

    def go_on(self, rounds_done: int) -> None:
        """Move the bar to the rounds that are done, from which the time left is computed."""
        self.bars.reset(self.task, completed=rounds_done)

    def round(self, number: int, accuracy: float | None) -> None:
        """Move the bar on."""
        self.bars.update(self.task, completed=number)
        if accuracy is not None:
            self.bars.update(self.task, note=f"{accuracy:5.1f} %")

    def finish(self, status: str) -> None:
        """Print the bar above those that still move, with the status unless it is "done"."""
        if status != "done":
            self.bars.update(self.task, note=status)
            self.bars.stop_task(self.task)
        (ended,) = (task for task in self.bars.tasks if task.id == self.task)
        self.bars.remove_task(self.task)
        self.bars.console.print(self.bars.make_tasks_table([ended]))


class LineDisplay:
    """Prints a few plain lines per run."""

    def __init__(self, console: Console) -> None:
        self._console, self._waiting = console, 0

    def __enter__(self) -> "LineDisplay":
        return self

    def __exit__(self, *error: Any) -> None:
        pass

    def start(self, title: str, rounds: int) -> "LineProgress":
        """Return the progress of a run; prints nothing yet."""
        return LineProgress(self.say, title, rounds)

    def wait(self, runs: int) -> None:
        """Print that other processes work on the last runs, once for each number of them."""
        if self._waiting != runs:
            self._waiting = runs
            self.say(WAITING_MESSAGE.format(runs))

    def say(self, line: str) -> None:
        """Print the line."""
        self._console.print(line, highlight=False, markup=False, soft_wrap=True)


@dataclass
class LineProgress:
    """The progress of one run, as plain lines."""

    say: Callable[[str], None]
    title: str
    rounds: int
    rounds_before: int = 0
    """Rounds that were done when the run began or resumed."""
    accuracy: str = ""
    began_at: float = field(default_factory=time.monotonic)

    def go_on(self, rounds_done: int) -> None:
        """Print that the run resumes, if any rounds are done."""
        if rounds_done:
            self.rounds_before = rounds_done
            self.say(f"{self.title}: goes on after round {rounds_done}/{self.rounds}")

    def round(self, number: int, accuracy: float | None) -> None:
        """Print the round, accuracy and time left after every tenth of the run."""
        if accuracy is not None:
            self.accuracy = f", accuracy {accuracy:.1f} %"
        every = ceil(self.rounds / LINES_PER_RUN)
        if number % every == 0 or number == self.rounds:
            left = (time.monotonic() - self.began_at) / (number - self.rounds_before) * (self.rounds - number)
            self.say(f"{self.title}: round {number}/{self.rounds}{self.accuracy}, {left:.0f} s left")

    def finish(self, status: str) -> None:
        """Print the status, unless it is "done"."""
        if status != "done":
            self.say(f"{self.title}: {status}")
