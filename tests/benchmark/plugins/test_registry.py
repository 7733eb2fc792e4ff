import dataclasses
import hashlib
import importlib
import re
import sys
from pathlib import Path

import pytest

from benchmark.config import FederationConfig, RunSpec
from benchmark.conformance.toy import federate, make_task
from benchmark.errors import RequestError, unknown
from benchmark.plugins import listed, registry
from benchmark.plugins.presets import preset

MINE = '''
"""Mine: for a test."""
from dataclasses import dataclass
from benchmark.api import Method

@dataclass(frozen=True)
class Mine(Method):
    """A method of one's own."""
    strength: float = 0.5
'''


def test_what_there_is():
    assert set(registry.catalogue("methods")) >= {"fedmoe", "fedproto", "fml", "lg-fedavg", "standalone"}
    assert set(registry.catalogue("datasets.sources")) >= {
        "digits",
        "mnist",
        "fashion-mnist",
        "cifar10",
        "cifar100",
        "svhn",
        "emnist",
        "qmnist",
    }
    assert set(registry.catalogue("datasets.partitions")) >= {"pathological", "dirichlet", "quantity", "natural", "iid"}
    assert set(registry.catalogue("datasets.shifts")) >= {"rotated", "recoloured"}
    for package in ("methods", "datasets.sources", "datasets.partitions", "datasets.shifts"):
        assert all(entry["description"] for entry in listed.described_catalogue(package))


def test_a_variant_has_its_hyperparameters_and_a_label():
    method, spec = registry.method("fedmoe+gate_width=32+federate=false")
    assert (method.gate_width, method.federate, method.gate) == (32, False, "learned")
    assert (spec.name, spec.label) == ("fedmoe", "fedmoe+federate=false+gate_width=32")
    assert spec.hyperparameters == dataclasses.asdict(method)


@pytest.mark.parametrize("name", registry.catalogue("methods"))
def test_defaults_are_the_same_without_importing(name):
    assert listed.method_defaults(name) == vars(registry.method(name)[0])


@pytest.mark.parametrize("name", registry.catalogue("methods"))
def test_what_runs_had_before_a_field_came_is_known_without_importing(name):
    """A run that was stored with that value does not have the field, as if it was from before."""
    defaults = listed.method_defaults(name)
    changed = listed.changed_defaults(name)
    assert changed == ({"collect": "after"} if defaults.get("collect") == "during" else {})
    for field, value in changed.items():
        assert field in registry.method(name)[1].hyperparameters
        assert field not in registry.method(f"{name}+{field}={value}")[1].hyperparameters


def test_of_users_methods_nothing_is_known_of_before():
    assert listed.changed_defaults("mine") == {}


def test_one_s_own_method_from_a_path(tmp_path):
    (tmp_path / "mine.py").write_text(MINE)
    method, spec = registry.method(f"{tmp_path / 'mine.py'}+strength=0.25")
    assert (method.strength, spec.label) == (0.25, "mine+strength=0.25")


