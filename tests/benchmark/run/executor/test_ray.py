"""A grid on a Ray cluster gives what one run at a time gives, whatever dies; errors are one line."""

import contextlib
import json
import sys
import time
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest

from benchmark.cli.arguments import request_of
from benchmark.cli.commands import main
from benchmark.errors import RequestError
from benchmark.run.executor.ray_node_check import complaint, inspect_node
from benchmark.run.executor.ray_resources import Demand, Node, capacity, worker_demand

ROOT = Path(__file__).parents[4]
DOOMED = '''"""Standalone, with a run that kills its process before round 2 is stored, and another that kills its node.

Each does so if its file exists, which it removes; the file of the second holds the id of the node to kill.
"""
import os, signal, time
from dataclasses import dataclass
from pathlib import Path
from benchmark.api import Method

@dataclass(frozen=True)
class Doomed(Method):
    """Runs that differ only in what they kill."""

    ends: str = "nothing"

    def download(self, server, client):
        deadly = Path(self.ends)
        while client.progress == (3, 3) and deadly.exists():  # in a rehearsal there are more rounds
            import ray
            if self.ends == "process" or ray.get_runtime_context().get_node_id() == deadly.read_text():
                deadly.unlink()
                if self.ends == "node":
                    os.kill(os.getppid(), signal.SIGKILL)
                os.kill(os.getpid(), signal.SIGKILL)
            time.sleep(0.05)  # until a run on the other node has done it
        return {}
'''
GRID = {"datasets": "tiny.npz", "partition": "iid+rotated", "models": "mlps.py", "clients": "4", "rounds": "3"}
GRID |= {"batch_size": "8", "participation": "0.5", "seeds": "0,1"}
GRID |= {"methods": "doomed.py+ends=process,doomed.py+ends=node,fedmoe"}
WORDS = [word for name, value in GRID.items() for word in ("--" + name.replace("_", "-"), value)]
WORDS += ["--checkpoint-every", "0"]
MLPS = """from torch import nn
from benchmark.api import Architecture, LineUp

def mlp(input_shape, width, hidden=20):
    return nn.Sequential(nn.Flatten(), nn.Linear(16 * 16, hidden), nn.ReLU(), nn.Linear(hidden, width))

LINE_UP = LineUp("mlps", "a perceptron", (Architecture("mlp", mlp, 16),) * 2, Architecture("mlp", mlp, 16), 1, "pool")
"""

needs_ray = pytest.mark.skipif(find_spec("ray") is None, reason="needs Ray: pip install -e '.[ray]'")
NODE_OPTIONS = {"object_store_memory": 80 * 2**20}
FAST_HEALTH_CHECKS = {
    "health_check_initial_delay_ms": 0,
    "health_check_period_ms": 500,
    "health_check_failure_threshold": 3,
}


@pytest.fixture
def here(tmp_path, monkeypatch, write_data):
    monkeypatch.chdir(tmp_path)
    write_data(tmp_path)
    (tmp_path / "doomed.py").write_text(DOOMED)
    (tmp_path / "mlps.py").write_text(MLPS)
    return tmp_path


@pytest.fixture(scope="module")
def cluster():
    """(address, id of the node that is not the head): a cluster of two nodes with a CPU each."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("RAY_AUTH_MODE", "disabled")  # a token would lie in the home folder
        monkeypatch.setenv("PYTHONPATH", str(ROOT))
        monkeypatch.delenv("RAY_ADDRESS", raising=False)
        from ray.cluster_utils import Cluster

        head = {"num_cpus": 1, "include_dashboard": False, "_system_config": FAST_HEALTH_CHECKS, **NODE_OPTIONS}
        cluster = Cluster(initialize_head=True, head_node_args=head)
        try:
            other = cluster.add_node(num_cpus=1, **NODE_OPTIONS)
            yield cluster.address, other.node_id
        finally:
            cluster.shutdown()


@needs_ray
def test_a_grid_outlives_a_process_and_a_node(cluster, here, capsys, contents):
    """With user-defined code, line-up and shifts; requests that this cluster can't serve fail before anything runs."""
    address, other = cluster
    words = ["run", *WORDS, "--no-report", "--executor", "ray", "--ray-address", address]
    for wrong, message in [
        (["--threads", "2"], "no node of the cluster has 2 CPUs, the most is 1; see --threads"),
        (["--device", "cuda"], "no node of the cluster has a GPU; leave --device out, or give --device cpu"),
    ]:
        assert main([*words, *wrong]) == 2
        assert capsys.readouterr().err.splitlines()[1:] == [f"error: {message}"]  # the first says what was planned
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(
            "benchmark.run.executor.ray_pool.token_file", lambda results: contextlib.nullcontext(here / "no")
        )
        assert main([*words]) == 2
    _, err = capsys.readouterr().err.splitlines()
    assert f"does not see {here} of this machine; choose a folder with --results that all nodes share" in err
    assert err.startswith("error: node ")
    assert not [*here.glob("results/*")]

    (here / "process").touch()
    (here / "node").write_text(other)
    assert main([*words, "--json"]) == 0
    out, err = capsys.readouterr()
    assert [run["status"] for run in json.loads(out)["runs"]] == ["done"] * 6
    assert err == ""
    assert not (here / "process").exists()
    assert not (here / "node").exists()
    resumed = [json.loads(path.read_text())["resumed"] for path in here.glob("results/*/*/doomed*/*/run.json")]
    assert sorted(len(times) for times in resumed)[-2:] == [1, 1]
    assert main(["run", *WORDS, "--no-report", "--results", "alone", "--threads", "1"]) == 0
    assert contents(here / "results") == contents(here / "alone")
    capsys.readouterr()
    assert main([*words, "--ray-address", "127.0.0.1:1"]) == 0  # nothing is left that needs a cluster
    assert capsys.readouterr().err.count(": already there") == 6


