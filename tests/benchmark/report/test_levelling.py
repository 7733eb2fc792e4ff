"""Whether curves have levelled: by hand, how often the rule is wrong, and what reports do with what has not."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from benchmark.errors import RequestError
from benchmark.report.aggregate import aggregate_table, ranking_table
from benchmark.report.costs import cost_table
from benchmark.report.differences import difference_tables
from benchmark.report.figures import write_figures
from benchmark.report.frame import read_experiment
from benchmark.report.levelling import last_third, not_levelled, still_moves, too_few, trend
from benchmark.report.looks import Style
from benchmark.report.tables import accuracy_table, main_table
from benchmark.report.write import ReportOptions, write_report


def test_the_last_third_is_of_rounds_and_not_of_evaluations():
    assert last_third(np.arange(1, 16)).nonzero()[0].tolist() == [10, 11, 12, 13, 14]
    assert last_third(np.array([5, 10, 15, 20, 25, 30])).tolist() == [False] * 4 + [True] * 2  # every fifth round


def test_a_trend_by_hand():
    """0, 1, 2, 3, 5 in rounds 11 to 15: slope 12 / 10, residuals .2 0 -.2 -.4 .4, their squares' sum .4.

    The slope's standard error is sqrt(.4 / 3 / 10) = .1155, t = 10.39 with 3 degrees of freedom, p = .0009.
    """
    curve = np.array([[9.0] * 10 + [0, 1, 2, 3, 5]])
    found = trend(np.arange(1, 16), curve)
    assert found.rise == pytest.approx(1.2 * 5)
    assert found.p == pytest.approx(0.00095, abs=5e-5)


def test_seeds_share_a_slope_and_no_height():
    """Twice the same line at another height: 9 - 2 - 1 more degrees of freedom, and no larger error."""
    one = np.array([[9.0] * 10 + [0, 1, 2, 3, 5]])
    both = trend(np.arange(1, 16), np.concatenate([one, one + 40]))
    assert both.rise == pytest.approx(6)
    assert both.p < trend(np.arange(1, 16), one).p


@pytest.mark.parametrize("seeds, rounds", [(1, 42), (2, 21), (3, 12), (5, 12)])
def test_too_few_rounds_say_nothing(seeds, rounds):
    assert "too few rounds to say" in not_levelled(np.arange(1, rounds + 1), np.full((seeds, rounds), 70.0))


def test_a_climb_is_told_although_rounds_are_too_few_to_call_anything_level():
    """14 of 42 rounds are in the last third, in which one seed rises by 0.1 points a round, 1.4 over 14 rounds."""
    rounds = np.arange(1, 43)
    why = not_levelled(rounds, (70 + rounds / 10)[None])
    assert why == (
        "too few rounds to say: 14 evaluated in the last third, 14 over all seeds; "
        "its accuracy rises by 1.4 points over the last third of the rounds"
    )
    assert too_few([why])


@pytest.mark.parametrize("seeds, rounds", [(1, 45), (2, 24), (3, 15)])
def test_a_curve_that_does_not_move_has_levelled(seeds, rounds):
    assert not_levelled(np.arange(1, rounds + 1), np.full((seeds, rounds), 70.0)) is None


def test_a_fall_is_no_climb_and_a_climb_of_less_than_a_point_is_none():
    rounds = np.arange(1, 46)
    assert not_levelled(rounds, (70 - rounds / 5)[None]) is None
    assert not_levelled(rounds, (70 + 0.9 * rounds / 15)[None]) is None
    why = "its accuracy rises by 1.1 points over the last third of the rounds"
    assert not_levelled(rounds, (70 + 1.1 * rounds / 15)[None]) == why


def test_a_difference_moves_either_way_or_stays():
    """Over the last 15 rounds of 45 it falls by 3 points, rises by 1.5, and moves by 0.9 at most."""
    rounds = np.arange(1, 46)
    falls, rises = (still_moves(rounds, (slope * rounds / 15)[None]) for slope in (-3, 1.5))
    assert falls == "the difference falls by 3.0 points over the last third"
    assert rises == "the difference rises by 1.5 points over the last third"
    assert still_moves(rounds, (0.9 * rounds / 15)[None]) is None
    assert still_moves(rounds, (-0.9 * rounds / 15)[None]) is None
    assert too_few([still_moves(rounds[:42], np.zeros((1, 42)))])


@pytest.mark.parametrize("moves, share", [(0, 0.05), (2, 0.55), (-2, 0.55), (4, 0.99)])
def test_how_often_a_difference_is_said_to_move(moves, share):
    """One seed, 15 rounds in the last third that scatter by 1 point: a two-sided test finds less than a one-sided."""
    rng, t = np.random.default_rng(0), np.arange(1, 46)
    found = [still_moves(t, (moves * t / 15 + rng.normal(0, 1, 45))[None]) is not None for _ in range(1000)]
    assert np.mean(found) == pytest.approx(share, abs=0.04)


@pytest.mark.parametrize(
    "seeds, rounds, climb, share",
    [
        *((1, 45, 0, 0.05), (1, 45, 2, 0.70), (1, 45, 4, 1)),
        *((3, 15, 0, 0.05), (3, 15, 2, 0.65), (3, 15, 4, 0.99)),
        *((3, 30, 0, 0.04), (3, 30, 2, 0.93)),
        *((3, 50, 0, 0.02), (3, 50, 2, 0.98)),
        *((3, 100, 0, 0.002), (3, 100, 2, 1)),
    ],
)
def test_how_often_the_rule_calls_a_curve_not_levelled(seeds, rounds, climb, share):
    """The table in the docstring: rounds scatter by 1 point, curves climb so many points in the last third."""
    rng, t = np.random.default_rng(0), np.arange(1, rounds + 1)
    curve = climb * 3 * t / rounds
    found = [not_levelled(t, curve + rng.normal(0, 1, (seeds, rounds))) is not None for _ in range(1000)]
    assert np.mean(found) == pytest.approx(share, abs=0.02 if climb == 0 else 0.04)


def test_rounds_that_resemble_their_neighbours_raise_more_alarms():
    rng, t = np.random.default_rng(0), np.arange(1, 51)
    found = []
    for _ in range(1000):
        noise = rng.normal(0, 1, (3, 50))
        for i in range(1, 50):
            noise[:, i] = 0.5 * noise[:, i - 1] + 0.75**0.5 * noise[:, i]
        found.append(not_levelled(t, noise) is not None)
    assert np.mean(found) == pytest.approx(0.08, abs=0.025)


ROUNDS = 45


def climbing():
    """One client of two climbs by 10 points every fifth round: 35, 40 and 45 % in the last fifteen.

    Their slope is 5 x 50 / 280, sum(x y) over sum(x^2) of x = -7 ... 7, and 15 times that is 13.4 points.
    """
    return [(1, t // 5) for t in range(ROUNDS)]


@pytest.fixture
def levelled(tmp_path, store):
    """z is better than standalone, and neither moves."""
    store(tmp_path, "z", [(8, 9)] * ROUNDS)
    store(tmp_path, "standalone", [(6, 6)] * ROUNDS)
    return tmp_path


def comparison(results):
    (found,) = read_experiment(results, "exp", {})
    return found


def test_methods_that_have_levelled_are_ranked(levelled):
    found = comparison(levelled)
    assert (found.ranked, found.methods) == (True, ["z", "standalone"])
    table = main_table(found, "standalone")
    assert "Not ranked" not in table.caption
    assert {table.rows[i][0].text for i, j in table.ranked(0) if table.columns[j].title.startswith("Accuracy")} == {"z"}
    assert "On the front of FLOPs" in [column.title for column in cost_table(found).columns]


def test_a_climbing_method_is_marked_in_every_table_and_nobody_is_ranked(levelled, store):
    store(levelled, "climber", climbing())
    found = comparison(levelled)
    assert list(found.unlevelled) == ["climber"]
    assert found.methods == ["climber", "standalone", "z"]  # by name
    tables = [main_table(found, "standalone"), accuracy_table(found), cost_table(found)]
    for table in [*tables, *difference_tables(found, "standalone")]:
        notes = {row[0].text: row[0].note for row in table.rows}
        assert notes["climber"].startswith("not levelled: its accuracy rises by 13.4 points over the last third")
        assert notes["z"] is None
        assert table.ranked(0) == table.ranked(1) == []
        assert table.caption.startswith("Not ranked, in the order of names: 1 of 3 methods has not levelled.")
    assert "front" not in " ".join([*(column.title for column in tables[2].columns), tables[2].caption])


def test_figures_draw_no_front_of_what_is_not_ranked(levelled, store, tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, *_, **__: drawn.append(len(figure.axes[0].lines)))
    style = Style(["climber", "standalone", "z"])
    (ranked,) = write_figures(comparison(levelled), ["fronts"], style, tmp_path)
    store(levelled, "climber", climbing())
    (unranked,) = write_figures(comparison(levelled), ["fronts"], style, tmp_path)
    assert ("no other beats" in ranked.caption, "no other beats" in unranked.caption) == (True, False)
    assert drawn == [1, 1, 0, 0]  # the line of the front, in PNG and PDF


def test_without_a_target_a_comparison_that_is_not_ranked_has_no_table_of_costs(tmp_path, store):
    store(tmp_path, "a", [(5, 5)], target=None)
    assert cost_table(comparison(tmp_path)) is None


def test_the_page_says_that_there_is_no_order_and_why(levelled, store, tmp_path, monkeypatch):
    monkeypatch.setattr("benchmark.report.write.PLOTS", {})
    store(levelled, "climber", climbing())
    (page,) = write_report(levelled, tmp_path / "reports", [], ReportOptions())
    text = page.read_text()
    assert "Not ranked: methods have not levelled in this comparison" in text
    assert "Not levelled: climber (its accuracy rises by 13.4 points over the last third of the rounds)." in text
    assert "<td><strong>" not in text.split("<main", 1)[1]
    assert "Not ranked: methods" in (page.parent / "report.md").read_text()


def test_what_is_not_ranked_enters_no_ranks(comparison_of):
    """Five tasks are ranked; if one of them holds a climbing curve, four are left, which are too few."""
    scores = {"standalone": np.full((1, 2), 70.0), "a": np.full((1, 2), 71.0)}
    comparisons = [comparison_of(scores, clients=n) for n in (1, 2, 3, 4, 5)]
    assert ranking_table(comparisons).rows[0][0].text == "a"
    flat, climb = np.full((1, 45), 70.0), np.arange(45.0)[None]
    comparisons[4] = comparison_of(scores, {"standalone": flat, "a": climb}, clients=5)
    assert ranking_table(comparisons) is None
    table = aggregate_table(comparisons, "standalone")
    assert (table.order, table.rows[0][0].note) == (False, "not levelled in simulated")
    assert table.caption.startswith("Not ranked, in the order of names: methods have not levelled in simulated.")


def test_a_moment_that_no_run_was_evaluated_at(levelled, tmp_path):
    with pytest.raises(RequestError, match="no run was evaluated after fine-tuning, so --moment finetune has nothing"):
        write_report(levelled, tmp_path / "reports", [], ReportOptions(moment="finetune"))
    assert not (tmp_path / "reports").exists()
