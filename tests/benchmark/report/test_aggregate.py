"""Several comparisons together: what is a task, paired differences over tasks, and when there are ranks."""

from dataclasses import replace

import numpy as np
import pytest

from benchmark.report.across import write_across
from benchmark.report.aggregate import (
    accuracy_matrix,
    aggregate,
    aggregate_table,
    common,
    ranking_table,
    tasks,
)
from benchmark.report.cells import Column
from benchmark.report.frame import read_experiment
from benchmark.report.looks import Style
from benchmark.storage.moments import LOCAL


def scores(standalone, a):
    """Accuracies per seed, the same for both clients."""
    return {"standalone": np.repeat([standalone], 2, axis=0).T * 1.0, "a": np.repeat([a], 2, axis=0).T * 1.0}


@pytest.mark.parametrize(
    "other, number",
    [
        *(({"rounds": 90}, 1), ({"local_epochs": 5}, 1), ({"local_steps": 20}, 1), ({"batch_size": 8}, 1)),
        *(({"eval_every": 5}, 1), ({"augmentation": "flip"}, 1)),
        *(({"dataset": "x"}, 2), ({"partition": "dirichlet:1"}, 2), ({"models": "cnn1"}, 2)),
        *(({"clients": 20}, 2), ({"participation": 0.5}, 2)),
    ],
    ids=str,
)
def test_how_clients_work_and_are_evaluated_makes_no_task(comparison_of, other, number):
    one = scores([70], [71])
    assert len(tasks([comparison_of(one), comparison_of(one, **other)])) == number


def test_differences_over_tasks_by_hand(comparison_of, texts_of):
    """One task is measured twice: +2 and +4 under both seeds, so 3; the other +5 and +9. Per seed 4 and 6, mean 5.

    s = sqrt(2), standard error 1, t(0.975, 1) = 12.706.
    """
    twice = [comparison_of(scores([70, 60], [72, 62])), comparison_of(scores([70, 60], [74, 64]), rounds=90)]
    found = [*twice, comparison_of(scores([10, 20], [15, 29]), dataset="x")]
    assert aggregate(found, "a", "standalone", LOCAL) == pytest.approx({0: 4, 1: 6})
    row = texts_of(aggregate_table(found, "standalone"))["a"]
    assert row["Difference after local training"] == "+5.00"
    assert row["95 % interval after local training"] == "[-7.71, +17.71]"
    assert (row["Tasks"], row["Seeds"]) == ("2", "2")
    assert row["p after local training"] == "0.126"  # t = 5: 2 arctan(1 / 5) / pi


def test_the_table_over_tasks_says_what_it_is(comparison_of):
    found = [comparison_of(scores([70, 60], [72, 62])), comparison_of(scores([10, 20], [15, 29]), dataset="x")]
    table = aggregate_table(found, "standalone")
    assert table.columns == [
        Column("Method"),
        Column("Difference after local training", "high", "in points of accuracy", short="local"),
        Column("95 % interval after local training", short="95 % interval"),
        Column("p after local training", None, "paired t-test over seeds, Holm-corrected"),
        Column("Tasks"),
        Column("Seeds"),
    ]
    assert table.caption == (
        "Differences to standalone in points of accuracy, paired by seed: for each seed the mean over 2 tasks, then "
        "mean and Student's interval over seeds. Comparisons that differ only in rounds, local work, training or "
        "evaluation are one task, and are averaged first. Interval and test (paired, Holm-corrected over the "
        "methods, and over their variants) are over seeds: they do not say what other tasks would give."
    )
    assert (table.title, table.order) == ("Differences to standalone over tasks", True)
    one_seed = [comparison_of(scores([70], [72])), comparison_of(scores([10], [15]), dataset="x")]
    assert [cell.text for cell in aggregate_table(one_seed, "standalone").rows[0]] == ["a", "+3.50", "–", "–", "2", "1"]


