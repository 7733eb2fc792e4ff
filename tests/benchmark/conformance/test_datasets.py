"""Each check of a data set catches what it is for."""

import numpy as np
import pytest

from benchmark.conformance.datasets import CHECKS, Named
from benchmark.conformance.suite import run_checks
from benchmark.data import Arrays


def arrays(samples=60, side=16, classes=3, **others):
    """Every fifth sample is a test image; labels run through the classes."""
    x = np.random.default_rng(0).integers(0, 256, (samples, side, side, 1), dtype=np.uint8)
    y, test = np.arange(samples) % classes, np.arange(samples) % 5 == 0
    names = tuple(map(str, range(classes)))
    found = {"x_train": x[~test], "y_train": y[~test], "x_test": x[test], "y_test": y[test], "classes": names}
    return Arrays(**(found | others))


def named(folder, found):
    data = Named("mine", folder)
    vars(data)["arrays"] = found  # as if they had been read
    return data


BROKEN = {
    "floats": ("layout", "x_test is float64 [12, 16, 16, 1]", {"x_test": np.zeros((12, 16, 16, 1))}),
    "no channels": ("layout", "x_test is uint8 [12, 16, 16], not", {"x_test": np.zeros((12, 16, 16), np.uint8)}),
    "small integers": ("layout", "y_test is int32 [12]", {"y_test": np.zeros(12, np.int32)}),
    "too few labels": ("layout", "y_test is int64 [11] for 12 images", {"y_test": np.zeros(11, np.int64)}),
    "a label too many": ("layout", "y_test runs from 3 to 3, and there are 3", {"y_test": np.full(12, 3)}),
    "two sizes": (
        "layout",
        "x_train is [48, 16, 16, 1] and x_test [12, 8, 8, 1]",
        {"x_test": np.zeros((12, 8, 8, 1), np.uint8)},
    ),
    "no test images": (
        "splits",
        "x_test is empty",
        {"x_test": np.zeros((0, 16, 16, 1), np.uint8), "y_test": np.zeros(0, np.int64)},
    ),
    "one class": ("classes", "are of 1 class;", {"classes": 1}),
    "a handful": ("partitions", "as iid with 2 clients: iid with 2 clients on mine", {"samples": 4, "classes": 2}),
    "small images": ("trains", "4 pixels a side, and no line-up takes fewer than 8", {"side": 4}),
}


@pytest.mark.parametrize("check, words, others", BROKEN.values(), ids=BROKEN)
def test_a_broken_data_set_fails_the_check_for_it(check, words, others, tmp_path):
    results = run_checks(CHECKS, named(tmp_path, arrays(**others)))
    broken = {r.check.name: r.problem for r in results if r.verdict == "broken"}
    assert list(broken) == [check]
    assert words in broken[check]


def test_a_class_with_a_single_sample_is_no_fault_of_the_data(tmp_path):
    """Among three classes and two clients with two each, one class has two owners, whichever that is."""
    rare = arrays()
    rare.y_train[rare.y_train == 2] = 0
    rare.y_test[rare.y_test == 2] = 1
    rare.y_train[0] = 2
    assert not [r for r in run_checks(CHECKS, named(tmp_path, rare)) if r.verdict == "broken"]


def test_every_check_has_a_data_set_that_fails_it():
    assert {check for check, *_ in BROKEN.values()} == {check.name for check in CHECKS}


@pytest.mark.parametrize("classes, side", [(2, 16), (3, 8), (30, 16)])
def test_a_sound_data_set_passes(classes, side, tmp_path):
    results = run_checks(CHECKS, named(tmp_path, arrays(samples=90, classes=classes, side=side)))
    assert [(r.check.name, r.problem) for r in results if r.verdict != "holds"] == []
