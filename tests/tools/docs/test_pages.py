"""The pages on methods: that those committed are current, and how they are made."""

from pathlib import Path

import pytest

from benchmark.cli.commands import main
from benchmark.plugins import listed, registry
from benchmark.report.frame import read_experiment
from tools.docs import blocks, costs, pages
from tools.docs.source import Hyperparameter, hyperparameters, module_docstring

ROOT = Path(__file__).parents[3]
STORED = costs.load(ROOT / pages.FOLDER / pages.COSTS_FILE)

METHOD = '''"""Mine: it does nothing.

A box.
"""
from dataclasses import dataclass
from typing import Annotated, Literal

from benchmark.api import Method
from benchmark.fields import Positive, PositiveInt, Search, UnitInterval


@dataclass(frozen=True)
class Mine(Method):
    """Nothing."""

    rate: Positive = 0.1  # eta | of the thing
    share: UnitInterval = 0.5
    width: Annotated[PositiveInt, Search(16, 256)] = 64  # what tune tries is no range of what is allowed
    passes: PositiveInt | None = None  # none: as many as usual
    kind: Literal["plain", "samples"] = "plain"  # of what
    on: bool = True

    def unsupported(self, task):
        reason: str = "a local variable is no field"
        return reason
'''


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """A checkout of two methods, FedAvg without a page."""
    files = {name: ROOT / "methods" / f"{name}.py" for name in ("fedavg", "standalone")}
    monkeypatch.setattr(listed, "catalogue", lambda package: files)
    (tmp_path / pages.FOLDER).mkdir(parents=True)
    for change in changes(tmp_path):
        if change.file.stem == "standalone" and change.text:
            pages.write_change(pages.Change(change.file, "", pages.ASKS.sub("by hand", change.text)))
    return tmp_path


def changes(root):
    known = {name: STORED[name] for name in ("fedavg", "standalone")}
    return pages.changes(root, known, known)


def test_what_is_committed_is_current():
    """Costs as they are stored; the next test measures one method's again, the command those of all."""
    assert sorted(STORED) == sorted(registry.catalogue("methods"))
    assert [f"{change.file.name} {change.reason}" for change in pages.changes(ROOT, STORED, STORED)] == []


def test_stored_costs_are_what_is_measured():
    assert costs.measured("lg-fedavg") == STORED["lg-fedavg"]


@pytest.mark.parametrize(
    "name, cifar10, cifar100",
    [
        ("standalone", 0, 0),
        ("fedavg", 2 * 4 * 2_621_558, 2 * 4 * 2_666_648),  # CNN-1
        ("fedper", 2 * 4 * 2_616_548, 2 * 4 * 2_616_548),  # CNN-1 without its last layer
        ("lg-fedavg", 2 * 4 * 5_010, 2 * 4 * 50_100),  # a header on 500 numbers
        ("fml", 2 * 4 * 670_058, 2 * 4 * 715_148),  # CNN-5
        ("fedmoe", 2 * 4 * 665_048, 2 * 4 * 665_048),  # CNN-5 without its last layer
        ("fedmrl", 3_725_264, 3_797_984),  # CNN-5 with a representation of 100 numbers
        ("pfedes", 2 * 4 * 443, 2 * 4 * 443),
        ("fedproto", (2 + 10) * (4 * 500 + 4), (10 + 100) * (4 * 500 + 4)),  # a row, its index
        ("fedssa", 2 * 2 * (4 * 501 + 4), 2 * 10 * (4 * 501 + 4)),
        ("fd", (2 + 10) * (4 * 10 + 4), (10 + 90) * (4 * 100 + 4)),  # on CIFAR-100 a client's classes are its alone
    ],
)
def test_bytes_by_hand(name, cifar10, cifar100):
    (found,) = list(STORED[name].values())[:1]
    sent = [sum(found[dataset].up.values()) + sum(found[dataset].down.values()) for dataset in ("cifar10", "cifar100")]
    assert sent == [cifar10, cifar100]


