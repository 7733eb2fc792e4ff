"""What counts as slower, on timings written by hand."""

import json
from pathlib import Path

import pytest

from benchmark.cli import commands
from tools.perf.timings import compare_timings

STORED = Path(__file__).parents[2] / "perf" / "baseline.json"


def write_baseline(path, timings):
    entries = {name: {"group": "g", "normalised": value, "spread": spread} for name, (value, spread) in timings.items()}
    path.write_text(json.dumps({"timings": entries, "measured": {"cpu": "a CPU", "cores": 2}}))
    return path


def write_run(path, timings):
    """As pytest-benchmark does, as far as it is read."""
    entries = [
        {"name": name, "group": "g", "stats": {"median": 1.0}, "extra_info": {"normalised": value, "kernel": "memory"}}
        for name, value in timings.items()
    ]
    path.write_text(json.dumps({"machine_info": {}, "benchmarks": entries}))
    return path


@pytest.fixture
def base(tmp_path):
    return write_baseline(tmp_path / "base.json", {"step": (2.0, 0.1), "round": (5.0, 0.0)})


def verdicts(checks):
    return {check.name: check.verdict for check in checks}


@pytest.mark.parametrize(
    "step, verdict", [(2.59, "ok"), (2.61, "regressed"), (2.0, "ok"), (1.41, "ok"), (1.39, "better")]
)
def test_the_limit_and_the_spread_may_come_on_top(step, verdict, base, tmp_path):
    """20 % and 10 %: up to 2.6, down to 1.4."""
    now = write_run(tmp_path / "now.json", {"step": step, "round": 5.0})
    assert verdicts(compare_timings(base, now, 0.2)) == {"step": verdict, "round": "ok"}


def test_change_is_a_share_of_the_baseline(base, tmp_path):
    check, _ = compare_timings(base, write_run(tmp_path / "now.json", {"step": 3.0, "round": 5.0}), 0.2)
    assert (check.change, check.limit) == (pytest.approx(0.5), pytest.approx(0.3))


def test_one_that_is_missing_is_a_finding_and_a_new_one_is_told(base, tmp_path):
    now = write_run(tmp_path / "now.json", {"step": 2.0, "evaluation": 1.0})
    assert verdicts(compare_timings(base, now, 0.2)) == {"step": "ok", "round": "missing", "evaluation": "new"}
    assert verdicts(compare_timings(base, now, 0.2, subset=True)) == {"step": "ok", "evaluation": "new"}


def test_two_runs_are_compared_without_a_spread(tmp_path):
    before, now = (write_run(tmp_path / name, {"step": value}) for name, value in (("a.json", 1.0), ("b.json", 1.25)))
    assert verdicts(compare_timings(before, now, 0.2)) == {"step": "regressed"}
    assert verdicts(compare_timings(now, before, 0.1)) == {"step": "better"}


def test_the_command(base, tmp_path, capsys):
    now = write_run(tmp_path / "now.json", {"step": 3.0, "evaluation": 1.0})
    assert commands.main(["compare", str(base), str(base)]) == 0
    assert "nothing regressed" in capsys.readouterr().out
    assert commands.main(["compare", str(base), str(now), "--time", "20"]) == 1
    out = capsys.readouterr().out
    assert "REGRESSED" in out
    assert "MISSING" in out
    assert "2 regressed of 3 checks" in out
    assert commands.main(["compare", str(base), str(now), "--subset"]) == 0  # 50 % is the default
    capsys.readouterr()
    assert commands.main(["compare", str(base), str(now), "--time", "20", "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert document["ok"] is False
    assert [(found["name"], found["verdict"]) for found in document["findings"]] == [
        ("step", "regressed"),
        ("round", "missing"),
    ]
    assert len(document["checks"]) == 3


GOOD = {"name": "step", "group": "g", "extra_info": {"normalised": 1.0}}


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        json.dumps({"benchmarks": []}),
        json.dumps({"timings": {}, "measured": {}}),
        json.dumps({"benchmarks": [GOOD | {"extra_info": {}}]}),
        json.dumps({"benchmarks": [GOOD | {"extra_info": {"normalised": 0}}]}),
        json.dumps({"benchmarks": [GOOD | {"extra_info": {"normalised": float("nan")}}]}),
        json.dumps({"benchmarks": [GOOD | {"name": "another"}]}),
    ],
    ids=["empty", "cut off", "a list", "no run", "no timing", "not normalised", "zero", "no number", "none in common"],
)
def test_a_file_that_can_not_be_compared(content, base, tmp_path, capsys):
    (tmp_path / "now.json").write_text(content)
    for words in ([str(base), str(tmp_path / "now.json")], [str(tmp_path / "now.json"), str(base)]):
        assert commands.main(["compare", *words]) == 2
        assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_file_and_a_folder_are_no_pair(base, tmp_path, capsys):
    assert commands.main(["compare", str(base), str(tmp_path)]) == 2
    assert "two folders of results, or two files" in capsys.readouterr().err


def test_the_stored_baseline_can_be_compared_with():
    assert set(verdicts(compare_timings(STORED, STORED, 0.0)).values()) == {"ok"}
