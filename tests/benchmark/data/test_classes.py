"""The classes of a data set: those that have samples, by name, in natural order."""

import logging

import numpy as np
import pytest

from benchmark.data.arrays import Arrays, checked, natural_order
from benchmark.data.npz import read_npz, write_npz
from benchmark.data.sources import Source, load_dataset, own_dataset
from benchmark.errors import RequestError, tell, telling

X = np.arange(6 * 16, dtype=np.uint8).reshape(6, 4, 4)


def data(y_train, y_test=(), classes=None, **others):
    y_train, y_test = np.array(y_train), np.array(y_test, dtype=np.array(y_train).dtype)
    names = None if classes is None else np.array(classes)
    return checked("set", X[: len(y_train)], y_train, X[: len(y_test)], y_test, names, **others)


@pytest.fixture
def told():
    lines = []
    with telling(lines.append):
        yield lines


@pytest.mark.parametrize(
    "labels, kept, left_out, expected",
    [
        ([0, 1, 0, 1], ("a", "b"), ("c",), [0, 1, 0, 1]),  # the last one
        ([0, 2, 0, 2], ("a", "c"), ("b",), [0, 1, 0, 1]),  # one in the middle
        ([1, 2, 2, 1], ("b", "c"), ("a",), [0, 1, 1, 0]),  # the first one
        ([0, 1, 2, 0], ("a", "b", "c"), (), [0, 1, 2, 0]),  # none
    ],
)
def test_classes_without_samples_are_left_out_and_told_of(labels, kept, left_out, expected, told):
    found = data(labels, classes=["a", "b", "c"])
    assert (found.classes, found.left_out, found.y_train.tolist()) == (kept, left_out, expected)
    assert told == ([f"set: left out: 1 class without samples ({left_out[0]}); 2 classes remain"] if left_out else [])


def test_many_classes_without_samples_are_one_short_line(told):
    data([0, 999], classes=[f"class {i}" for i in range(1000)])
    (line,) = told
    assert "left out: 998 classes without samples (class 1, class 2, class 3, class 4, class 5, ...)" in line


def test_a_class_that_only_the_test_part_has_is_a_class():
    found = data([0, 1, 0, 1], [3, 3], classes=list("abcd"))
    assert (found.classes, found.y_test.tolist()) == (("a", "b", "d"), [2, 2])


def test_one_class_with_samples_is_not_enough_however_many_have_names():
    with pytest.raises(RequestError, match="there is only one class"):
        data([1, 1, 1], classes=["a", "b", "c"])


def test_names_are_in_the_hash_only_where_a_class_has_no_samples():
    plain = data([0, 1, 0, 1])
    assert plain.hash == data([0, 1, 0, 1], classes=["cat", "dog"]).hash
    others = [data([0, 1, 0, 1], classes=names) for names in (["a", "b", "c"], ["a", "b", "c", "d"], ["a", "z", "c"])]
    assert len({plain.hash, *(other.hash for other in others)}) == 4


def test_the_hash_is_the_same_after_it_was_stored(tmp_path):
    found = data([0, 2, 0, 2], [1, 1], classes=["a", "b", "c", "d", "e"])
    write_npz(tmp_path / "set.npz", found)
    again = read_npz(tmp_path / "set.npz")
    assert (again.hash, again.classes, again.left_out) == (found.hash, ("a", "b", "c"), ("d", "e"))
    sparse = data([0, 3, 0, 3], classes=["a", "b", "c", "d"])
    write_npz(tmp_path / "set.npz", sparse)
    assert read_npz(tmp_path / "set.npz").hash == sparse.hash


def unused(downloads):
    y = np.array([0, 2, 0, 2])
    return Arrays(X[:4, ..., None], y, X[:4, ..., None], y, ("a", "b", "c"))


def test_sources_of_all_kinds_are_held_to_it(tmp_path):
    named = load_dataset("set", Source(unused), tmp_path)
    own, _ = own_dataset("set", Source(unused))
    assert named.classes == own.classes == load_dataset("set", Source(unused), tmp_path).classes == ("a", "c")
    assert named.hash == own.hash