@needs_ray
def test_ctrl_c_ends_all_and_the_next_call_goes_on(here, running):
    """On a cluster that the command starts, of which no process is left."""
    words = [*WORDS, "--methods", "fedmoe", "--rounds", "100000", "--executor", "ray", "--jobs", "2", "--no-report"]
    grid = running(here, words, runs=2, RAY_AUTH_MODE="disabled", RAY_ADDRESS="")
    assert len(grid.alive()) > 3
    err = grid.end("Ctrl-C")
    assert grid.parent.returncode == 130
    assert "Traceback" not in err
    assert err.endswith("goes on after the last checkpoint\n")
    runs = [json.loads(path.read_text())["status"] for path in here.glob("results/*/*/*/*/run.json")]
    assert runs == ["running", "running"]
    assert not [*here.glob("results/*/*/*/*/claim")]
    assert not [*here.glob("results/.seen*")]


@needs_ray
@pytest.mark.parametrize("words, message", [
    (["--ray-address", "auto"], "--ray-address is of use with --executor ray only; add that, or leave it out"),
    (["--executor", "ray", "--ray-address", "127.0.0.1:1"], "nothing answers at 127.0.0.1:1, the --ray-address"),
    (["--executor", "ray", "--ray-address", "ray://head:10001"], "HOST:PORT, such as 10.0.0.1:6379, not 'ray://head"),
    (["--executor", "ray", "--ray-address", "head"], "--ray-address is auto or HOST:PORT, such as 10.0.0.1:6379, not"),
    (["--executor", "ray", "--device", "cuda:1"], "--device is auto, cpu or cuda with --executor ray, not 'cuda:1'"),
])  # fmt: skip
def test_wrong_requests(here, capsys, words, message):
    began = time.monotonic()
    assert main(["run", *WORDS, *words]) == 2
    *_, err = capsys.readouterr().err.splitlines()
    assert err.startswith("error: ")
    assert message in err
    assert not (here / "results").exists()
    assert time.monotonic() - began < 30


def test_without_ray_it_is_said_how_to_get_it(here, capsys, monkeypatch):
    for name in [name for name in sys.modules if name.split(".")[0] == "ray"]:
        monkeypatch.delitem(sys.modules, name)
    for name in ("ray_connection", "ray_actor", "ray_pool"):
        monkeypatch.delitem(sys.modules, f"benchmark.run.executor.{name}", raising=False)
        monkeypatch.delattr(f"benchmark.run.executor.{name}", raising=False)
    monkeypatch.setitem(sys.modules, "ray", None)
    assert main(["run", *WORDS, "--executor", "ray"]) == 2
    err = capsys.readouterr().err
    assert "install it: pip install 'mhpfl-benchmark[ray]', or pip install -e '.[ray]' in a checkout" in err
    assert err.count("\n") == 1


def make_request(**others):
    how = {"data": Path("data"), "results": Path("results"), "device": "auto", "executor": "ray"}
    return request_of(None, GRID, None, ("run",), **how | others)


def test_what_workers_ask_for_and_how_many_find_room():
    head, cpus, gpus = Node("head", "head", 0, 0), Node("cpus", "cpus", 7, 0), Node("gpus", "gpus", 16, 4)

    def capacities(demand, *nodes):
        return [capacity(node, demand) for node in nodes]

    assert worker_demand(make_request(), [head, cpus]) == Demand(1, 0)
    demand = worker_demand(make_request(threads=3), [head, cpus])
    assert (demand, capacities(demand, head, cpus, gpus)) == (Demand(3, 0), [0, 2, 5])
    demand = worker_demand(make_request(), [head, cpus, gpus])  # a GPU each
    assert (demand, capacities(demand, head, cpus, gpus)) == (Demand(1, 1), [0, 0, 4])
    demand = worker_demand(make_request(jobs=9), [gpus])  # three on a GPU
    assert (demand, capacities(demand, gpus)) == (Demand(1, 0.3333), [12])
    assert worker_demand(make_request(jobs=2), [gpus]) == Demand(1, 1)
    assert worker_demand(make_request(device="cpu"), [gpus]) == Demand(1, 0)
    with pytest.raises(RequestError, match="has 8 CPUs beside a GPU, the most is 4; see --threads"):
        worker_demand(make_request(threads=8), [cpus, replace(gpus, cpus=4)])


def test_what_is_wrong_with_a_node(tmp_path):
    (tmp_path / "token").touch()
    check = inspect_node(tmp_path / "token")
    assert complaint(check, check, tmp_path) is None
    assert "does not see" in complaint(inspect_node(tmp_path / "none"), check, tmp_path)
    assert complaint(check._replace(torch="1.0"), check, tmp_path).startswith("has torch 1.0, and this machine 2.")
    assert complaint(check._replace(python="3.5"), check, tmp_path).startswith("has Python 3.5, and this machine 3.")
    assert "has other code of this benchmark" in complaint(check._replace(code="0"), check, tmp_path)
