"""What the stored results are made of are command lines that the program understands, and what is left is counted."""

import json
import shlex

import pytest

from benchmark.cli.commands import cli
from benchmark.errors import Terminated
from benchmark.plugins.presets import preset
from benchmark.run.ending import INTERRUPTED, TERMINATED
from tools import reference
from tools.reference import GRIDS, MISSION, run_or_forecast


def options_of(words):
    """What a grid's command line asks for."""
    name, *options = words
    parsed = cli.get_command(cli.make_context("benchmark", [name, "--help"], resilient_parsing=True), name)
    return parsed.make_context(name, [*options, "--jobs", "2", "--no-report"]).params


@pytest.mark.parametrize("words", GRIDS, ids=" ".join)
def test_each_grid_is_a_command_and_stores_the_gate_unless_it_audits(words):
    given = options_of(words)
    defaults = preset(given["preset"])
    assert set(defaults) >= {"rounds", "methods"}
    methods = given["methods"].split(",") if given["methods"] else defaults["methods"]
    has_gate = any(method.partition("+")[0] == "fedmoe" for method in methods)
    assert given["inspect"] == (has_gate and given["audit"] is None)


def test_the_headline_comes_first_and_no_grid_twice():
    first = [options_of(words) for words in GRIDS[:3]]
    assert [given["preset"] for given in first] == ["levelled-n10", "levelled-n100", "levelled-n100"]
    assert [given["methods"] for given in first[:2]] == [",".join(MISSION)] * 2
    assert {given["datasets"] for given in first} == {"cifar10"}
    assert len({*GRIDS}) == len(GRIDS)


def test_what_has_one_seed_is_not_among_what_is_ranked():
    for given in (options_of(words) for words in GRIDS):
        if given["experiment"] == "reference":
            assert given["seeds"] is None and preset(given["preset"])["seeds"] == [0, 1, 2]


@pytest.fixture
def grids(monkeypatch):
    """Replaces the grids by one for each of these answers, (exit code, what it prints); returns what was called."""
    called = []

    def replace(*answers):
        class Command:
            """A process that has ended: Popen of that command."""

            def __init__(self, words, stdout, text):
                called.append(shlex.join(words[1:]))
                self.returncode, self.printed = answers[len(called) - 1]

            def __enter__(self):
                return self

            def __exit__(self, *error):
                pass

            def communicate(self):
                if isinstance(self.printed, type):
                    raise self.printed
                return self.printed, None

            def wait(self):
                called.append("waited")

            def terminate(self):
                called.append("terminated")

        monkeypatch.setattr(reference.subprocess, "Popen", Command)
        monkeypatch.setattr(reference.os, "nice", lambda _: None)
        monkeypatch.setattr(reference, "GRIDS", [("run", "--preset", f"p{i}") for i in range(len(answers))])
        return called

    return replace


@pytest.mark.parametrize("codes, expected", [((0, 0), 0), ((1, 0), 1), ((-9, 0), 1), ((0, -15), 1), ((-9, 1), 1)])
def test_a_grid_that_fails_or_is_killed_is_not_hidden_by_another(codes, expected, grids):
    called = grids(*((code, None) for code in codes))
    assert run_or_forecast(["--jobs", "3", "--results", "elsewhere"]) == expected
    assert called == [
        f"-m benchmark run --preset p{i} --jobs 3 --no-report --results elsewhere" for i in range(len(codes))
    ]


@pytest.mark.parametrize("code", [INTERRUPTED, TERMINATED])
def test_after_a_command_was_ended_nothing_else_begins(code, grids):
    called = grids((code, None), (0, None))
    assert run_or_forecast([]) == code
    assert len(called) == 1


@pytest.mark.parametrize("options", [[], ["--dry-run"]])
def test_ctrl_c_waits_for_the_command_that_has_it_too(options, grids):
    called = grids((0, KeyboardInterrupt), (0, None))
    assert run_or_forecast(options) == INTERRUPTED
    assert len(called) == 2 and called[1] == "waited"


@pytest.mark.parametrize("options", [[], ["--dry-run"]])
def test_sigterm_is_passed_on_to_the_command(options, grids):
    called = grids((0, Terminated), (0, None))
    assert run_or_forecast(options) == TERMINATED
    assert called[1:] == ["terminated", "waited"]


def test_as_many_runs_at_a_time_as_cores_that_may_be_used(grids, monkeypatch):
    monkeypatch.setattr("tools.reference.cores", lambda: 5)
    called = grids((0, None))
    assert run_or_forecast([]) == 0
    assert called == ["-m benchmark run --preset p0 --jobs 5 --no-report"]


def document(experiment, *runs):
    """What a dry run prints."""
    listed = [
        {"dataset": "cifar10", "method": "fml", "key": key, "status": status, "prediction": {"seconds": seconds}}
        for key, status, seconds in runs
    ]
    return 0, json.dumps({"experiment": experiment, "runs": listed, "total": {}})


def test_a_dry_run_says_what_is_left_and_counts_each_run_once(grids, capsys):
    called = grids(
        document("reference", ("a", "already there", 3600.0), ("b", "new", 7200.0), ("c", "goes on", 3600.0)),
        document("reference", ("b", "new", 7200.0), ("d", "again", 1800.0), ("e", "new", None)),
        document("one-change", ("b", "new", 1800.0)),
    )
    assert run_or_forecast(["--jobs", "2", "--dry-run"]) == 0
    assert called[0] == "-m benchmark run --preset p0 --jobs 2 --no-report --dry-run --json"
    assert [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()] == [
        "2 of 3 runs left, 2.0 h: run --preset p0",
        "2 of 2 runs left, 0.5 h: run --preset p1",
        "1 of 1 runs left, 0.5 h: run --preset p2",
        "5 of 6 runs left, 3.0 h: in all, 2 at a time; 1 of them can't be predicted",
    ]


def test_a_grid_without_a_forecast_is_named(grids, capsys):
    grids((2, ""), document("reference", ("a", "new", 3600.0)))
    assert run_or_forecast(["--jobs", "1", "--dry-run"]) == 1
    out = capsys.readouterr().out
    assert "no forecast: run --preset p0" in out
    assert "1 of   1 runs left,    1.0 h: in all" in out
