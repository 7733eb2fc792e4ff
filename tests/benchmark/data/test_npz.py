"""Files with arrays: those of others, and damaged ones."""

import os
import shutil
import struct
import zipfile

import numpy as np
import pytest

from benchmark.data import files, npz
from benchmark.data.npz import read_npz
from benchmark.errors import RequestError, telling

RNG = np.random.default_rng(0)
X, Y = RNG.integers(0, 256, (30, 28, 28), dtype=np.uint8), np.arange(30) % 3


def medmnist(folder, **changes):
    """Train 0 ... 17, validation 18 ... 23, test 24 ... 29."""
    content = {}
    for part, (a, b) in {"train": (0, 18), "val": (18, 24), "test": (24, 30)}.items():
        content |= {f"{part}_images": X[a:b], f"{part}_labels": Y[a:b, None]}
    np.savez(folder / "m.npz", **{k: v for k, v in (content | changes).items() if v is not None})
    return folder / "m.npz"


def test_medmnist_is_read_and_its_validation_part_is_training_data(tmp_path):
    told = []
    with telling(told.append):
        found = read_npz(medmnist(tmp_path))
    assert np.array_equal(found.images[..., 0], X)
    assert np.array_equal(found.labels, Y)
    assert (len(found.y_train), len(found.y_test)) == (24, 6)
    assert told == [f"{tmp_path}/m.npz: the 6 validation samples are used with the training samples"]


def test_medmnist_without_a_validation_part(tmp_path):
    found = read_npz(medmnist(tmp_path, val_images=None, val_labels=None))
    assert (len(found.y_train), len(found.y_test)) == (18, 6)


def test_medmnist_in_colour(tmp_path):
    colour = {f"{part}_images": np.stack([X[a:b]] * 3, -1) for part, a, b in (("train", 0, 18), ("test", 24, 30))}
    found = read_npz(medmnist(tmp_path, val_images=None, val_labels=None, **colour))
    assert found.x_train.shape == (18, 28, 28, 3)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"train_labels": np.zeros((18, 14), int), "val_labels": np.zeros((6, 14), int)}, "y_train is int64 [24, 14]"),
        ({"val_images": X[:6, :8]}, "its training and validation part do not fit together"),
        ({"val_labels": Y[:6]}, "its training and validation part do not fit together"),
        ({"test_images": None}, "has no x_train, y_train, x_test, y_test, it has train_images"),
        ({"train_images": X[:18].astype(float), "val_images": X[:6].astype(float)}, "x_train is float64"),
    ],
)
def test_medmnist_s_other_tasks_are_refused_by_name(tmp_path, changes, message):
    with pytest.raises(RequestError) as error:
        read_npz(medmnist(tmp_path, **changes))
    assert message in str(error.value)


def good(folder):
    np.savez_compressed(folder / "g.npz", x_train=X, y_train=Y, x_test=X[:3], y_test=Y[:3])
    return folder / "g.npz"


def damaged(path, kind):
    """Damage the first member of a good file in one way."""
    data = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        first = archive.infolist()[0]
    local, listed = first.header_offset, data.index(b"PK\x01\x02")
    start = local + 30 + len(first.filename)
    match kind:
        case "deflate stream":
            data[start + 200 : start + 260] = b"\x55" * 60
        case "cut off":
            del data[len(data) // 2 :]
        case "cut at the end":
            del data[-10:]
        case "encrypted":
            data[local + 6] |= 1
            data[listed + 8] |= 1
        case "unknown compression":
            for at in (local + 8, listed + 10):
                data[at : at + 2] = struct.pack("<H", 99)
        case "wrong checksum":
            data[listed + 16] ^= 255
        case "a directory that lies":
            data[listed + 42 : listed + 46] = struct.pack("<I", 2**31)
        case "empty":
            data.clear()
    path.write_bytes(data)


KINDS = ["deflate stream", "cut off", "cut at the end", "wrong checksum", "a directory that lies", "empty"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_file_is_one_line(tmp_path, kind):
    path = good(tmp_path)
    damaged(path, kind)
    with pytest.raises(RequestError, match="can't be read: it is damaged or no"):
        read_npz(path)


@pytest.mark.parametrize(
    "kind, reason", [("encrypted", "it is encrypted"), ("unknown compression", "its kind of compression is unknown")]
)
def test_a_zip_of_another_kind_is_named(tmp_path, kind, reason):
    path = good(tmp_path)
    damaged(path, kind)
    with pytest.raises(RequestError, match=reason):
        read_npz(path)


@pytest.mark.parametrize(
    "member, content",
    [
        ("x_train", b"no array at all"),
        ("x_train.npy", b"\x93NUMPY\x01\x00\x10\x00{'descr': nonsense"),
        ("x_train.npy", b""),
        ("y_train.npy", b"\x93NUMPY\x01\x00\x46\x00{'descr': '|u1', 'fortran_order': False, 'shape': (900000000000,)}"),
        ("y_train.npy", b"\x93NUMPY\x09\x09\x46\x00" + b" " * 70),
    ],
)
def test_a_member_that_is_no_array_is_one_line(tmp_path, member, content):
    with zipfile.ZipFile(tmp_path / "s.npz", "w") as archive:
        archive.writestr(member, content)
    with pytest.raises(RequestError, match="can't be read: "):
        read_npz(tmp_path / "s.npz")


def test_more_than_the_memory_is_refused_before_it_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(npz, "memory_bytes", lambda: 10_000)
    with pytest.raises(RequestError, match="declares 0 GB of data, more than this machine's memory"):
        read_npz(good(tmp_path))
    assert files.memory_bytes() > 2**28


def test_a_pipe_does_not_hang(tmp_path):
    os.mkfifo(tmp_path / "p.npz")
    with pytest.raises(RequestError, match="it is no regular file"):
        read_npz(tmp_path / "p.npz")


def test_a_folder_and_a_link_to_nowhere(tmp_path):
    (tmp_path / "f.npz").mkdir()
    (tmp_path / "l.npz").symlink_to(tmp_path / "nowhere.npz")
    for name, reason in (("f.npz", "is no regular file|Is a directory"), ("l.npz", "No such file")):
        with pytest.raises(RequestError, match=reason):
            read_npz(tmp_path / name)


def test_a_link_to_a_file_is_read(tmp_path):
    (tmp_path / "l.npz").symlink_to(good(tmp_path))
    shutil.copy(good(tmp_path), tmp_path / "copy.npz")
    assert read_npz(tmp_path / "l.npz").hash == read_npz(tmp_path / "copy.npz").hash
