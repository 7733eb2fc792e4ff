"""Files of HtFLlib's and PFLlib's clients, LEAF's files, and the way there and back."""

import json
import os
import pickle
import zipfile

import numpy as np
import pytest

from benchmark.cli.commands import main
from benchmark.data.arrays import checked
from benchmark.data.client_folders import write_client_folders
from benchmark.data.folders import read_folder
from benchmark.data.leaf import leaf_files
from benchmark.data.npz import write_npz
from benchmark.data.unpickling import Forbidden, read_plain
from benchmark.errors import RequestError, telling
from benchmark.plugins import registry

RNG = np.random.default_rng(0)
BYTES = RNG.integers(0, 256, (40, 1, 12, 12), dtype=np.uint8)
LABELS = np.arange(40) % 4
SHARES = {0: range(0, 20), 2: range(20, 30), 10: range(30, 40)}
"""Clients 0, 2 and 10, each with its last two samples for testing."""


def htfl(folder, cast=lambda x: x.astype(np.float32) / 127.5 - 1, **others):
    """Write the layout as HtFLlib's own scripts do: np.savez_compressed(file, data=dict)."""
    for client, share in SHARES.items():
        for part, own in (("train", list(share)[:-2]), ("test", list(share)[-2:])):
            (folder / part).mkdir(parents=True, exist_ok=True)
            data = {"x": cast(BYTES[own]), "y": LABELS[own]}
            with (folder / part / f"{client}.npz").open("wb") as file:
                np.savez_compressed(file, data=data | others)
    return folder


@pytest.mark.parametrize(
    "cast, words",
    [
        (lambda x: x.astype(np.float32) / 127.5 - 1, "pixels between -1 and 1: scaled to 8 bits"),
        (lambda x: x.astype(np.float64) / 255, "pixels between 0 and 1: scaled to 8 bits"),
        (lambda x: x.astype(np.float32), "pixels between 0 and 255: rounded to 8 bits"),
        (lambda x: x.astype(np.int64), "pixels up to 255: taken as 8 bits"),
        (lambda x: (x / 255).tolist(), "pixels between 0 and 1"),
        (lambda x: x, None),
        (lambda x: np.asfortranarray(x), None),
        (lambda x: x[:, 0], None),  # grey, [n, h, w]
        (lambda x: x.transpose(0, 2, 3, 1), None),  # channels last
        (lambda x: x.astype(">f4") / 255, "pixels between 0 and 1"),
    ],
)
def test_clients_are_owners_whatever_their_pixels_are(tmp_path, cast, words):
    told = []
    with telling(told.append):
        found = read_folder(htfl(tmp_path, cast))
    assert np.array_equal(found.x_test[:, :, :, 0], BYTES[[18, 19, 28, 29, 38, 39], 0])
    assert found.y_test.tolist() == LABELS[[18, 19, 28, 29, 38, 39]].tolist()
    assert found.owners_test.tolist() == [0, 0, 2, 2, 10, 10]
    assert np.bincount(found.owners_train).tolist() == [18, 0, 8, 0, 0, 0, 0, 0, 0, 0, 8]
    assert [words in line for line in told] == ([True] if words else [])


def test_the_scale_is_that_of_all_clients(tmp_path):
    """Client 2 has bright pictures only: by itself it would lie between 0 and 1."""

    def cast(x):
        return (np.maximum(x, 128) if len(x) in (8, 2) else x).astype(np.float32) / 127.5 - 1

    found = read_folder(htfl(tmp_path, cast))
    assert np.array_equal(found.x_train[found.owners_train == 2][..., 0], np.maximum(BYTES[20:28, 0], 128))


def test_numbers_and_names_of_classes_come_from_the_configuration(tmp_path):
    htfl(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"num_classes": 6, "num_clients": 3}))
    found = read_folder(tmp_path)
    assert (found.classes, found.left_out) == (("0", "1", "2", "3"), ("4", "5"))
    (tmp_path / "config.json").write_text(json.dumps({"classes": ["a", "b", "c", "d"]}))
    assert read_folder(tmp_path).classes == ("a", "b", "c", "d")
    for damaged in ("", "[", "[" * 100_000, "3", '{"num_classes": 1e999}', '{"num_classes": 99999999999}'):
        (tmp_path / "config.json").write_text(damaged)
        assert read_folder(tmp_path).classes == ("0", "1", "2", "3")


