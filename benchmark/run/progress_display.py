"""Show the progress of runs on standard error: as bars on a terminal, as plain lines elsewhere."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil
from typing import Any, Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TaskID, TextColumn
from rich.table import Column, Table
from rich.text import Text

from benchmark.errors import plural
from benchmark.run.pace import GridPace, RunPace, duration

LINES_PER_RUN = 10
WAITING_MESSAGE = "another process works on the last {}; waiting for it, and taking over what it leaves"
WIDTHS = {"run": 44, "": 16, "round": 9, "accuracy": 8, "left": 8}
"""Column of the bars -> its width in characters; that of the first is the most that a title gets."""


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

    def leave(self, why: str) -> None:
        """Show that whoever worked on the run does so no more, though it is not over."""


class Display(Protocol):
    """Shows one or several runs at a time; a context manager around all of them."""

    def __enter__(self) -> "Display": ...

    def __exit__(self, *error: Any) -> None: ...

    def begin(self, titles: Sequence[str], rounds: int) -> None:
        """Show that runs with these titles follow, with so many rounds in all."""

    def start(self, title: str, rounds: int) -> RunProgress:
        """Show that a run begins, and return its progress, to be updated."""
        ...

    def wait(self, runs: int) -> None:
        """Show that only so many runs are left, and other processes work on all of them."""

    def say(self, line: str) -> None:
        """Show a line that belongs to no run."""


class _Stderr(Console):
    """A console on standard error that says no more once nobody reads it: rich's own would end the process."""

    def on_broken_pipe(self) -> None:
        """Say no more."""
        self.quiet = True


def display(quiet: bool = False) -> Display:
    """Return a display with bars on a terminal, with plain lines elsewhere; one that shows nothing if quiet."""
    console = _Stderr(stderr=True, quiet=quiet)
    return BarDisplay(console) if console.is_terminal else LineDisplay(console)


@contextmanager
def preparing(words: str, quiet: bool = False) -> Iterator[None]:
    """Show on a terminal what is being prepared, until it is; elsewhere nothing."""
    console = _Stderr(stderr=True, quiet=quiet)
    if not console.is_terminal:
        yield
        return
    with console.status(words):
        yield


class _TimeLeft(ProgressColumn):
    """The time left, and of what is over the time it took."""

    def render(self, task: Task) -> Text:
        pace = task.fields["pace"]
        return Text(duration(pace.seconds) if task.finished else pace.left)


class _Bars(Progress):
    """A bar per run in columns of fixed widths, below them that of the grid."""

    grid_bar: TaskID | None = None

    def begin(self, titles: Sequence[str], grid: GridPace) -> None:
        """Fix the columns, print their names, and add the grid's bar."""
        others = sum(WIDTHS.values()) - WIDTHS["run"] + len(WIDTHS)
        longest = max(len(title) for title in [*titles, _grid_title(grid)])
        self.columns = _columns(min(longest, WIDTHS["run"], max(12, self.console.width - others)))
        head = self.make_tasks_table([])
        head.show_header = True
        self.console.print(head)
        self.grid_bar = self.add_task(_grid_title(grid), total=grid.rounds, pace=grid, accuracy="", note="")

    def make_tasks_table(self, tasks: Iterable[Task]) -> Table:
        """Make the table, the grid's bar last."""
        return super().make_tasks_table(sorted(tasks, key=lambda task: task.id == self.grid_bar))

    def show(self, task: TaskID, pace: RunPace, **fields: Any) -> None:
        """Move the bar of a run, and that of the grid."""
        self.update(task, completed=pace.over, **fields)
        if self.grid_bar is not None:
            self.update(self.grid_bar, completed=pace.grid.over, description=_grid_title(pace.grid))


def _grid_title(grid: GridPace) -> str:
    return f"{grid.runs_over} of {plural(grid.runs, 'run')} over"


def _columns(title_width: int) -> tuple[ProgressColumn, ...]:
    """Return the columns of WIDTHS, and one without a width for what goes wrong."""

    def column(name: str, **more: Any) -> Column:
        return Column(name, no_wrap=True, width=WIDTHS[name], **more)

    return (
        TextColumn("{task.description}", markup=False, table_column=Column("run", no_wrap=True, width=title_width)),
        BarColumn(WIDTHS[""], table_column=column("")),
        MofNCompleteColumn(table_column=column("round", justify="right")),
        TextColumn("{task.fields[accuracy]}", justify="right", table_column=column("accuracy", justify="right")),
        _TimeLeft(table_column=column("left", justify="right")),
        TextColumn("{task.fields[note]}", markup=False),  # an error may have brackets in it
    )


