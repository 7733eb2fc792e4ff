"""The command `check`: what it takes, what it prints, its exit codes."""

import json

import numpy as np
import pytest

from benchmark.cli.commands import main
from benchmark.conformance import targets
from benchmark.conformance.suite import Broken, Check
from benchmark.plugins import registry

METHOD = """
from dataclasses import dataclass
from benchmark.api import Method
print("a module that talks")

@dataclass(frozen=True)
class Mine(Method):
    strength: float = 0.5
"""
LINE_UP = """
from benchmark.models.cnn import CNNS
from benchmark.models.line_up import LineUp
LINE_UPS = (LineUp("one", "CNN-1", CNNS[:1], CNNS[0], 16), LineUp("two", "CNN-2", CNNS[1:2], CNNS[1], 16))
"""
SOURCE = """
import numpy as np
from benchmark.api import Arrays, Source

def load(downloads):
    y = np.arange(40) % 2
    return Arrays(np.zeros((40, 16, 16, 1), np.uint8), y, np.zeros((40, 16, 16, 1), np.uint8), y, ("a", "b"))

SOURCE = Source(load)
"""


def weak(method):
    """It is strong enough."""
    if method.strength < 1:
        raise Broken(f"a strength of {method.strength}")


@pytest.fixture
def here(tmp_path, monkeypatch, write_data):
    """A folder with things of one's own; a method is checked for one thing alone, which takes no time."""
    monkeypatch.chdir(tmp_path)
    write_data(tmp_path / "data")
    (tmp_path / "my").mkdir()
    for name, text in {"mine": METHOD, "nets": LINE_UP, "data": SOURCE}.items():
        (tmp_path / "my" / f"{name}.py").write_text(text)
    monkeypatch.setitem(targets.SUITES, "method", [Check.of(weak), Check("later", "More", weak, ("weak",))])
    return tmp_path


def found(capsys, *words):
    """(exit code, the JSON document)."""
    code = main(["check", *words, "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_all_kinds_at_once(here, capsys):
    code, document = found(capsys, "my/mine.py+strength=2", "my/nets.py", "my/data.py", "cnn1", "tiny", "data/tiny.npz")
    assert code == 0
    assert document["ok"] and document["findings"] == []
    assert list(dict.fromkeys((c["target"], c["kind"], c["name"]) for c in document["checks"])) == [
        ("my/mine.py+strength=2", "method", "mine+strength=2"),
        ("my/nets.py", "line-up", "one"),
        ("my/nets.py", "line-up", "two"),
        ("my/data.py", "data set", "data"),
        ("cnn1", "line-up", "cnn1"),
        ("tiny", "data set", "tiny"),
        ("data/tiny.npz", "data set", "tiny"),
    ]


def test_a_name_of_the_catalogue_is_what_it_names(here):
    kinds = {name: targets.resolve_targets(name, here)[0].kind for name in ("fedmoe+gate=static", "vision4", "mnist")}
    assert kinds == {"fedmoe+gate=static": "method", "vision4": "line-up", "mnist": "data set"}
    path = registry.catalogue("methods")["fedmoe"]
    assert targets.resolve_targets(str(path), here)[0].name == "fedmoe"


def test_one_line_up_of_several_and_its_options(here):
    named = {
        text: [t.name for t in targets.resolve_targets(text, here)] for text in ("my/nets.py:two", "cnn5+adapter=pool")
    }
    assert named == {"my/nets.py:two": ["two"], "cnn5+adapter=pool": ["cnn5+adapter=pool"]}


def test_a_check_that_does_not_hold_is_exit_code_1(here, capsys):
    code, document = found(capsys, "my/mine.py")
    assert (code, document["ok"]) == (1, False)
    (finding,) = document["findings"]
    assert finding == {
        "target": "my/mine.py",
        "kind": "method",
        "name": "mine",
        "check": "weak",
        "says": "It is strong enough",
        "verdict": "broken",
        "problem": "a strength of 0.5",
    }
    assert [c["verdict"] for c in document["checks"]] == ["broken", "not examined"]


def test_it_says_in_words_what_is_wrong(here, capsys):
    assert main(["check", "my/mine.py", "my/mine.py+strength=1"]) == 1
    out = capsys.readouterr().out
    assert out.startswith("method mine")
    assert "BROKEN" in out and "a strength of 0.5" in out
    assert "weak comes first" in out
    assert "method mine+strength=1" in out and "It is strong enough" in out
    assert out.endswith("4 checks, 1 broken\n")


def test_a_file_of_images_that_is_none_fails_its_first_check(here, capsys):
    np.savez(here / "bad.npz", x_train=np.zeros((4, 8, 8)))
    code, document = found(capsys, "bad.npz")
    assert code == 1
    assert [f["check"] for f in document["findings"]] == ["layout"]
    assert "bad.npz has no y_train, x_test, y_test" in document["findings"][0]["problem"]
    assert {c["verdict"] for c in document["checks"][1:]} == {"not examined"}


def test_a_source_that_fails_fails_its_first_check(here, capsys):
    (here / "my" / "data.py").write_text(SOURCE.replace("y = np", "1 / 0\n    y = np"))
    code, document = found(capsys, "my/data.py")
    assert code == 1
    assert "ZeroDivisionError" in document["findings"][0]["problem"]


@pytest.mark.parametrize(
    "target, message",
    [
        ("fedmo", "unknown method, line-up or data set 'fedmo'; did you mean 'fedmoe'?"),
        ("cnn1+gate=static", "unknown option of cnn1 'gate'"),
        ("my/nowhere.py", "there is no file my/nowhere.py"),
        ("my/nowhere.npz", "there is no file my/nowhere.npz"),
        ("my/mine.py+force=2", "unknown hyper-parameter of mine 'force'"),
        (
            "my/nothing.py",
            "my/nothing.py defines nothing to check; it is to define a Method",
        ),
        ("my/both.py", "my/both.py defines a Method and SOURCE"),
        ("my/nets.py", "my/nets.py must define LINE_UP, which is a LineUp, or LINE_UPS, a list of them"),
        ("cnn1+width=3", "cnn1+width=3 has no adapter"),
        ("my/wrong.py", "my/wrong.py can't be imported: ZeroDivisionError"),
    ],
)
def test_a_wrong_target_is_exit_code_2_before_anything_is_checked(here, capsys, target, message):
    files = {"nothing": "x = 1", "both": METHOD + SOURCE, "nets": "LINE_UPS = [1]", "wrong": "1 / 0"}
    for name, text in files.items():
        (here / "my" / f"{name}.py").write_text(text)
    assert main(["check", "my/mine.py", target]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err.splitlines()[-1]


def test_without_a_target_it_asks_for_one(capsys):
    assert main(["check"]) == 2
    assert "TARGET" in capsys.readouterr().err
