"""Conditions of runs: what counts as other, and how it is said."""

import pytest

from benchmark.errors import telling
from benchmark.storage.conditions import changed, standstill, unlike
from benchmark.storage.verify import verify

HERE = {
    "python": "3.11.1",
    "packages": {"torch": "2.9.0"},
    "cpu": "a CPU",
    "threads": 1,
    "device": "cpu",
    "device_name": None,
    "engine": "eager",
    "code": {"harness": "aaaa", "method": "bbbb"},
}
GPU = {"device": "cuda", "device_name": "a GPU"}


@pytest.mark.parametrize(
    ("before", "after", "names"),
    [
        ({}, {}, []),
        ({}, {"code": {"harness": "cccc", "method": "bbbb"}}, ["code"]),
        ({}, {"code": {"harness": "aaaa", "method": "cccc"}}, ["method's code"]),
        ({}, {"packages": {"torch": "2.9.1"}}, ["packages"]),
        ({}, {"python": "3.12.0"}, ["packages"]),
        ({}, {"threads": 2}, ["threads"]),
        ({}, {"engine": "stacked", "threads": 3}, ["threads", "engine"]),
        ({}, {"cpu": "another CPU"}, ["device"]),
        (GPU, GPU | {"device": "cuda:1"}, []),  # one of several alike
        (GPU, GPU | {"cpu": "another CPU"}, []),
        (GPU, GPU | {"device_name": "another GPU"}, ["device"]),
        ({"code": None}, {}, []),  # not on record
        ({"engine": None}, {}, []),
    ],
)
def test_what_is_another_condition(before, after, names):
    assert changed(HERE | before, HERE | after) == names
    assert changed(HERE | after, HERE | before) == names


def test_runs_that_were_not_made_alike():
    runs = [("a", HERE), ("a", HERE | {"threads": 2}), ("b", HERE | {"code": {"harness": "aaaa", "method": "dddd"}})]
    assert unlike(runs) == ["threads 1 (2), 2 (1)"]  # methods differ in their code by nature
    assert unlike([*runs, ("b", HERE)]) == ["threads 1 (3), 2 (1)", "b: method's code bbbb (1), dddd (1)"]
    assert unlike([]) == []


def test_verify_tells_of_a_grid_that_other_code_completed(tmp_path, store):
    for seed, code in enumerate("aab"):
        folder = store(tmp_path, "fedmoe", [(5, 5 + seed)], seed=seed)
        run = {k: v for k, v in folder.read().items() if k not in ("schema", "digest")}
        folder.write(run | {"environment": run["environment"] | {"code": {"harness": code, "method": "m"}}})
    said = []
    with telling(said.append):
        assert verify(tmp_path) == ([], 3)
    (line,) = said
    assert line.endswith("3 runs were not all made alike: code a (2), b (1)")


def test_a_standstill_is_told_of_few_long_rounds_and_not_of_a_slow_start():
    """Nineteen rounds of 16 s and one of 6,400: 6,704 s, where twenty of 16 take 320."""
    (words,) = standstill([16.0] * 19 + [6400.0])
    assert words.startswith("its rounds took 21 times as long as if each had taken the median: the machine stood still")
    assert standstill([16.0] * 19 + [60.0]) == []  # 364 of 320
    assert standstill([5.0, 0.1, 0.1, 0.1]) == []  # the first round of a process
    assert standstill([0.0, 0.0, 0.0, 100.0]) == standstill([]) == []
