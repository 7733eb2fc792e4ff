"""README's `Add a method`, followed to the letter; and the paths that documents name."""

import re
import shlex
from pathlib import Path

import pytest

from benchmark.cli.commands import PYTHON, main

ROOT = Path(__file__).parent.parent
DOCUMENTS = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]


@pytest.fixture
def section():
    return (ROOT / "README.md").read_text().partition("## Add a method\n")[2].partition("\n## ")[0]


def test_the_method_in_readme_passes_the_suite_and_runs(section, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("benchmark.report.write.PLOTS", ["rounds"])
    (path,) = re.findall(r"Put this into `(.*)`:", section)
    (code,) = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    (commands,) = re.findall(r"```\n(python .*?)```", section, re.DOTALL)
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


PATH = re.compile(r"\b(?:benchmark|methods|datasets|tools|tests|docs|examples)/[\w/-]+(?:\.(?:py|md|toml|jsonl?|sh)|/)")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_path_that_a_document_names_is_there(document):
    named = PATH.findall(document.read_text(encoding="utf-8"))
    assert not [path for path in named if not (ROOT / path).exists()]
