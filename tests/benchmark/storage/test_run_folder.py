import json
from pathlib import Path

import pytest

from benchmark.errors import RequestError
from benchmark.storage.run_folder import RunFolder, digest, run_folders
from benchmark.storage.summary import (
    accuracies,
    headline_rounds,
    headline_window,
    participants_accuracy,
    rounds_averaged,
    summarise,
)


def record(number, correct, total=(10, 10), **more):
    scores = {"correct": list(correct), "total": list(total)}
    return {
        "round": number,
        "post_local": scores,
        "post_download": scores,
        "predictors": {},
        "bytes_up": 3,
        "bytes_down": 5,
        "client_flops": 7,
        "server_flops": 0,
        "client_seconds": 0.5,
        "server_seconds": 0.0,
        "eval_seconds": 0.25,
        "clients": [{"bytes_up": {"a": 1, "b": 2}, "bytes_down": {"a": 5}}],
    } | more


def test_accuracy_is_correct_over_total_per_client():
    assert accuracies([record(1, (1, 5), (10, 20))]).tolist() == [[10.0, 25.0]]


def test_summary_by_hand():
    got = summarise([record(1, (9, 9)), record(2, (2, 4), (10, 40))])
    assert got["accuracy_mean"] == pytest.approx((20 + 10) / 2)
    assert got["accuracy_std_clients"] == pytest.approx(7.0710678)  # of 20 and 10
    assert got["accuracy_worst_decile"] == pytest.approx(10)
    assert got["accuracy_weighted"] == pytest.approx(100 * 6 / 50)
    assert got["accuracy_oracle"] == pytest.approx(90)
    assert (got["rounds_done"], got["bytes_up"], got["bytes_down"], got["client_flops"]) == (2, 6, 10, 14)
    assert got["bytes_by_name"] == {"up": {"a": 2, "b": 4}, "down": {"a": 10}}
    assert got["headline"] == "last evaluated round"


def test_the_headline_is_the_last_tenth_of_the_evaluated_rounds_five_at_least():
    assert [headline_window(n) for n in (0, 1, 4, 5, 49, 50, 51, 70, 500)] == [0, 1, 1, 5, 5, 5, 6, 7, 50]
    rounds = [record(t, (t % 10, 0)) for t in range(1, 61)]
    chosen, rule = headline_rounds(rounds)
    assert (chosen, rule) == ([54, 55, 56, 57, 58, 59], "mean of the last 6 evaluated rounds")
    got = summarise(rounds)
    assert got["accuracy_mean"] == pytest.approx(10 * (5 + 6 + 7 + 8 + 9 + 0) / 6 / 2)
    assert got["headline_rounds"] == 6


def test_the_headline_has_a_spread_over_rounds():
    """Means over clients: 40, 50, 60, 70, 80, whose squared deviations add up to 1000."""
    got = summarise([record(t, (t + 2, t + 4)) for t in range(1, 6)])
    assert got["accuracy_mean"] == pytest.approx(60)
    assert got["accuracy_std_rounds"] == pytest.approx((1000 / 4) ** 0.5)
    few = summarise([record(t, (t, t)) for t in range(1, 5)])
    assert (few["headline"], few["headline_rounds"], few["accuracy_mean"]) == ("last evaluated round", 1, 40)
    assert few["accuracy_std_rounds"] is None


def test_each_moment_has_its_numbers():
    after = {"post_download": {"correct": [1, 3], "total": [10, 10]}}
    tuned = {"post_finetune": {"correct": [8, 9], "total": [10, 10]}, "finetune_flops": 11, "finetune_seconds": 0.5}
    by = {"prototype": {"post_local": {"correct": [2, 2], "total": [10, 10]}} | after}
    got = summarise([record(1, (5, 7), predictors=by, **after, **tuned)])
    means = [got[f"accuracy_mean{suffix}"] for suffix in ("", "_post_download", "_post_finetune")]
    assert means == pytest.approx([60, 20, 85])
    assert got["accuracy_worst_decile_post_download"] == pytest.approx(10)
    assert got["accuracy_mean_by_predictor_post_download"] == {"prototype": pytest.approx(20)}
    assert (got["finetune_flops"], got["finetune_seconds"]) == (11, 0.5)
    without = summarise([record(1, (5, 7))])
    assert without["accuracy_mean_post_finetune"] is None
    assert without["finetune_flops"] is None  # absent, never 0


@pytest.mark.parametrize(
    "words, last", [("last evaluated round", 1), ("mean of the last 12 evaluated rounds", 12), ("no round", None)]
)
def test_the_words_of_a_headline_say_how_many_rounds_it_averages(words, last):
    assert rounds_averaged(words) == last


def test_or_the_round_that_is_best_on_validation_data():
    val = [{"validation": {"correct": [v, v], "total": [10, 10]}} for v in (3, 8, 8, 5)]
    rounds = [record(t, (t, t), **v) for t, v in enumerate(val)]
    assert headline_rounds(rounds) == ([1], "round with the best mean validation accuracy")
    assert summarise(rounds)["accuracy_mean"] == pytest.approx(10)


def test_rounds_that_were_not_evaluated_do_not_count():
    blank = {k: v for k, v in record(1, (0, 0)).items() if k not in ("post_local", "post_download", "predictors")}
    got = summarise([blank, record(2, (5, 5))])
    assert (got["accuracy_mean"], got["rounds_done"]) == (50, 2)
    assert summarise([blank])["accuracy_mean"] is None