def test_val_joins_train_and_other_names_are_no_clients(tmp_path):
    htfl(tmp_path)
    (tmp_path / "val").mkdir()
    (tmp_path / "train" / "2.npz").rename(tmp_path / "val" / "2.npz")
    (tmp_path / "train" / "notes.npz").write_bytes(b"x")
    found = read_folder(tmp_path)
    assert np.bincount(found.owners_train)[[0, 2, 10]].tolist() == [18, 8, 8]


class Boom:
    def __reduce__(self):
        return os.system, ("touch boom",)


def raw(folder, data, header="|O", shape="()"):
    """A client's file whose member `data` has these bytes behind its header."""
    htfl(folder)
    text = f"{{'descr': '{header}', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    with zipfile.ZipFile(folder / "train" / "0.npz", "w") as archive:
        archive.writestr("data.npy", b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode() + data)
    return folder


@pytest.mark.parametrize(
    "others, words",
    [
        ({"more": Boom()}, "posix.system"),
        ({"more": {1, 2}}, "a value of type set"),
        ({"more": np.array([Boom()], dtype=object)}, "posix.system"),
        ({"more": complex(1, 2)}, "builtins.complex"),
        ({"more": np.datetime64("2020-01-01")}, "elements of type 'M8'"),
        ({"more": np.zeros(3, dtype=[("a", int), ("b", float)])}, "elements of type 'V16'|arrays of records"),
        ({"more": range(3)}, "builtins.range"),
        ({"more": RequestError("x")}, "benchmark.errors.RequestError"),
        ({"more": np.random.default_rng(0)}, "numpy.random._pickle"),
        ({"more": np.float32}, "numpy.float32"),
        ({"more": frozenset([1])}, "a value of type frozenset"),
        ({"more": np.ndarray}, "a value of type type"),
        ({"more": len}, "builtins.len"),
    ],
)
def test_what_is_no_array_dict_list_or_number_is_refused_by_name(tmp_path, others, words, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RequestError, match=words) as error:
        read_folder(htfl(tmp_path / "set", **others))
    assert "only numpy arrays, dicts, lists, texts and numbers are read" in str(error.value)
    assert not (tmp_path / "boom").exists()


PLAIN = [
    {"x": np.arange(6.0).reshape(2, 3), "y": [1, 2, True, None, "text", b"bytes"], "z": {"n": np.float32(2.5)}},
    [np.array(["a", "bc"]), np.array(3), np.zeros((0, 4)), np.asfortranarray(np.arange(6).reshape(2, 3))],
    {"n": np.int64(2**40), "f": 1e300, "i": 2**100, "t": [1, [2, 3]], "b": np.array([True, False])},
]


@pytest.mark.parametrize("protocol", range(3, 6))
@pytest.mark.parametrize("value", PLAIN)
def test_plain_content_comes_back_as_it_was(value, protocol):
    np.testing.assert_equal(read_plain(pickle.dumps(value, protocol=protocol)), value)


