import dataclasses
import hashlib
import importlib
import sys

import pytest

from benchmark import registry
from benchmark.errors import RequestError, unknown

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
    assert set(registry.names("methods")) >= {"fedmoe", "fedproto", "fml", "lg-fedavg", "standalone"}
    assert set(registry.names("datasets.sources")) >= {
        "digits",
        "mnist",
        "fashion-mnist",
        "cifar10",
        "cifar100",
        "svhn",
        "emnist",
        "qmnist",
    }
    assert set(registry.names("datasets.partitions")) >= {"pathological", "dirichlet", "quantity", "natural", "iid"}
    assert set(registry.names("datasets.shifts")) >= {"rotated", "recoloured"}
    for package in ("methods", "datasets.sources", "datasets.partitions", "datasets.shifts"):
        assert all(entry["description"] for entry in registry.described(package))


def test_a_variant_has_its_hyperparameters_and_a_label():
    method, spec = registry.method("fedmoe+gate_width=32+federate=false")
    assert (method.gate_width, method.federate, method.gate) == (32, False, "learned")
    assert (spec.name, spec.label) == ("fedmoe", "fedmoe+federate=false+gate_width=32")
    assert spec.hyperparameters == dataclasses.asdict(method)


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
        ("fedmoe+gate_width=0", "gate_width of fedmoe should be greater than or equal to 1, not '0'"),
        ("fedmoe+gate_width=many", "gate_width of fedmoe should be a valid integer, not 'many'"),
        ("fedmoe+gate=dynamic", "gate of fedmoe should be 'learned' or 'static', not 'dynamic'"),
        ("fedmoe+gate_lr=-1", "gate_lr of fedmoe should be greater than 0, not '-1'"),
        ("fml+alpha=2", "alpha of fml should be less than or equal to 1, not '2'"),
        ("standalone+x=1", "unknown hyper-parameter of standalone 'x'"),
        ("nowhere/method.py", "there is no file nowhere/method.py"),
        ("nowhere/method", "there is no file nowhere/method; give the path of a .py file"),
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
        (MINE + MINE.replace("Mine", "Other"), "it defines 2"),
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
        (lambda: registry.preset("demos"), "unknown preset 'demos'; did you mean 'demo'?"),
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
    assert registry.method(str(registry.names("methods")["fedmoe"]))[1] == registry.method("fedmoe")[1]


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


@pytest.mark.parametrize("name", registry.names("benchmark.presets", ".toml"))
def test_presets_hold_options_that_exist(name):
    from benchmark.arguments import AXES, FEDERATION
    from benchmark.config import federation_config

    options = registry.preset(name)
    assert set(options) <= {"description", *AXES, *FEDERATION}
    federation_config({key: options[key] for key in FEDERATION if key in options})
    for method in options.get("methods", ()):
        registry.method(method)


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
