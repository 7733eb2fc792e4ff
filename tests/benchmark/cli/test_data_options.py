"""What the command line says of data: remarks on standard error, sizes of pictures, classes in what is stored."""

import json

import numpy as np
import pytest
from PIL import Image

from benchmark.cli.commands import main


@pytest.fixture
def photos(tmp_path):
    for i in range(24):
        folder = tmp_path / "photos" / f"class{10 - i % 3}"
        folder.mkdir(parents=True, exist_ok=True)
        level = np.random.default_rng(i).integers(0, 99, (18, 18), dtype=np.uint8) + 70 * (i % 3)
        Image.fromarray(level.astype(np.uint8)).save(folder / f"{i:02d}.png")
    (tmp_path / "photos" / "class8" / "notes.txt").write_text("x")
    return tmp_path / "photos"


def run(photos, *words):
    results = photos.parent / "results"
    fixed = ["--methods", "standalone", "--clients", "2", "--partition", "iid", "--rounds", "1", "--batch-size", "4"]
    places = ["--results", str(results), "--no-report", "--threads", "1"]
    assert main(["run", "--datasets", str(photos), *fixed, *places, *words]) == 0
    return {p.parent.name: json.loads(p.read_text()) for p in results.rglob("run.json")}


def test_a_size_is_another_data_set_and_said(photos, capsys):
    first = run(photos)
    err = capsys.readouterr().err
    assert f"{photos}: 24 grey pictures, 18 x 18 as they are\n" in err
    assert f"{photos}: left out: files that are no pictures: 1, such as class8/notes.txt\n" in err
    both = run(photos, "--image-size", "24")
    assert f"{photos}: 24 grey pictures, resized from 18x18 to 24 x 24; --image-size N" in capsys.readouterr().err
    assert len(first) == 1
    assert len({r["dataset"]["hash"] for r in both.values()}) == len(both) == 2
    assert {r["dataset"]["name"] for r in both.values()} == {"photos"}
    assert {tuple(r["dataset"]["class_names"]) for r in both.values()} == {("class8", "class9", "class10")}
    run(photos, "--image-size", "24")
    assert len(run(photos)) == 2  # nothing ran again


def test_processes_of_a_grid_do_not_say_it_again(photos, capfd):
    run(photos, "--jobs", "1")
    assert capfd.readouterr().err.count("grey pictures") == 1


def test_remarks_do_not_reach_a_document(photos, capsys):
    run(photos, "--json")
    out, err = capsys.readouterr()
    assert json.loads(out)["runs"][0]["status"] == "done"
    assert "grey pictures" in err


def test_check_takes_a_size(photos, capsys):
    for i in range(6):  # a test part, which a data set is to have
        folder = photos.parent / "set" / "test" / f"class{10 - i % 3}"
        folder.mkdir(parents=True, exist_ok=True)
        (photos / folder.name / f"{i:02d}.png").rename(folder / f"{i:02d}.png")
    photos.rename(photos.parent / "set" / "train")
    assert main(["check", str(photos.parent / "set"), "--image-size", "20"]) == 0
    out, err = capsys.readouterr()
    assert "resized from 18x18 to 20 x 20" in err
    assert "data set set" in out
    assert main(["check", "fedmoe+lr=x", "--image-size", "20"]) == 2  # a method has no pictures


@pytest.mark.parametrize("size", ["0", "-1", "4097", "x", "1.5", "nan"])
def test_a_size_that_is_none_is_one_line(photos, capsys, size):
    assert main(["run", "--datasets", str(photos), "--image-size", size]) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("name", ["a" * 300, "x/" + "a" * 300, "a" * 300 + ".npz", "a/" * 3000, "~" * 5000])
def test_names_that_no_file_can_have_are_one_line(tmp_path, capsys, name):
    assert main(["run", "--datasets", name, "--results", str(tmp_path)]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_size_fits_names_too(tmp_path, capsys):
    words = ["partition", "show", "--datasets", "digits", "--data", str(tmp_path), "--partition", "iid", "--json"]
    assert main([*words, "--image-size", "16"]) == 0
    out, err = capsys.readouterr()
    small = json.loads(out)
    assert "digits: 1500 pictures resized from 32 x 32 to 16 x 16" in err
    assert main(words) == 0
    large = json.loads(capsys.readouterr().out)
    assert small["partition_hash"] == large["partition_hash"]
    assert small["data_hash"] != large["data_hash"] == "8aa72a9fbc96e7ab"
    assert main([*words[:3], "digits+image-size=16", *words[4:]]) == 0
    assert json.loads(capsys.readouterr().out) == small


@pytest.mark.parametrize("name", ["leaf.json", "table.csv", "no_suffix"])
def test_a_file_of_another_kind_is_no_module(tmp_path, capsys, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).write_text("{}")
    assert main(["partition", "show", "--datasets", name]) == 2
    assert f"{name} is no data set; a data set is a name, an .npz file, a folder of" in capsys.readouterr().err


def test_a_folder_for_data_that_can_t_be_written_is_named(tmp_path, capsys):
    (tmp_path / "data").touch()
    assert main(["partition", "show", "--datasets", "digits", "--data", str(tmp_path / "data" / "more")]) == 2
    assert "choose a folder that can" in capsys.readouterr().err


def test_it_is_told_where_a_data_set_is_kept(tmp_path, capsys):
    words = ["partition", "show", "--datasets", "digits", "--partition", "iid", "--data", str(tmp_path / "new")]
    assert main(words) == 0
    assert f"digits is kept in {tmp_path / 'new' / 'digits.npz'} from now on" in capsys.readouterr().err
    assert main(words) == 0
    assert "from now on" not in capsys.readouterr().err
