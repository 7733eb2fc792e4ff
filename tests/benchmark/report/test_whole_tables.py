"""Tables of costs and over tasks as a whole, by hand: their names, columns, cells, marks and captions."""

from dataclasses import replace

import numpy as np
import pytest

from benchmark.report.aggregate import accuracy_matrix, aggregate_table, ranking_table
from benchmark.report.cells import Column
from benchmark.report.costs import budget_table, cost_table

SETTING = "digits, iid, cnn5, N = 10, participation 100 %, 45 rounds, one local epoch, batch 64, lr 0.01"
FLOPS = "FLOPs are those of all clients and the server together, without what evaluation takes."


def texts(table):
    return [[cell.text for cell in row] for row in table.rows]


def names(table):
    return [row[0].value for row in table.rows]


def of(standalone, *others):
    """Accuracies per seed of standalone, a, b, ..., the same for both clients."""
    labels = ["standalone", *"abc"]
    return {k: np.repeat([v], 2, axis=0).T * 1.0 for k, v in zip(labels, [standalone, *others], strict=False)}


@pytest.fixture
def two(comparison_of):
    """On digits a has 6, 6 and 5 points more: mean 5.67, standard error 1/3, so t = 17. On x 5, 9 and 4: t = 3.93."""
    one = comparison_of(of([70, 60, 68], [76, 66, 73]))
    other = comparison_of(of([10, 20, 30], [15, 29, 34]), dataset="x")
    return [replace(one, heading="digits"), replace(other, heading="x")]


def test_methods_against_data_sets(two):
    """t of two degrees of freedom is 4.303 at 5 %: twice 2.96 standard errors of digits, 5.69 and 5.77 of x."""
    table = accuracy_matrix(two, "standalone")
    assert (table.name, table.title, table.setting, table.order) == ("methods", "Methods against data sets", "", True)
    assert table.columns == [Column("Method"), Column("digits", "high", SETTING), Column("x", "high", SETTING)]
    assert texts(table) == [
        ["a", "71.67 ± 12.75 †", "26.00 ± 24.47"],
        ["standalone", "66.00 ± 13.14", "20.00 ± 24.84"],
    ]
    assert names(table) == ["a", "standalone"]
    assert table.caption == (
        "Accuracy in percent after local training: mean over all clients, each on its own test data, and over "
        "seeds; ± is half the 95 % interval over seeds. † differs from standalone over seeds: paired t-test, "
        "Holm-corrected over the methods, and over their variants, of a column."
    )
    assert accuracy_matrix(two[:1], "standalone") is None


def test_a_column_without_a_rank_has_no_better(comparison_of, two):
    climbing = {label: np.linspace([50.0], [70.0], 45, axis=1) for label in ("standalone", "a")}
    waiting = replace(comparison_of(of([70], [72]), climbing, dataset="y"), heading="y")
    assert [column.better for column in accuracy_matrix([*two, waiting], "standalone").columns] == [
        None,
        "high",
        "high",
        None,
    ]


def test_moments_that_not_all_comparisons_have_are_left_out(comparison_of):
    one, both = of([70, 60], [73, 63]), of([1, 2], [4, 5])
    found = [comparison_of(one), comparison_of(both, downloaded=both, dataset="x")]
    local = ["Method", *(f"{what} after local training" for what in ("Difference", "95 % interval", "p"))]
    for pair in (found, found[::-1]):
        table = aggregate_table(pair, "standalone")
        assert [column.title for column in table.columns] == [*local, "Tasks", "Seeds"]
        assert accuracy_matrix(pair, "standalone").caption.startswith("Accuracy in percent after local training:")
    nothing_shared = [replace(c, moments=c.moments[i : i + 1]) for i, c in enumerate(found)]
    assert aggregate_table(nothing_shared, "standalone") is None


def test_methods_that_tie_are_in_the_order_of_names(comparison_of):
    scores = {f"m{i:02}": np.full((1, 2), 70.0 + i % 2) for i in range(40)}
    table = ranking_table([comparison_of(scores, clients=n) for n in range(1, 6)])
    assert names(table) == [*sorted(scores)[1::2], *sorted(scores)[::2]]


def test_differences_over_tasks(comparison_of):
    """b is 1 and a 3 points better in both tasks, and the best stands first; counts can be sorted."""
    found = [comparison_of(of([70, 60], [73, 63], [71, 61])), comparison_of(of([1, 2], [4, 5], [2, 3]), dataset="x")]
    table = aggregate_table(found, "standalone")
    assert (table.name, table.setting, names(table)) == ("differences", "", ["a", "b"])
    assert [row[0] for row in texts(table)] == ["a", "b"]
    assert [[cell.value for cell in row[-2:]] for row in table.rows] == [[2, 2], [2, 2]]
    turned = [comparison_of(of([70, 60], [71, 61], [73, 63])), comparison_of(of([1, 2], [2, 3], [4, 5]), dataset="x")]
    assert names(aggregate_table(turned, "standalone")) == ["b", "a"]


