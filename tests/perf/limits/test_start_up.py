"""Seconds from the start of a process: to an answer, and to the first round of a run. Medians."""

import subprocess
import sys
import time
from statistics import median

import pytest

REPEATS = 5
FIRST_ROUND = 5.0
"""Seconds until the first round of CIFAR-10 begins: torch imported, data read, hashed, divided, the device's speed and
the environment taken down, the federation made. The round's own first act, to count FLOPs, is not in it."""
UNTIL_THEN = """
import os, sys, time
from benchmark.cli import commands
from benchmark.federation import Federation

def begun(federation, rounds_done=0):
    print(time.monotonic(), flush=True)
    os._exit(0)

Federation.run = begun
sys.exit(commands.main(sys.argv[1:]))
"""
"""The command line up to where it would ask the federation for its first round: what the clock says there."""


@pytest.mark.parametrize("words, limit", [(["--help"], 0.4), (["list", "methods"], 1.0)])
def test_the_command_line_answers_at_once(words, limit):
    def answer() -> float:
        start = time.monotonic()
        subprocess.run([sys.executable, "-m", "benchmark", *words], check=True, stdout=subprocess.DEVNULL)
        return time.monotonic() - start

    seconds = median(answer() for _ in range(REPEATS))
    print(f"\n{' '.join(words)}: {seconds:.2f} s, less than {limit} s")
    assert seconds < limit


def test_the_first_round_begins_soon(real_data, tmp_path):
    words = ["run", "--datasets", "cifar10", "--methods", "standalone", "--rounds", "1", "--no-report"]
    words += ["--data", str(real_data("cifar10").absolute())]

    def begin(number: int) -> float:
        command = [sys.executable, "-c", UNTIL_THEN, *words, "--results"]
        start = time.monotonic()
        shown = subprocess.run([*command, str(tmp_path / str(number))], check=True, capture_output=True, text=True)
        return float(shown.stdout) - start

    seconds = median(begin(number) for number in range(REPEATS))
    print(f"\nthe first round begins after {seconds:.2f} s, less than {FIRST_ROUND} s")
    assert seconds < FIRST_ROUND