class _Told:
    """What all displays have in common: the pace of the grid, and the line about other processes."""

    def __init__(self) -> None:
        self._grid, self._waiting = GridPace(0), 0

    def wait(self, runs: int) -> None:
        """Print that other processes work on the last runs, once for each number of them."""
        if self._waiting != runs:
            self._waiting = runs
            self.say(WAITING_MESSAGE.format(plural(runs, "run")))

    def say(self, line: str) -> None:
        """Print the line."""
        raise NotImplementedError


class BarDisplay(_Told):
    """Shows a progress bar per run: round, accuracy, time left. A run that is over moves above those that go on."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._bars = _Bars(console=console)

    def __enter__(self) -> "BarDisplay":
        self._bars.start()
        return self

    def __exit__(self, *error: Any) -> None:
        self._bars.stop()

    def begin(self, titles: Sequence[str], rounds: int) -> None:
        """Print the names of the columns, and add the grid's bar."""
        self._grid = GridPace(rounds, runs=len(titles))
        self._bars.begin(titles, self._grid)

    def start(self, title: str, rounds: int) -> "BarProgress":
        """Add the bar of a run."""
        pace = RunPace(rounds, grid=self._grid)
        return BarProgress(self._bars, self._bars.add_task(title, total=rounds, pace=pace, accuracy="", note=""), pace)

    def say(self, line: str) -> None:
        """Print a line above the bars."""
        self._bars.console.print(line, highlight=False, markup=False)


@dataclass
class BarProgress:
    """The progress of one run, as a bar."""

    bars: _Bars
    task: TaskID
    pace: RunPace

    def go_on(self, rounds_done: int) -> None:
        """Move the bar to the rounds that are done."""
        self.pace.go_on(rounds_done)
        self.bars.show(self.task, self.pace)

    def round(self, number: int, accuracy: float | None) -> None:
        """Move the bar on."""
        self.pace.round(number)
        self.bars.show(self.task, self.pace, **({} if accuracy is None else {"accuracy": f"{accuracy:.1f} %"}))

    def finish(self, status: str) -> None:
        """Print the bar above those that still move, with the status unless it is "done"."""
        self._print("" if status == "done" else status)
        self.pace.finish()
        self.bars.show(self.task, self.pace)
        self.bars.remove_task(self.task)

    def leave(self, why: str) -> None:
        """Print the bar as it is, and why it moves no more."""
        self._print(why)
        self.pace.leave()
        self.bars.show(self.task, self.pace)
        self.bars.remove_task(self.task)

    def _print(self, note: str) -> None:
        self.bars.update(self.task, note=note)
        (ended,) = (task for task in self.bars.tasks if task.id == self.task)
        self.bars.console.print(self.bars.make_tasks_table([ended]))


class LineDisplay(_Told):
    """Prints a few plain lines per run."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console

    def __enter__(self) -> "LineDisplay":
        return self

    def __exit__(self, *error: Any) -> None:
        pass

    def begin(self, titles: Sequence[str], rounds: int) -> None:
        """Count the runs; prints nothing yet."""
        self._grid = GridPace(rounds, runs=len(titles))

    def start(self, title: str, rounds: int) -> "LineProgress":
        """Return the progress of a run; prints nothing yet."""
        return LineProgress(self.say, title, RunPace(rounds, grid=self._grid))

    def say(self, line: str) -> None:
        """Print the line."""
        self._console.print(line, highlight=False, markup=False, soft_wrap=True)


@dataclass
class LineProgress:
    """The progress of one run, as plain lines."""

    say: Callable[[str], None]
    title: str
    pace: RunPace
    accuracy: str = ""

    def go_on(self, rounds_done: int) -> None:
        """Print that the run resumes, if any rounds are done."""
        self.pace.go_on(rounds_done)
        if rounds_done:
            self.say(f"{self.title}: goes on after round {rounds_done}/{self.pace.rounds}")

    def round(self, number: int, accuracy: float | None) -> None:
        """Print the round, accuracy and time left, of the run and of the grid, after every tenth of the run."""
        self.pace.round(number)
        if accuracy is not None:
            self.accuracy = f", accuracy {accuracy:.1f} %"
        if number % ceil(self.pace.rounds / LINES_PER_RUN) == 0 or number == self.pace.rounds:
            left = f"{self.pace.left} left, {self.pace.grid.left} for all"
            self.say(f"{self.title}: round {number}/{self.pace.rounds}{self.accuracy}, {left}")

    def finish(self, status: str) -> None:
        """Print the status, unless it is "done"."""
        self.pace.finish()
        if status != "done":
            self.say(f"{self.title}: {status}")

    def leave(self, why: str) -> None:
        """Print why the run does not go on here."""
        self.pace.leave()
        self.say(f"{self.title}: {why}")
