"""Hashes of users' sources, and that what runs is what was hashed."""

import hashlib
import importlib
import os
import py_compile
import sys
from pathlib import Path

import numpy
import pytest

from benchmark import errors
from benchmark.errors import RequestError
from benchmark.plugins.own_sources import import_from_source, is_own, source_hash
from benchmark.plugins.user_modules import module_of


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder on the path, whose modules are forgotten afterwards."""
    monkeypatch.syspath_prepend(tmp_path)
    before = {*sys.modules}
    yield tmp_path
    for name in {*sys.modules} - before:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


def write(folder, **files):
    for name, content in files.items():
        path = folder / (name.replace("__in__", "/") + ".py")
        path.parent.mkdir(exist_ok=True)
        path.write_text(content)
    importlib.invalidate_caches()


def test_a_module_that_imports_nothing_of_one_s_own_has_its_file_s_hash(folder):
    write(folder, mine="import json, os.path\nimport numpy as np\nfrom benchmark.api import Method\n")
    expected = hashlib.sha256((folder / "mine.py").read_bytes()).hexdigest()[:16]
    assert source_hash(folder / "mine.py", "mine") == expected


@pytest.mark.parametrize(
    "statement",
    [
        "import help_er",
        "from help_er import x",
        "import help_er as h",
        "def f():\n    import help_er",
        "from pack import inner",
        "import pack.inner",
        "import between",  # which imports help_er in turn
    ],
)
def test_what_it_imports_from_its_folder_is_in_its_hash(folder, statement):
    write(folder, mine=statement, help_er="x = 1", pack__in__inner="x = 1", between="import help_er")
    before = source_hash(folder / "mine.py", "mine")
    write(folder, help_er="x = 2", pack__in__inner="x = 2")
    assert source_hash(folder / "mine.py", "mine") != before
    write(folder, help_er="x = 1", pack__in__inner="x = 1")
    assert source_hash(folder / "mine.py", "mine") == before


def test_relative_imports_of_a_package(folder):
    write(folder, pack__in__mine="from . import inner\nfrom .inner import x", pack__in__inner="x = 1")
    before = source_hash(folder / "pack" / "mine.py", "pack.mine")
    write(folder, pack__in__inner="x = 2")
    assert source_hash(folder / "pack" / "mine.py", "pack.mine") != before


def test_circles_and_what_is_not_there_end(folder):
    write(folder, mine="import other, gone, gone.deeper\nfrom . import nothing", other="import mine")
    assert len(source_hash(folder / "mine.py", "mine")) == 16


def test_what_is_one_s_own(folder):
    assert is_own(folder / "mine.py")
    assert not any(is_own(Path(module.__file__)) for module in (os, numpy, errors))


def stale(path, before, now):
    """Bytecode of `before` beside a source that says `now`, of the same size and time."""
    path.write_text(before)
    times = (path.stat().st_atime_ns, path.stat().st_mtime_ns)
    py_compile.compile(str(path))
    path.write_text(now)
    os.utime(path, ns=times)


@pytest.mark.parametrize("by", ["path", "dotted name", "helper"])
def test_bytecode_is_not_trusted(folder, by):
    write(folder, pack__in__helper="", user="from pack.helper import x")
    stale(folder / "pack" / "helper.py", "x = 1", "x = 2")
    text = {"path": str(folder / "pack" / "helper.py"), "dotted name": "pack.helper", "helper": str(folder / "user.py")}
    assert module_of(text[by])[0].x == 2


def test_python_s_own_imports_would_trust_it(folder):
    """So that the test above can fail."""
    stale(folder / "plain.py", "x = 1", "x = 2")
    finders = [finder for finder in sys.meta_path if type(finder).__name__ == "_OwnFinder"]
    for finder in finders:
        sys.meta_path.remove(finder)
    assert importlib.import_module("plain").x == 1
    import_from_source()


def test_a_module_that_changes_while_it_is_read_is_refused(folder):
    write(folder, mine="from pathlib import Path\nPath(__file__).write_text('x = 1')")
    with pytest.raises(RequestError, match="was changed while it was read"):
        module_of(str(folder / "mine.py"))
