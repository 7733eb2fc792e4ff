"""How long the command line takes to answer, each time in a new process."""

import subprocess
import sys

import pytest


@pytest.mark.benchmark(group="start-up")
@pytest.mark.parametrize("words", [["--help"], ["list", "methods"]], ids=" ".join)
def test_start_up(words, normalised, kernels):
    command = [sys.executable, "-m", "benchmark", *words]
    normalised(lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL), kernels.process, rounds=9)
