"""README's `Add a method`, followed to the letter."""

import re
import shlex
from pathlib import Path

import pytest

from benchmark.cli import PYTHON, main

ROOT = Path(__file__).parent.parent


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
