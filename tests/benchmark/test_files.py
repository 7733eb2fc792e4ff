import pytest

from benchmark.errors import RequestError, StorageError
from benchmark.files import check_writable, claim, file_name, write_whole


def test_a_file_is_written_whole(tmp_path):
    write_whole(tmp_path / "a", lambda file: file.write(b"all"))
    assert (tmp_path / "a").read_bytes() == b"all"
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o644


def test_or_not_at_all(tmp_path):
    (tmp_path / "a").write_text("before")

    def fails(file):
        file.write(b"half")
        raise OSError("disk full")

    with pytest.raises(StorageError, match=r"a can't be written \(disk full\)"):
        write_whole(tmp_path / "a", fails)
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("a", "before")]


def test_where_nothing_can_be_written(tmp_path):
    check_writable(tmp_path / "new" / "folder")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(RequestError, match="can't be written"):
            check_writable(folder)


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a\\b", "a:b", "a" * 121, "a\nb"])
def test_names_that_are_no_folder(name):
    with pytest.raises(RequestError, match="can't name a folder"):
        file_name("--experiment", name)
    assert file_name("--experiment", "fedmoe+gate=static") == "fedmoe+gate=static"


def test_a_claim_is_one_process_s(tmp_path):
    with claim(tmp_path / "claim") as mine, claim(tmp_path / "claim") as again:
        assert (mine, again) == (True, False)
    assert list(tmp_path.iterdir()) == []
    with claim(tmp_path / "claim") as mine:
        assert mine


def test_a_claim_that_a_dead_process_left_is_free(tmp_path):
    (tmp_path / "claim").touch()
    with claim(tmp_path / "claim") as mine:
        assert mine
