"""Several runs at a time give what one at a time gives; a dead process costs one run; no process is left behind."""

import contextlib
import json
import os
import signal
import subprocess
from dataclasses import replace
from math import inf
from pathlib import Path
from typing import ClassVar

import pytest
import torch

from benchmark.cli.arguments import request_of
from benchmark.cli.commands import main
from benchmark.errors import RequestError
from benchmark.run import runner
from benchmark.run.executor import local_pool, worker
from benchmark.run.executor.order import flops_or_infinite, longest_first
from benchmark.run.plan import plan
from benchmark.run.runner import record_death
from benchmark.storage.files import claim
from benchmark.storage.verify import verify

ROOT = Path(__file__).parents[4]
GRID = {"datasets": "tiny.npz", "partition": "iid", "models": "cnn1", "clients": "4", "rounds": "3"}
GRID |= {"batch_size": "8", "participation": "0.5", "methods": "doomed.py,fedproto,fedmoe,standalone"}
WORDS = [word for name, value in GRID.items() for word in ("--" + name.replace("_", "-"), value)]
WORDS += ["--checkpoint-every", "0"]
DOOMED = '''"""Standalone, in a process that dies before round 2 of 3 ends if there is a file called deadly."""
import os, signal
from dataclasses import dataclass
from pathlib import Path
from benchmark.api import Method

@dataclass(frozen=True)
class Doomed(Method):
    """Two runs with it are alike."""

    def download(self, server, client):
        if client.progress == (3, 3) and Path("deadly").exists():
            os.kill(os.getpid(), signal.SIGKILL)
        return {}
'''
REASON = "its process was killed by signal 9 (out of memory?)"
LOST = '''"""Standalone, whose failure leaves a device that computes no more, as an assertion on a GPU does."""
from dataclasses import dataclass
from benchmark.api import Method
from benchmark.run import runner

@dataclass(frozen=True)
class Lost(Method):
    """Two runs with it are alike."""

    def download(self, server, client):
        runner.answers = lambda device: False
        raise RuntimeError("CUDA error: device-side assert triggered")
'''
LOST_REASON = "client 0, initial state: RuntimeError: CUDA error: device-side assert triggered"


def make_request(results="results", **others):
    """Return the request for the grid, or for one that differs in some options."""
    how = {"data": Path("data"), "results": Path(results), "device": "cpu", "threads": 1, "checkpoint_every": 0.0}
    given = GRID | {name: others.pop(name) for name in [*others] if name in GRID or name == "seeds"}
    return request_of(None, given, None, ("run",), **how | others)


@pytest.fixture(scope="module")
def spawned(tmp_path_factory, write_data, RecordingDisplay):
    """A grid executed by two workers: one died over a run, and another process held another run for a while."""
    folder = tmp_path_factory.mktemp("spawned")
    write_data(folder)
    (folder / "doomed.py").write_text(DOOMED)
    (folder / "deadly").touch()
    with pytest.MonkeyPatch.context() as monkeypatch, contextlib.ExitStack() as held:
        monkeypatch.chdir(folder)
        request = make_request(jobs=2)
        runs = plan(request)
        runs[-1].folder.path.mkdir(parents=True)
        held.enter_context(claim(runs[-1].folder.path / "claim"))
        display = RecordingDisplay(held.close)
        outcomes = local_pool.execute_in_processes(runs, request, display)
    (folder / "deadly").unlink()
    return folder, outcomes, display


def test_what_dies_costs_one_run(spawned):
    folder, outcomes, display = spawned
    assert [outcome.status for outcome in outcomes] == ["failed", "done", "done", "done"]
    assert outcomes[0].reason == REASON
    assert outcomes[0].summary["rounds_done"] == 1
    assert display.records["1/4 tiny doomed seed 0"] == [3, ("goes on", 0), 1, REASON]
    assert display.records["3/4 tiny fedmoe seed 0"] == [3, ("goes on", 0), 1, 2, 3, "done"]
    (path,) = (folder / "results").glob("default/tiny/doomed/*/run.json")
    run = json.loads(path.read_text())
    assert (run["status"], run["reason"], run["weights_hash"]) == ("failed", REASON, None)
    assert run["environment"]["threads"] == 1
    assert run["environment"]["matrix_product_flops_per_second"] > 0  # stored by the dead process
    assert run["summary"]["peak_memory_bytes"] > 0
    assert verify(folder / "results") == ([], 4)