def test_ranks(comparison_of):
    """Four wins of five: 1.2 and 1.8, F = 2.25 with p = 0.208 (tables of t = 1.5); 1.96 sqrt(2 * 3 / 30) = 0.88."""
    table = ranking_table([comparison_of(of([70], [71 if n < 5 else 69]), clients=n) for n in range(1, 6)])
    assert (table.name, table.title, table.setting) == ("ranks", "Ranks over tasks", "")
    assert table.columns == [
        Column("Method"),
        Column("Average rank", "low", "1 is the best; mean accuracy of each task"),
    ]
    assert texts(table) == [["a", "1.20"], ["standalone", "1.80"]]
    assert [[cell.value for cell in row] for row in table.rows] == [["a", 1.2], ["standalone", 1.8]]
    assert table.caption == (
        "Over 5 tasks, methods that are done in all; comparisons with methods that have not levelled are left "
        "out. Friedman test (Iman and Davenport's F): p = 0.208; Nemenyi critical difference of ranks at 5 %: "
        "0.88. Tasks that share a data set are not independent of each other."
    )


@pytest.fixture
def priced(comparison_of):
    """Rounds of 1 TFLOP and nothing sent, at 70 % from the first; or of 2 TFLOP and 2 MB, at 70 % from the fifth on."""
    level, late = np.full((1, 45), 70.0), np.r_[np.full(4, 50.0), np.full(41, 70.0)][None]
    prices = {"standalone": (0, 45e12), "a": (90e6, 90e12)}
    found = comparison_of(of([70], [70]), {"standalone": level, "a": late}, prices=prices)
    return replace(found, target=70.0)


def test_costs_of_a_target(priced):
    table = cost_table(priced)
    assert (table.name, table.title, table.setting, table.order) == ("costs", "Cost of the target", SETTING, True)
    better = {"Rounds": "low", "MB": "low", "TFLOP": "low", "s": None}
    aimed = [Column(f"{unit} to 70 %", good, aligned=True, short=unit) for unit, good in better.items()]
    assert table.columns == [
        Column("Method"),
        *aimed,
        Column("On the front of bytes"),
        Column("On the front of FLOPs"),
    ]
    assert texts(table) == [
        ["a", "5", "10", "10", "2.500", "–", "–"],
        ["standalone", "1", "0", "1", "0.500", "yes", "yes"],
    ]
    assert names(table) == ["a", "standalone"]
    assert table.caption == (
        "Cost up to the first evaluated round at 70 %, mean over seeds; seconds are not ranked. Accuracy: each on"
        f" its own test data, after local training, mean of the last 5 evaluated rounds, n = 1 seed. {FLOPS} A "
        "method is on a front where no other is as accurate for less, or more accurate for as much, over all "
        "rounds."
    )
    assert texts(cost_table(replace(priced, target=75.0)))[0][1:5] == ["not reached"] * 4


def test_a_target_that_not_all_seeds_reach_has_no_mean(comparison_of):
    rising = np.array([np.full(45, 70.0), np.full(45, 60.0), np.full(45, 60.0)])
    found = replace(comparison_of({"a": np.full((3, 2), 65.0)}, {"a": rising}), target=70.0)
    assert texts(cost_table(found))[0][1:5] == ["reached by 1 of 3"] * 4


def test_fronts_without_a_target(priced):
    table = cost_table(replace(priced, target=None))
    assert table.title == "Fronts"
    assert texts(table) == [["a", "–", "–"], ["standalone", "yes", "yes"]]


def test_accuracy_within_budgets(priced):
    """8 MB are four rounds of a; 1 TFLOP is none of it."""
    table = budget_table(priced, {"bytes": [8e6], "flops": [1e12]})
    assert (table.name, table.title, table.setting) == ("budgets", "Accuracy within a budget [%]", SETTING)
    assert table.columns == [Column("Method"), Column("8 MB", "high"), Column("1 TFLOP", "high")]
    assert texts(table) == [["a", "50.00", "no round"], ["standalone", "70.00", "70.00"]]
    assert names(table) == ["a", "standalone"]
    assert table.rows[0][2].note == "a: no evaluated round within the budget"
    assert table.caption == (
        "Accuracy in percent in the last evaluated round within a budget, that one alone, after local training, n"
        f" = 1 seed; one seed, so no interval. {FLOPS}"
    )


def test_budgets_are_the_three_largest_powers_of_ten_between_the_least_and_the_most(comparison_of):
    """From 0.5 to 3,000 TFLOP there are 1, 10, 100 and 1,000; of bytes one method sends none, the other one byte."""
    prices = {"standalone": (0, 5e11), "a": (1, 3e15)}
    found = comparison_of(of([70], [70]), prices=prices)
    table = budget_table(found, {"bytes": [], "flops": []})
    assert [column.title for column in table.columns[1:]] == ["1e-06 MB", "10 TFLOP", "100 TFLOP", "1000 TFLOP"]
    alone = comparison_of(of([70]), prices={"standalone": (0, 5e11)})
    assert budget_table(alone, {"bytes": []}) is None