@pytest.mark.parametrize(
    "text, message",
    [
        ("fedmo", "unknown method 'fedmo'; did you mean 'fedmoe'?"),
        ("xyzzy", "unknown method 'xyzzy'; there are: fd, fedapen"),
        ("fedmoe+gatewidth=3", "unknown hyper-parameter of fedmoe 'gatewidth'; did you mean 'gate_width'?"),
        ("fedmoe+static", "'static' in 'fedmoe+static' is no hyper-parameter; write fedmoe+key=value"),
        ("FEDMOE", "unknown method 'FEDMOE'; did you mean 'fedmoe'?"),
        ("fedmoe+gate", "gate in 'fedmoe+gate' has no value; write fedmoe+gate=value"),
        ("fedmoe+federate=maybe", "federate of fedmoe should be true or false, not 'maybe'"),
        ("fedmoe+gate_width=0", "gate_width of fedmoe should be greater than or equal to 1, not '0'"),
        ("fedmoe+gate_width=many", "gate_width of fedmoe should be a valid integer, not 'many'"),
        ("fedmoe+gate=dynamic", "gate of fedmoe should be 'learned' or 'static', not 'dynamic'"),
        ("fedmoe+gate_lr=-1", "gate_lr of fedmoe should be greater than 0, not '-1'"),
        ("fml+alpha=2", "alpha of fml should be less than or equal to 1, not '2'"),
        ("standalone+x=1", "unknown hyper-parameter of standalone 'x'"),
        ("nowhere/method.py", "there is no file nowhere/method.py"),
        ("nowhere/method", "there is no file nowhere/method; give the path of a .py file"),
        ("tests", "unknown method 'tests'"),
        ("./tests", "./tests is no .py file"),
        ("nowhere.method", "nowhere.method can't be imported: ModuleNotFoundError: No module named 'nowhere'"),
        ("benchmark.nowhere", "there is no module benchmark.nowhere in benchmark"),
        ("benchmark..method", "'benchmark..method' names no module"),
        ("benchmark.errors", "must define one Method"),
        ("fml+alpha=1+alpha=0", "alpha stands twice in 'fml+alpha=1+alpha=0'"),
    ],
)
def test_a_wrong_method_says_what_would_be_right(text, message):
    with pytest.raises(RequestError) as error:
        registry.method(text)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "content, message",
    [
        ("x = 1", "must define one Method"),
        (MINE + MINE.replace("Mine", "Other"), "it defines 2: Mine, Other"),
        (
            MINE.replace("@dataclass(frozen=True)\n", ""),
            "Mine in .* is no dataclass; write @dataclass\\(frozen=True\\)",
        ),
        (MINE.replace("float = 0.5", "float"), "strength of bad has no default; give it a value"),
        ("raise SystemExit(3)", "can't be imported: SystemExit: 3"),
        ("import nothing_at_all", "can't be imported"),
    ],
)
def test_a_file_that_is_no_method(tmp_path, content, message):
    (tmp_path / "bad.py").write_text(content)
    with pytest.raises(RequestError, match=message):
        registry.method(str(tmp_path / "bad.py"))


def test_default_classes_per_client_are_those_of_the_field():
    assert registry.partition("pathological", 10)[0] == "pathological:2"
    assert registry.partition("pathological", 100)[0] == "pathological:10"
    assert registry.partition("dirichlet:0.30", 10)[0] == "dirichlet:0.3"


def test_other_unknown_names(tmp_path):
    for call, message in [
        (lambda: registry.line_up("cnn6"), "unknown line-up of models 'cnn6'; did you mean 'cnn5'?"),
        (lambda: preset("demos"), "unknown preset 'demos'; did you mean 'demo'?"),
        (lambda: registry.dataset("cifar", tmp_path), "unknown data set 'cifar'; did you mean 'cifar10'?"),
        (lambda: registry.dataset("a/b.npz", tmp_path), "there is no file or folder a/b.npz"),
    ]:
        with pytest.raises(RequestError) as error:
            call()
        assert message in str(error.value)
    assert "there are: none" in str(unknown("thing", "x", []))


def test_one_s_own_method_is_another_when_its_file_changes(tmp_path):
    (tmp_path / "mine.py").write_text(MINE)
    before = registry.method(str(tmp_path / "mine.py"))[1]
    (tmp_path / "mine.py").write_text(MINE + "# changed")
    after = registry.method(str(tmp_path / "mine.py"))[1]
    assert before.source_hash != after.source_hash
    assert registry.method("fedmoe")[1].source_hash is None


def test_a_file_may_postpone_its_annotations(tmp_path):
    (tmp_path / "mine.py").write_text(
        "from __future__ import annotations\n" + MINE.replace('"""Mine: for a test."""', "")
    )
    assert registry.method(str(tmp_path / "mine.py"))[0].strength == 0.5


