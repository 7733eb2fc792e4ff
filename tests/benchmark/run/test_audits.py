"""A run has the records of one audit: whoever asks for another is told what is there, and that --force begins again."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmark.cli.commands import main
from benchmark.federation import Federation
from benchmark.privacy import audit as privacy_audit
from benchmark.privacy.audit_size import SMALL_AUDIT
from benchmark.run import runner
from benchmark.storage.run_folder import RunFolder
from benchmark.storage.verify import verify

WORDS = "run --datasets tiny.npz --rounds 2 --clients 3 --partition iid --batch-size 8 --models cnn1 --device cpu"
WORDS += " --no-report --checkpoint-every 0"
TINY = replace(SMALL_AUDIT, rounds=2, candidates=6, auxiliary=6, surrogate_records=6, label_shadows=3, decoys=3)


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch, write_data):
    """With audits that take little time."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(runner, "SIZES", {"privacy": replace(TINY, candidates=8), "privacy:small": TINY})
    write_data(tmp_path)


def run(audit=None, *more, methods="lg-fedavg"):
    """Return the exit code."""
    return main([*WORDS.split(), "--methods", methods, *(["--audit", audit] if audit else []), *more])


def interrupted(monkeypatch, audit, rounds=1):
    """Leave a run after so many rounds."""
    original = Federation.round

    def cut(self, t):
        if t > rounds:
            raise KeyboardInterrupt
        return original(self, t)

    with monkeypatch.context() as patch:
        patch.setattr(Federation, "round", cut)
        assert run(audit) == 130
    return folder()


def folder(method="lg-fedavg"):
    (path,) = Path("results").glob(f"default/tiny/{method}/*/run.json")
    return RunFolder(path.parent)


def candidates():
    with np.load(folder().path / "privacy.npz") as file:
        facts = json.loads(str(file["facts"]))
    return facts["rounds"], facts["candidates"]


def as_an_older_version(stored):
    """Its run.json does not say by which audit it was made."""
    facts = {name: value for name, value in stored.read().items() if name not in ("schema", "digest", "audit")}
    stored.write(facts)


def said(capsys, audit, *more):
    """Return what is said of the only run."""
    capsys.readouterr()
    assert run(audit, "--json", *more) == 0
    return json.loads(capsys.readouterr().out)["runs"][0]["reason"]


def test_a_run_that_is_done_says_which_audit_it_has(capsys):
    assert run("privacy:small") == 0
    assert folder().read()["audit"] == "privacy:small"
    assert said(capsys, "privacy:small") == said(capsys, None) == "already there"
    other = "already there, with what --audit privacy:small stores; --force runs it again"
    assert said(capsys, "privacy") == other
    assert candidates() == ([1, 2], 6)
    assert said(capsys, "privacy", "--force") is None
    assert candidates() == ([1, 2], 8)
    assert folder().read()["audit"] == "privacy"


def test_a_run_that_is_done_says_that_its_attacks_are_of_an_earlier_version(capsys, monkeypatch):
    monkeypatch.setattr(privacy_audit, "ATTACK", 1)
    assert run("privacy:small") == 0
    earlier = "already there, with attacks of an earlier version; --force runs it again"
    assert said(capsys, "privacy:small") == earlier
    assert said(capsys, None) == "already there"


def test_scores_of_two_versions_count_as_those_of_the_earlier(monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(privacy_audit, "ATTACK", 1)
        interrupted(monkeypatch, "privacy")
    assert run("privacy") == 0
    with np.load(folder().path / "privacy.npz") as file:
        assert json.loads(str(file["facts"]))["attack"] == 1


def test_a_run_that_is_done_says_that_it_has_none(capsys):
    assert run() == 0
    assert folder().read()["audit"] is None
    lacks = "already there, without what --audit stores; --force runs it again"
    assert said(capsys, "privacy") == lacks
    as_an_older_version(folder())
    assert said(capsys, "privacy") == lacks


def test_an_older_versions_audit_is_taken_for_what_is_requested(capsys):
    assert run("privacy:small") == 0
    as_an_older_version(folder())
    assert said(capsys, "privacy") == "already there"
    assert verify(Path("results")) == ([], 1)


@pytest.mark.parametrize(
    ("begun", "asked", "words"),
    [
        (None, "privacy", "was begun without --audit and goes on only without it"),
        ("privacy:small", None, "was begun with --audit privacy:small and goes on only with it"),
        ("privacy:small", "privacy", "was begun with --audit privacy:small and goes on only with it"),
    ],
)
def test_an_interrupted_run_does_not_go_on_under_another_audit(monkeypatch, capsys, begun, asked, words):
    path = interrupted(monkeypatch, begun).path
    before = {file: file.read_bytes() for file in path.iterdir()}
    capsys.readouterr()
    assert run(asked) == 2
    assert capsys.readouterr().err == f"error: {path} {words}; remove it to begin again\n"
    assert {file: file.read_bytes() for file in path.iterdir()} == before
    assert run(begun) == 0
    (again,) = folder().read()["resumed"]
    assert again["rounds_done"] == 1
    assert begun is None or candidates() == ([1, 2], 6)


@pytest.mark.parametrize("begun", [None, "privacy:small"])
def test_with_force_it_begins_again(monkeypatch, begun):
    interrupted(monkeypatch, begun)
    assert run("privacy", "--force") == 0
    assert folder().read()["resumed"] == []
    assert candidates() == ([1, 2], 8)
    assert verify(Path("results")) == ([], 1)


def test_a_run_without_a_checkpoint_begins_again_under_any_audit(monkeypatch):
    interrupted(monkeypatch, None, rounds=0)
    assert run("privacy") == 0
    assert candidates() == ([1, 2], 8)


def test_an_older_versions_run_goes_on(monkeypatch):
    as_an_older_version(interrupted(monkeypatch, "privacy"))
    assert run("privacy") == 0
    assert folder().read()["resumed"][0]["rounds_done"] == 1
    assert candidates() == ([1, 2], 8)


def test_it_is_said_before_anything_runs(monkeypatch):
    interrupted(monkeypatch, None)
    assert run("privacy", methods="standalone,lg-fedavg") == 2
    assert not list(Path("results").glob("default/tiny/standalone/*/run.json"))


def test_a_run_that_diverged_says_why_under_any_audit(capsys):
    assert run(None, "--lr", "1e30") == 1
    capsys.readouterr()
    assert run("privacy", "--lr", "1e30") == 1
    assert "diverged: lg-fedavg on tiny: the training loss of client" in capsys.readouterr().err
