"""Moments side by side: columns, tables and marks of each, and where a verdict depends on which one is looked at."""

import json

import pytest

from benchmark.cli.commands import main
from benchmark.report import write
from benchmark.report.costs import budget_table, cost_table
from benchmark.report.differences import difference_tables, sign_notes
from benchmark.report.figures import write_figures
from benchmark.report.frame import Comparison, read_experiment
from benchmark.report.looks import Style
from benchmark.report.stored_run import StoredRun
from benchmark.report.tables import accuracy_table, main_table
from benchmark.storage.moments import MOMENTS

LOCAL, DOWNLOAD, FINETUNE = MOMENTS
COLUMNS = {moment: f"Accuracy {moment.words} [%]" for moment in MOMENTS}


@pytest.fixture
def results(tmp_path, store):
    """After local training a has 80, b 50 and standalone 60 %; after the next download a has 40, b 60, standalone 60.

    b is below at one moment and as good at the other.
    """
    for seed in (0, 1, 2):
        for label, local, download in (("a", 8, 4), ("b", 5, 6), ("standalone", 6, 6)):
            after = {"post_download": {"correct": [download] * 2, "total": [10, 10]}}
            store(tmp_path, label, [(local, local)], seed=seed, of_round=after)
    return tmp_path


def comparison(results, moment=None):
    (found,) = read_experiment(results, "exp", {}, moment=moment)
    return found


def test_both_moments_stand_side_by_side(results, texts_of):
    found = comparison(results)
    assert found.moments == [LOCAL, DOWNLOAD]
    got = texts_of(main_table(found, "standalone"))
    assert (got["a"][COLUMNS[LOCAL]], got["a"][COLUMNS[DOWNLOAD]]) == ("80.00 ± 0.00", "40.00 ± 0.00")
    assert (got["b"][COLUMNS[LOCAL]], got["b"][COLUMNS[DOWNLOAD]]) == ("50.00 ± 0.00", "60.00 ± 0.00")
    local, download = map(texts_of, difference_tables(found, "standalone"))
    assert (local["a"]["Difference"], download["a"]["Difference"]) == ("+20.00", "-20.00")
    assert texts_of(accuracy_table(found))["a"]["Mean after the next download"] == "40.00 ± 0.00"


def test_a_sign_that_changes_is_told_in_both_tables(results):
    """b's 0 has no sign, so only a's changes."""
    found = comparison(results)
    note = "a minus standalone: +20.00 after local training, -20.00 after the next download"
    note += "; the sign depends on the moment"
    assert sign_notes(found, "standalone") == {"a": note}
    for table in [main_table(found, "standalone"), *difference_tables(found, "standalone")]:
        notes = {row[0].text: row[1].note for row in table.rows}
        assert notes["a"] == note
        assert notes["b"] is None


@pytest.mark.parametrize("moment, order", [(LOCAL, ["a", "standalone", "b"]), (DOWNLOAD, ["b", "standalone", "a"])])
def test_one_moment_decides_order_costs_and_budgets(results, texts_of, monkeypatch, moment, order):
    """One round is too few to have levelled; here it is enough."""
    monkeypatch.setattr("benchmark.report.frame.not_levelled", lambda rounds, scores: None)
    found = comparison(results, moment)
    assert found.methods == order
    main_ = main_table(found, "standalone")
    assert [c.title for c in main_.columns if c.title.startswith("Accuracy")] == [COLUMNS[moment]]
    assert [table.name for table in difference_tables(found, "standalone")] == ["differences"]
    reached = texts_of(cost_table(found))["a"]["Rounds to 70 %"]
    assert reached == ("1" if moment == LOCAL else "not reached")
    within = texts_of(budget_table(found, {"bytes": [1e9], "flops": [1e15]}))["a"]
    assert set(within.values()) - {"a"} == {"80.00 ± 0.00" if moment == LOCAL else "40.00 ± 0.00"}
    assert found.series("a")["accuracy"].tolist() == [80 if moment == LOCAL else 40]
    assert sign_notes(found, "standalone").keys() == {"a"}  # a report of one moment does not hide the other


def test_figures_of_a_moment_that_a_comparison_lacks_are_left_out(results, tmp_path):
    found = comparison(results, FINETUNE)
    assert texts(main_table(found, "standalone")) == {"–"}
    drawn = write_figures(found, ["rounds", "clients", "fronts", "costs"], Style(["a", "b", "standalone"]), tmp_path)
    assert [figure.stem for figure in drawn] == ["digits-costs"]


def texts(table):
    """The accuracies in the first column of a table of methods."""
    return {row[1].text for row in table.rows}


def fine_tuned(results):
    """The same runs, evaluated after fine-tuning too: everybody has 90 %."""
    stored = comparison(results)
    tuned = {"post_finetune": {"correct": [9, 9], "total": [10, 10]}, "finetune_flops": 5 * 10**11}
    again = []
    for run in stored.runs:
        (path,) = results.glob(f"exp/digits/{run.label}/{run.run['key']}/rounds.jsonl")
        rounds = [json.loads(line) | tuned | {"finetune_seconds": 1.5} for line in path.read_text().splitlines()]
        again.append(StoredRun.of(run.run, rounds))
    return Comparison("digits", "digits", stored.setting, stored.training, 70.0, again, MOMENTS)


def test_fine_tuning_is_a_moment_and_a_cost_of_its_own(results, texts_of):
    found = fine_tuned(results)
    assert found.stored_moments == [LOCAL, DOWNLOAD, FINETUNE]
    got = texts_of(main_table(found, "standalone"))["a"]
    assert got[COLUMNS[FINETUNE]] == "90.00 ± 0.00"
    assert (got["Fine-tuning [TFLOP]"], got["Computed [TFLOP]"]) == ("0.500", "2")
    assert found.of("a")[0].total("flops") == 2e12  # never among the FLOPs of training
    assert [table.name for table in difference_tables(found, "standalone")][2] == "differences-finetune"
    assert "Fine-tuning [TFLOP]" not in texts_of(main_table(comparison(results), "standalone"))["a"]


def test_the_command_shows_the_moment_that_it_is_asked_for(results, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(write, "PLOTS", {})
    words = ["report", "--results", str(results), "--reports", str(tmp_path / "reports")]
    tables = tmp_path / "reports" / "exp" / "tables"
    assert main([*words, "--moment", "download"]) == 0
    assert {p.name for p in tables.glob("*differences*.md")} == {"digits-differences.md"}
    assert main(words) == 0
    assert {p.name for p in tables.glob("*differences*.md")} == {
        "digits-differences.md",
        "digits-differences-download.md",
    }
    assert main([*words, "--moment", "both"]) == 0
    capsys.readouterr()
    for wrong in ("finetune", "later"):
        assert main([*words, "--moment", wrong]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert wrong in line
