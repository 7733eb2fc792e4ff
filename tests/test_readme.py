"""README: its length and what it quotes; the guide to a method, followed to the letter; paths and links of documents.

`Add a method` is what the guide shows; tests/test_documented_commands.py tries the commands of all documents.
"""

import re
import shlex
from pathlib import Path

import pytest

from benchmark.cli.commands import PYTHON, main
from benchmark.report.frame import read_experiment
from tools.docs import front
from tools.reference import MISSION

ROOT = Path(__file__).parent.parent
DOCUMENTS = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]


@pytest.fixture
def guide():
    return (ROOT / "docs" / "own-method.md").read_text(encoding="utf-8")


def test_the_method_in_the_guide_passes_the_suite_and_runs(guide, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("benchmark.report.write.PLOTS", ["rounds"])
    (path,) = re.findall(r"Put this into `(.*)`:", guide)
    (code,) = re.findall(r"```python\n(.*?)```", guide, re.DOTALL)
    (commands,) = re.findall(r"```\n(python .*?)```", guide, re.DOTALL)
    Path(path).parent.mkdir()
    Path(path).write_text(code)
    printed = []
    for command in commands.splitlines():
        words = shlex.split(command)
        assert words[: len(PYTHON)] == [*PYTHON]
        assert main(words[len(PYTHON) :]) == 0
        printed.append(capsys.readouterr().out)
    checked, run = printed
    assert "method fedbabu" in checked
    assert "nothing broken" in checked
    assert re.search(r"fedbabu .* done", run)
    assert (tmp_path / "reports" / "default" / "index.html").exists()


PATH = re.compile(
    r"(?<![\w/(])(?:benchmark|methods|datasets|tools|tests|docs|examples)/[\w/-]+(?:\.(?:py|md|toml|jsonl?|sh)|/)"
)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_path_that_a_document_names_is_there(document):
    named = PATH.findall(document.read_text(encoding="utf-8"))
    assert not [path for path in named if not (ROOT / path).exists()]


README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_readme_is_short():
    assert len(README.splitlines()) <= 120


def test_readme_quotes_the_guide(guide):
    (quoted,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert quoted in guide


LINK = re.compile(r"\]\(([^)#]*)(?:#([\w-]+))?\)")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document):
    for target, anchor in LINK.findall(
        re.sub(r"```.*?```|`[^`]*`", "", document.read_text(encoding="utf-8"), flags=re.S)
    ):
        if not target.startswith("http"):
            place = document.parent / target if target else document
            assert place.exists(), target
            assert not anchor or anchor in anchors(place.read_text(encoding="utf-8"))


def anchors(text):
    """The anchors of a document's headings, as renderers make them."""
    titles = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_the_longest_comparison_of_all_five_is_shown(tmp_path, store):
    """One with more rounds that lacks a method, or that is not done, waits until it is whole."""
    for rounds, missing in ((15, ()), (16, ()), (17, ("fml",))):
        for name in MISSION:
            if name not in missing:
                store(tmp_path, name, [[5, 5]] * rounds)
    shown = front.longest(read_experiment(tmp_path, "exp", {}))
    assert [comparison.setting["rounds"] for comparison in shown] == [16]
