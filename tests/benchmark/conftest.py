"""A command in processes of its own, none of which outlives the test."""

import contextlib
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Started:
    """A process group in a session of its own; all its processes and theirs have the mark in their environment."""

    parent: subprocess.Popen
    mark: str

    def alive(self) -> list[int]:
        """Return the ids of processes that have the mark and have not ended."""
        found = []
        for environ in Path("/proc").glob("[0-9]*/environ"):
            with contextlib.suppress(OSError):
                state = (environ.parent / "stat").read_text().rpartition(")")[2].split()[0]
                if self.mark.encode() in environ.read_bytes() and state != "Z":
                    found.append(int(environ.parent.name))
        return found

    def end(self, death: str) -> str:
        """Send Ctrl-C to the group, or a signal to the parent; return its stderr once all have ended."""
        if death == "Ctrl-C":
            os.killpg(self.parent.pid, signal.SIGINT)
        else:
            self.parent.send_signal(signal.Signals[death])
        _, err = self.parent.communicate(timeout=60)
        wait_until(lambda: not self.alive())
        return err


def wait_until(condition: Callable[[], bool], seconds: float = 90) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.fixture
def running() -> Iterator[Callable[..., Started]]:
    """Start `run` with these words in a folder, and wait until so many of its runs have a checkpoint."""
    if not Path("/proc/self/environ").exists():
        pytest.skip("needs a list of processes")
    all_started = []

    def start(folder: Path, words: Sequence[str], runs: int, **settings: str) -> Started:
        mark = str(uuid.uuid4())
        parent = subprocess.Popen(
            [sys.executable, "-m", "benchmark", "run", *words],
            cwd=folder,
            env=os.environ | {"MARK": mark, "PYTHONPATH": str(ROOT)} | settings,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # `pytest &` in a script ignores it
        )
        all_started.append(Started(parent, mark))
        wait_until(lambda: len([*folder.glob("results/*/*/*/*/checkpoint.json")]) == runs)
        return all_started[-1]

    yield start
    for started in all_started:
        for process in started.alive():
            os.kill(process, signal.SIGKILL)
