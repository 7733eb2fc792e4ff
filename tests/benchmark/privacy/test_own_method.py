"""A method of a user is audited without a line about privacy in it: README's example, as a command."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from benchmark.cli.commands import main
from benchmark.privacy.findings import Membership

ROOT = Path(__file__).parents[3]


def example() -> str:
    """The Python of the method that README or a guide shows."""
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    blocks = [code for page in pages for code in re.findall(r"```python\n(.*?)```", page.read_text(), re.S)]
    return next(code for code in blocks if "class FedBABU(Method):" in code and "import dataclass" in code)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """With 240 pictures of three classes, of which each of three clients has 64 to train and 16 to test on."""
    monkeypatch.chdir(tmp_path)
    rng, y = np.random.default_rng(0), np.arange(240) % 3
    x = (rng.integers(0, 100, (240, 16, 16)) + 50 * y[:, None, None]).astype(np.uint8)
    (tmp_path / "my").mkdir()
    np.savez(tmp_path / "my" / "tiny.npz", x_train=x[:192], y_train=y[:192], x_test=x[192:], y_test=y[192:])
    (tmp_path / "my" / "fedbabu.py").write_text(example())
    return tmp_path


WORDS = "run --datasets my/tiny.npz --models cnn1 --clients 3 --partition iid --rounds 2 --batch-size 8 --no-report"


def test_readmes_method_is_audited(folder, capsys):
    words = [*WORDS.split(), "--methods", "my/fedbabu.py,standalone", "--audit", "privacy:small", "--device", "cpu"]
    assert main([*words, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    own, alone = (Path(run["path"]) for run in document["runs"])
    assert "privacy" not in (folder / "my" / "fedbabu.py").read_text().lower()
    with np.load(own / "privacy.npz") as file:
        scores = {name: file[name] for name in file.files}
    facts = json.loads(str(scores["facts"]))
    assert facts["sheet"]["sums_suffice"] is True and facts["sheet"]["private_share"] > 0.9  # all but the header
    assert Membership([scores]).area(2) is not None
    with np.load(alone / "privacy.npz") as file:
        assert json.loads(str(file["facts"]))["sheet"] is None  # it sends nothing


def test_an_audit_needs_another_client(folder, capsys):
    words = [*WORDS.split(), "--methods", "fedavg", "--audit", "privacy", "--clients", "1"]
    assert main(words) == 2
    assert "it needs --clients 2 or more" in capsys.readouterr().err


def test_a_run_without_an_audit_is_not_taken_for_one_with(folder, capsys):
    words = [*WORDS.split(), "--methods", "fedavg", "--device", "cpu", "--json"]
    assert main(words) == 0
    capsys.readouterr()
    assert main([*words, "--audit", "privacy:small"]) == 0
    (run,) = json.loads(capsys.readouterr().out)["runs"]
    assert run["reason"] == "already there, without what --audit stores; --force runs it again"
