"""Who may import whom, read from the import statements; CONTRIBUTING has the same order as a map."""

import ast
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
OURS = {"benchmark", "methods", "datasets", "tools"}
ORDER = """
    errors fields seeds config
    channel defence
    storage measure
    data partition models
    client task method functional api
    schedule compatibility problem
    plugins
    engine
    evaluation federation privacy
    tuning devices
    forecast
    run
    conformance
    report
    tools
    cli
"""
"""A line may import the lines above it, and within a line a name those before it; a name is a package or a file of
benchmark/, and `tools` the folder beside it.
"""
PLACE = {name: place for place, name in enumerate(ORDER.split())}
FACADE = {"benchmark.api", "benchmark.fields", "benchmark.functional"}
WITHOUT_TORCH = [
    "storage.run_folder",
    "tuning.space",
    "tuning.record",
    "storage.verify",
    "report.write",
    "report.compare",
    "run.progress_display",
]


def statements(path: Path) -> list[ast.stmt]:
    """The import statements of a file, wherever they stand in it."""
    return [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Import | ast.ImportFrom)]


def imported(path: Path) -> set[str]:
    """Modules that a file imports anywhere, submodules of ours in full."""
    found = set()
    for node in statements(path):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        else:
            below = {f"{node.module}.{alias.name}" for alias in node.names}
            modules = {name for name in below if (ROOT / (name.replace(".", "/") + ".py")).exists()}
            found |= modules or {node.module}
    return found


def modules(*folders: str) -> list[Path]:
    return sorted(p for folder in folders for p in (ROOT / folder).rglob("*.py") if p.name != "__init__.py")


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def room(module: str) -> str | None:
    """The name in ORDER that a module of ours belongs to; None for the package benchmark itself and what starts it."""
    first, *below = module.split(".")
    name = below[0] if first == "benchmark" and below else first
    return None if name in ("benchmark", "__main__") else name


def test_the_harness_names_no_method_and_no_data_set():
    """The defaults of the command line stand in the preset demo."""
    catalogue = {path.stem.replace("_", "-") for path in modules("methods", "datasets/sources")}
    for path in modules("benchmark"):
        constants = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Constant)]
        named = {node.value for node in constants if isinstance(node.value, str)} & catalogue
        assert not named, path


@pytest.mark.parametrize("path", modules("methods", "datasets"), ids=lambda p: p.stem)
def test_plug_ins_import_nothing_of_ours_but_the_facade(path):
    assert {name for name in imported(path) if name.split(".")[0] in OURS} <= FACADE


@pytest.mark.parametrize("path", modules("methods"), ids=lambda p: p.stem)
def test_methods_import_torch_numpy_and_the_standard_library(path):
    roots = {name.split(".")[0] for name in imported(path)}
    assert roots <= {"torch", "numpy", "benchmark", "dataclasses", "typing", "collections", "math", "functools"}


def test_the_order_names_what_is_there():
    assert {room(name_of(path)) for path in modules("benchmark", "tools")} - {None} == PLACE.keys()


@pytest.mark.parametrize("path", modules("benchmark", "tools"), ids=name_of)
def test_imports_go_upwards_in_the_order_and_to_no_plug_in(path):
    ours = [name for name in imported(path) if name.split(".")[0] in OURS]
    assert not [name for name in ours if name.split(".")[0] in ("methods", "datasets")]
    here = room(name_of(path))
    rooms = {found for name in ours if (found := room(name))}
    assert here is None or all(PLACE[found] <= PLACE[here] for found in rooms), rooms


def test_no_package_has_a_circle_of_files():
    """Whichever file one begins with, no way along the imports leads back to it."""
    paths = {name_of(path): path for path in modules("benchmark", "tools")}
    below = {name: imported(path) & paths.keys() for name, path in paths.items() if name != "benchmark.__main__"}
    while leaves := [name for name, others in below.items() if not others & below.keys()]:
        for name in leaves:
            del below[name]
    assert not below


def private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


WORDS_OF_USERS = {"CHECKS", "LINE_UPS"}
"""What a suite of checks, or a module of line-ups, is asked for by."""


def test_a_public_name_means_one_thing():
    """Checks and commands aside: their functions are called what users see."""
    places = defaultdict(list)
    for path in modules("benchmark", "tools"):
        if room(name_of(path)) == "conformance" or name_of(path) == "benchmark.cli.commands":
            continue
        for node in ast.parse(path.read_text()).body:
            match node:
                case ast.FunctionDef(name=name) | ast.ClassDef(name=name) | ast.AnnAssign(target=ast.Name(id=name)):
                    places[name].append(name_of(path))
                case ast.Assign(targets=[ast.Name(id=name)]):
                    places[name].append(name_of(path))
    several = {name: where for name, where in places.items() if len(where) > 1 and not name.startswith("_")}
    assert not {name: where for name, where in several.items() if name not in WORDS_OF_USERS}


OF_LIBRARIES = {"_replace", "_asdict", "_fields", "_pytree", "_overloadpacket"}


def of_a_library(node: ast.expr) -> bool:
    """Whether an attribute is asked of torch or os, as torch.ops.aten._native_multi_head_attention is."""
    while isinstance(node, ast.Attribute):
        node = node.value
    return isinstance(node, ast.Name) and node.id in ("torch", "os")


def test_no_private_name_is_used_in_another_package():
    """Neither imported, nor asked of an object, whose class is then in that package."""
    defined, used = defaultdict(set), defaultdict(set)
    for path in modules("benchmark", "tools"):
        here = room(name_of(path))
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                    defined[here].add(name)
                case ast.AnnAssign(target=ast.Name(id=name)) | ast.Name(id=name, ctx=ast.Store()):
                    defined[here].add(name)
                case ast.Attribute(attr=name, ctx=ast.Store()):
                    defined[here].add(name)
                case ast.Attribute(attr=name) if private(name) and not of_a_library(node):
                    used[here].add(name)
                case ast.ImportFrom(names=names):
                    used[here] |= {alias.name for alias in names if private(alias.name)}
    foreign = {here: names - defined[here] - OF_LIBRARIES for here, names in used.items()}
    assert not {here: names for here, names in foreign.items() if names}


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
        "import sys; from benchmark.cli.commands import main; code = main(sys.argv[1:]); "
        "sys.exit(99 if 'torch' in sys.modules else code)"
    )
    got = subprocess.run([sys.executable, "-c", code, *words], cwd=ROOT, capture_output=True, text=True)
    assert got.returncode == (2 if "nowhere" in words else 0), got.stderr


def test_help_does_not_import_pydantic():
    """It takes longer to import than all else that the help needs."""
    code = "import sys; from benchmark.cli.commands import main; main(['--help']); sys.exit('pydantic' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.DEVNULL).returncode == 0
