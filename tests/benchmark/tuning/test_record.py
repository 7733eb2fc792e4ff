"""tuning.json and what is read by way of it."""

import json

import pytest

from benchmark.errors import RequestError
from benchmark.storage.verify import verify
from benchmark.tuning.record import read_tunings, store_tunings


@pytest.fixture
def tuned(tmp_path, store):
    """A function that stores a trial's run, and the record of trials of `fml` under seeds 7 and 8."""

    def run(label, seed, *on_validation, status="done", experiment="exp-trials"):
        return store(
            tmp_path,
            label,
            [(10 - right, 10 - right) for right in on_validation],  # test accuracies that would choose otherwise
            on_validation=[(right, right) for right in on_validation],
            seed=seed,
            status=status,
            reason=None if status == "done" else "a loss is not finite",
            experiment=experiment,
            validation=0.2,
        )

    def record(*labels, method="fml", seeds=(7, 8)):
        runs = {
            (path.parts[-3], json.loads(path.read_text())["specification"]["seed"]): path
            for path in tmp_path.glob("*/*/*/*/run.json")
        }
        setting = json.loads(next(iter(runs.values())).read_text())["specification"]
        del setting["method"], setting["seed"]
        trials = [
            {"label": label, "keys": [runs.get((label, s), tmp_path / "none" / "x").parent.name for s in seeds]}
            for label in labels
        ]
        return {"method": method, "setting": setting, "seeds": [*seeds], "trials": trials}

    run.record = record
    return run


def test_trials_are_read_in_order_and_chosen_by_validation(tuned, tmp_path):
    """Six rounds, so the mean is of the last five: (4 + 5 + 6 + 7 + 8) / 5 = 6, and 2 under the other seed."""
    tuned("fml", 7, 0, 4, 5, 6, 7, 8)
    tuned("fml", 8, 9, 2, 2, 2, 2, 2)
    tuned("fml+lr=1", 7, 0, 5, 5, 5, 5, 5)
    tuned("fml+lr=1", 8, 0, 4, 4, 4, 4, 4)
    store_tunings(tmp_path, "exp", [tuned.record("fml", "fml+lr=1")])
    (tuning,) = read_tunings(tmp_path, "exp")
    assert [(t.label, t.status) for t in tuning.trials] == [("fml", "done"), ("fml+lr=1", "done")]
    assert [t.validation for t in tuning.trials] == pytest.approx([40, 45])
    assert [t.test for t in tuning.trials] == pytest.approx([60, 55])
    assert [t.flops for t in tuning.trials] == [24e12, 24e12]  # of both seeds
    assert (tuning.chosen.label, tuning.missing) == ("fml+lr=1", 0)
    assert verify(tmp_path) == ([], 4)  # tuning.json is no run, and does not disturb


def test_trials_that_diverged_lose_and_those_that_have_not_ended_are_missing(tuned, tmp_path):
    tuned("fml", 7, 5)
    tuned("fml", 8, 5)
    tuned("fml+lr=1", 7, 9)
    tuned("fml+lr=1", 8, 9, status="diverged")
    tuned("fml+lr=2", 7, 9)
    store_tunings(tmp_path, "exp", [tuned.record("fml", "fml+lr=1", "fml+lr=2")])
    (tuning,) = read_tunings(tmp_path, "exp")
    assert [t.status for t in tuning.trials] == ["done", "diverged", "missing"]
    assert (tuning.chosen.label, tuning.missing) == ("fml", 1)


def test_a_tuning_takes_the_place_of_an_earlier_one_of_the_same_method(tuned, tmp_path):
    tuned("fml", 7, 5)
    tuned("fml", 8, 5)
    record = tuned.record("fml")
    other = {**record, "method": "fedmoe"}
    again = {**record, "setting": json.loads(json.dumps(record["setting"]).replace("0.2", "0.3"))}
    store_tunings(tmp_path, "exp", [record, other])
    store_tunings(tmp_path, "exp", [again])
    found = json.loads((tmp_path / "exp-trials" / "tuning.json").read_text())
    assert found == {"schema": 1, "tunings": [other, again]}


def trial_in(label):
    record = {"method": "a", "setting": {}, "seeds": [1], "trials": [{"label": label, "keys": ["x"]}]}
    return json.dumps({"schema": 1, "tunings": [record]})


@pytest.mark.parametrize(
    "text",
    [
        "{",
        '{"schema": 2, "tunings": []}',
        '{"schema": 1, "tunings": [{"method": "fml"}]}',
        trial_in(".."),
        trial_in("a/../.."),
        '{"schema": 1, "tunings": [{"method": "a", "setting": {}, "seeds": [1], "trials": []}]}',
    ],
)
def test_a_damaged_file_is_refused_in_one_line(tmp_path, text):
    (tmp_path / "exp-trials").mkdir()
    (tmp_path / "exp-trials" / "tuning.json").write_text(text)
    with pytest.raises(RequestError, match=r"tuning\.json is damaged, or of a later version") as caught:
        read_tunings(tmp_path, "exp")
    assert "\n" not in str(caught.value)


def test_a_data_set_in_a_foreign_file_is_no_way_out_of_the_folder(tmp_path):
    (tmp_path / "exp-trials").mkdir()
    record = {"method": "a", "setting": {"dataset": "../x"}, "seeds": [1], "trials": [{"label": "a", "keys": ["k"]}]}
    (tmp_path / "exp-trials" / "tuning.json").write_text(json.dumps({"schema": 1, "tunings": [record]}))
    with pytest.raises(RequestError, match="can't name a folder"):
        read_tunings(tmp_path, "exp")


def test_without_a_file_there_are_no_tunings(tmp_path):
    assert read_tunings(tmp_path, "exp") == []
