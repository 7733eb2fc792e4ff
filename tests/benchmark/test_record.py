import json

import pytest

from benchmark.errors import RequestError
from benchmark.record import RunFolder, accuracies, headline_rounds, run_folders, summarise


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


COMPLETE = dict.fromkeys(["reason", "key", "specification", "dataset", "summary"])


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


def test_the_headline_is_the_last_twentieth_of_the_evaluated_rounds():
    rounds = [record(t, (t % 10, 0)) for t in range(1, 41)]
    chosen, rule = headline_rounds(rounds)
    assert (chosen, rule) == ([38, 39], "mean of the last 2 evaluated rounds")
    assert summarise(rounds)["accuracy_mean"] == pytest.approx((90 + 0) / 4)


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


def test_predictors_beside_the_headline():
    other = {"prototype": {"post_local": {"correct": [1, 2], "total": [10, 10]}}}
    assert summarise([record(1, (5, 5), predictors=other)])["accuracy_mean_by_predictor"] == {
        "prototype": pytest.approx(15)
    }


def test_a_folder_is_written_and_read(tmp_path):
    folder = RunFolder.of(tmp_path, "exp", "digits", "fedmoe", "abc")
    assert not folder.done
    folder.start(COMPLETE | {"status": "running"})
    folder.append({"round": 1})
    folder.append({"round": 2})
    assert not folder.done
    folder.write(COMPLETE | {"status": "done"})
    assert folder.done
    assert folder.rounds() == [{"round": 1}, {"round": 2}]
    assert sorted(p.name for p in folder.path.iterdir()) == ["rounds.jsonl", "run.json"]
    assert [f.path for f in run_folders(tmp_path)] == [folder.path]
    assert list(run_folders(tmp_path, ["other"])) == []


def test_a_number_that_json_has_not_is_not_written(tmp_path):
    folder = RunFolder.of(tmp_path, "exp", "digits", "fedmoe", "abc")
    folder.start(COMPLETE | {"status": "running"})
    with pytest.raises(ValueError, match="not JSON compliant"):
        folder.write({"status": "done", "loss": float("nan")})
    assert folder.read()["status"] == "running"


@pytest.mark.parametrize(
    "content, message",
    [
        ("{", "damaged"),
        ("[]", "damaged"),
        ("{}", "damaged"),
        (json.dumps({"schema": 99}), "has schema 99, this version reads 1"),
        (json.dumps({"schema": 1}), "has no status"),
    ],
)
def test_a_file_that_is_no_run_is_refused(tmp_path, content, message):
    folder = RunFolder(tmp_path)
    (tmp_path / "run.json").write_text(content)
    with pytest.raises(RequestError, match=message):
        folder.read()