def test_flops_by_hand():
    """Forward, weights' gradient and inputs' gradient, the last not for the first convolution: 3 M - 28^2 16 75."""
    extractors = [4_820_800, 3_380_800, 3_520_800, 3_260_800, 2_870_800]  # multiply-adds of CNN-1 ... CNN-5
    first = 28 * 28 * 16 * 3 * 25
    per_sample = [2 * (3 * (extractor + 500 * 10) - first) for extractor in extractors]
    assert STORED["standalone"]["cnn5"]["cifar10"].client_flops == 2 * costs.TRAIN * sum(per_sample)


def test_what_networks_must_have_in_common():
    found = {name: costs.line_up_class(registry.method(name)[0]) for name in ("fml", "fedproto", "fedgh", "fedavg")}
    assert found == {
        "fml": "any",
        "fedproto": "one width",
        "fedgh": "one width, linear headers",
        "fedavg": "one architecture",
    }


def test_only_what_compresses_varies():
    varying = {name for name, found in STORED.items() if None in next(iter(found.values()))["cifar10"].up.values()}
    assert varying == {"fedkd"}


def test_a_method_is_read_without_importing_it(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(METHOD + "\nraise RuntimeError\n")
    assert module_docstring(file) == "Mine: it does nothing.\n\nA box."
    assert hyperparameters(file) == [
        Hyperparameter("rate", "number > 0", "0.1", "eta | of the thing"),
        Hyperparameter("share", "number ≥ 0, ≤ 1", "0.5", ""),
        Hyperparameter("width", "integer ≥ 1, ≤ 1e+06", "64", "what tune tries is no range of what is allowed"),
        Hyperparameter("passes", "integer ≥ 1, ≤ 1e+06 or none", "none", "none: as many as usual"),
        Hyperparameter("kind", "`plain` or `samples`", "plain", "of what"),
        Hyperparameter("on", "`true` or `false`", "true", ""),
    ]
    assert "| `rate` | number > 0 | `0.1` | eta \\| of the thing |" in blocks.fields(file)


def test_messages_of_the_first_round_stand_apart_where_they_differ():
    assert blocks._messages([*STORED["fedproto"]["cnn5"].values()]) == [
        ["up: `prototypes`", "in every round", "4,008", "20,040"],
        ["down: `prototypes`", "from the second round on", "20,040", "200,400"],
    ]
    assert blocks._messages([*STORED["fedkd"]["cnn5"].values()]) == [
        ["up: `update`", "in every round", "varies", "varies"],
        ["down: `student`", "in the first round", "2,680,232", "2,860,592"],
        ["down: `mean_update`", "from the second round on", "varies", "varies"],
    ]


def test_a_method_without_a_page_gets_one_that_asks(mine):
    page, asks, catalogue = changes(mine)
    assert (page.file.name, page.reason) == ("fedavg.md", "is not there")
    assert "FedAvg: one network for all" in page.text
    assert asks.text is None
    assert asks.reason.startswith(
        "does not yet say: the idea in a paragraph, and when one would choose it; what family"
    )
    assert catalogue.file.name == "README.md"


def test_what_is_written_by_hand_stays_and_what_is_generated_is_made_anew(mine):
    for change in changes(mine):
        if change.text is not None:
            pages.write_change(change)
    page = mine / pages.FOLDER / "fedavg.md"
    whole = pages.ASKS.sub("by hand", page.read_text())
    page.write_text(whole.replace("one network for all, the mean", "another docstring, the mean"))
    first, catalogue = changes(mine)
    assert (first.reason, first.text) == ("is out of date", whole)
    assert "| [fedavg](fedavg.md) | by hand | by hand | by hand | by hand |" in catalogue.text
    for change in (first, catalogue):
        pages.write_change(change)
    assert changes(mine) == []


def test_results_come_from_what_is_stored(mine, store):
    for seed, (correct, alone) in enumerate([(8, 6), (9, 8), (10, 10)]):
        store(mine / "results", "fedavg", [[correct, correct]], seed=seed, experiment="catalogue")
        store(mine / "results", "standalone", [[alone, alone]], seed=seed, experiment="catalogue")
    store(mine / "results", "fedavg", [[1, 1]], experiment="privacy")  # which pages on methods leave out
    text = changes(mine)[0].text
    heads = (
        "| method | seeds | after local training % | after the next download % | minus Standalone | sent MB | TFLOP |"
    )
    assert heads in text
    assert "`results/catalogue`: digits, pathological:2, cnn5, N = 2" in text
    mean = "90.00 ± 24.84"  # t of two degrees of freedom 4.303 times 10 / sqrt(3)
    assert f"| `fedavg` | 3 | {mean} | {mean} | +10.00 | 2 | 2 |" in text
    assert "| `fedavg` | 1 |" not in text


def test_a_result_is_compared_with_the_standalone_that_was_trained_alike(tmp_path, store):
    """FedAvg has 80 %, Standalone 60, at a rate of 0.1 75, for two passes 50; momentum has no Standalone of its own."""
    for label, correct in (("fedavg", 8), ("standalone", 6), ("standalone+epochs=2", 5)):
        store(tmp_path, label, [[correct, correct]], experiment="reference")
    for label, correct in (("fedavg", [8, 8]), ("fedavg+mu=1", [8, 8]), ("standalone", [7, 8])):
        store(tmp_path, label, [correct], experiment="reference", lr=0.1)
    store(tmp_path, "fedavg", [[9, 9]], experiment="reference", momentum=0.5)
    stored = {"reference": read_experiment(tmp_path, "reference", {})}
    gains = {}
    for name in ("fedavg", "standalone"):
        for row in blocks.results(name, stored).splitlines()[4:]:
            label, _, _, _, gain, *_ = row.strip("| ").split(" | ")
            gains[label.strip("`")] = gain
    assert gains == {
        "fedavg": "+20.00",
        "fedavg+lr=0.1": "+5.00",
        "fedavg+mu=1+lr=0.1": "+5.00",
        "fedavg+momentum=0.5": "+30.00",
        "standalone": "–",
        "standalone+epochs=2": "-10.00",
        "standalone+lr=0.1": "+15.00",
    }


def test_costs_of_long_runs_are_written_in_full(tmp_path, store):
    store(tmp_path, "fedavg", [[8, 8]] * 2, experiment="reference", sent=(10**10, 10**10))
    text = blocks.results("fedavg", {"reference": read_experiment(tmp_path, "reference", {})})
    assert text.splitlines()[-1].endswith("| – | 40,000 | 4 |")


def test_a_page_of_no_method_and_a_page_that_lacks_a_part(mine):
    folder = mine / pages.FOLDER
    (folder / "gone.md").write_text("# Gone\n")
    (folder / "fedavg.md").write_text("# FedAvg\n\n<!-- generated: algorithm -->\n<!-- end -->\n")
    reasons = {change.file.name: change.reason for change in changes(mine)}
    assert reasons["gone.md"] == "there is no method of that name"
    assert reasons["fedavg.md"].startswith("has the generated parts algorithm; it needs algorithm, fields, costs, ")


def test_the_words_at_a_glance_may_run_over_lines():
    assert pages.glance("- **Kind:** one\n  two\n- **Leaves the client:** all\n\ntext\n") == {
        "Kind": "one two",
        "Leaves the client": "all",
    }


def test_check_says_one_line_for_each_page_and_writes_nothing(mine, monkeypatch, capsys):
    monkeypatch.setattr(pages, "checkout", lambda: mine)
    pages.write_change(
        pages.Change(
            mine / pages.FOLDER / pages.COSTS_FILE,
            "",
            costs.written({name: STORED[name] for name in ("fedavg", "standalone")}),
        )
    )
    before = sorted(mine.rglob("*"))
    assert main(["document", "--check", "--keep-costs"]) == 1
    assert "docs/methods/fedavg.md: is not there" in capsys.readouterr().out.splitlines()
    assert sorted(mine.rglob("*")) == before


def test_it_needs_a_checkout(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(pages, "__file__", str(tmp_path / "benchmark" / "documentation" / "pages.py"))
    assert main(["document"]) == 2
    assert "error: `document` writes docs/methods of a checkout, and this is none" in capsys.readouterr().err