def test_the_accuracy_of_participants_alone():
    """Client 0 gets 4 of 10 right in even rounds, client 1 6 of 20 in odd ones; both take part in the last: 5 and 12.

    The last five of six rounds: 30, 40, 30, 40 and the mean of 50 and 60. A round without participants has no say.
    """
    takes = [{"participants": [t % 2]} for t in range(5)] + [{"participants": [0, 1]}]
    rounds = [record(t, (4, 6), (10, 20), **who) for t, who in enumerate(takes[:-1])]
    rounds.append(record(5, (5, 12), (10, 20), **takes[-1]))
    assert participants_accuracy(rounds) == pytest.approx((30 + 40 + 30 + 40 + 55) / 5)
    assert participants_accuracy([*rounds[1:], record(6, (9, 9), participants=[])]) == pytest.approx(
        (40 + 30 + 40 + 55) / 4
    )
    blank = {k: v for k, v in record(1, (0, 0), participants=[0]).items() if k != "post_local"}
    assert participants_accuracy([blank]) is None
    assert participants_accuracy([record(1, (9, 9), participants=[])]) is None


def test_predictors_beside_the_headline():
    other = {"prototype": {"post_local": {"correct": [1, 2], "total": [10, 10]}}}
    assert summarise([record(1, (5, 5), predictors=other)])["accuracy_mean_by_predictor"] == {
        "prototype": pytest.approx(15)
    }


def test_a_folder_is_written_and_read(tmp_path, store):
    folder = store(tmp_path, "fedmoe", [(4, 6), (5, 5)])
    assert folder.final
    assert [r["round"] for r in folder.rounds()] == [1, 2]
    assert sorted(p.name for p in folder.path.iterdir()) == ["rounds.jsonl", "run.json"]
    assert [f.path for f in run_folders(tmp_path)] == [folder.path]
    assert list(run_folders(tmp_path, ["other"])) == []
    run = folder.read()
    assert run["files"].keys() == {"rounds.jsonl"}
    assert run["digest"] == digest(run)


def content(folder):
    return {name: value for name, value in folder.read().items() if name not in ("schema", "digest")}


def test_to_start_anew_throws_away_what_was_there(tmp_path, store):
    folder = store(tmp_path, "fedmoe", [(4, 6)])
    for name in ("checkpoint.json", "checkpoint.server.1.tensors", "x.tmp"):
        (folder.path / name).touch()
    folder.start(content(folder) | {"status": "running"})
    assert not folder.final
    assert folder.rounds() == []
    assert sorted(p.name for p in folder.path.iterdir()) == ["rounds.jsonl", "run.json"]


def test_to_go_on_keeps_the_rounds_that_are_done(tmp_path, store):
    folder = store(tmp_path, "fedmoe", [(4, 6), (5, 5), (6, 6)])
    with (folder.path / "rounds.jsonl").open("a") as file:
        file.write('{"round": 4, "part')
    assert [r["round"] for r in folder.go_on(content(folder), 2)] == [1, 2]
    assert [r["round"] for r in folder.rounds()] == [1, 2]
    with pytest.raises(RequestError, match="has 2 rounds of 3"):
        folder.go_on(content(folder), 3)


def test_only_what_has_ended_is_tidied(tmp_path, store):
    folder = store(tmp_path, "fedmoe", [(4, 6)])
    (folder.path / "checkpoint.json").touch()
    assert not folder.tidy
    folder.write(content(folder) | {"status": "running"})
    folder.tidy_up()
    assert (folder.path / "checkpoint.json").exists()
    folder.write(content(folder) | {"status": "done"})
    folder.tidy_up()
    assert folder.tidy


def test_a_number_that_json_has_not_is_not_written(tmp_path, store):
    folder = store(tmp_path, "fedmoe", [(4, 6)])
    before = folder.read()
    with pytest.raises(ValueError, match="finite number"):
        folder.write(content(folder) | {"summary": folder.read()["summary"] | {"eval_seconds": float("nan")}})
    assert folder.read() == before


@pytest.mark.parametrize(
    "text, message",
    [
        ("{", "damaged"),
        ("[]", "damaged"),
        ("{}", "damaged"),
        (json.dumps({"schema": 99}), "has schema 99, this version reads 2 and 3"),
        (json.dumps({"schema": 2}), "status: Field required"),
        (json.dumps({"schema": 3}), "status: Field required"),
    ],
)
def test_a_file_that_is_no_run_is_refused(tmp_path, text, message):
    folder = RunFolder(tmp_path)
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(RequestError, match=message):
        folder.read()


@pytest.mark.parametrize("depth", range(5))
def test_a_folder_that_can_t_be_read_is_not_taken_for_absent(tmp_path, store, monkeypatch, depth):
    """The folder of all, of an experiment, a data set, a method, a run: tests may run as root, who can read all."""
    run = store(tmp_path, "a", [(4, 6)]).path
    closed = tmp_path.joinpath(*run.relative_to(tmp_path).parts[:depth])
    original = Path.iterdir

    def iterdir(path):
        if path == closed:
            raise PermissionError(13, "Permission denied", str(path))
        return original(path)

    monkeypatch.setattr(Path, "iterdir", iterdir)
    for begun in (True, False):
        with pytest.raises(RequestError, match=r"can't be read \(Permission denied\)"):
            [*run_folders(tmp_path, begun=begun)]
