"""What chance does to reports, by simulation through the functions that fill the tables.

The law is that of federations: a seed moves all clients of a method together (seed spread), and each client besides.
"""

import numpy as np
import pytest

from benchmark.report.aggregate import aggregate_table
from benchmark.report.answer import answer_of
from benchmark.report.cells import spread_cell
from benchmark.report.differences import OVER_SEEDS, difference_tables, differences, marks_of
from benchmark.storage.moments import LOCAL

SEEDS, CLIENTS, CLIENT_SD = 3, 10, 3.0
METHODS = ("standalone", "a", "b", "c", "d")
REPETITIONS = 1000
MOST_MARKED = 0.06
LEAST_COVERED = 0.92


def federations(rng, spread, methods=METHODS, seeds=SEEDS):
    """label -> accuracies [seeds, clients], of methods that do not differ."""
    partition = rng.normal(70, 8, (seeds, CLIENTS))  # what all methods share
    return {
        label: partition + rng.normal(0, spread, (seeds, 1)) + rng.normal(0, CLIENT_SD, (seeds, CLIENTS))
        for label in methods
    }


@pytest.mark.parametrize("spread", [0.5, 1, 2])
@pytest.mark.parametrize("methods", [METHODS[:2], METHODS], ids=["one", "four"])
def test_no_mark_is_above_its_level_where_methods_do_not_differ(comparison_of, spread, methods):
    """A table counts as marked if any of its methods is: that is what Holm's correction holds."""
    rng = np.random.default_rng(0)
    marked = []
    for _ in range(REPETITIONS):
        found = comparison_of(federations(rng, spread, methods))
        marked.append(OVER_SEEDS in "".join(marks_of(found, "standalone", LOCAL).values()))
    assert 0 < np.mean(marked) <= MOST_MARKED


def test_there_is_one_kind_of_mark_and_the_tables_show_it(comparison_of):
    """Clients that agree without seeds that agree make none: +4 -3 +1 for all ten clients of a seed."""
    base = np.full((SEEDS, CLIENTS), 70.0)
    uneven, even = (base + np.array([gains]).T for gains in ([4, -3, 1], [4, 4.1, 4.2]))
    found = comparison_of({"standalone": base, "uneven": uneven, "even": even})
    assert marks_of(found, "standalone", LOCAL) == {"even": OVER_SEEDS, "uneven": ""}
    (table,) = difference_tables(found, "standalone")
    assert [row[1].text for row in table.rows] == ["+4.10 †", "+0.67"]


def test_variants_are_corrected_apart_so_that_a_control_more_moves_no_method(comparison_of):
    """Two methods with p = 0.02 and 0.03, which Holm makes 0.04, and variants with 0.03 and 0.18 beside them.

    Gains of mean m and deviation s over three seeds have t = m sqrt(3) / s: p = 0.02 is t = 6.965, p = 0.03 is 5.643.
    """
    base = np.full((SEEDS, CLIENTS), 70.0)
    gains = {"a": 6.965, "b": 5.643, "a+x=1": 5.643, "a+x=2": 2.0}
    scores = {k: base + t / np.sqrt(3) + np.array([[-1.0, 0.0, 1.0]]).T for k, t in gains.items()}
    without = comparison_of({"standalone": base, "a": scores["a"], "b": scores["b"]})
    with_controls = comparison_of({"standalone": base, **scores})
    for found in (without, with_controls):
        of = differences(found, "standalone", LOCAL)
        assert [round(of[label].p, 3) for label in ("a", "b")] == [0.04, 0.04]
    assert [round(of[label].p, 3) for label in ("a+x=1", "a+x=2")] == [0.06, 0.184]  # 2 x 0.03, and t = 2 alone
    sizes = [answer_of(found, "standalone").detectable for found in (without, with_controls)]
    assert sizes[0] == pytest.approx(sizes[1])  # two tests in each family, all of one spread


@pytest.mark.parametrize("spread", [0.5, 2])
def test_intervals_of_means_and_differences_cover(comparison_of, spread):
    """The truth of a method is 0 against the reference, and 70 in all."""
    rng = np.random.default_rng(1)
    covered = {"difference": [], "accuracy": []}
    for _ in range(REPETITIONS):
        found = comparison_of(federations(rng, spread, METHODS[:2]))
        test = differences(found, "standalone", LOCAL)["a"].test
        covered["difference"].append(test.low <= 0 <= test.high)
        mean, half = map(float, spread_cell(found.scores("a")).text.split(" ± "))
        covered["accuracy"].append(abs(mean - 70) <= half)
    assert all(np.mean(of) >= LEAST_COVERED for of in covered.values()), {k: np.mean(v) for k, v in covered.items()}
    assert all(np.mean(of) < 0.98 for of in covered.values())


def test_intervals_over_tasks_cover(comparison_of):
    """Three tasks of which one is measured twice, in which a method is better by 4, 1 and -2 points: 1 in the mean."""
    rng = np.random.default_rng(2)
    covered = []
    for _ in range(REPETITIONS // 2):
        comparisons = []
        for clients, rounds, gain in ((10, 45, 4), (20, 45, 1), (20, 90, 1), (50, 45, -2)):
            scores = federations(rng, 1, METHODS[:2])
            scores["a"] = scores["a"] + gain
            comparisons.append(comparison_of(scores, clients=clients, rounds=rounds))
        ((_, _, interval, _, tasks, seeds),) = aggregate_table(comparisons, "standalone").rows
        assert (tasks.text, seeds.text) == ("3", "3")
        low, high = map(float, interval.text.strip("[]").split(", "))
        covered.append(low <= 1 <= high)
    assert LEAST_COVERED <= np.mean(covered) < 0.98
