"""Who may import whom, read from the import statements."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
OURS = {"benchmark", "methods", "datasets"}
LAYERS = [  # each may import those before it, never one after it
    "errors",
    "fields",
    "files",
    "schema",
    "seeds",
    "progress",
    "channel",
    "stored",
    "low_rank",
    "functional",
    "models.line_up",
    "models.switch_norm",
    "models.cnn",
    "models.resnet",
    "models.transformer",
    "models.vision",
    "models.groups",
    "client",
    "data",
    "partition",
    "task",
    "method",
    "api",
    "config",
    "own",
    "registry",
    "schedule",
    "cost",
    "augment",
    "environment",
    "engine.anybody",
    "engine.recall",
    "engine.eager",
    "engine.graphs",
    "engine.stacked",
    "engine.rehearsal",
    "inspection",
    "states",
    "federation",
    "engine.choice",
    "record",
    "checkpoint",
    "display",
    "plan",
    "forecast.workload",
    "forecast.sizes",
    "forecast.calibration",
    "forecast.prediction",
    "runner",
    "executor.order",
    "executor.worker",
    "executor.crew",
    "executor.local",
    "executor.node",
    "executor.hand",
    "executor.room",
    "executor.connection",
    "executor.cluster",
    "dry_run",
    "conformance.suite",
    "conformance.toy",
    "conformance.training",
    "conformance.exchange",
    "conformance.repetition",
    "conformance.methods",
    "conformance.line_ups",
    "conformance.datasets",
    "conformance.targets",
    "verify",
    "report.statistics",
    "report.frame",
    "report.cells",
    "report.notes",
    "report.differences",
    "report.tables",
    "report.formats",
    "report.drawing",
    "report.figures",
    "report.across",
    "report.html",
    "report.document",
    "report.write",
    "compare",
    "timings",
    "doctor",
    "documentation.source",
    "documentation.costs",
    "documentation.blocks",
    "documentation.pages",
    "arguments",
    "listing",
    "outcomes",
    "cli",
    "__main__",
]
FACADE = {"benchmark.api", "benchmark.fields", "benchmark.functional"}
WITHOUT_TORCH = ["record", "verify", "report.write", "compare", "timings", "display"]


def imported(path: Path) -> set[str]:
    """Modules that a file imports anywhere, submodules of ours in full."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            below = {f"{node.module}.{alias.name}" for alias in node.names}
            modules = {name for name in below if (ROOT / (name.replace(".", "/") + ".py")).exists()}
            found |= modules or {node.module}
    return found


def modules(package: str) -> list[Path]:
    return sorted(p for p in (ROOT / package).rglob("*.py") if p.name != "__init__.py")


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT / "benchmark").with_suffix("").parts)


@pytest.mark.parametrize("path", modules("methods") + modules("datasets"), ids=lambda p: p.stem)
def test_plug_ins_import_nothing_of_ours_but_the_facade(path):
    assert {name for name in imported(path) if name.split(".")[0] in OURS} <= FACADE


@pytest.mark.parametrize("path", modules("methods"), ids=lambda p: p.stem)
def test_methods_import_torch_numpy_and_the_standard_library(path):
    roots = {name.split(".")[0] for name in imported(path)}
    assert roots <= {"torch", "numpy", "benchmark", "dataclasses", "typing", "collections", "math", "functools"}


def test_every_module_of_the_harness_has_a_layer():
    assert {name_of(path) for path in modules("benchmark")} == set(LAYERS)


@pytest.mark.parametrize("path", modules("benchmark"), ids=name_of)
def test_the_harness_imports_downwards_and_no_plug_in(path):
    ours = [name for name in imported(path) if name.split(".")[0] in OURS]
    assert all(name.startswith("benchmark") for name in ours)
    layer = LAYERS.index(name_of(path))
    below = {f"benchmark.{name}" for name in LAYERS[:layer]} | {"benchmark"}
    assert set(ours) <= below


@pytest.mark.parametrize("name", WITHOUT_TORCH)
def test_results_and_reports_need_no_torch(name):
    """Nor any module of ours that needs it."""
    seen, todo = set(), {f"benchmark.{name}"}
    while todo:
        module = todo.pop()
        seen.add(module)
        path = ROOT / (module.replace(".", "/") + ".py")
        if path.exists():
            names = imported(path)
            assert not {n for n in names if n.split(".")[0] in ("torch", "torchvision", "methods")}, module
            todo |= {n for n in names if n.startswith("benchmark.")} - seen


WORDS = [["--help"], ["run", "--help"], ["report", "--results", "nowhere"], ["list", "methods"]]


@pytest.mark.parametrize("words", WORDS, ids=" ".join)
def test_help_and_report_do_not_import_torch(words, tmp_path):
    code = (
        "import sys; from benchmark.cli import main; code = main(sys.argv[1:]); "
        "sys.exit(99 if 'torch' in sys.modules else code)"
    )
    got = subprocess.run([sys.executable, "-c", code, *words], cwd=ROOT, capture_output=True, text=True)
    assert got.returncode == (2 if "nowhere" in words else 0), got.stderr
