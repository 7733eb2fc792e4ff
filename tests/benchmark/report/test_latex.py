"""Tables in print: compact columns, short captions, and what LaTeX says of them."""

import re
import shutil
import subprocess

import pytest

from benchmark.report.aggregate import accuracy_matrix, aggregate_table, ranking_table
from benchmark.report.cells import Cell, Column, Table, spread_cell
from benchmark.report.costs import budget_table, cost_table
from benchmark.report.differences import difference_tables
from benchmark.report.frame import read_experiment
from benchmark.report.latex import CAPTION_WORDS, as_latex, brief_caption, translated
from benchmark.report.tables import accuracy_table, main_table

LONG = "b+generated_weight=2.41+hidden=1070+lr=0.0146+noise=9"


@pytest.fixture
def tables(tmp_path, store):
    """Every kind of table: two data sets, long names, large and tiny numbers, a failed run, many budgets."""
    for dataset in ("digits", "another_data-set.npz"):
        for seed in range(3):
            for i, label in enumerate(("a", LONG, "standalone")):
                right = [(4 + i, 6), (7, 7 + seed % 2), (8, 9 - i)]
                store(tmp_path, label, right, seed=seed, dataset=dataset, sent=(10 ** (3 * i + 3), 10**i))
        store(tmp_path, "c", [(0, 0)] * 3, dataset=dataset, status="failed", reason="100 % of it_ " * 9)
    found = read_experiment(tmp_path, "exp", {})
    made = [table for comparison in found for table in of_one(comparison)]
    across = [aggregate_table(found, "standalone"), accuracy_matrix(found, "standalone"), ranking_table(found)]
    return [*made, *filter(None, across)]


def of_one(comparison):
    budgets = {"bytes": [3e6, 1e9, 1e12, 1e3], "flops": [4e12, 1e9, 1e10, 1e11, 1e12]}
    tables = [main_table(comparison, "standalone"), accuracy_table(comparison), cost_table(comparison)]
    return [*tables, *difference_tables(comparison, "standalone"), budget_table(comparison, budgets)]


def widest(text):
    """The number of columns of the widest tabular."""
    rows = re.findall(r"\\toprule\n(.*?) \\\\", text)
    return max(len(re.findall(r"(?<!\\)&", row)) + 1 for row in rows)


def test_a_table_has_five_columns_at_most_and_no_box_is_resized(tables):
    for table in tables:
        text = as_latex(table, "x", [])
        assert widest(text) <= 5, table.name
        assert "resizebox" not in text


def test_the_main_table_in_print(tables):
    heads = re.search(r"\\toprule\n(.*?) \\\\", as_latex(tables[0], "x", []))[1]
    assert heads == r"Method & local [\%] & download [\%] & MB & TFLOP"


def test_columns_that_do_not_fit_follow_in_a_tabular_of_their_own(tables):
    (budgets, *_) = [table for table in tables if table.name == "budgets"]
    text = as_latex(budgets, "x", [])
    assert text.count(r"\begin{tabular}") == 3  # nine budgets, three each
    heads = re.findall(r"\\toprule\n(.*?) \\\\", text)
    assert [head.count("&") for head in heads] == [3, 3, 3]
    assert all(column.title in " ".join(heads) for column in budgets.columns)


def test_captions_are_short_and_what_they_leave_out_is_a_note(tables):
    setting = ", ".join(f"a setting number {i}" for i in range(12))
    long = Table("t", "A title", setting, "What it is.", [Column("x")], [[Cell("a")]])
    for table in [*tables, long]:
        assert len(brief_caption(table).split()) <= CAPTION_WORDS < 40
        text = as_latex(table, "x", [])
        assert translated(table.caption) in text.split(r"\begin{minipage}")[1]
    assert brief_caption(long) == "A title."
    assert translated(f"{setting}.") in as_latex(long, "x", [])


def test_long_words_may_be_broken_and_short_ones_not():
    assert translated("fedmoe+gate=static") == r"fedmoe+\allowbreak{}gate=\allowbreak{}static"
    assert translated("a+b 5 % ±") == r"a+b 5 \% $\pm$"


def test_methods_against_data_sets_by_hand(tmp_path, store):
    """a is 80 and 60 %, b only on the first; the reference has 70 and 70."""
    for dataset, a, reference in (("one", 8, 7), ("two", 6, 7)):
        store(tmp_path, "a", [(a, a)], dataset=dataset)
        store(tmp_path, "standalone", [(reference, reference)], dataset=dataset)
    store(tmp_path, "b", [(5, 5)], dataset="one")
    found = read_experiment(tmp_path, "exp", {})
    table = accuracy_matrix(found, "standalone")
    assert [column.title for column in table.columns] == ["Method", "one", "two"]
    rows = [[cell.text for cell in row] for row in table.rows]
    assert rows == [["a", "80.00", "60.00"], ["b", "50.00", "–"], ["standalone", "70.00", "70.00"]]
    assert table.ranked(0) == []  # one round says nothing of levels
    assert accuracy_matrix(found[:1], "standalone") is None


@pytest.mark.parametrize("columns", ["onecolumn", "twocolumn"])
def test_latex_sets_every_table_without_an_overfull_box(tables, tmp_path, columns):
    if shutil.which("pdflatex") is None:
        pytest.skip("there is no pdflatex here; Debian has it in texlive-latex-base and texlive-latex-recommended")
    wide = [Column("Method"), *(Column(f"Column {i}", "high") for i in range(7))]
    numbers = [spread_cell([1e5 * i, 2e5 * i, 4e5]) for i in range(7)]
    tables.append(Table("wide", "Wide", "", "Large numbers.", wide, [[Cell(LONG), *numbers]]))
    for i, table in enumerate(tables):
        (tmp_path / f"t{i}.tex").write_text(as_latex(table, f"n{i}", ["a % command"]))
    inputs = "\n".join(rf"\input{{t{i}}}\clearpage" for i in range(len(tables)))
    head = rf"\documentclass[{columns}]{{article}}\usepackage{{booktabs,array}}\begin{{document}}"
    (tmp_path / "all.tex").write_text(f"{head}\n{inputs}\n\\end{{document}}\n")
    words = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "all.tex"]
    got = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert got.returncode == 0, got.stdout[-2000:]
    log = (tmp_path / "all.log").read_text(errors="replace")
    assert "Overfull" not in log, log[log.index("Overfull") - 200 : log.index("Overfull") + 300]
    assert "Float too large" not in log