def hostile(kind):
    """Pickles that name only numpy's constructors, and lie to them."""
    array = pickle.dumps(np.arange(4, dtype=np.int64), protocol=4)
    match kind:
        case "fewer bytes than the shape":
            return array.replace(b"K\x04\x85", b"K\x7f\x85", 1)
        case "an object array made of numbers":
            return array.replace(b"\x8c\x02i8", b"\x8c\x02O8", 1)
        case "cut off":
            return array[: len(array) // 2]
        case "a persistent id":
            return b"\x80\x04\x8c\x01xQ."
        case "an extension":
            return b"\x80\x04\x82\x01."
        case "numpy's own reader":
            return b"\x80\x04\x8c\x05numpy\x8c\x04load\x93\x8c\x01x\x85R."
        case "a way through a dotted name":
            return b"\x80\x04\x8c\x05numpy\x8c\x0fndarray.__new__\x93."
        case "state for a class":
            return b"\x80\x04\x8c\x05numpy\x8c\x07ndarray\x93}\x8c\x01a K\x01sb.".replace(b"a K", b"aK")
    raise AssertionError(kind)


KINDS = [
    "fewer bytes than the shape",
    "an object array made of numbers",
    "cut off",
    "a persistent id",
    "an extension",
    "numpy's own reader",
    "a way through a dotted name",
    "state for a class",
]


@pytest.mark.parametrize("kind", KINDS)
def test_pickles_that_lie_are_refused_without_harm(tmp_path, kind):
    with pytest.raises(Exception):  # noqa: B017 - pickle, numpy and Forbidden each have their own
        read_plain(hostile(kind))
    with pytest.raises(RequestError) as error:
        read_folder(raw(tmp_path, hostile(kind)))
    assert "\n" not in str(error.value)


def test_lists_that_hold_each_other_many_times_do_not_fill_the_memory():
    value = [0] * 10
    for _ in range(60):
        value = [value, value]
    with pytest.raises(Forbidden, match="more elements than the file has bytes"):
        read_plain(pickle.dumps(value))


def test_a_list_that_holds_itself_ends():
    value = []
    value.append(value)
    with pytest.raises((Forbidden, RecursionError)):
        read_plain(pickle.dumps(value))


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"x": np.zeros((18, 561))}, "x is float64 [18, 561]"),
        ({"x": np.zeros((3, 1, 12, 12))}, "x is float64 [3, 1, 12, 12] and y int64 [18]"),
        ({"x": np.array(["a"] * 18)}, "x is <U1 [18]"),
        ({"y": np.zeros(18)}, "y float64 [18]"),
        ({"x": np.full((18, 1, 12, 12), 3.5)}, "pixels from -1 to 3.5; pixels are read within"),
        ({"x": np.full((18, 1, 12, 12), np.nan)}, "some pixels are not finite"),
        ({"x": np.zeros((18, 1, 9, 9))}, "clients have pictures of 2 shapes"),
        ({"y": np.full(18, -1)}, "labels run from -1"),
        ({"y": np.full(18, 10**12)}, "labels run up to 1000000000000, more than there are samples"),
        ({"x": [[1, 2], [3]]}, "can't be read"),
    ],
)
def test_clients_without_pictures_are_one_line(tmp_path, changes, message):
    htfl(tmp_path)
    data = {"x": BYTES[:18] / 127.5 - 1, "y": LABELS[:18]} | changes
    np.savez(tmp_path / "train" / "0.npz", data=np.array(data, dtype=object))
    with pytest.raises(RequestError) as error:
        read_folder(tmp_path)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_other_files_in_the_place_of_a_client_s_are_one_line(tmp_path):
    htfl(tmp_path)
    file = tmp_path / "train" / "0.npz"
    for content, message in ((b"", "damaged"), (b"PK\x03\x04", "damaged"), (file.read_bytes()[:-40], "damaged")):
        file.write_bytes(content)
        with pytest.raises(RequestError, match=message):
            read_folder(tmp_path)
    np.savez(file, x=BYTES[:18], y=LABELS[:18])
    with pytest.raises(RequestError, match=r"it has no .There is no item"):
        read_folder(tmp_path)
    np.savez(file, data=np.zeros(3))
    with pytest.raises(RequestError, match="can't be read"):
        read_folder(tmp_path)
    file.unlink()
    os.mkfifo(file)
    assert 0 not in read_folder(tmp_path).owners_train


def data_set(folder, n=300, channels=1):
    rng = np.random.default_rng(1)
    x, y = rng.integers(0, 256, (n, 16, 16, channels), dtype=np.uint8), rng.permutation(np.arange(n) % 6)
    names = np.array([f"class{c}" for c in range(6)])
    write_npz(folder / "toy.npz", checked("toy", x[: n - 60], y[: n - 60], x[n - 60 :], y[n - 60 :], names))
    return folder / "toy.npz"