def test_a_method_that_climbs_somewhere_says_where_and_then_nothing_is_ranked(comparison_of):
    level, climbing = np.full((1, 45), 70.0), np.linspace([50.0], [70.0], 45, axis=1)
    curves = [{"standalone": level, "a": curve} for curve in (level, climbing, climbing)]
    places = [("digits", "digits"), ("x", "x, N = 10"), ("x", "x, N = 20")]
    found = [
        replace(comparison_of(scores([70], [72]), curve, dataset=dataset), heading=heading)
        for curve, (dataset, heading) in zip(curves, places, strict=True)
    ]
    table = aggregate_table(found, "standalone")
    assert (table.order, table.rows[0][0].note) == (False, "not levelled in x, N = 10; x, N = 20")
    unranked = "Not ranked, in the order of names: methods have not levelled in x, N = 10; x, N = 20. "
    assert table.caption.startswith(unranked + "Differences to standalone in points")
    assert accuracy_matrix(found, "standalone").caption.endswith(unranked.strip())
    assert aggregate_table(found[:1] * 2, "standalone").rows[0][0].note is None


def test_seeds_that_not_all_comparisons_have_are_left_out(comparison_of):
    found = [comparison_of(scores([70, 60], [72, 66])), comparison_of(scores([10], [14]), dataset="x")]
    assert aggregate(found, "a", "standalone", LOCAL) == pytest.approx({0: 3})


def test_without_the_reference_or_with_one_comparison_there_is_nothing_to_put_together(comparison_of):
    one, alone = comparison_of(scores([70], [71])), comparison_of({"a": np.full((1, 2), 71.0)}, dataset="x")
    assert aggregate_table([one], "standalone") is None
    assert aggregate_table([one, alone], "standalone") is None  # only one has it
    assert aggregate_table([one, alone, comparison_of(scores([1], [2]), dataset="y")], "standalone") is not None


def test_ranks_are_of_tasks_by_hand(tmp_path, store, monkeypatch, texts_of):
    """a is before b in four data sets of five; c is missing in one and left out. One round says nothing of levels."""
    monkeypatch.setattr("benchmark.report.frame.not_levelled", lambda rounds, scores: None)
    for dataset, a, b in (("v", 9, 5), ("w", 9, 5), ("x", 9, 5), ("y", 8, 4), ("z", 3, 6)):
        store(tmp_path, "a", [(a, a)], dataset=dataset)
        store(tmp_path, "b", [(b, b)], dataset=dataset)
    store(tmp_path, "c", [(1, 1)], dataset="x")
    store(tmp_path, "a", [(1, 1)], dataset="z", lr=0.1, batch_size=8)
    store(tmp_path, "b", [(2, 2)], dataset="z", lr=0.1, batch_size=8)
    found = read_experiment(tmp_path, "exp", {})
    assert (len(found), len(tasks(found)), common(found)) == (6, 5, ["a", "b"])
    got = texts_of(ranking_table(found))
    assert (got["a"]["Average rank"], got["b"]["Average rank"]) == ("1.20", "1.80")


def test_fewer_than_five_tasks_have_no_ranks_and_no_profile(comparison_of, tmp_path):
    """Six comparisons that are four tasks."""
    found = [comparison_of(scores([70], [71]), clients=n) for n in (1, 2, 3, 4)]
    found += [comparison_of(scores([70], [71]), clients=1, batch_size=n) for n in (8, 16)]
    assert ranking_table(found) is None
    drawn = write_across(found, Style(["a", "standalone"]), tmp_path)
    assert not {figure.stem for figure in drawn} & {"across-ranks", "across-profiles"}
    more = [*found, comparison_of(scores([70], [71]), clients=5)]
    stems = {figure.stem for figure in write_across(more, Style(["a", "standalone"]), tmp_path)}
    assert "across-profiles" in stems
    assert ranking_table(more).rows[0][0].text == "a"