def test_a_path_to_a_method_that_is_here_is_that_method():
    assert registry.method(str(registry.catalogue("methods")["fedmoe"]))[1] == registry.method("fedmoe")[1]


def test_a_file_can_t_take_the_name_of_another_method(tmp_path):
    (tmp_path / "standalone.py").write_text(MINE)
    with pytest.raises(RequestError, match="has the name of a method that is here already"):
        registry.method(str(tmp_path / "standalone.py"))


def test_a_label_stays_inside_its_folder(tmp_path):
    (tmp_path / "mine.py").write_text(MINE.replace("float = 0.5", 'str = "a"'))
    with pytest.raises(RequestError, match="can't name a folder"):
        registry.method(f"{tmp_path / 'mine.py'}+strength=../../elsewhere")


def test_a_partition_s_name_tells_all_of_its_parameter():
    assert registry.partition("dirichlet:0.12345678", 10)[0] == "dirichlet:0.12345678"
    assert registry.partition("dirichlet:1", 10)[0] == registry.partition("dirichlet:1.0", 10)[0] == "dirichlet:1"
    assert registry.partition("label-quantity:0.50:2.0+rotated", 10).name == "label-quantity:0.5:2+rotated"
    assert registry.partition("dirichlet:1e16", 10).name == "dirichlet:1e16"  # a + would begin a shift
    assert registry.partition("natural", 10).name == "natural"  # owners are no parameter to write


PRESETS = sorted(registry.catalogue("benchmark.plugins.presets", ".toml"))


@pytest.mark.parametrize("name", PRESETS)
def test_presets_hold_options_that_exist(name):
    from benchmark.cli.arguments import AXES, FEDERATION
    from benchmark.config import federation_config

    options = preset(name)
    assert set(options) <= {"description", "reference", *AXES, *FEDERATION}
    federation_config({key: options[key] for key in FEDERATION if key in options})
    for method in options.get("methods", ()):
        registry.method(method)


@pytest.mark.parametrize("name", PRESETS)
def test_a_presets_description_has_the_command_that_it_stands_for(name):
    """Its methods are left out where they are those that `run` takes by itself."""
    _, _, command = preset(name)["description"].partition(": run ")
    assert grid_of(command.split()) == grid_of(["--preset", name])


