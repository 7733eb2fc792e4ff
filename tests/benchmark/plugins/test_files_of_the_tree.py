"""Files that somebody has put into the packages of plug-ins: what is wrong with them is one line, and nothing runs."""

import importlib
import sys

import pytest

from benchmark.cli.commands import main
from benchmark.plugins import registry

RUN = [
    "run",
    "--datasets",
    "tiny.npz",
    "--rounds",
    "1",
    "--clients",
    "2",
    "--models",
    "cnn1",
    "--methods",
    "standalone",
]
RUN += ["--batch-size", "16", "--no-report", "--threads", "1"]
HEAD = "import numpy as np\n\n\n"


@pytest.fixture
def here(tmp_path, monkeypatch, write_data):
    monkeypatch.chdir(tmp_path)
    write_data(tmp_path)
    return tmp_path


@pytest.fixture
def put(here, monkeypatch):
    """Put a file into a package, for this test alone."""

    def added(package, name, text):
        folder = here / package
        folder.mkdir(exist_ok=True)
        (folder / f"{name}.py").write_text(text)
        module = importlib.import_module(package)
        monkeypatch.setattr(module, "__path__", [*module.__path__, str(folder)])
        monkeypatch.setattr(module.__spec__, "submodule_search_locations", module.__path__)
        monkeypatch.delitem(sys.modules, f"{package}.{name}", raising=False)

    yield added
    for name in [name for name in sys.modules if name.rpartition(".")[2].startswith("mine_")]:
        del sys.modules[name]


def refused(capsys, *words):
    """The one line that a request is refused with."""
    capsys.readouterr()
    assert main([*RUN, *words]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and said.startswith("error: ")
    return said


PARTITIONS = {
    "raises": ("labels, clients, rng", "raise ValueError('oh')", "the partition mine-raises fails: ValueError: oh"),
    "nothing": ("labels, clients, rng", "return None", "the partition mine-nothing fails: TypeError"),
    "few": ("labels, clients, rng", "return [np.arange(5)]", "it gives 1 client a share, not 2"),
    "twice": ("labels, clients, rng", "return [np.arange(30)] * clients", "it gives a sample twice"),
    "floats": (
        "labels, clients, rng",
        "return np.split(np.arange(20.0), 2)",
        "a client's share is a vector of whole numbers",
    ),
    "far": (
        "labels, clients, rng",
        "return np.split(np.arange(20) + 10**6, 2)",
        "it gives indices from 1000000 to 1000019; there are",
    ),
    "untyped": ("labels, clients, rng, n", "return 0", "n needs a type that is read from text, such as int"),
}


@pytest.mark.parametrize("kind", PARTITIONS)
def test_a_partition_that_is_none_is_refused(put, here, capsys, kind):
    parameters, body, words = PARTITIONS[kind]
    put("datasets.partitions", f"mine_{kind}", f"{HEAD}def partition({parameters}):\n    {body}\n")
    text = f"mine-{kind}:3" if kind == "untyped" else f"mine-{kind}"
    assert words in refused(capsys, "--partition", text)
    assert not (here / "results").exists()


SHIFTS = {
    "raises": ("raise KeyError(client)", "the shift mine_raises fails: KeyError: 0"),
    "floats": ("return images / 255", "the shift mine_floats gives float64"),
    "cut": ("return images[:1]", "the shift mine_cut gives uint8 (1, "),
    "nothing": ("pass", "the shift mine_nothing gives NoneType"),
}


@pytest.mark.parametrize("kind", SHIFTS)
def test_a_shift_that_is_none_is_refused(put, here, capsys, kind):
    body, words = SHIFTS[kind]
    put("datasets.shifts", f"mine_{kind}", f"{HEAD}def shift(images, client):\n    {body}\n")
    assert words in refused(capsys, "--partition", f"iid+mine-{kind}")
    assert not (here / "results").exists()


@pytest.mark.parametrize(
    ("package", "words"),
    [
        ("datasets.partitions", ["--partition", "mine-bare"]),
        ("datasets.shifts", ["--partition", "iid+mine-bare"]),
        ("datasets.sources", ["--datasets", "mine-bare"]),
        ("methods", ["--methods", "mine-bare"]),
    ],
)
@pytest.mark.parametrize(("text", "said"), [("x = (\n", "SyntaxError"), ("", "define"), ("1 / 0\n", "ZeroDivision")])
def test_a_file_that_can_t_be_imported_or_is_empty_is_refused(put, here, capsys, package, words, text, said):
    put(package, "mine_bare", text)
    expected = "SOURCE = Source(load)" if (package, text) == ("datasets.sources", "") else said
    assert expected in refused(capsys, *words)
    assert not (here / "results").exists()


@pytest.mark.parametrize(
    ("body", "words"),
    [("raise ValueError('gone')", "the SOURCE of mine-source fails: ValueError: gone"), ("pass", "gives a NoneType")],
)
def test_a_source_that_gives_no_arrays_is_refused(put, here, capsys, body, words):
    text = f"from benchmark.api import Source\n\n\ndef load(downloads):\n    {body}\n\n\nSOURCE = Source(load)\n"
    put("datasets.sources", "mine_source", text)
    assert words in refused(capsys, "--datasets", "mine-source")
    assert not (here / "data" / "mine-source.npz").exists()


@pytest.mark.parametrize("what", ["methods", "partitions", "datasets"])
def test_a_broken_file_does_not_keep_others_from_being_listed(put, capsys, what):
    package = {"methods": "methods", "partitions": "datasets.partitions", "datasets": "datasets.sources"}[what]
    put(package, "mine_broken", "def (\n")
    assert main(["list", what]) == 0
    said = capsys.readouterr().out
    assert "mine-broken" in said and "can't be read" in said
    assert {"methods": "fedmoe", "partitions": "iid", "datasets": "digits"}[what] in said


def test_own_pictures_do_not_take_the_name_of_a_data_set_that_is_here(here, capsys):
    (here / "tiny.npz").rename(here / "Digits.npz")
    assert "has the name of a data set that is here already; rename it" in refused(capsys, "--datasets", "Digits.npz")
    assert registry.catalogue("datasets.sources")["digits"]