def test_a_run_that_another_process_held_is_done_in_the_end(spawned):
    assert set(spawned[2].waited) == {1}
    assert spawned[2].records["4/4 tiny standalone seed 0"] == [3, ("goes on", 0), 1, 2, 3, "done"]


def test_longest_first_by_what_a_round_costs(spawned, monkeypatch):
    monkeypatch.chdir(spawned[0])
    doomed, fedproto, fedmoe, standalone = runs = plan(make_request())
    costs = {}
    for run in runs:
        costs[run.spec.method.label] = json.loads((run.folder.path / "run.json").read_text())["summary"]["client_flops"]
    assert flops_or_infinite(standalone) == costs["standalone"]
    assert flops_or_infinite(fedproto) == costs["fedproto"]
    assert [*longest_first(runs)] == [fedmoe, fedproto, doomed, standalone]
    longer = plan(make_request(rounds="9", methods="standalone"))
    assert longest_first([*runs, *longer]) == [*longer, fedmoe, fedproto, doomed, standalone]


def test_what_can_t_be_predicted_goes_first(spawned, monkeypatch):
    monkeypatch.chdir(spawned[0])
    runs = plan(make_request(methods="fedmoe,fedkd"))  # it looks at singular values
    assert flops_or_infinite(runs[1]) == inf
    assert longest_first(runs) == runs[::-1]


def test_the_next_call_ends_as_if_nothing_had_happened(spawned, monkeypatch, capsys, contents):
    """Equal to the bit, weights by their hash, to one run at a time with as many threads."""
    folder, *_ = spawned
    monkeypatch.chdir(folder)
    assert main(["run", *WORDS, "--no-report"]) == 0
    assert "1/4 tiny doomed seed 0: goes on after round 1/3" in capsys.readouterr().err
    assert main(["run", *WORDS, "--no-report", "--results", "alone", "--threads", "1"]) == 0
    assert contents(folder / "results") == contents(folder / "alone")
    capsys.readouterr()
    monkeypatch.setattr(local_pool, "ProcessWorker", None)  # nothing is left that needs one
    assert main(["run", *WORDS, "--no-report", "--jobs", "2"]) == 0
    assert capsys.readouterr().err.count(" seed 0: already there\n") == 4


@pytest.mark.parametrize("execute", [local_pool.execute_here, local_pool.execute_in_processes])
def test_a_lost_device_costs_one_run(tmp_path, write_data, monkeypatch, RecordingDisplay, execute):
    """Its process ends with it, whether it is a worker or this one, and another executes what is left."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(runner, "answers", runner.answers)  # what the method does to it ends with this test
    write_data(tmp_path)
    Path("lost.py").write_text(LOST)
    request = make_request(jobs=1, methods="lost.py,standalone", participation="1.0")
    outcomes = execute(plan(request), request, RecordingDisplay())
    assert [(outcome.status, outcome.reason) for outcome in outcomes] == [("failed", LOST_REASON), ("done", None)]
    assert verify(Path("results")) == ([], 2)


ENDS = {"Ctrl-C": (130, "interrupted"), "SIGTERM": (143, "terminated"), "SIGKILL": (-signal.SIGKILL, None)}


@pytest.mark.parametrize("death", ENDS)
def test_no_process_outlives_the_parent(tmp_path, write_data, running, death):
    """Ctrl-C reaches all processes of a terminal, and only the parent handles it; killed, it can't stop the others."""
    write_data(tmp_path)
    words = [*WORDS, "--methods", "fedproto,standalone", "--rounds", "100000", "--jobs", "2", "--no-report"]
    grid = running(tmp_path, words, runs=2)
    assert len(grid.alive()) >= 3
    err = grid.end(death)
    code, how = ENDS[death]
    assert grid.parent.returncode == code
    runs = [json.loads(path.read_text()) for path in tmp_path.glob("results/*/*/*/*/run.json")]
    assert [run["status"] for run in runs] == ["running", "running"]
    if how:
        assert "Traceback" not in err
        assert f"\n{how}; the same command, without --force, goes on after the last checkpoint\n" in err
        assert not [*tmp_path.glob("results/*/*/*/*/claim")]