def grid_of(words):
    """What a command line of `run` asks for: the axes of its grid, and the settings of its federations."""
    from benchmark.cli.arguments import AXES, FEDERATION, request_of
    from benchmark.cli.grids import run
    from benchmark.config import federation_config

    given = run.make_context("run", words).params
    folders = {"data": None, "results": None, "device": "cpu"}
    request = request_of(given["preset"], {name: given[name] for name in (*AXES, *FEDERATION)}, None, (), **folders)
    sizes = {"clients": request.clients[0], "participation": request.participation[0]}
    return [getattr(request, axis) for axis in AXES], federation_config({**request.federation, **sizes})


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Writes a module into a package that can be imported; returns its dotted name."""
    folder = tmp_path / "somebodys"
    folder.mkdir()
    monkeypatch.syspath_prepend(tmp_path)

    def write(name, content):
        (folder / f"{name}.py").write_text(content)
        importlib.invalidate_caches()
        return f"somebodys.{name}"

    yield write
    for name in [name for name in sys.modules if name.partition(".")[0] == "somebodys"]:
        del sys.modules[name]


def test_one_s_own_method_from_an_installed_package(package):
    dotted = package("fed_mine", MINE)
    method, spec = registry.method(f"{dotted}+strength=0.25")
    assert (method.strength, spec.name, spec.label) == (0.25, "fed-mine", "fed-mine+strength=0.25")
    assert spec.source_hash == hashlib.sha256(MINE.encode()).hexdigest()[:16]


def test_a_path_and_a_dotted_name_of_one_file_are_the_same_method(package, tmp_path):
    dotted = package("fed_mine", MINE)
    path = str(tmp_path / "somebodys" / "fed_mine.py")
    assert registry.module_of(path)[1] == registry.module_of(dotted)[1]
    assert registry.method(path)[1] == registry.method(dotted)[1]


def test_a_dotted_name_of_the_catalogue_is_that_method_and_takes_no_other_s_name(package):
    assert registry.method("methods.lg_fedavg")[1] == registry.method("lg-fedavg")[1]
    with pytest.raises(RequestError, match="lg_fedavg has the name of a method that is here already"):
        registry.method(package("lg_fedavg", MINE))


def test_a_module_needs_a_file(package, tmp_path):
    (tmp_path / "somebodys" / "folder").mkdir()
    package("fed_mine", "raise ValueError('two\\nlines')")
    for text, message in [
        ("somebodys.folder", "somebodys.folder is no module with a .py file of its own"),
        ("somebodys.fed_mine", "somebodys.fed_mine can't be imported: ValueError: two lines"),
        ("somebodys", "'somebodys' names no module"),
    ]:
        with pytest.raises(RequestError) as error:
            registry.module_of(text)
        assert message in str(error.value)


@pytest.mark.parametrize(
    "text, name, widths",
    [
        ("fe4", "fe4", [512] * 4),
        ("fe4+width=512+adapter=pool", "fe4", [512] * 4),
        ("fe4+width=64+adapter=linear", "fe4+adapter=linear+width=64", [64] * 4),
        ("fe4+adapter=none", "fe4+adapter=none", [512, 1024, 1280, 512]),
        ("vision4-native+adapter=none", "vision4-native", [512, 1280, 1024, 1280]),
        ("vision4-native+adapter=linear+width=0256", "vision4-native+adapter=linear+width=256", [256] * 4),
        ("cnn5+adapter=pool", "cnn5+adapter=pool", [500] * 5),
    ],
)
def test_a_line_up_s_full_name_tells_its_options_but_not_its_defaults(text, name, widths):
    line_up = registry.line_up(text)
    assert line_up.name == name
    assert [a.width for a in line_up.architectures] == widths
    assert registry.line_up(name).options == line_up.options


@pytest.mark.parametrize(
    "text, message",
    [
        ("fe44", "unknown line-up of models 'fe44'; did you mean 'fe4'?"),
        ("fe4+adapter=mean", "adapter of fe4 should be 'pool', 'linear' or 'none', not 'mean'"),
        ("fe4+width=0", "width of fe4 should be greater than or equal to 1, not '0'"),
        ("fe4+width=1.5", "width of fe4 should be a valid integer, not '1.5'"),
        ("fe4+widths=3", "unknown option of fe4 'widths'; did you mean 'width'?"),
        ("fe4+linear", "'linear' in 'fe4+linear' is no option; write fe4+key=value"),
        ("fe4+width=3+width=4", "width stands twice in 'fe4+width=3+width=4'"),
        ("cnn5+width=64", "cnn5+width=64 has no adapter that would give that width; add +adapter=linear"),
        ("nowhere/models.py", "there is no file nowhere/models.py"),
        ("benchmark.errors", "benchmark.errors must define LINE_UP, which is a LineUp, or LINE_UPS, a list of them"),
        ("benchmark.models.cnn:cnn5", "cnn5 is the name of a line-up that is here already"),
    ],
)
def test_a_wrong_line_up_says_what_would_be_right(text, message):
    with pytest.raises(RequestError) as error:
        registry.line_up(text)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


OWN = """
from torch import nn
from benchmark.api import Architecture, LineUp, Shape

def flat(input_shape: Shape, width: int) -> nn.Module:
    channels, height, breadth = input_shape
    return nn.Sequential(nn.Flatten(), nn.Linear(channels * height * breadth, width), nn.ReLU())