@pytest.mark.parametrize(
    "names, ordered",
    [
        (["class10", "class2", "class1"], ["class1", "class2", "class10"]),
        (["10", "9", "2"], ["2", "9", "10"]),
        (["b", "a10", "a9", "B"], ["B", "a9", "a10", "b"]),
        (["x2y10", "x2y9", "x10y1"], ["x2y9", "x2y10", "x10y1"]),
        (["01", "1", "002"], ["01", "1", "002"]),
        (["a", "1", "", "é"], ["", "1", "a", "é"]),
        (["9" * 5000, "1" * 5001], ["9" * 5000, "1" * 5001]),
        (["٣", "٢"], ["٢", "٣"]),
    ],
)
def test_natural_order(names, ordered):
    assert sorted(names, key=natural_order) == ordered


def test_labels_that_are_texts_name_themselves():
    found = data(["class10", "class2", "class2"], ["class10"])
    assert (found.classes, found.y_train.tolist(), found.y_test.tolist()) == (("class2", "class10"), [1, 0, 0], [1])
    assert data(["b", "a"], classes=["b", "unused", "a"]).classes == ("b", "a")
    assert data([b"b", b"\xff"]).classes == ("\\xff", "b")


@pytest.mark.parametrize(
    "given, message",
    [
        ({"y_train": [0, 1], "classes": ["a", "b", "a"]}, "classes has 'a' twice"),
        ({"y_train": ["a", "b"], "classes": ["a", "c"]}, "y has 'b', which is not among the 2 names in classes"),
        ({"y_train": ["a", "a"]}, "there is only one class"),
        ({"y_train": [1, 2, 3]}, "labels run from 1 to 3, with 3 classes"),
        ({"y_train": [0.0, 1.0]}, "y_train is float64 [2], not integers [n]"),
        ({"y_train": [[0, 1], [1, 0]]}, "y_train is int64 [2, 2], not integers [n]"),
    ],
)
def test_labels_that_are_no_classes_are_named(given, message):
    with pytest.raises(RequestError) as error:
        data(**given)
    assert message in str(error.value)


def test_text_and_number_labels_do_not_mix():
    with pytest.raises(RequestError, match="of y_train and y_test one has texts and one numbers"):
        checked("set", X[:2], np.array(["a", "b"]), X[:2], np.array([0, 1]))


def test_owners_that_are_texts_are_numbered_in_natural_order():
    who = np.array(["p10", "p2", "p10", "p1"])
    found = data([0, 1, 0, 1], [0, 1], owners_train=who, owners_test=np.array(["p2", "p3"]))
    assert (found.owners_train.tolist(), found.owners_test.tolist()) == ([3, 1, 3, 0], [1, 2])


@pytest.mark.parametrize("channels, told_of", [(1, True), (3, True), (4, True), (2, False), (16, False)])
def test_channels_first_are_put_last_where_no_other_axis_could_be_theirs(channels, told_of, told):
    x = np.random.default_rng(0).integers(0, 256, (4, channels, 16, 16), dtype=np.uint8)
    found = checked("set", x, np.array([0, 1, 0, 1]), x[:0], np.zeros(0, int))
    assert bool(told) == told_of
    if told_of:
        assert found.x_train.shape == (4, 16, 16, channels)
        assert np.array_equal(found.x_train[2, 3, 5], x[2, :, 3, 5])
    else:
        assert np.array_equal(found.x_train, x)


@pytest.mark.parametrize("target", [float("nan"), float("inf"), -5, 0, 1e9, "80", True, [80]])
def test_the_target_of_a_source_is_a_percentage(target):
    with pytest.raises(RequestError, match="it is above 0 and at most 100 percent"):
        own_dataset("mine", Source(unused, target=target))


def test_a_source_that_ends_the_program_is_an_error_of_one_line():
    def load(downloads):
        raise SystemExit(0)

    with pytest.raises(RequestError, match="the SOURCE of mine fails: SystemExit: 0"):
        own_dataset("mine", Source(load))


def test_remarks_are_heard_by_who_listens_and_only_then(caplog, capsys):
    caplog.set_level(logging.WARNING)
    tell("nobody hears this")
    heard = []
    with telling(heard.append):
        tell("two\nlines, and 100 %")
        tell("\x1b[31mred\x07 \udce9")
    tell("nobody hears this either")
    assert heard == ["two lines, and 100 %", "?[31mred? ?"]
    assert "nobody" not in capsys.readouterr().err
