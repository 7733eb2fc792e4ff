import errno
import mmap
import os

import pytest

from benchmark.errors import RequestError, StorageError
from benchmark.storage.files import BLOCK, check_writable, claim, read_into, write_over, write_whole


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


@pytest.fixture(params=["directly", "through the cache"])
def way(request, monkeypatch):
    """How files of blocks are opened: as the system can, or where the file system does not know the direct way."""
    if request.param == "directly" or not hasattr(os, "O_DIRECT"):
        return
    plain = os.open

    def refusing(path, flags, *args, **kwargs):
        if flags & os.O_DIRECT:
            raise OSError(errno.EINVAL, "no such way here")
        return plain(path, flags, *args, **kwargs)

    monkeypatch.setattr(os, "open", refusing)


def blocks(content: bytes = b"", size: int = BLOCK) -> memoryview:
    """Memory where a block begins, with this content at its beginning and zeros behind."""
    memory = mmap.mmap(-1, size)
    memory[: len(content)] = content
    return memoryview(memory)


@pytest.mark.usefixtures("way")
def test_blocks_come_back_as_they_were_written(tmp_path):
    write_over(tmp_path / "a", blocks(b"first", 3 * BLOCK))
    assert (tmp_path / "a").read_bytes() == b"first".ljust(3 * BLOCK, b"\0")
    found = blocks(size=3 * BLOCK)
    assert read_into(tmp_path / "a", found)
    assert bytes(found[:5]) == b"first"
    write_over(tmp_path / "b", blocks(b"second"), over=tmp_path / "a")
    assert [(path.name, path.stat().st_size) for path in tmp_path.iterdir()] == [("b", BLOCK)]
    assert (tmp_path / "b").read_bytes().startswith(b"second")


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("size", [0, 7, BLOCK - 1, BLOCK + 1, 2 * BLOCK])
def test_a_file_of_another_size_is_told(tmp_path, size):
    (tmp_path / "a").write_bytes(bytes(size))
    assert not read_into(tmp_path / "a", blocks())


@pytest.mark.usefixtures("way")
def test_blocks_that_can_not_be_written_leave_nothing_behind(tmp_path, monkeypatch):
    def full(fd):
        raise OSError(errno.ENOSPC, "disk full")

    for name in ("fsync", "fdatasync"):
        monkeypatch.setattr(os, name, full, raising=False)
    with pytest.raises(StorageError, match=r"a can't be written \(disk full\)"):
        write_over(tmp_path / "a", blocks())
    assert list(tmp_path.iterdir()) == []
