"""What a GPU makes of the engines, and of several runs at once. Run with `make perf-gpu`; skips where there is none."""

import subprocess
import sys
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np
import pytest
import torch

from benchmark.run.engine_choice import ENGINES

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")
ROOT = Path(__file__).parents[3]
TURNS = 7
RUNS = 8
SETTING = ["--rounds", "10", "--eval-every", "10", "--device", "cuda", "--no-report"]


@pytest.mark.parametrize("clients", [10, 100])
@pytest.mark.parametrize("method", ["standalone", "fedmoe", "fml", "fedproto"])
def test_engines_beside_the_plain_one(method, clients, make_federation):
    """Rounds of ten participants in which CIFAR-10 is divided among all clients; engines take turns."""
    train, share = 48_000 // clients, 10 / clients
    federations = {
        name: make_federation(method, clients, train, 8, device="cuda", engine=engine, participation=share)
        for name, engine in ENGINES.items()
    }
    seconds = {name: [] for name in federations}
    losses = {name: [] for name in federations}
    for t in range(TURNS + 2):
        for name, federation in federations.items():
            start = perf_counter()
            losses[name].append(federation.round(t)["train_loss"])
            seconds[name].append(perf_counter() - start)
    for name, federation in federations.items():
        ratio = median(mine / plain for mine, plain in zip(seconds[name][2:], seconds["eager"][2:], strict=True))
        print(f"\n{torch.cuda.get_device_name()}: {method}, {clients} clients, {name}: {ratio:.3f} of eager's seconds")
        assert federation.engine.fell_back is None
        assert losses[name] == pytest.approx(losses["eager"], rel=1e-2)


def test_several_runs_at_once(tmp_path):
    """Eight seeds of Standalone on one device, one at a time and all together, start-up included."""
    rng = np.random.default_rng(0)
    sizes = {"train": 50_000, "test": 10_000}
    x = {f"x_{part}": rng.integers(0, 256, (n, 32, 32, 3), dtype=np.uint8) for part, n in sizes.items()}
    y = {f"y_{part}": np.arange(n) % 10 for part, n in sizes.items()}
    np.savez(tmp_path / "pictures.npz", **x, **y)
    seeds = ",".join(map(str, range(RUNS)))
    words = ["--datasets", str(tmp_path / "pictures.npz"), "--methods", "standalone", "--seeds", seeds, *SETTING]
    seconds = {}
    for jobs in (1, 2, 4, 8):
        command = [sys.executable, "-m", "benchmark", "run", *words]
        start = perf_counter()
        where = ["--jobs", str(jobs), "--results", str(tmp_path / str(jobs))]
        subprocess.run([*command, *where], cwd=ROOT, check=True, capture_output=True)
        seconds[jobs] = perf_counter() - start
        print(f"\n{torch.cuda.get_device_name()}: {RUNS} runs, {jobs} at a time: {seconds[jobs] / seconds[1]:.2f}")
    assert min(seconds.values()) < seconds[1]
