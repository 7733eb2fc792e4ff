"""The floor of a comparison, and what the server costs, by hand."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from benchmark.report.cells import Column
from benchmark.report.costs import budget_table, cost_table
from benchmark.report.figures import write_figures
from benchmark.report.formats import as_csv, as_markdown
from benchmark.report.frame import read_experiment
from benchmark.report.latex import as_latex
from benchmark.report.looks import Style
from benchmark.report.tables import FLOOR, accuracy_table, main_table
from benchmark.storage.run_folder import run_folders

ACCURACY = "Accuracy after local training [%]"


def with_counts(folder, counts):
    run = {k: v for k, v in folder.read().items() if k not in ("schema", "digest")}
    folder.write(run | {"partition": run["partition"] | {"counts": counts}})


@pytest.fixture
def results(tmp_path, store):
    """Two clients, the first half of one class, the second nine tenths: 50 and 90 %."""
    counts = [[25, 25, 0, 0], [0, 5, 45, 0]]
    for label, right in (("a", 8), ("standalone", 6)):
        with_counts(store(tmp_path, label, [(right, right)] * 45), counts)
    return tmp_path


def comparison(results):
    (found,) = read_experiment(results, "exp", {})
    return found


def test_the_floor_is_the_mean_share_of_each_clients_largest_class(results, texts_of):
    found = comparison(results)
    assert found.runs[0].floor.tolist() == [50, 90]
    row = texts_of(main_table(found, "standalone"))[FLOOR]
    assert row[ACCURACY] == "70.00"
    assert {text for title, text in row.items() if not title.startswith(("Accuracy", "Method"))} == {"–"}
    detail = texts_of(accuracy_table(found))[FLOOR]
    assert (detail["Mean over clients"], detail["Worst tenth of clients"]) == ("70.00", "50.00")


def test_each_seed_has_its_floor(results, store, texts_of):
    """70 and 50: mean 60, t(0.975, 1) = 12.706, standard error 10."""
    for label in ("a", "standalone"):
        with_counts(store(results, label, [(5, 5)] * 45, seed=1), [[25, 25, 0, 0], [25, 25, 0, 0]])
    assert texts_of(main_table(comparison(results), "standalone"))[FLOOR][ACCURACY] == "60.00 ± 127.06"


def test_the_floor_is_the_last_row_and_is_ranked_nowhere(results):
    """It is above standalone, and still a is the best and standalone the second."""
    table = main_table(comparison(results), "standalone")
    assert [row[0].text for row in table.lines] == ["a", "standalone", FLOOR]
    assert [table.rows[i][0].text for i, j in [*table.ranked(0), *table.ranked(1)] if j == 1] == ["a", "standalone"]
    assert as_markdown(table).splitlines()[-1].startswith(f"| {FLOOR}")
    rules = as_latex(table, "digits", []).splitlines()
    assert rules[rules.index(r"\bottomrule") - 2] == r"\midrule"
    assert as_csv(table)["Method"].tolist() == ["a", "standalone", FLOOR]
    assert FLOOR not in comparison(results).methods


def test_figures_have_a_line_at_the_floor_or_say_where_it_is(results, monkeypatch, tmp_path):
    drawn = {}
    monkeypatch.setattr(Figure, "savefig", lambda figure, path, **_: drawn.setdefault(str(path), figure))
    style = Style(["a", "standalone"])

    def said():
        drawn.clear()
        write_figures(comparison(results), ["rounds", "bytes", "flops"], style, tmp_path)
        return [{text.get_text() for text in figure.axes[0].texts} for figure in drawn.values()]

    assert all({"majority class 70.0 %"} <= texts for texts in said())
    assert len(drawn) == 6  # PNG and PDF of each
    for folder in run_folders(results):
        with_counts(folder, [[15, 15, 10, 10], [15, 15, 10, 10]])
    assert all({"majority class 30.0 % ↓"} <= texts for texts in said())


def test_the_server_has_columns_and_counts_in_flops(tmp_path, store, texts_of):
    """Clients compute 2 TFLOP a round, a's server 3 more: 10 rounds of 2 and 5 in all."""
    for label, server in (("a", 3 * 10**12), ("standalone", 0)):
        of_server = {"server_flops": server, "server_seconds": 0.25}
        store(tmp_path, label, [(8, 8)] * 45, of_round=of_server)
    found = comparison(tmp_path)
    row = texts_of(main_table(found, "standalone"))["a"]
    assert (row["Computed [TFLOP]"], row["Server [TFLOP]"], row["Server [s]"]) == ("90", "135", "11.2")
    assert found.series("a")["flops"].tolist()[:2] == [5e12, 10e12]
    assert found.of("a")[0].curve["server_flops"].tolist()[:2] == [3e12, 6e12]
    costs = cost_table(found)
    assert (texts_of(costs)["a"]["TFLOP to 70 %"], texts_of(costs)["standalone"]["TFLOP to 70 %"]) == ("5", "2")
    assert [texts_of(costs)[k]["On the front of FLOPs"] for k in ("a", "standalone")] == ["–", "yes"]
    assert "clients and the server together" in costs.caption
    better = {"Rounds": "low", "MB": "low", "TFLOP": "low", "s": None}
    aimed = [Column(f"{unit} to 70 %", good, aligned=True, short=unit) for unit, good in better.items()]
    assert costs.columns[1:5] == aimed
    within = texts_of(budget_table(found, {"bytes": [1e9], "flops": [4e12]}))
    assert (within["a"]["4 TFLOP"], within["standalone"]["4 TFLOP"]) == ("no round", "80.00")


def test_a_floor_needs_no_finished_run(tmp_path, store):
    store(tmp_path, "a", [], rounds=[], status="failed", reason="no luck")
    assert np.isfinite(comparison(tmp_path).runs[0].floor).all()
