"""What is shown while runs go on, on a terminal and elsewhere, and how the time left is told."""

import io
import os
import re
import sys
from contextlib import suppress

import pytest
from rich.console import Console

from benchmark.run.pace import GridPace, RunPace, duration
from benchmark.run.progress_display import BarDisplay, LineDisplay, display, preparing


@pytest.fixture
def clock(monkeypatch):
    """The seconds that have passed, to be set."""
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    return now


def bars(*titles, rounds, width=100):
    file = io.StringIO()
    display = BarDisplay(Console(file=file, force_terminal=True, width=width, color_system=None))
    display.begin(titles, rounds)
    return display, file


def lines_of(file):
    return re.split(r"[\r\n]+", re.sub(r"\x1b\[\??\d*[A-Za-z]", "", file.getvalue()).rstrip())


def test_the_time_left_is_told_from_rounds_that_were_worked_on(clock):
    """Two runs of 10 rounds, of which 4 were done before: 2 rounds in 6 s leave 14 rounds, 42 s; in the run 4, 12 s."""
    grid = GridPace(20, began_at=0.0, runs=2)
    run = RunPace(10, began_at=0.0, grid=grid)
    run.go_on(4)
    assert (grid.seconds_left, run.seconds_left, grid.left) == (None, None, "")
    clock[0] = 6.0
    run.round(6)
    assert (run.seconds_left, grid.seconds_left) == (12, 42)
    run.finish()
    assert (grid.over, grid.worked, grid.runs_over) == (10, 2, 1)


def test_a_run_that_is_left_counts_from_what_is_stored(clock):
    grid = GridPace(10, began_at=0.0, runs=1)
    first = RunPace(10, began_at=0.0, grid=grid)
    first.round(5)
    first.leave()
    assert (grid.over, grid.runs_over) == (0, 0)
    second = RunPace(10, began_at=0.0, grid=grid)
    second.go_on(3)
    second.round(4)
    assert (grid.over, grid.worked) == (4, 6)


@pytest.mark.parametrize("seconds, words", [(59.4, "59 s"), (90, "1.5 min"), (3600, "1.0 h")])
def test_durations(seconds, words):
    assert duration(seconds) == words


def test_bars_of_several_runs_at_a_time():
    display, file = bars("1/2 tiny a seed 0", "2/2 tiny b seed 0", rounds=8)
    with display:
        first, second = display.start("1/2 tiny a seed 0", 3), display.start("2/2 tiny b seed 0", 5)
        second.round(1, None)
        first.round(1, 50.0)
        second.round(2, 25.0)
        second.finish("ValueError: [brackets]")
        first.round(2, 75.0)
    *earlier, last_run, grid = lines_of(file)
    assert earlier[0].split() == ["run", "round", "accuracy", "left"]
    (ended,) = (line for line in earlier if "brackets" in line)
    assert re.search(r"^2/2 tiny b seed 0 .* 2/5 +25\.0 % .* ValueError: \[brackets\]", ended)
    assert re.search(r"^1/2 tiny a seed 0 .* 2/3 +75\.0 %", last_run)
    assert re.search(r"^1 of 2 runs over .* 7/8 ", grid)  # the failed one's five, and two of three


def test_columns_stand_still():
    """Accuracies of a finished run, of a running one and the head end in the same column, whatever the titles are."""
    display, file = bars("1/2 tiny a seed 0", f"2/2 tiny {'b' * 90} seed 0", rounds=4)
    with display:
        for title in ("1/2 tiny a seed 0", f"2/2 tiny {'b' * 90} seed 0"):
            run = display.start(title, 2)
            run.round(1, 5.0)
            run.round(2, 100.0)
            run.finish("done")
    head, *rows = lines_of(file)
    ends = {match.end() for line in rows if (match := re.search(r"\d %", line))}
    assert ends == {head.index("accuracy") + len("accuracy")}


def test_a_worker_that_dies_leaves_its_bar_and_takes_its_rounds_back():
    display, file = bars("1/1 tiny a seed 0", rounds=4)
    with display:
        run = display.start("1/1 tiny a seed 0", 4)
        run.round(3, 50.0)
        run.leave("its node is gone; another goes on with it")
        again = display.start("1/1 tiny a seed 0", 4)
        again.go_on(1)
    lines = lines_of(file)
    assert any(re.search(r"3/4 +50\.0 %.*its node is gone", line) for line in lines)
    assert re.search(r"^0 of 1 run over .* 1/4 ", lines[-1])


def test_lines_tell_the_time_left_of_the_run_and_of_all(clock):
    file = io.StringIO()
    display = LineDisplay(Console(file=file))
    display.begin(["1/3 tiny a seed 0"] * 3, 30)
    run = display.start("1/3 tiny a seed 0", 10)
    clock[0] = 20.0
    run.round(1, None)
    assert file.getvalue() == "1/3 tiny a seed 0: round 1/10, 3.0 min left, 9.7 min for all\n"


def test_preparations_are_shown_on_a_terminal_alone(capsys):
    with preparing("loading"):
        pass
    assert capsys.readouterr() == ("", "")


def test_a_display_that_nobody_reads_any_more_says_no_more_and_ends_nothing(monkeypatch):
    """As in `run 2>&1 | head -2`."""
    read, write = os.pipe()
    os.close(read)
    unread = os.fdopen(write, "w", buffering=1)
    monkeypatch.setattr(sys, "stderr", unread)
    shown = display()
    for _ in range(3):
        shown.say("a line")
    monkeypatch.undo()
    with suppress(BrokenPipeError):
        unread.close()
