"""What counts as worse, on results written by hand."""

import json
import re

import pytest

from benchmark.cli import commands
from benchmark.errors import RequestError
from benchmark.report.compare import Limits, compare_results

GOOD = [(5, 6), (8, 8), (9, 9)]  # 90 % at last


@pytest.fixture
def base(tmp_path, store):
    """Two methods with three seeds each, whose accuracies are 90."""
    for seed in range(3):
        store(tmp_path / "base", "fedmoe", GOOD, seed=seed)
        store(tmp_path / "base", "standalone", GOOD, seed=seed, sent=(0, 0))
    return tmp_path / "base"


def current(base, store, changes=None, **kinds):
    """The same runs, fedmoe's changed: changes[seed] is what store is told instead."""
    now = base.parent / "now"
    for seed in range(3):
        words = {"correct": GOOD, "seed": seed} | kinds | (changes or {}).get(seed, {})
        store(now, "fedmoe", words.pop("correct"), **words)
        store(now, "standalone", GOOD, seed=seed, sent=(0, 0))
    return now


def regressed(base, now, **limits):
    return [(c.method, c.what) for c in compare_results(base, now, Limits(**limits)) if c.verdict == "regressed"]


def test_the_same_is_no_regression(base, store):
    checks = compare_results(base, current(base, store), Limits())
    assert {check.verdict for check in checks} == {"ok"}
    assert [(c.method, c.what) for c in checks] == [
        (method, what)
        for method in ("fedmoe", "standalone")
        for what in ("status", "accuracy", "bytes", "FLOPs", "server FLOPs", "time")
    ]


def test_a_drop_of_accuracy_that_all_seeds_share(base, store):
    now = current(base, store, correct=[(5, 6), (8, 8), (7, 9)])  # 80 for each: no noise
    assert regressed(base, now) == [("fedmoe", "accuracy")]
    assert regressed(base, now, accuracy=10) == []
    (check,) = [c for c in compare_results(now, base, Limits()) if c.verdict == "better"]
    assert (check.what, check.change) == ("accuracy", pytest.approx(10))


def test_a_drop_that_chance_explains_is_none(base, store):
    """Clients lose 30, 0, 0, 0, 0, 0: mean -5, s = 12.25, half-width of the interval 2.5706 x 5 = 12.85, at most 10."""
    now = current(base, store, {0: {"correct": [(5, 6), (8, 8), (6, 9)]}})
    assert regressed(base, now) == []
    (check,) = [c for c in compare_results(base, now, Limits()) if (c.method, c.what) == ("fedmoe", "accuracy")]
    assert (check.change, check.limit) == (pytest.approx(-5), pytest.approx(10))
    (check,) = [
        c for c in compare_results(base, now, Limits(accuracy=2)) if (c.method, c.what) == ("fedmoe", "accuracy")
    ]
    assert check.limit == pytest.approx(12.85, abs=0.01)


def test_an_uneven_drop_is_still_one(base, store):
    """One seed of three falls from 90 to 10."""
    now = current(base, store, {1: {"correct": [(5, 6), (8, 8), (1, 1)]}})
    assert regressed(base, now) == [("fedmoe", "accuracy")]


def test_one_seed_that_sends_more_is_enough(base, store):
    now = current(base, store, {1: {"sent": (10**7, 10**7)}})
    assert regressed(base, now) == [("fedmoe", "bytes")]


def test_a_baseline_in_which_nothing_is_done_is_none(tmp_path, store):
    store(tmp_path / "a", "m", GOOD, status="failed", reason="no luck")
    with pytest.raises(RequestError, match=r"no run .* that could be compared is done"):
        compare_results(tmp_path / "a", tmp_path / "a", Limits())


def test_settings_of_one_data_set_are_told_apart(tmp_path, store):
    for lr in (0.1, 0.2):
        store(tmp_path, "m", GOOD, lr=lr)
    assert {c.comparison for c in compare_results(tmp_path, tmp_path, Limits())} == {"digits-lr=0.1", "digits-lr=0.2"}


def test_one_seed_is_judged_by_its_clients(tmp_path, store):
    """Of four clients each loses 20 points; or one of them 20, which chance explains."""
    store(tmp_path / "a", "m", [(9, 9, 9, 9)])
    store(tmp_path / "b", "m", [(7, 7, 7, 7)])
    store(tmp_path / "c", "m", [(7, 9, 9, 9)])
    assert regressed(tmp_path / "a", tmp_path / "b") == [("m", "accuracy")]
    assert regressed(tmp_path / "a", tmp_path / "c") == []


@pytest.mark.parametrize(
    "change, what, limit",
    [
        ({"sent": (10**6 + 2, 10**6)}, "bytes", {"bytes": 1e-5}),
        ({"flops": 3 * 10**12}, "FLOPs", {"flops": 0.5, "time": 9}),
    ],
)
def test_more_bytes_and_flops(base, store, change, what, limit):
    now = current(base, store, **change)
    assert ("fedmoe", what) in regressed(base, now)
    assert regressed(base, now, **limit) == []
    assert "better" in {check.verdict for check in compare_results(now, base, Limits())}


def rewrite(folder, change):
    for path in folder.rglob("run.json"):
        run = json.loads(path.read_text())
        change(run)
        from benchmark.storage.run_folder import RunFolder

        RunFolder(path.parent).write({k: v for k, v in run.items() if k not in ("schema", "digest")})