def test_sigterm_ends_a_run_without_processes_and_says_what_goes_on(tmp_path, write_data, running):
    write_data(tmp_path)
    grid = running(tmp_path, [*WORDS, "--methods", "standalone", "--rounds", "100000", "--no-report"], runs=1)
    err = grid.end("SIGTERM")
    assert grid.parent.returncode == 143
    assert err.endswith("terminated; the same command, without --force, goes on after the last checkpoint\n")
    assert not [*tmp_path.glob("results/*/*/*/*/claim")]


@pytest.fixture
def here(tmp_path, monkeypatch, write_data):
    monkeypatch.chdir(tmp_path)
    write_data(tmp_path)
    (tmp_path / "doomed.py").write_text(DOOMED)
    return tmp_path


def test_every_run_is_in_one_shard(here):
    paths = [run.folder.path for run in plan(make_request(seeds="0,1"))]
    shards = [[run.folder.path for run in plan(make_request(seeds="0,1", shard=(i, 3)))] for i in (1, 2, 3)]
    assert shards == [[paths[0], paths[3], paths[6]], [paths[1], paths[4], paths[7]], [paths[2], paths[5]]]


def test_a_shard_without_runs_is_no_error(here, capsys):
    words = ["run", *WORDS, "--methods", "standalone", "--shard", "2/2", "--no-report"]
    assert main(words) == 0
    assert "the grid has no run for shard 2/2" in capsys.readouterr().out
    assert main([*words, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["runs"] == []


@pytest.mark.parametrize("words, message", [
    (["--shard", "3/2"], "--shard is i/n with i from 1 to n, such as 2/8, not '3/2'"),
    (["--shard", "0/2"], "--shard is i/n with i from 1 to n, such as 2/8, not '0/2'"),
    (["--shard", "half"], "--shard is i/n with i from 1 to n, such as 2/8, not 'half'"),
    (["--jobs", "0"], "Invalid value for '--jobs': 0 is not in the range 1<=x<=10000"),
    (["--threads", "0"], "Invalid value for '--threads': 0 is not in the range 1<=x<=1024"),
    (["--device", "cpu,cpu"], "--device names 2 devices; --jobs must be at least as many"),
    (["--device", "cpu,tpu", "--jobs", "2"], "there is no device 'tpu' here; there are: auto, cpu"),
])  # fmt: skip
def test_wrong_requests(here, capsys, words, message):
    assert main(["run", *WORDS, *words]) == 2
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1
    assert not (here / "results").exists()


def test_workers_get_devices_in_turn_and_an_equal_share_of_the_cores(here, monkeypatch):
    monkeypatch.setattr("benchmark.run.plan.find_device", torch.device)  # two that are not there
    monkeypatch.setattr(local_pool, "cores", lambda: 8)
    request = make_request(device="cuda:0,cuda:1", jobs=3, threads=None)
    assert len(plan(request)) == 4
    with pytest.raises(RequestError, match="--jobs must be at least as many"):
        plan(replace(request, jobs=1))
    started = []
    monkeypatch.setattr(local_pool, "ProcessWorker", started.append)
    local_pool.ProcessBackend(request).start(runs=1)
    assert [given.device for given in started] == ["cuda:0"]
    started.clear()
    local_pool.ProcessBackend(request).start(runs=4)
    assert [(given.device, given.threads) for given in started] == [("cuda:0", 2), ("cuda:1", 2), ("cuda:0", 2)]
    assert {given.threads for given in local_pool.requests_of_workers(replace(request, jobs=16))} == {1}
    assert {given.threads for given in local_pool.requests_of_workers(replace(request, threads=5))} == {5}


def test_death_is_recorded_over_what_was_stored(here, contents):
    run, request = plan(make_request(methods="standalone"))[0], make_request(methods="standalone", force=True)
    never_begun = record_death(run, request, "killed")
    assert (never_begun.status, never_begun.summary["rounds_done"]) == ("failed", 0)
    assert verify(here / "results") == ([], 1)

    assert main(["run", *WORDS, "--methods", "standalone", "--no-report"]) == 0
    done = contents(here / "results")
    before_it_began = make_request(methods="standalone", force=True)  # later than what is done
    assert record_death(run, before_it_began, "killed").status == "failed"
    assert contents(here / "results") == done
    after_it_had_ended = replace(request, begun="2026")
    assert record_death(run, after_it_had_ended, "killed").status == "done"

    facts = run.folder.read()
    run.folder.write({**facts, "status": "running", "finished": None, "summary": None, "weights_hash": None})
    rounds = run.folder.path / "rounds.jsonl"
    whole, cut_off = rounds.read_bytes().splitlines(keepends=True)[:2]
    rounds.write_bytes(whole + cut_off[:40])
    assert record_death(run, request, "killed").summary["rounds_done"] == 1
    assert rounds.read_bytes() == whole
    assert verify(here / "results") == ([], 1)


def test_a_worker_sends_an_error_if_no_run_makes_sense(here, monkeypatch):
    """Data that have changed since the call began turn the same options into other runs."""
    monkeypatch.setattr(worker.signal, "signal", lambda *_: None)

    class Pipe:
        sent: ClassVar = []

        def recv(self):
            return plan(make_request(methods="standalone", rounds="2"))[0].folder.path

        def send(self, message):
            self.sent.append(message)

    worker.serve_as_process(make_request(methods="standalone"), Pipe())
    ((kind, error),) = Pipe.sent
    assert kind == "error"
    assert "is no run of the grid any more" in str(error)


def test_causes_of_death():
    assert local_pool.cause_of_process_death(-9) == REASON
    assert local_pool.cause_of_process_death(-11) == "its process was killed by signal 11 (Segmentation fault)"
    assert local_pool.cause_of_process_death(3) == "its process ended with exit code 3"


def test_the_example_for_slurm(tmp_path):
    """It submits itself as an array, and then the report; each job of the array runs a shard."""
    for name, says in [("sbatch", 'echo "$@" >> submitted; echo "77;cluster"'), ("python", 'echo "$@"')]:
        (tmp_path / name).write_text(f"#!/bin/sh\n{says}\n")
        (tmp_path / name).chmod(0o755)
    script = str(ROOT / "examples" / "slurm.sh")
    words = [script, "my", "20", "--seeds", "0,1", "--methods", "a b"]
    there = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    subprocess.run(words, cwd=tmp_path, env=there, check=True, capture_output=True)
    assert (tmp_path / "submitted").read_text().splitlines() == [
        f"--parsable --job-name=my --array=1-20 {script} my 20 --seeds 0,1 --methods a b",
        "--job-name=my-report --dependency=afterany:77 --wrap=python -m benchmark report --experiment my",
    ]
    there |= {"SLURM_ARRAY_TASK_ID": "7"}
    done = subprocess.run(words, cwd=tmp_path, env=there, check=True, capture_output=True, text=True)
    shard = "-m benchmark run --experiment my --shard 7/20 --no-report --seeds 0,1 --methods a b"
    assert done.stdout == shard + "\n"
    assert subprocess.run([script, "my"], capture_output=True).returncode == 2
