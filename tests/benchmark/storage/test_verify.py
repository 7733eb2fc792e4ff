"""Every kind of damage is found, and told where it is."""

import json
import shutil

import numpy as np
import pytest

from benchmark.cli import commands
from benchmark.report.frame import read_experiment
from benchmark.storage import summary
from benchmark.storage.run_folder import digest
from benchmark.storage.verify import verify


@pytest.fixture
def results(tmp_path, store):
    """Two methods with two seeds each."""
    for label in ("fedmoe", "standalone"):
        for seed in (0, 1):
            store(tmp_path, label, [(4, 6), (7 - seed, 7), (8, 9)], seed=seed)
    return tmp_path


@pytest.fixture
def folder(results):
    """fedmoe's run with seed 0."""
    return next(
        p.parent for p in results.glob("exp/digits/fedmoe/*/run.json") if read(p.parent)["specification"]["seed"] == 0
    )


def read(folder):
    return json.loads((folder / "run.json").read_text())


def edit(folder, change, honest=True):
    """Change run.json; honest: with a digest that fits."""
    run = read(folder)
    change(run)
    (folder / "run.json").write_text(json.dumps(run | ({"digest": digest(run)} if honest else {})))


def edit_round(folder, number, change, honest=True):
    """Change one line of rounds.jsonl; honest: with a hash in run.json that fits."""
    import hashlib

    path = folder / "rounds.jsonl"
    rounds = [json.loads(line) for line in path.read_text().splitlines()]
    change(rounds[number - 1])
    path.write_text("".join(json.dumps(r) + "\n" for r in rounds))
    if honest:
        digest_now = hashlib.sha256(path.read_bytes()).hexdigest()
        edit(folder, lambda run: run["files"].update({"rounds.jsonl": digest_now}))


def found(results):
    findings, _ = verify(results)
    return [f"{path.relative_to(results)}: {problem}" for path, problem in findings]


def test_what_is_whole_has_no_findings(results):
    assert verify(results) == ([], 4)


def flip(path, position):
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)


