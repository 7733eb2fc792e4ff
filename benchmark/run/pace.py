"""How far runs and their grid are, in rounds, and how long the rest takes if it goes on as it did."""

import time
from dataclasses import dataclass, field


def duration(seconds: float) -> str:
    """Return seconds in words: in hours, minutes or seconds."""
    if seconds >= 3600:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 60:.1f} min" if seconds >= 60 else f"{seconds:.0f} s"


@dataclass
class Pace:
    """Rounds that are over, now or before, and those of them that were worked on since it began."""

    rounds: int
    over: int = 0
    worked: int = 0
    began_at: float = field(default_factory=lambda: time.monotonic())

    @property
    def seconds(self) -> float:
        """Seconds since it began."""
        return time.monotonic() - self.began_at

    @property
    def seconds_left(self) -> float | None:
        """Seconds that the rest takes, each round as long as those worked on; None before the first of them."""
        return self.seconds / self.worked * (self.rounds - self.over) if self.worked else None

    @property
    def left(self) -> str:
        """The time left in words, '' before the first round."""
        return "" if self.seconds_left is None else duration(self.seconds_left)


@dataclass
class GridPace(Pace):
    """The pace of all runs of a grid together. Their rounds count alike, whatever one of each takes."""

    runs: int = 0
    runs_over: int = 0


@dataclass
class RunPace(Pace):
    """The pace of one run, which counts in that of its grid."""

    grid: GridPace = field(default_factory=lambda: GridPace(0))

    def go_on(self, rounds_done: int) -> None:
        """Count so many rounds as over without having been worked on here."""
        self.grid.over += rounds_done - self.over
        self.over = rounds_done

    def round(self, number: int) -> None:
        """Count the rounds up to this one as worked on."""
        for pace in (self.grid, self):
            pace.worked += number - self.over
        self.go_on(number)

    def finish(self) -> None:
        """Count the run as over, however many rounds it had left."""
        self.go_on(self.rounds)
        self.grid.runs_over += 1

    def leave(self) -> None:
        """Count none of its rounds any more: whoever takes the run over begins with those that are stored."""
        self.go_on(0)