def test_time_counts_in_units_of_the_machine(base, store):
    """The same seconds on a machine twice as fast are twice the time; on half as fast a one they are half of it."""
    now = current(base, store)
    rewrite(now, lambda run: run["environment"].update(matrix_product_flops_per_second=2e11))
    assert regressed(base, now) == [("fedmoe", "time"), ("standalone", "time")]
    assert regressed(base, now, time=1.0) == []
    rewrite(now, lambda run: run["environment"].pop("matrix_product_flops_per_second"))
    assert "time" not in {check.what for check in compare_results(base, now, Limits())}


def test_a_run_that_now_fails(base, store):
    now = current(base, store, {1: {"status": "failed", "reason": "out of memory"}})
    assert regressed(base, now) == [("fedmoe", "status")]
    (check,) = [c for c in compare_results(base, now, Limits()) if c.verdict == "regressed"]
    assert check.current == "seed 1: failed"
    assert regressed(now, base) == []  # what failed before can't get worse


def test_a_run_that_is_missing(base, store):
    now = current(base, store)
    for path in (now / "exp" / "digits" / "fedmoe").rglob("run.json"):
        if '"seed": 2' in path.read_text():
            path.unlink()
    assert regressed(base, now) == [("fedmoe", "status")]
    assert {check.verdict for check in compare_results(base, now, Limits(), subset=True)} == {"ok"}


def test_other_hyper_parameters_are_still_the_method(base, store, tmp_path):
    """A default that changed is what one wants to see the effect of."""
    now = current(base, store)
    before = {c.method for c in compare_results(base, now, Limits())}
    assert before == {"fedmoe", "standalone"}
    store(tmp_path / "other", "fedmoe", GOOD, lr=0.5)
    with pytest.raises(RequestError, match="have no run in common"):
        compare_results(base, tmp_path / "other", Limits())


def test_the_command(base, store, capsys, tmp_path):
    now = current(base, store, correct=[(5, 6), (8, 8), (7, 9)])
    assert commands.main(["compare", str(base), str(base)]) == 0
    assert capsys.readouterr().out == "nothing regressed of 12 checks; 12 have not changed (--all shows them)\n"
    assert commands.main(["compare", str(base / "exp"), str(now)]) == 1
    out = capsys.readouterr().out
    assert "REGRESSED" in out
    assert "1 regressed of 12 checks; 11 have not changed" in out
    assert "standalone" not in out
    assert re.search(r"fedmoe +accuracy +90\.00 % +80\.00 % +-10\.00 points +1\.00 points +REGRESSED", out)
    assert commands.main(["compare", str(base), str(now), "--all"]) == 1
    out = capsys.readouterr().out
    assert re.search(r"standalone +status +done +done +ok", out)
    assert re.search(r"fedmoe +bytes +6 MB +6 MB +\+0 % +0 % +ok", out)
    assert re.search(r"fedmoe +FLOPs +6 TFLOP +6 TFLOP", out)
    assert commands.main(["compare", str(base), str(now), "--accuracy", "10"]) == 0
    capsys.readouterr()
    assert commands.main(["compare", str(base), str(now), "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert document["ok"] is False
    (finding,) = document["findings"]
    assert (finding["method"], finding["what"], finding["baseline"], finding["current"]) == (
        "fedmoe",
        "accuracy",
        90,
        80,
    )
    assert len(document["checks"]) == 12


@pytest.mark.parametrize(
    "words",
    [["nowhere", "."], [".", "."], [".", ".", "--accuracy", "-1"], ["."]],
    ids=["no folder", "no results", "limit", "one folder"],
)
def test_a_request_that_can_not_be(words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert commands.main(["compare", *words]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_two_experiments_in_one_folder_are_told_apart(base, store):
    store(base, "fedmoe", GOOD, experiment="again")
    with pytest.raises(RequestError, match="twice; name the folder of one experiment"):
        compare_results(base, base, Limits())
    assert {c.verdict for c in compare_results(base / "exp", base / "exp", Limits())} == {"ok"}


def rewritten(folder, **changes):
    run = {k: v for k, v in folder.read().items() if k not in ("schema", "digest")}
    folder.write({**run, **{name: {**run[name], **change} for name, change in changes.items()}})


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"environment": {"threads": 8}}, "threads differ in 3 of 3 runs: 2 -> 8"),
        ({"environment": {"packages": {"torch": "3"}}}, "packages differ in 3 of 3 runs: torch 2.9.0 -> torch 3"),
        ({"environment": {"cpu": "fast"}}, "device differs in 3 of 3 runs: cpu a CPU -> cpu fast"),
        ({"partition": {"hash": "f" * 16}}, "partition differs in 3 of 3 runs: 0000000000000000 -> ffffffffffffffff"),
        ({}, None),
    ],
)
def test_what_differs_besides_numbers_is_said(base, tmp_path, store, changes, line):
    said = []
    for seed in range(3):
        rewritten(store(tmp_path / "now", "fedmoe", GOOD, seed=seed), **changes)
    compare_results(base, tmp_path / "now", Limits(), subset=True, say=said.append)
    assert said == ([line] if line else [])


def test_it_is_said_before_who_regressed_and_stands_in_the_document(base, tmp_path, store, capsys):
    for seed in range(3):
        rewritten(store(tmp_path / "now", "fedmoe", GOOD, seed=seed), environment={"threads": 8})
    words = ["compare", str(base), str(tmp_path / "now"), "--subset"]
    assert commands.main(words) == 0
    out = capsys.readouterr().out
    assert out.index("threads differ") < out.index("regressed")
    assert commands.main([*words, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["unlike"] == ["threads differ in 3 of 3 runs: 2 -> 8"]
