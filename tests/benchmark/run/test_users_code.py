"""Users' code may raise, print and return what it likes: its run is recorded with where, and the grid goes on."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmark.cli.commands import main
from benchmark.storage.verify import verify

ROOT = Path(__file__).parents[3]
RUN = ["run", "--datasets", "tiny.npz", "--rounds", "1", "--clients", "2", "--partition", "iid", "--models", "cnn1"]
RUN += ["--batch-size", "16", "--no-report", "--threads", "1"]
HEAD = """
import os, sys
from dataclasses import dataclass, field
from typing import Any
import torch
from benchmark.api import *
{top}
@dataclass(frozen=True)
class Mine(Method):
    '''Mine.'''
    {fields}
    def shares(self):
        return ("extractor",)
    {body}
"""


@pytest.fixture
def here(tmp_path, monkeypatch, write_data):
    monkeypatch.chdir(tmp_path)
    write_data(tmp_path)
    return tmp_path


def mine(folder, body="", fields="", top=""):
    (folder / "mine.py").write_text(HEAD.format(body=body, fields=fields, top=top))
    return "./mine.py"


def statuses():
    return {
        run["specification"]["method"]["name"]: (run["status"], run["reason"])
        for run in (json.loads(path.read_text()) for path in Path("results").glob("*/*/*/*/run.json"))
    }


HOOKS = {
    "loss": "def loss(self, client, batch): {}",
    "predict": "def predict(self, client, x): {}",
    "project": "def project(self, client): {}",
    "download": "def download(self, server, client): {}",
    "receive": "def receive(self, state, message, client): {}",
    "upload": "def upload(self, client, statistics): {}",
    "aggregate": "def aggregate(self, server, inbox): {}",
    "server_init": "def server_init(self, task): {}",
    "statistics": "def statistics(self, client, batch): {}",
    "predictors": "def predictors(self): {}",
}


@pytest.mark.parametrize("hook", HOOKS)
def test_a_hook_that_ends_the_program_ends_its_run(here, hook):
    method = mine(here, HOOKS[hook].format("sys.exit(0)"))
    assert main([*RUN, "--methods", f"{method},standalone"]) == 1
    found = statuses()
    assert found["standalone"] == ("done", None)
    status, reason = found["mine"]
    assert (status, "SystemExit: 0" in reason) == ("failed", True)
    assert verify(here / "results") == ([], 2)


RAISED = {
    "a message that can't be said": "class E(Exception):\n    def __str__(self): raise ValueError\nX = E()",
    "half a surrogate pair": "X = ValueError('a\\udce9b')",
    "many lines": "X = ValueError('a\\n' * 10_000)",
    "a million letters": "X = ValueError('a' * 1_000_000)",
    "no exception of Python's kinds": "class E(BaseException): pass\nX = E('odd')",
    "control characters": "X = ValueError('\\x1b[31m\\x00')",
    "recursion": "def f(): return f()\nclass E(RecursionError): pass\nX = E('deep')",
    "a cause of its own": "X = ValueError('a')\nX.__cause__ = KeyError('\\udce9')",
}


@pytest.mark.parametrize("kind", RAISED)
def test_whatever_a_hook_raises_is_recorded(here, kind):
    method = mine(here, "def loss(self, client, batch): raise X", top=RAISED[kind])
    assert main([*RUN, "--methods", f"{method},standalone"]) == 1
    found = statuses()
    assert found["standalone"][0] == "done"
    assert found["mine"][0] == "failed"
    assert found["mine"][1].startswith("client 0, round 1, training, phase 0: ")
    assert verify(here / "results") == ([], 2)


RETURNED = {
    "a message named by a number": "def upload(self, client, statistics): return {0: torch.zeros(1)}",
    "a name of 10,001 letters": "def upload(self, client, statistics): return {'x' * 10_001: torch.zeros(1)}",
    "a name that is no text": "def upload(self, client, statistics): return {'\\udce9': torch.zeros(1)}",
    "no message": "def upload(self, client, statistics): return None",
    "a message of texts": "def upload(self, client, statistics): return {'a': 'b'}",
    "a loss that is a text": "def loss(self, client, batch): return 'low'",
    "predictors of no name": "def predictors(self): return {}",
    "predictors named by numbers": "def predictors(self): return {0: self.predict, 1: self.predict}",
    "no server": "def aggregate(self, server, inbox): return 3",
}


@pytest.mark.parametrize("kind", RETURNED)
def test_whatever_a_hook_returns_the_grid_goes_on(here, kind):
    assert main([*RUN, "--methods", f"{mine(here, RETURNED[kind])},standalone"]) == 1
    found = statuses()
    assert found["standalone"][0] == "done"
    assert found["mine"][0] == "failed"
    assert verify(here / "results") == ([], 2)


FIELDS = {
    "bytes": "x: bytes = b'a'",
    "an object": "x: Any = field(default_factory=object)",
    "nested": f"x: Any = field(default_factory=lambda: {'[' * 90 + ']' * 90})",
    "not a number": "x: float = float('nan')",
    "infinite": "x: Any = float('inf')",
    "a set": "x: Any = frozenset({1})",
    "a huge number": "x: Any = 10 ** 40",
    "half a surrogate pair": "x: str = '\\udce9'",
    "names that are numbers": "x: Any = field(default_factory=lambda: {1: 2})",
}


@pytest.mark.parametrize("kind", FIELDS)
def test_a_field_that_can_not_be_stored_is_refused_in_one_line(here, capsys, kind):
    assert main([*RUN, "--methods", f"{mine(here, fields=FIELDS[kind])},standalone"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert not (here / "results").exists()


def test_before_anything_runs_it_is_one_line(here, capsys):
    for body in ("def unsupported(self, task): sys.exit(0)", "def parts(self, model, task): raise SystemExit"):
        assert main([*RUN, "--methods", f"{mine(here, body)},standalone"]) in (1, 2)
        err = capsys.readouterr().err
        assert "SystemExit" in err
        assert "Traceback" not in err


def test_check_finds_a_hook_that_ends_the_program(here, capsys):
    assert main(["check", mine(here, HOOKS["loss"].format("sys.exit(0)"))]) == 1
    assert "SystemExit" in capsys.readouterr().out


PRINTS = """
print("at import")
os.write(1, b"past Python\\n")
import atexit, subprocess
atexit.register(print, "at the end")
subprocess.run([sys.executable, "-c", "print('from a process of its own')"])
"""


@pytest.mark.parametrize("jobs", [[], ["--jobs", "1"]], ids=["here", "worker"])
def test_what_it_prints_never_reaches_the_document(here, jobs):
    method = mine(
        here,
        "def loss(self, client, batch):\n        print('in a hook'); return super().loss(client, batch)",
        "",
        PRINTS,
    )
    command = [sys.executable, "-m", "benchmark", *RUN, "--methods", method, "--json", *jobs]
    got = subprocess.run(command, capture_output=True, text=True, env={"PYTHONPATH": str(ROOT)}, cwd=here)
    assert got.returncode == 0, got.stderr
    assert len(json.loads(got.stdout)["runs"]) == 1
    assert "at import" in got.stderr
    assert "past Python" in got.stderr


NETWORKS = {
    "of another width": ("Sequential(nn.Flatten(), nn.LazyLinear(7))", "gives [2, 7] for two pictures, not [2, 32]"),
    "not flat": ("Conv2d(shape[0], 32, 3)", "gives [2, 32, "),
    "no module": ("__name__", "one of the line-up nets fails: AttributeError"),
    "that fails": ("Linear(1, 1)", "one of the line-up nets fails: RuntimeError"),
}


@pytest.mark.parametrize("kind", NETWORKS)
def test_a_line_up_that_can_t_work_is_refused_before_anything_runs(here, capsys, kind):
    body, words = NETWORKS[kind]
    (here / "nets.py").write_text(
        "from torch import nn\nfrom benchmark.api import Architecture, LineUp\n\n\n"
        f"def build(shape, width):\n    return nn.{body}\n\n\n"
        "ONE = Architecture('one', build, 32)\nLINE_UP = LineUp('nets', 'one', (ONE,), ONE, 16)\n"
    )
    assert main([*RUN, "--methods", "standalone", "--models", "./nets.py"]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and words in said
    assert not (here / "results").exists()