def show(capsys, *words):
    assert main(["partition", "show", "--json", *map(str, words)]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize(
    "partition, clients, seed, channels",
    [("pathological:2", 5, 0, 1), ("dirichlet:0.3", 4, 1, 3), ("iid", 12, 2, 1), ("quantity:1+rotated", 3, 3, 1)],
)
def test_there_and_back(tmp_path, capsys, partition, clients, seed, channels):
    """Each client has the same samples to train and to test on; from then on, the same hashes too."""
    data = data_set(tmp_path, channels=channels)
    words = ["--partition", partition, "--clients", clients, "--seeds", seed]
    before = show(capsys, "--datasets", data, *words)
    assert main(["partition", "export", "--datasets", str(data), *map(str, words), "--to", str(tmp_path / "a")]) == 0
    assert f"{clients} clients, " in capsys.readouterr().out
    back = ["--partition", "given", "--clients", clients]
    after = show(capsys, "--datasets", tmp_path / "a", *back)
    same = ("train", "test", "classes", "contents")
    assert {key: after[key] for key in same} == {key: before[key] for key in same}
    assert (
        main(["partition", "export", "--datasets", str(tmp_path / "a"), *map(str, back), "--to", str(tmp_path / "b")])
        == 0
    )
    capsys.readouterr()
    again = show(capsys, "--datasets", tmp_path / "b", *back)
    assert again | {"dataset": ""} == after | {"dataset": ""}  # data hash and partition hash too


def test_what_is_exported_is_what_htfllib_reads(tmp_path, capsys):
    """Its read_data: np.load(file, allow_pickle=True)['data'].tolist(), then x as float32 and y as int64."""
    data = data_set(tmp_path, channels=3)
    words = ["--datasets", str(data), "--partition", "pathological:2", "--clients", "5"]
    assert main(["partition", "export", *words, "--to", str(tmp_path / "out")]) == 0
    capsys.readouterr()
    shown = show(capsys, *words)
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert (config["num_clients"], config["num_classes"], config["partition"]) == (5, 6, "pathological:2")
    for part in ("train", "test"):
        for client in range(5):
            own = np.load(tmp_path / "out" / part / f"{client}.npz", allow_pickle=True)["data"].tolist()
            assert own["x"].dtype == np.float32
            assert own["x"].shape == (len(own["y"]), 3, 16, 16)
            assert -1 <= own["x"].min() < -0.9
            assert 0.9 < own["x"].max() <= 1
            assert np.bincount(own["y"], minlength=6).tolist() == shown[part][client]
    statistic = [dict(map(tuple, own)) for own in config["Size of samples for labels in clients"]]
    held = np.add(shown["train"], shown["test"])
    assert [[own.get(c, 0) for c in range(6)] for own in statistic] == held.tolist()


def test_nothing_is_written_over(tmp_path, capsys):
    words = ["--datasets", str(data_set(tmp_path)), "--partition", "iid", "--clients", "3"]
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "notes.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    for place in ("there", "file", "file/below"):
        assert main(["partition", "export", *words, "--to", str(tmp_path / place)]) == 2
        assert capsys.readouterr().err.count("\n") == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "there", "toy.npz"]
    (tmp_path / "empty").mkdir()
    assert main(["partition", "export", *words, "--to", str(tmp_path / "empty")]) == 0
    assert len(list((tmp_path / "empty" / "train").iterdir())) == 3


def test_an_export_that_fails_leaves_nothing(tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez_compressed", full)
    x = np.zeros((4, 8, 8, 1), np.uint8)
    with pytest.raises(RequestError, match="can't be written"):
        write_client_folders(tmp_path / "new", x, np.zeros(4, int), [(np.array([0, 1]), np.array([2, 3]))], {})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "words, message",
    [
        (["--partition", "given"], "given needs to know who each sample belongs to, and toy does not say"),
        (["--partition", "iid", "--clients", "0"], "0 is not in the range"),
        (["--partition", "pathological:9"], "is more classes per client than the 6 there are"),
        (["--partition", "nothing"], "unknown partition"),
        (["--seeds", "-1"], "-1 is not in the range"),
        (["--image-size", "0"], "0 is not in the range"),
    ],
)
def test_a_wrong_division_is_one_line(tmp_path, capsys, words, message):
    assert main(["partition", "show", "--datasets", str(data_set(tmp_path)), *words]) == 2
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1


def test_the_table_of_a_division(tmp_path, capsys):
    assert (
        main(["partition", "show", "--datasets", str(data_set(tmp_path)), "--partition", "iid", "--clients", "3"]) == 0
    )
    out = capsys.readouterr().out
    assert "class5" in out
    assert out.count("80 ") >= 3  # a hundred samples each, 80 to 20
    assert "contents " in out
    assert main(["partition", "shw"]) == 2
    assert "did you mean 'show'?" in capsys.readouterr().err


def leaf(folder, users, **kwargs):
    """user -> (pixels, labels) of each part."""
    for part in ("train", "test"):
        data = {user: {"x": own[part][0], "y": own[part][1]} for user, own in users.items() if part in own}
        content = {"users": list(data), "num_samples": [len(d["y"]) for d in data.values()], "user_data": data} | kwargs
        (folder / part).mkdir(parents=True, exist_ok=True)
        (folder / part / f"all_data_0_{part}.json").write_text(json.dumps(content))
    return folder


FLAT = (BYTES[:, 0].reshape(40, 144) / 255).round(6).tolist()
WRITERS = {
    "f10_1": {"train": (FLAT[:4], [0, 10, 2, 0]), "test": (FLAT[4:6], [0, 2])},
    "f2_1": {"train": (FLAT[6:9], [2, 2, 10]), "test": (FLAT[9:10], [10])},
}


