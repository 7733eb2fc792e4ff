"""Problems of CIFAR's shape, kernels to divide by, and how a subject is timed beside one.

Seconds say little: machines differ, and drift. So a subject and a kernel that has nothing to do with this code take
turns in one process; what counts is the median over the turns of the subject's seconds in units of the kernel's,
those before and after it.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
import pytest
import torch

from benchmark.config import FederationConfig
from benchmark.conformance.toy import noise_task
from benchmark.engine.eager import EagerEngine
from benchmark.federation import Federation
from benchmark.plugins import registry
from benchmark.task import ClientData

NEVER = 10**6
"""More rounds than any benchmark takes."""


def make_federation(
    method: str,
    clients: int,
    train: int,
    test: int,
    device: str = "cpu",
    engine: type[EagerEngine] = EagerEngine,
    **config: Any,
) -> Federation:
    """Clients of cnn5 with so many random images of 32 x 32 each, in which nothing has happened yet."""
    rng = np.random.default_rng(0)
    owned = torch.arange(clients * (train + test)).split(train + test)
    labels = torch.from_numpy(rng.integers(0, 10, clients * (train + test)))
    held = [ClientData(indices[:train], indices[:0], indices[train:]) for indices in owned]
    task = noise_task(labels, held, shape=(3, 32, 32), num_classes=10, line_up=registry.line_up("cnn5"))
    settings = {"clients": clients, "rounds": NEVER, "eval_every": NEVER, "batch_size": 64} | config
    chosen, _ = registry.method(method)
    return Federation(chosen, task, FederationConfig(**settings), torch.device(device), engine=engine)


@pytest.fixture(name="make_federation", scope="session")
def _make_federation() -> Callable[..., Federation]:
    return make_federation


@pytest.fixture(scope="session", autouse=True)
def as_in_a_run() -> None:
    """What a federation settles for its whole process, how memory is kept above all, holds for every benchmark."""
    make_federation("standalone", clients=1, train=8, test=8)


@pytest.fixture(scope="module")
def all_cores() -> Iterator[None]:
    """The suite's conftest asks for one thread, and so do timings, which others on the machine then disturb less."""
    torch.set_num_threads(os.cpu_count() or 1)
    yield
    torch.set_num_threads(1)


class Kernels:
    """What subjects are measured in: always the same work, of some hundredths of a second."""

    def __init__(self, folder: Path) -> None:
        """The folder is that of files to write."""
        self._square = torch.rand(768, 768)
        self._large = torch.rand(2**22)
        self._bytes = os.urandom(2**24)
        self._file = folder / "kernel"

    def arithmetic(self) -> None:
        """Matrix products, and passes over more than the nearer caches hold: what small networks are made of."""
        for _ in range(4):
            torch.mm(self._square, self._square)
            torch.relu(self._large)

    def memory(self) -> None:
        """Copies and sums of 16 MiB."""
        for _ in range(4):
            self._large.clone().lerp_(self._large, 0.5)

    def interpreter(self) -> None:
        """Objects, texts, sorting, JSON and small arrays."""
        rows = [{"id": i, "name": f"{i * 7919 % 10007:05}", "values": [i / 7, i / 11]} for i in range(6000)]
        read = json.loads(json.dumps(rows))
        for row in sorted(read, key=lambda row: row["name"]):
            row["sum"] = sum(row["values"])
        for start in range(1500):
            np.sort(np.arange(start, start + 50)[::-1]).sum()

    def storage(self) -> None:
        """16 MiB that reach the disk."""
        with self._file.open("wb") as file:
            file.write(self._bytes)
            file.flush()
            os.fsync(file.fileno())

    def process(self) -> None:
        """A new interpreter that imports much of the standard library."""
        modules = (
            "asyncio, email.mime.text, http.client, logging.config, unittest.mock, xml.dom.minidom, sqlite3, decimal"
        )
        subprocess.run([sys.executable, "-c", f"import {modules}"], check=True)


@pytest.fixture
def kernels(tmp_path: Path) -> Kernels:
    return Kernels(tmp_path)


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds that it takes, and what it gives."""
    start = perf_counter()
    result = work()
    return perf_counter() - start, result


@pytest.fixture
def normalised(benchmark) -> Callable[..., None]:
    """Time a subject beside a kernel; the result is `normalised` in the benchmark's extra_info.

    of: what to take of the subject's result instead of the seconds it took, in seconds too; repeats: how often in
    succession the kernel runs in each of its turns, more for a long subject
    """

    def measure(
        subject: Callable[[], Any],
        kernel: Callable[[], None],
        rounds: int,
        of: Callable[[Any], float] | None = None,
        repeats: int = 1,
    ) -> None:
        units, found = [], []

        def once() -> None:
            seconds, result = timed(subject)
            found.append(seconds if of is None else of(result))

        def unit() -> None:
            units.append(timed(lambda: [kernel() for _ in range(repeats)])[0] / repeats)

        kernel()
        benchmark.pedantic(once, setup=unit, rounds=rounds, warmup_rounds=1)
        unit()
        ratios = [2 * seconds / sum(units[i : i + 2]) for i, seconds in enumerate(found)]
        benchmark.extra_info.update(  # without the warm-up
            normalised=median(ratios[1:]),
            kernel=kernel.__name__,
            kernel_seconds=median(units[1:]),
            seconds=median(found[1:]),
        )

    return measure


def pytest_benchmark_update_machine_info(config: object, machine_info: dict) -> None:
    """What is stored beside the timings."""
    machine_info["torch"] = torch.__version__