DAMAGE = {
    "truncated line": (lambda f: (f / "rounds.jsonl").write_bytes((f / "rounds.jsonl").read_bytes()[:-20]), "damaged"),
    "missing last round": (
        lambda f: (f / "rounds.jsonl").write_text("".join((f / "rounds.jsonl").read_text().splitlines(True)[:-1])),
        "rounds.jsonl is not as it was written",
    ),
    "flipped byte in the rounds": (
        lambda f: flip(f / "rounds.jsonl", (f / "rounds.jsonl").read_bytes().index(b"1.0")),
        "as it was written",
    ),
    "flipped byte in run.json": (
        lambda f: flip(f / "run.json", (f / "run.json").read_bytes().index(b"3.11") + 3),
        "digest",
    ),
    "run.json cut off": (lambda f: (f / "run.json").write_bytes((f / "run.json").read_bytes()[:100]), "damaged"),
    "no rounds.jsonl": (lambda f: (f / "rounds.jsonl").unlink(), "rounds.jsonl can't be read"),
    "no run.json": (lambda f: (f / "run.json").unlink(), "run.json can't be read"),
    "edited summary": (lambda f: edit(f, lambda r: r["summary"].update(accuracy_mean=99.0), honest=False), "digest"),
    "edited summary, digest and all": (
        lambda f: edit(f, lambda r: r["summary"].update(accuracy_mean=99.0)),
        "its summary says accuracy_mean = 99.0, its rounds give 85.0",
    ),
    "edited cost, digest and all": (
        lambda f: edit(f, lambda r: r["summary"].update(bytes_up=1)),
        "bytes_up = 1, its rounds give 3000000",
    ),
    "a key that is missing": (lambda f: edit(f, lambda r: r.pop("environment")), "environment: Field required"),
    "a key that nobody knows": (lambda f: edit(f, lambda r: r.update(more=1)), "more: Extra inputs"),
    "another schema": (lambda f: edit(f, lambda r: r.update(schema=1)), "schema 1, this version reads 2 and 3"),
    "no environment": (lambda f: edit(f, lambda r: r["environment"].pop("packages")), "its environment lacks packages"),
    "swapped partition": (
        lambda f: edit(f, lambda r: r["partition"].update(hash="f" * 16)),
        "its partition differs from that of",
    ),
    "swapped data": (
        lambda f: edit(f, lambda r: r["dataset"].update(hash="e")),
        "its data set is another than its specification's",
    ),
    "another learning rate": (
        lambda f: edit(f, lambda r: r["specification"]["federation"].update(lr=0.5)),
        "its key is",
    ),
    "a specification that can't be": (
        lambda f: edit(f, lambda r: r["specification"]["federation"].update(lr=-1)),
        "its specification is not valid",
    ),
    "a round too few": (
        lambda f: edit(f, lambda r: r["specification"]["federation"].update(rounds=4)),
        "it has 3 rounds of 4",
    ),
    "a round twice": (lambda f: edit_round(f, 3, lambda r: r.update(round=2)), "not numbered one by one"),
    "bytes that do not add up": (
        lambda f: edit_round(f, 2, lambda r: r.update(bytes_up=7)),
        "round 2: bytes_up is 7, its clients' sum is 1000000",
    ),
    "more correct than there is": (
        lambda f: edit_round(f, 2, lambda r: r["post_local"].update(correct=[11, 1])),
        "round 2: more predictions are correct than there are samples",
    ),
    "a client's score is missing": (
        lambda f: edit_round(f, 1, lambda r: r["post_local"].update(correct=[1])),
        "round 1: its scores are not of 2 clients",
    ),
    "other test samples in one round": (
        lambda f: edit_round(f, 2, lambda r: r["post_local"].update(total=[10, 11])),
        "its test samples change from round to round",
    ),
    "a round that was not evaluated": (
        lambda f: edit_round(f, 3, lambda r: r.pop("post_local")),
        "round 3: it is evaluated only in part",
    ),
    "a predictor that comes and goes": (
        lambda f: edit_round(f, 2, lambda r: r.update(predictors={"p": {"post_local": r["post_local"]}})),
        "its predictors, or the experts in its inspection, change from round to round",
    ),
    "a predictor without a moment": (
        lambda f: edit_round(f, 2, lambda r: r.update(predictors={"p": {"post_local": r["post_local"]}})),
        "round 2: a predictor has scores of other moments",
    ),
    "weights of too few clients": (
        lambda f: edit_round(f, 3, lambda r: r.update(inspection={"shared expert": [{"0": 0.5}]})),
        "round 3: its inspection is not of 2 clients",
    ),
    "a participant too few": (
        lambda f: edit_round(f, 1, lambda r: r.update(participants=[0])),
        "round 1: its participants are not what the specification asks for",
    ),
    "accuracy that is not finite": (
        lambda f: edit_round(f, 1, lambda r: r.update(train_loss=float("nan"))),
        "train_loss",
    ),
    "a run in another's folder": (lambda f: f.rename(f.with_name("0" * 12)), "it lies in another run's folder"),
    "a half-written file": (lambda f: (f / "x.tmp").touch(), "x.tmp is left of an interrupted write"),
    "a checkpoint of a finished run": (lambda f: (f / "checkpoint.json").touch(), "does not belong to a finished run"),
    "done without weights": (lambda f: edit(f, lambda r: r.update(weights_hash=None)), "weights_hash is missing"),
    "failed without a reason": (lambda f: edit(f, lambda r: r.update(status="failed")), "its reason is missing"),
    "finished before it started": (
        lambda f: edit(f, lambda r: r.update(finished="2025")),
        "finished before it started",
    ),
    "representations nobody asked for": (
        lambda f: edit(f, lambda r: r["files"].update({"inspection.npz": "0" * 64})),
        "it has representations that it was not asked for",
    ),
    "a number that is none": (
        lambda f: (f / "run.json").write_text((f / "run.json").read_text().replace("85.0", "NaN", 1)),
        "run.json is damaged",
    ),
    "half a character": (
        lambda f: (f / "run.json").write_text((f / "run.json").read_text().replace("a CPU", "\\ud800")),
        "run.json is damaged",
    ),
    "no specification": (lambda f: edit(f, lambda r: r.update(specification={})), "its specification is not valid"),
    "a specification with less in it": (
        lambda f: edit(f, lambda r: r["specification"]["federation"].pop("lr")),
        "its specification is not as it was written",
    ),
    "a number as text": (
        lambda f: edit(f, lambda r: r["specification"]["federation"].update(lr="0.01")),
        "its specification is not as it was written",
    ),
    "validation scores that nobody asked for": (
        lambda f: edit_round(f, 1, lambda r: r.update(validation=r["post_local"])),
        "round 1: it is evaluated only in part",
    ),
    "a key with an escape in it": (lambda f: edit(f, lambda r: r.update(key="a\x1b[31m")), r"its key is 'a\x1b[31m'"),
    "a folder in place of a file": (
        lambda f: ((f / "rounds.jsonl").unlink(), (f / "rounds.jsonl").mkdir(), (f / "rounds.jsonl/x").touch()),
        "can't be read",
    ),
    "a command that is missing": (
        lambda f: edit(f, lambda r: r.update(command=[])),
        "the command that made it is missing",
    ),
    "gone on elsewhere": (
        lambda f: edit(
            f,
            lambda r: r["resumed"].append(
                {"rounds_done": 1, "started": "2026", "environment": r["environment"] | {"packages": {"torch": "1"}}}
            ),
        ),
        "it went on after round 1 with other packages",
    ),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_damage_is_found(results, folder, kind):
    damage, message = DAMAGE[kind]
    damage(folder)
    findings = found(results)
    assert any(message in finding for finding in findings), findings
    assert all("exp/digits/fedmoe" in finding or "exp/digits/standalone" in finding for finding in findings)


def test_data_of_other_size_is_found_and_what_earlier_versions_did_not_store_is_no_finding(results, folder):
    edit(folder, lambda run: run["dataset"].update(class_names=[str(c) for c in range(10)]))
    assert found(results) == []
    edit(folder, lambda run: run["dataset"].update(samples=10**6))
    assert any("its data set differs from that of" in finding for finding in found(results))


def test_two_runs_with_one_seed_are_found(results, folder):
    """A copy that says it is another seed: key, digest and folder all fit."""
    from benchmark.config import RunSpec

    spec = read(folder)["specification"] | {"seed": 7}
    key = RunSpec(**spec).key
    shutil.copytree(folder, folder.with_name(key))
    edit(folder.with_name(key), lambda r: r.update(specification=spec, key=key))
    findings = found(results)
    assert any("two seeds, one run: its rounds are those of" in f for f in findings)
    assert any("two seeds, one partition" in f for f in findings)


def test_one_label_for_two_variants_is_found(results, folder):
    from benchmark.config import RunSpec

    spec = json.loads(json.dumps(read(folder)["specification"]))
    spec["method"]["hyperparameters"]["variant"] = "other"
    key = RunSpec(**spec).key
    shutil.copytree(folder, folder.with_name(key))
    edit(folder.with_name(key), lambda r: r.update(specification=spec, key=key))
    assert any("one seed twice" in f for f in found(results))


def test_other_participants_than_the_other_methods_are_found(tmp_path, store):
    store(tmp_path, "a", [(4, 6)] * 2, participation=0.5)  # both clients take part where one is asked for
    (finding, *_) = found(tmp_path)
    assert "its participants are not what the specification asks for" in finding


def test_a_failed_run_is_looked_at_too(tmp_path, store):
    folder = store(tmp_path, "a", [(4, 6)], status="failed", reason="out of memory").path
    edit(folder, lambda r: r["summary"].update(accuracy_mean=99.0))
    (finding,) = found(tmp_path)
    assert "its summary says accuracy_mean = 99.0, its rounds give 50.0" in finding
    (folder / "rounds.jsonl").write_text("")
    assert any("rounds.jsonl is not as it was written" in f for f in found(tmp_path))


def test_runs_that_failed_or_go_on_are_no_findings(tmp_path, store):
    store(tmp_path, "a", [(4, 6)], status="failed", reason="out of memory")
    folder = store(tmp_path, "b", [(4, 6)], rounds=[])
    run = read(folder.path)
    folder.write({k: v for k, v in run.items() if k not in ("schema", "digest")} | {"status": "running"})
    (folder.path / "checkpoint.json").touch()
    (folder.path / "claim").touch()
    assert verify(tmp_path) == ([], 2)


def test_the_command_says_what_is_wrong_and_where(results, folder, capsys, monkeypatch):
    monkeypatch.chdir(results)
    assert commands.main(["verify", "--results", "."]) == 0
    assert capsys.readouterr().out == "4 runs, no problems\n"
    (folder / "rounds.jsonl").unlink()
    assert commands.main(["verify", "--results", "."]) == 1
    where, summary = capsys.readouterr().out.splitlines()
    assert where.startswith(f"exp/digits/fedmoe/{folder.name}: ")
    assert summary == "4 runs, 1 problem"
    assert commands.main(["verify", "--results", ".", "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert (document["ok"], document["runs"], len(document["findings"])) == (False, 4, 1)
    assert commands.main(["verify", "--results", "nowhere"]) == 2
    assert commands.main(["verify", "--results", "exp"]) == 1  # the folder of one experiment
    assert commands.main(["verify", "--results", ".", "--experiment", "other"]) == 2


def test_results_in_which_nothing_has_begun_are_no_experiment(tmp_path, store):
    """A run's folder is there a moment before its run.json."""
    folder = tmp_path / "results" / "exp" / "digits" / "a" / "0123456789ab"
    folder.mkdir(parents=True)
    assert verify(tmp_path / "results") == ([], 0)
    store(tmp_path / "results", "b", [(4, 6)])
    assert verify(tmp_path / "results") == verify(tmp_path / "results" / "exp") == ([], 1)


@pytest.mark.parametrize(
    "content",
    [
        b"\x80\x04\x95",  # how a pickle begins
        b"[" * 100_000,
        b'{"schema": 2, "status": {"a": 1}}',
        b'{"schema": "' + b"x" * 1000 + b'"}',
        b"\xff\xfe",
        b"null",
        b"",
    ],
    ids=["pickle", "deep", "wrong types", "long", "no text", "null", "empty"],
)
@pytest.mark.parametrize("name", ["run.json", "rounds.jsonl"])
def test_a_strangers_file_is_refused(results, folder, name, content):
    """Whatever is in it: one finding, no exception, and nothing of it is repeated at length."""
    (folder / name).write_bytes(content)
    findings, _ = verify(results)
    assert findings
    assert all(len(problem) < 500 for _, problem in findings)


def test_arrays_are_never_unpickled(tmp_path):
    """What is stored as .npz holds numbers and text alone."""
    np.savez(tmp_path / "inspection.npz", names=np.array([print], dtype=object))
    with pytest.raises(ValueError, match="allow_pickle"):
        np.load(tmp_path / "inspection.npz", allow_pickle=False)["names"]


def test_a_summary_is_checked_by_the_headline_that_it_names(tmp_path, store):
    """Earlier versions averaged a twentieth of the rounds: of ten the last one alone."""
    folder = store(tmp_path / "results", "a", [(t, t) for t in range(10)])

    def as_before(run):
        run["summary"] |= summary.summarise(folder.rounds(), 1)

    edit(folder.path, as_before)
    assert folder.read()["summary"]["accuracy_mean"] == 90
    assert verify(tmp_path / "results") == ([], 1)
    (comparison,) = read_experiment(tmp_path / "results", "exp", {})
    assert comparison.values("a", "accuracy_mean") == [70]  # of 5, 6, 7, 8 and 9
    edit(folder.path, lambda run: run["summary"].update(accuracy_mean=91.0))
    ((_, problem),) = verify(tmp_path / "results")[0]
    assert problem == "its summary says accuracy_mean = 91.0, its rounds give 90.0"


def test_a_number_that_the_code_learns_later_leaves_stored_runs_as_they_are(tmp_path, store, monkeypatch, capsys):
    """A run that lacks a number, and one that has a number this version does not know: both are verified and reported.

    The report shows the new number of both, for it computes the summary from the rounds.
    """
    older, newer = (store(tmp_path / "results", label, [(5, 7)]) for label in ("a", "b"))
    edit(older.path, lambda r: r["summary"].pop("accuracy_worst_decile"))
    edit(newer.path, lambda r: r["summary"].update(gini=0.25))
    assert verify(tmp_path / "results") == ([], 2)
    (comparison,) = read_experiment(tmp_path / "results", "exp", {})
    assert [comparison.values(label, "accuracy_worst_decile") for label in "ab"] == [[50.0], [50.0]]

    summarised = summary.summarise
    monkeypatch.setattr(summary, "summarise", lambda rounds: summarised(rounds) | {"fairness": 1.5})
    (comparison,) = read_experiment(tmp_path / "results", "exp", {})
    assert [comparison.values(label, "fairness") for label in "ab"] == [[1.5], [1.5]]


def test_validation_samples_are_scored_by_the_headline_predictor_alone(tmp_path, store):
    """As evaluation.py has it: nothing is chosen by another predictor."""
    scores = {"correct": [5, 5], "total": [10, 10]}
    others = {"prototype": {"post_local": scores, "post_download": scores}}
    store(tmp_path, "fedproto", [(5, 5)], on_validation=[(6, 6)], validation=0.2, predictors=others)
    assert verify(tmp_path) == ([], 1)