NETWORKS = tuple(Architecture(f"flat{width}", flat, width) for width in (8, 16))
"""
ONE = OWN + 'LINE_UP = LineUp("flats", "two flat networks", NETWORKS, NETWORKS[0], min_size=4)\n'
TWO = OWN + 'LINE_UPS = [LineUp(name, "flat", NETWORKS, NETWORKS[0], min_size=4) for name in ("a", "b")]\n'


def test_a_line_up_of_one_s_own_by_path_and_from_an_installed_package(package, tmp_path):
    dotted = package("nets", ONE)
    line_up = registry.line_up(str(tmp_path / "somebodys" / "nets.py"))
    assert (line_up.name, line_up.source_hash) == ("flats", hashlib.sha256(ONE.encode()).hexdigest()[:16])
    assert registry.line_up(dotted).source_hash == line_up.source_hash
    adapted = registry.line_up(f"{dotted}+adapter=linear+width=4")
    assert (adapted.name, adapted.source_hash) == ("flats+adapter=linear+width=4", line_up.source_hash)
    assert [a.width for a in adapted.architectures] == [4, 4]
    assert registry.line_up("cnn5").source_hash is None


def test_one_of_several_line_ups_in_a_module(package, tmp_path):
    dotted = package("nets", TWO)
    for place in (dotted, str(tmp_path / "somebodys" / "nets.py")):
        assert registry.line_up(f"{place}:b").name == "b"
        with pytest.raises(RequestError, match=r"nets(\.py)? defines a, b; write .*nets(\.py)?:a for the first"):
            registry.line_up(place)
        with pytest.raises(RequestError, match=r"unknown line-up of .* 'c'; there are: a, b"):
            registry.line_up(f"{place}:c")


@pytest.mark.parametrize(
    "content, message",
    [
        (OWN, "must define LINE_UP"),
        (OWN + "LINE_UP = NETWORKS", "must define LINE_UP"),
        (OWN + "LINE_UPS = 3", "must define LINE_UP"),
        (TWO.replace('("a", "b")', '("a", "a")'), "defines two line-ups called a; rename one"),
        (ONE.replace('"flats"', '"fe2"'), "fe2 is the name of a line-up that is here already; rename it"),
        (ONE.replace('"flats"', '"a+b"'), "'a\\+b' has a \\+ or a comma in it"),
        (ONE.replace('"flats"', '"a/b"'), "line-up 'a/b' can't name a folder"),
        (ONE.replace("flat{width}", "flat"), "flats needs networks, and two that differ need two names"),
        (ONE.replace("NETWORKS, N", "(), N"), "flats needs networks"),
        (ONE.replace("NETWORKS[0], m", "None, m"), "flats needs an Architecture as small"),
        (ONE.replace("NETWORKS, N", "flat, N"), "flats needs an Architecture as small, and as each of its networks"),
        (ONE.replace("NETWORKS, N", "NETWORKS[0], N"), "networks of flats is no tuple"),
    ],
)
def test_a_file_that_is_no_line_up(tmp_path, content, message):
    (tmp_path / "bad.py").write_text(content)
    with pytest.raises(RequestError, match=message):
        registry.line_up(str(tmp_path / "bad.py"))


def test_a_run_on_a_line_up_of_one_s_own_is_another_when_its_file_changes():
    spec = RunSpec(
        dataset="d",
        data_hash="0",
        method=registry.method("standalone")[1],
        partition="iid",
        models="mine",
        federation=FederationConfig(),
        seed=0,
    )
    assert len({spec.model_copy(update={"models_hash": text}).key for text in (None, "1" * 16, "2" * 16)}) == 3


def test_the_line_up_in_the_guide_works(tmp_path):
    guide = (Path(__file__).parents[3] / "docs" / "networks.md").read_text(encoding="utf-8")
    (example,) = re.findall("```python\n(.*?)```", guide, re.S)
    (tmp_path / "models.py").write_text(example)
    for text, widths in [("", [32, 32]), ("+adapter=none", [32, 64])]:
        line_up = registry.line_up(f"{tmp_path / 'models.py'}{text}")
        federation, _ = federate(registry.method("fml")[0], make_task(line_up=line_up), rounds=1)
        assert list(federation.task.widths.values()) == widths
