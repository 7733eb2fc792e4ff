"""How long a report of many runs takes, and what memory; slow.

500 runs of 200 rounds: twenty settings, five methods, five seeds, ten clients, and curves that rise and level off.
"""

import importlib.util
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from benchmark.storage.run_folder import RunFolder, line_of

ROOT = Path(__file__).parents[3]
METHODS = ("fedmoe", "fedproto", "fml", "lg-fedavg", "standalone")
SETTINGS, SEEDS, ROUNDS, CLIENTS = 20, 5, 200, 10
LIMIT = 60.0
"""Seconds on two cores."""
MOST_MEMORY = 2 * 2**30


@pytest.fixture(scope="module")
def results(tmp_path_factory, monkeypatch_module):
    """The runs, as `run` leaves them; rounds are written without waiting for the disk."""
    folder, rng = tmp_path_factory.mktemp("results"), np.random.default_rng(0)
    store = _store()
    monkeypatch_module.setattr(RunFolder, "append", _append_unsynced)
    for setting in range(SETTINGS):
        for i, method in enumerate(METHODS):
            for seed in range(SEEDS):
                means = 6 + 0.3 * i + 2 * (1 - np.exp(-np.arange(ROUNDS) / 20))
                right = rng.normal(means[:, None], 0.7, (ROUNDS, CLIENTS)).round().clip(0, 10).astype(int).tolist()
                sent = (10 ** (3 + i), 10 ** (3 + i))
                store(folder, method, right, seed=seed, partition=f"dirichlet:0.{setting + 1}", sent=sent, batch_size=8)
    return folder


@pytest.fixture(scope="module")
def monkeypatch_module():
    with pytest.MonkeyPatch.context() as patch:
        yield patch


def _store():
    """The function of the tests' conftest that stores a run."""
    spec = importlib.util.spec_from_file_location("stored_runs", ROOT / "tests" / "conftest.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.store


def _append_unsynced(folder, record):
    with folder.rounds_file.open("ab") as file:
        file.write(line_of(record))


def test_a_report_of_500_runs(results, tmp_path):
    words = [sys.executable, "-m", "benchmark", "report", "--results", str(results), "--reports", str(tmp_path)]
    start = time.monotonic()
    subprocess.run(words, check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
    seconds = time.monotonic() - start
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    size = (tmp_path / "exp" / "index.html").stat().st_size / 1e6
    print(f"\n{seconds:.0f} s on {os.cpu_count()} cores, {peak / 2**30:.2f} GiB a process, page of {size:.1f} MB")
    assert seconds < LIMIT
    assert 2 * peak < MOST_MEMORY  # of two workers; the process that waits for them has less
