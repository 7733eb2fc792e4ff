import errno
import mmap
import os

import pytest

from benchmark.errors import RequestError, StorageError
from benchmark.storage.files import (
    BLOCK,
    append,
    check_writable,
    claim,
    is_claimed,
    read_into,
    read_whole,
    remove,
    write_over,
    write_whole,
)


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


def odd_files(folder):
    """What may lie in the place of a file, by name; each leads to, or is, something else."""
    (folder / "elsewhere").write_bytes(b"precious")
    (folder / "link").symlink_to(folder / "elsewhere")
    (folder / "link to nothing").symlink_to(folder / "nothing")
    (folder / "link to a device").symlink_to("/dev/zero")
    os.mkfifo(folder / "pipe")
    (folder / "folder").mkdir()
    return ["link", "link to nothing", "link to a device", "pipe", "folder"]


def test_only_regular_files_are_read(tmp_path):
    for name in odd_files(tmp_path):
        with pytest.raises(OSError):
            read_whole(tmp_path / name, 100)
    assert read_whole(tmp_path / "elsewhere", 8) == b"precious"
    with pytest.raises(OSError, match="it has more than"):
        read_whole(tmp_path / "elsewhere", 7)


def test_nothing_is_written_through_a_link_or_into_a_pipe(tmp_path):
    for name in odd_files(tmp_path):
        with pytest.raises(StorageError):
            append(tmp_path / name, b"more")
    assert (tmp_path / "elsewhere").read_bytes() == b"precious"
    assert not (tmp_path / "nothing").exists()
    append(tmp_path / "elsewhere", b"!")
    assert (tmp_path / "elsewhere").read_bytes() == b"precious!"


@pytest.mark.parametrize("kind", ["link", "hard link", "link to nothing"])
@pytest.mark.parametrize("place", ["over", "path"])
def test_a_file_with_another_name_is_replaced_and_not_overwritten(tmp_path, kind, place):
    """As in a copy by hard links, which many back-ups are."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(b"precious")
    content = memoryview(mmap.mmap(-1, BLOCK))
    odd = tmp_path / place
    match kind:
        case "link":
            odd.symlink_to(elsewhere)
        case "hard link":
            os.link(elsewhere, odd)
        case "link to nothing":
            odd.symlink_to(tmp_path / "nothing")
    write_over(tmp_path / "path", content, odd if place == "over" else None)
    assert elsewhere.read_bytes() == b"precious"
    assert not (tmp_path / "nothing").exists()
    assert (tmp_path / "path").read_bytes() == bytes(BLOCK)
    assert not (tmp_path / "path").is_symlink()


def test_a_claim_that_is_held_is_seen_without_touching_it(tmp_path):
    assert not is_claimed(tmp_path / "claim")
    with claim(tmp_path / "claim"):
        assert is_claimed(tmp_path / "claim")
    (tmp_path / "claim").touch()  # as a dead process leaves it
    assert not is_claimed(tmp_path / "claim")


def test_folders_are_not_removed(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "folder")
    remove([tmp_path / "folder", tmp_path / "link", tmp_path / "nothing"])
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]
