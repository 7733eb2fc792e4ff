"""Cells: numbers that stand in a line, intervals and deviations for programs, and what is not ranked."""

import pandas as pd
import pytest

from benchmark.report.cells import Cell, Column, Table, align, mean_cell, spread_cell
from benchmark.report.costs import cost_table
from benchmark.report.differences import difference_tables
from benchmark.report.formats import as_csv
from benchmark.report.frame import read_experiment
from benchmark.report.tables import main_table


def aligned(*values):
    column = Column("x", aligned=True)
    return [cell.text for (cell,) in align([column], [[mean_cell([value])] for value in values])]


def test_numbers_of_a_column_have_as_many_decimals():
    assert aligned(159.6, 5.0, 2.811) == ["159.60", "5.00", "2.81"]
    assert aligned(160.0, 0.0, 0.521) == ["160.000", "0.000", "0.521"]
    assert aligned(160.0, 1421.0) == ["160", "1421"]
    assert aligned(0.0, 0.0) == ["0", "0"]


def test_what_is_too_small_for_the_decimals_is_not_printed_as_nothing():
    assert aligned(7.5e-3, 3.7e-5, 0.0) == ["0.007", "< 0.001", "0.000"]


def test_words_and_other_columns_stay_as_they_are():
    rows = [[mean_cell([1.5]), Cell("not reached")], [mean_cell([2.25]), mean_cell([3.0])]]
    got = align([Column("a"), Column("b", aligned=True)], rows)
    assert [[cell.text for cell in row] for row in got] == [["1.5", "not reached"], ["2.25", "3"]]


def test_programs_get_interval_and_deviation():
    """1, 2, 3: s = 1, t(.975, 2) = 4.3027, half-width 2.4841."""
    table = Table("t", "", "", "", [Column("Method"), Column("x")], [[Cell("a", "a"), spread_cell([1, 2, 3])]])
    (row,) = as_csv(table).to_dict("records")
    assert row == pytest.approx({"Method": "a", "x": 2, "x, low": -0.4841, "x, high": 4.4841, "x, SD": 1}, abs=1e-4)


def test_one_seed_has_no_columns_of_intervals():
    table = Table("t", "", "", "", [Column("Method"), Column("x")], [[Cell("a", "a"), spread_cell([1])]])
    assert as_csv(table).columns.tolist() == ["Method", "x"]


def test_a_difference_has_its_interval_for_programs(tmp_path, store):
    """+20 and +30 points: mean 25, s = 7.07, half-width 12.706 x 5 = 63.53."""
    for seed, right in enumerate((8, 9)):
        store(tmp_path, "a", [(right, right)], seed=seed)
        store(tmp_path, "standalone", [(6, 6)], seed=seed)
    (found,) = read_experiment(tmp_path, "exp", {})
    (row, *_) = as_csv(difference_tables(found, "standalone")[0]).to_dict("records")
    assert row["Difference"] == pytest.approx(25)
    assert (row["Difference, low"], row["Difference, high"]) == pytest.approx((25 - 63.53, 25 + 63.53), abs=0.01)
    assert row["Difference, SD"] == pytest.approx(7.07, abs=0.01)


def test_seconds_and_memory_of_a_machine_that_others_may_share_are_not_ranked(tmp_path, store, monkeypatch):
    monkeypatch.setattr("benchmark.report.frame.not_levelled", lambda rounds, scores: None)
    store(tmp_path, "a", [(8, 8)])
    store(tmp_path, "standalone", [(9, 9)], sent=(0, 0), flops=10**12)
    (found,) = read_experiment(tmp_path, "exp", {})
    for table in (main_table(found, "standalone"), cost_table(found)):
        better = {column.title: column.better for column in table.columns}
        timed = [title for title in better if title.startswith(("Training", "Server [s]", "Peak", "s to"))]
        assert timed and not any(better[title] for title in timed)
        assert better[next(title for title in better if "MB" in title)] == "low"


def test_a_csv_is_read_as_it_was_written(tmp_path):
    table = Table("t", "", "", "", [Column("Method"), Column("x")], [[Cell("a", "a"), spread_cell([1, 2])]])
    as_csv(table).to_csv(tmp_path / "t.csv", index=False)
    assert pd.read_csv(tmp_path / "t.csv")["x, SD"].tolist() == pytest.approx([0.7071], abs=1e-4)