def test_leaf_s_users_are_owners(tmp_path):
    told = []
    with telling(told.append):
        found = read_folder(leaf(tmp_path, WRITERS))
    assert np.array_equal(found.images[..., 0], BYTES[[0, 1, 2, 3, 6, 7, 8, 4, 5, 9], 0])
    assert found.classes == ("0", "2", "10")
    assert found.y_train.tolist() == [0, 2, 1, 0, 1, 1, 2]
    assert found.owners.tolist() == [1, 1, 1, 1, 0, 0, 0, 1, 1, 0]  # f2_1 before f10_1
    assert told == [f"{tmp_path}: pixels between 0 and 1: scaled to 8 bits"]


@pytest.mark.parametrize("before", range(20))
def test_leaf_is_known_wherever_a_block_ends(tmp_path, monkeypatch, before):
    monkeypatch.setattr("benchmark.data.leaf.LOOKED_THROUGH", 16)
    (tmp_path / "all.json").write_text(" " * before + json.dumps({"user_data": {}}))
    (tmp_path / "other.json").write_text(" " * before + json.dumps({"user_dates": {}}))
    assert leaf_files(tmp_path) == {"train": [tmp_path / "all.json"]}


def test_leaf_in_colour_in_one_folder_and_in_several_files(tmp_path):
    colour = RNG.integers(0, 256, (4, 6 * 6 * 3)).tolist()
    for i, labels in enumerate(([0, 1], [1, 0])):
        data = {f"u{i}": {"x": colour[2 * i : 2 * i + 2], "y": labels}}
        (tmp_path / f"data_{i}.json").write_text(json.dumps({"users": [f"u{i}"], "user_data": data}))
    found = read_folder(tmp_path)
    assert found.x_train.shape == (4, 6, 6, 3)
    assert found.owners.tolist() == [0, 0, 1, 1]
    assert found.x_train[3].ravel().tolist() == colour[3]


@pytest.mark.parametrize(
    "own, message",
    [
        ((["a.jpg", "b.jpg"], [0, 1]), "x is texts or names of files, not pixels"),
        ((FLAT[:2], [0]), "a user has 2 samples and 1 labels"),
        ((FLAT[:2], ["a", "b"]), "2 labels, which are to be as many integers"),
        (([[0.5] * 145] * 2, [0, 1]), "x is [2, 145], not pictures"),
        (([[0.5] * 144, [0.5] * 3], [0, 1]), "is no file of LEAF that can be read"),
        (([[7.5e9] * 144] * 2, [0, 1]), "pixels from"),
        (([[float("nan")] * 144] * 2, [0, 1]), "some pixels are not finite"),
        (([*FLAT[:1], [0.5] * 144], [0, 0]), None),
    ],
)
def test_what_is_no_leaf_of_pictures_is_one_line(tmp_path, own, message):
    leaf(tmp_path, WRITERS | {"u": {"train": own}})
    if message is None:
        assert len(read_folder(tmp_path).labels) == 12
        return
    with pytest.raises(RequestError) as error:
        read_folder(tmp_path)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "text",
    ['{"user_data": ', '{"user_data": []}', '{"user_data": {"u": 3}}', '["user_data"]', '{"user_data":' + "[" * 10**5],
)
def test_damaged_leaf_is_one_line(tmp_path, text):
    leaf(tmp_path, WRITERS)
    (tmp_path / "train" / "more.json").write_text(text)
    with pytest.raises(RequestError, match=r"more.json is no file of LEAF that can be read"):
        read_folder(tmp_path)


def test_natural_and_given_clients_of_both(tmp_path):
    for i, folder in enumerate((htfl(tmp_path / "htfl"), leaf(tmp_path / "leaf", WRITERS))):
        _, arrays, _ = registry.dataset(str(folder), tmp_path)
        owners = np.unique(arrays.owners)
        given = registry.partition("given", len(arrays.classes)).partitioner(
            arrays.labels, len(owners), np.random.default_rng(0), owners=arrays.owners, held_out=arrays.held_out
        )
        for (train, test), owner in zip(given, owners, strict=True):
            assert np.array_equal(train, np.flatnonzero((arrays.owners == owner) & ~arrays.held_out))
            assert set(arrays.owners[test]) == {owner}
            assert arrays.held_out[test].all()
        assert len(owners) == (3, 2)[i]
