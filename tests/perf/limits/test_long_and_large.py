"""Long runs, large grids, many results: what must not grow with their number."""

import time
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmark.conformance.toy import ALIKE, make_task, toy_federation
from benchmark.report.write import ReportOptions, write_report
from benchmark.run import plan as planning
from benchmark.run import runner
from benchmark.run.executor.pool import execute_with_workers
from benchmark.run.run_log import RunLog
from benchmark.storage.run_folder import RunFolder
from benchmark.storage.verify import verify
from methods.fedavg import FedAvg

ROUNDS, FIRST = 5000, 500
GROWTH = 0.05
RUNS_OF_A_GRID = 2000
SLOWER = 1.5
RUNS_STORED = 5000
SECONDS = 120


def resident_bytes() -> int:
    """What this process has in memory now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def test_many_rounds_take_no_more_memory(tmp_path, store):
    """Memory after 5,000 rounds of ten clients, recorded as a run records them, over that after the first 500."""
    torch.set_num_threads(1)
    federation = toy_federation(FedAvg(), make_task((6,) * 10, line_up=ALIKE), rounds=ROUNDS)
    facts = store(tmp_path / "results", "fedavg", [(5, 5)]).read()
    facts = {name: value for name, value in facts.items() if name not in ("schema", "digest")}
    log = RunLog(RunFolder(tmp_path / "run"), facts, torch.device("cpu"))
    log.begin()
    memory = {}
    for record in federation.run():
        log.add(record)
        if record["round"] % FIRST == 0:
            memory[record["round"]] = resident_bytes()
    growth = memory[ROUNDS] / memory[FIRST] - 1
    print(f"{memory[FIRST] / 2**20:.0f} MiB after {FIRST} rounds, {100 * growth:+.1f} % after {ROUNDS}")
    assert growth <= GROWTH


class Instant:
    """A worker that has done a run as soon as it has it."""

    ready = True

    def __init__(self, request):
        self.request, self.run, self.progress = request, None, None

    def assign(self, run):
        self.run = run

    def messages(self):
        if self.run is not None:
            yield ("start",)
            yield ("outcome", runner.Outcome(self.run.spec, self.run.folder.path, "done", None, {}))


class Backend:
    """Two such workers; how long each hundred runs take."""

    max_deaths = 1

    def __init__(self, request):
        self.request, self.times = request, []

    def start(self, runs):
        return [Instant(self.request) for _ in range(2)]

    def listen(self, workers, timeout):
        self.times.append(time.perf_counter())
        return workers

    def stop(self, workers):
        pass


def test_a_large_grid_is_scheduled_without_slowing_down(tmp_path, monkeypatch, write_data):
    from benchmark.cli.arguments import request_of
    from benchmark.run.progress_display import display

    write_data(tmp_path)
    monkeypatch.chdir(tmp_path)
    values = {
        "methods": "standalone,fedavg",
        "datasets": "tiny.npz",
        "models": "cnn1",
        "partition": "iid",
        "clients": "2",
    }
    values["seeds"] = ",".join(map(str, range(RUNS_OF_A_GRID // 2)))
    others = {"data": Path("data"), "results": Path("results"), "device": "cpu", "jobs": 2}
    request = request_of(None, values, "grid", ("run",), **others)
    begun = time.perf_counter()
    runs = planning.plan(request)
    planned = time.perf_counter() - begun
    assert len(runs) == RUNS_OF_A_GRID
    backend = Backend(request)
    with display(quiet=True) as shown:
        begun = time.perf_counter()
        assert len(execute_with_workers(runs, request, shown, backend)) == RUNS_OF_A_GRID
        scheduled = time.perf_counter() - begun
    steps = np.diff(backend.times)
    quarter = len(steps) // 4
    first, last = np.median(steps[:quarter]), np.median(steps[-quarter:])
    print(
        f"{RUNS_OF_A_GRID} runs: planned in {planned:.1f} s, scheduled in {scheduled:.1f} s; a step takes "
        f"{1e6 * first:.0f} us at first, {1e6 * last:.0f} us at last"
    )
    assert last <= SLOWER * first + 1e-3


@pytest.mark.parametrize("shape", ["many comparisons", "one comparison"])
def test_many_results_are_verified_and_reported_in_two_minutes(tmp_path, store, shape):
    """Of 50 comparisons, ten methods and ten seeds; or of one comparison, five methods and a thousand seeds."""
    comparisons, methods, seeds = (50, 10, 10) if shape == "many comparisons" else (1, 5, 1000)
    for c in range(comparisons):
        for m in range(methods):
            for seed in range(seeds):
                rounds = [[(t + m + seed) % 10 + 1, (t + seed) % 9 + 1] for t in range(5)]
                store(
                    tmp_path / "results",
                    f"method{m}",
                    rounds,
                    seed=seed,
                    flops=2 * (10**12 + 10**6 * seed + c),
                    lr=0.1,
                    batch_size=8 + c,
                )
    begun = time.perf_counter()
    findings, number = verify(tmp_path / "results")
    verified = time.perf_counter() - begun
    assert number == RUNS_STORED
    begun = time.perf_counter()
    write_report(tmp_path / "results", tmp_path / "reports", [], ReportOptions())
    reported = time.perf_counter() - begun
    print(
        f"{number} runs, {shape}: verified in {verified:.0f} s ({len(findings)} findings), reported in {reported:.0f} s"
    )
    assert verified + reported < SECONDS
