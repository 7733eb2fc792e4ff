"""Folders of pictures: what is a split, a class, a picture, rubbish; and labels.csv."""

import os
import re
import unicodedata

import numpy as np
import pytest
from PIL import Image

from benchmark.data.folders import read_folder
from benchmark.errors import RequestError, telling
from benchmark.plugins import registry


def put(folder, *names, level=9):
    for name in names:
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (16, 16), level).save(file)


def read(folder):
    """(arrays, lines about what was used otherwise or left out)."""
    told = []
    with telling(told.append):
        found = read_folder(folder)
    return found, [line for line in told if not re.search(r": \d+ (grey|colour) pictures, ", line)]


def levels(images):
    return images[:, 0, 0, 0].tolist()


def test_rubbish_is_counted_in_one_line(tmp_path):
    put(tmp_path, "a/1.png", "b/2.png", "a/._1.png", "__MACOSX/a/._1.png", ".hidden/3.png", ".cache.png")
    for name in ("a/Thumbs.db", "b/.DS_Store", "desktop.ini", "b/@eaDir/x.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    found, told = read(tmp_path)
    assert (found.classes, len(found.labels)) == (("a", "b"), 2)
    (line,) = told
    assert line.startswith(f"{tmp_path}: left out: hidden or system files: 8, such as ")


def test_what_is_no_picture_is_counted(tmp_path):
    put(tmp_path, "a/1.png", "b/2.png", "loose.png")
    for name in ("a/notes.txt", "b/data.npy", "README.md"):
        (tmp_path / name).write_text("x")
    _, (line,) = read(tmp_path)
    assert "files that are no pictures: 3, such as README.md" in line
    assert "pictures in no class's folder: 1, such as loose.png" in line


@pytest.mark.parametrize(
    "train, test", [("train", "test"), ("Train", "TEST"), ("Training", "Testing"), ("training", "test")]
)
def test_splits_in_any_case_and_by_their_usual_names(tmp_path, train, test):
    put(tmp_path / train, "a/1.png", "b/1.png", "b/2.png")
    put(tmp_path / test, "a/1.png", "b/1.png")
    found, told = read(tmp_path)
    assert (found.y_train.tolist(), found.y_test.tolist(), told) == ([0, 1, 1], [0, 1], [])


@pytest.mark.parametrize("name", ["val", "Valid", "validation", "dev"])
def test_validation_pictures_are_training_pictures_and_told_of(tmp_path, name):
    put(tmp_path / "train", "a/1.png", "b/1.png", level=1)
    put(tmp_path / name, "a/1.png", level=2)
    put(tmp_path / "test", "b/1.png", level=3)
    found, (line,) = read(tmp_path)
    assert (levels(found.x_train), levels(found.x_test)) == ([1, 2, 1], [3])
    assert f"used: validation pictures, used with the training pictures: 1, such as {name}/a/1.png" in line


def test_a_class_may_be_called_train(tmp_path):
    put(tmp_path, "train/1.png", "car/1.png", "bus/1.png", "test/1.png")
    assert read(tmp_path)[0].classes == ("bus", "car", "test", "train")


def test_test_alone_is_no_split(tmp_path):
    put(tmp_path, "test/a/1.png", "other/1.png")
    found, (line,) = read(tmp_path)
    assert found.classes == ("other", "test")
    assert "pictures deeper than their class's folder, taken as of that class: 1, such as test/a/1.png" in line


def test_pictures_beside_the_splits_are_counted(tmp_path):
    put(tmp_path / "train", "a/1.png", "b/1.png")
    put(tmp_path, "extra/1.png", "extra/deep/2.png", "3.png")
    found, (line,) = read(tmp_path)
    assert len(found.labels) == 2
    assert "pictures beside the splits: 3, such as 3.png" in line


def test_what_may_be_a_split_or_a_class_is_not_guessed(tmp_path):
    put(tmp_path, "train/a/1.png", "train/b/1.png", "train/loose.png", "test/a/1.png")
    with pytest.raises(RequestError, match=r"train has pictures, such as loose.png, beside folders of pictures"):
        read(tmp_path)


def test_deeper_pictures_are_of_their_class_and_told_of(tmp_path):
    put(tmp_path, "a/1.png", "a/second_batch/2.png", "a/second_batch/x/3.png", "b/1.png")
    found, (line,) = read(tmp_path)
    assert found.y_train.tolist() == [0, 0, 0, 1]
    assert "taken as of that class: 2, such as a/second_batch/2.png" in line


def test_an_unpacked_archive_is_what_is_in_it(tmp_path):
    put(tmp_path / "outer" / "inner", "a/1.png", "b/1.png")
    put(tmp_path, "__MACOSX/outer/._inner.png")
    assert read(tmp_path)[0].classes == ("a", "b")
    put(tmp_path / "splits" / "train", "a/1.png", "b/1.png")
    assert read(tmp_path / "splits")[0].classes == ("a", "b")


def test_classes_are_in_natural_order_and_empty_ones_left_out(tmp_path):
    put(tmp_path, *(f"class{n}/1.png" for n in (10, 9, 2, 1)))
    (tmp_path / "class3").mkdir()
    found, told = read(tmp_path)
    assert (found.classes, found.left_out) == (("class1", "class2", "class9", "class10"), ("class3",))
    assert told == [f"{tmp_path}: left out: 1 class without samples (class3); 4 classes remain"]


def test_both_ways_to_write_an_accent_are_one_class(tmp_path):
    put(tmp_path / "train", unicodedata.normalize("NFC", "été") + "/1.png", "b/1.png")
    put(tmp_path / "test", unicodedata.normalize("NFD", "été") + "/1.png")
    found, _ = read(tmp_path)
    assert found.classes == ("b", "été")
    assert found.y_test.tolist() == [1]


def test_names_that_are_no_text_can_be_stored(tmp_path):
    put(tmp_path, "a/1.png")
    put(tmp_path, os.fsdecode(b"caf\xe9/1.png"))
    found, _ = read(tmp_path)
    assert found.classes == ("a", "caf\\udce9")
    assert found.hash


def test_links_pipes_and_circles_neither_hang_nor_break(tmp_path):
    put(tmp_path / "set", "a/1.png", "b/1.png")
    put(tmp_path, "elsewhere/2.png")
    (tmp_path / "set" / "a" / "link.png").symlink_to(tmp_path / "elsewhere" / "2.png")
    (tmp_path / "set" / "a" / "nowhere.png").symlink_to("no-such-file.png")
    (tmp_path / "set" / "a" / "self.png").symlink_to("self.png")
    (tmp_path / "set" / "b" / "circle").symlink_to(tmp_path / "set")
    (tmp_path / "set" / "c").symlink_to(tmp_path / "elsewhere")
    os.mkfifo(tmp_path / "set" / "b" / "z.png")
    found, (line,) = read(tmp_path / "set")
    assert found.y_train.tolist() == [0, 0, 1]  # a link to a picture is that picture
    assert "links to folders: 2, such as c" in line
    assert "what is no file, or a broken link: 3, such as a/nowhere.png" in line


@pytest.mark.parametrize("content", ["nothing", "text", "test only", "empty classes", "loose"])
def test_a_folder_without_pictures_of_classes_is_one_line(tmp_path, content):
    match content:
        case "text":
            (tmp_path / "a.txt").write_text("x")
        case "test only":
            (tmp_path / "train" / "a").mkdir(parents=True)
            put(tmp_path / "test", "a/1.png", "b/1.png")
        case "empty classes":
            (tmp_path / "a").mkdir()
            (tmp_path / "b").mkdir()
        case "loose":
            put(tmp_path, "1.png", "2.png")
    with pytest.raises(RequestError, match="has no images; expected one folder per class") as error:
        read(tmp_path)
    assert "\n" not in str(error.value)


def test_a_folder_that_can_t_be_read_is_one_line(tmp_path, monkeypatch):
    put(tmp_path, "a/1.png", "b/1.png")
    scandir = os.scandir

    def refuse(path):
        if str(path).endswith("/b"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(RequestError, match=r"/b can't be read \(Permission denied\)"):
        read(tmp_path)


def test_a_size_is_part_of_the_data_and_not_of_their_name(tmp_path):
    put(tmp_path / "photos", "a/1.png", "b/1.png")
    plain, large = (registry.dataset(f"{tmp_path}/photos{size}", tmp_path) for size in ("", "+image-size=40"))
    assert plain[0] == large[0] == "photos"
    assert (plain[1].x_train.shape, large[1].x_train.shape) == ((2, 16, 16, 1), (2, 40, 40, 1))
    assert plain[1].hash != large[1].hash


@pytest.mark.parametrize("size", ["0", "-3", "x", "", "4097", "1e3", "99999999999999999999", "٣"])
def test_a_size_that_is_none_is_one_line(tmp_path, size):
    with pytest.raises(RequestError, match="the image size is a whole number from 1 to 4096"):
        registry.dataset(f"digits+image-size={size}", tmp_path)


def listed(folder, text, *names, encoding="utf-8"):
    put(folder, *names)
    (folder / "labels.csv").write_bytes(text.encode(encoding))
    return folder


def test_labels_beside_pictures(tmp_path):
    listed(tmp_path, "file,label\nx/1.png,dog\n2.png,cat\n3,dog\n", "x/1.png", "2.png", "3.png")
    found, told = read(tmp_path)
    assert (found.classes, found.y_train.tolist(), told) == (("cat", "dog"), [0, 1, 1], [])


def test_other_names_of_columns_a_mark_at_the_beginning_and_spaces(tmp_path):
    listed(
        tmp_path,
        "Image_ID, DX ,patient_id\n 1 , b ,p10\r\n./2.png,a,p2\n\n3,a,p2\n",
        "1.png",
        "2.png",
        "3.png",
        encoding="utf-8-sig",
    )
    found, _ = read(tmp_path)
    assert (found.classes, found.y_train.tolist(), found.owners.tolist()) == (("a", "b"), [0, 0, 1], [0, 0, 1])


def test_a_column_for_the_split(tmp_path):
    rows = "file,label,split\n1.png,a,train\n2.png,b,Test\n3.png,b,val\n4.png,a,\n"
    found, _ = read(listed(tmp_path, rows, "1.png", "2.png", "3.png", "4.png"))
    assert (found.y_train.tolist(), found.y_test.tolist()) == ([0, 0, 1], [1])


def test_labels_in_each_split(tmp_path):
    listed(tmp_path / "train", "file,label\n1.png,a\n2.png,b\n", "1.png", "2.png")
    listed(tmp_path / "test", "file,label\n1.png,b\n", "1.png")
    found, _ = read(tmp_path)
    assert (found.y_train.tolist(), found.y_test.tolist()) == ([0, 1], [1])


def test_what_labels_and_pictures_lack_of_each_other_is_counted(tmp_path):
    rows = "file,label\n1.png,a\n2.png,b\ngone.png,a\n../outside.png,a\n/etc/passwd,b\n"
    put(tmp_path, "outside.png")
    found, (line,) = read(listed(tmp_path / "set", rows, "1.png", "2.png", "unlisted.png"))
    assert len(found.labels) == 2
    assert "pictures without a row in labels.csv: 1, such as unlisted.png" in line
    assert "rows of labels.csv without a picture: 3, such as gone.png" in line


def test_a_row_s_folder_may_be_its_split(tmp_path):
    rows = "file,label\ntrain/1.png,a\ntrain/2.png,b\nTest/1,b\nval/1.png,a\n"
    found, _ = read(listed(tmp_path, rows, "train/1.png", "train/2.png", "Test/1.png", "val/1.png"))
    assert (found.y_train.tolist(), found.y_test.tolist()) == ([0, 0, 1], [1])


@pytest.mark.parametrize(
    "rows, message",
    [
        ("1.png,a\nd/2.png,b\n", None),  # 1.png is a path, c/1.png another
        ("c/1.png,a\n2,b\n", None),
        ("c/1,a\nd/2,b\n", None),
        ("1,a\nd/2.png,b\n", "1 is one of several pictures; name each once"),
        ("d/2.png,a\n2.png,b\n", "2.png is a picture that another row names"),
    ],
)
def test_a_row_names_one_picture_and_a_picture_has_one_row(tmp_path, rows, message):
    listed(tmp_path, "file,label\n" + rows, "1.png", "c/1.png", "d/2.png")
    if message is None:
        assert len(read(tmp_path)[0].labels) == 2
        return
    with pytest.raises(RequestError, match=message):
        read(tmp_path)


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "can't be read"),
        ("name,colour\n1.png,a\n", "has no column for the label in its header; call it label"),
        ("what,label\n1.png,a\n", "has no column for the file in its header; call it file"),
        ("file,label\n1.png\n", "lacks a picture's name or its class in line 2"),
        ("file,label\n1.png,a\n,b\n", "lacks a picture's name or its class in line 3"),
        ("file,label\n1.png,a\n1.png,b\n", "gives 1.png two classes, a and b, in line 3"),
        ("file,label,split\n1.png,a,train\n1.png,a,test\n", "gives 1.png two splits, train and test, in line 3"),
        ("file,label,split\n1.png,a,\n1.png,a,test\n", "gives 1.png two splits, none and test, in line 3"),
        ("file,label,user\n1.png,a,ann\n1.png,a,bob\n", "gives 1.png two owners, ann and bob, in line 3"),
        ("file,label,split\n1.png,a,tset\n2.png,b,test\n", "1.png is of the split 'tset'; expected train, val or test"),
        ("file,label\n1.png,a\n2.png,a\n", "there is only one class"),
        ("file,label\n9.png,a\n8.png,b\n", "has no images"),
    ],
)
def test_labels_that_can_t_be_used_are_one_line(tmp_path, text, message):
    with pytest.raises(RequestError, match=message) as error:
        read(listed(tmp_path, text, "1.png", "2.png"))
    assert "\n" not in str(error.value)


def test_labels_that_are_no_text_are_one_line(tmp_path):
    put(tmp_path, "1.png")
    for content in (b"file,label\n\xff\xfe,a\n", b"\x00" * 100, np.random.default_rng(0).bytes(1000)):
        (tmp_path / "labels.csv").write_bytes(content)
        with pytest.raises(RequestError, match=r"labels.csv (can't be read|has no column)"):
            read(tmp_path)
