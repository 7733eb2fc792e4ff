"""The figure of paired differences: what is drawn where, and where an axis ends."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from benchmark.report.answer import answer_of
from benchmark.report.drawing import shown_range
from benchmark.report.forest import draw_forest, write_forest
from benchmark.report.looks import Style


def of_seeds(*means):
    """Accuracies [seeds, clients] of two clients that are alike."""
    return np.repeat([means], 2, axis=0).T * 1.0


@pytest.fixture
def axes():
    return Figure().subplots()


def drawn(axes):
    """Height -> where along the axis a marker stands, of all markers."""
    lines = [line for line in axes.lines if line.get_marker() not in ("None", "", "<", ">")]
    return {round(float(line.get_ydata()[0]), 2): float(line.get_xdata()[0]) for line in lines}


def test_both_moments_of_every_method_are_drawn(comparison_of, axes):
    local = {"standalone": of_seeds(70, 72), "a": of_seeds(75, 78), "b": of_seeds(69, 71)}
    later = {"standalone": of_seeds(70, 72), "a": of_seeds(66, 68), "b": of_seeds(72, 74)}
    answer = answer_of(comparison_of(local, downloaded=later), "standalone")
    draw_forest(axes, answer, ["a", "b"], Style(["standalone", "a", "b"]))
    assert drawn(axes) == pytest.approx({-0.22: 5.5, 0.22: -4, 0.78: -1, 1.22: 2})
    assert [text.get_text() for text in axes.get_legend().get_texts()] == [
        "after local training",
        "after the next download",
    ]
    assert [text.get_text() for text in axes.texts] == ["+5.50", "-4.00 †", "-1.00 †", "+2.00 †"]


def test_an_interval_beyond_the_axis_ends_in_arrows(comparison_of, axes):
    """Two seeds, 5 and 9 points: 7 +- 25.4. The means reach from 0 to 7, so that the axis ends near -7 and 14."""
    answer = answer_of(comparison_of({"standalone": of_seeds(70, 70), "a": of_seeds(75, 79)}), "standalone")
    draw_forest(axes, answer, ["a"], Style(["standalone", "a"]))
    assert axes.get_xlim() == pytest.approx((-7 - 1.05, 14 + 1.05))
    assert [line.get_marker() for line in axes.lines if line.get_marker() in "<>"] == ["<", ">"]


def test_an_axis_shows_intervals_unless_they_dwarf_the_means():
    assert shown_range([70, 80], [69, 79], [71, 81]) == pytest.approx((68.4, 81.6, False))
    assert shown_range([70, 80], [-80, 70], [170, 90]) == pytest.approx((58.5, 91.5, True))
    assert shown_range([70.0]) == (69, 71, False)


def test_without_a_difference_there_is_no_figure(comparison_of, tmp_path):
    answer = answer_of(comparison_of({"a": of_seeds(70, 71)}), "standalone")
    assert write_forest(answer, "x", "", Style(["a"]), tmp_path) == []
    assert not [*tmp_path.iterdir()]


def test_one_seed_has_no_intervals_and_says_so(comparison_of, tmp_path):
    answer = answer_of(comparison_of({"standalone": of_seeds(70), "a": of_seeds(75)}), "standalone")
    (figure,) = write_forest(answer, "x", "", Style(["standalone", "a"]), tmp_path)
    assert "One seed: no intervals." in figure.caption
    assert {path.name for path in tmp_path.iterdir()} == {"x.png", "x.pdf"}
