"""What figures show and say: axes and cut bands, one federation alone, gates, classes, headings."""

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from benchmark.report.answer import answer_of
from benchmark.report.charts import chart_data, client_data, partition_data
from benchmark.report.figures import CUT_WORDS, PLOTS, write_figures
from benchmark.report.frame import headings_of, read_experiment
from benchmark.report.looks import Style
from benchmark.report.one_federation import draw_embedding, draw_partition, draw_weights, inspected_runs
from benchmark.report.write import ReportOptions, write_report


def panels(number):
    return list(Figure().subplots(1, number, squeeze=False)[0])


def comparison(results):
    (found,) = read_experiment(results, "exp", {})
    return found


def draw(kind, results, number=1):
    found = comparison(results)
    axes = panels(number)
    PLOTS[kind].draw(axes, found, Style(found.methods))
    return axes


def test_wide_bands_do_not_stretch_the_axis_and_are_cut_with_a_word(tmp_path, store):
    """50, 90 and 40 %: the interval is 60 +- 66, means stay between 55 and 60."""
    for seed, (first, last) in enumerate([(5, 5), (6, 9), (6, 4)]):
        store(tmp_path, "a", [(first, first), (last, last)], seed=seed)
    (axes,) = draw("rounds", tmp_path)
    low, high = axes.get_ylim()
    assert 45 < low < 57 and 60 < high < 70
    assert CUT_WORDS in [text.get_text() for text in axes.texts]


def test_two_seeds_have_no_band(tmp_path, store):
    """50 and 70 %: the interval would be 60 +- 127."""
    store(tmp_path, "a", [(5, 5), (5, 5)])
    store(tmp_path, "a", [(6, 6), (7, 7)], seed=1)
    (axes,) = draw("rounds", tmp_path)
    assert not axes.collections and len(axes.lines[0].get_ydata()) == 2


def test_bands_that_fit_are_whole_and_nothing_is_said(tmp_path, store):
    for seed, last in enumerate([8, 8, 9]):
        store(tmp_path, "a", [(2, 2), (last, last)], seed=seed)
    (axes,) = draw("rounds", tmp_path)
    assert axes.get_ylim()[1] > 83.3 + 14.3
    assert CUT_WORDS not in [text.get_text() for text in axes.texts]


@pytest.fixture
def inspected(tmp_path, store):
    """Two clients, four classes: client 0 holds 0 and 1, client 1 holds 2 and 3; seed 1 is stored before seed 0."""
    rng = np.random.default_rng(0)
    for seed in (1, 0):
        arrays = {"points": rng.normal(size=(40, 5)).astype(np.float32), "names": np.array(["shared expert"])}
        arrays |= {name: np.zeros(40, np.int32) for name in ("kind", "client")} | {"label": np.arange(40) % 4}
        seen = {"inspection": {"shared expert": [{"0": 0.5, "1": 0.5}, {"2": 0.5, "3": 0.5}]}}
        store(tmp_path, "gated", [(5, 5)], seed=seed, inspection=arrays, of_round=seen)
    return tmp_path


def test_a_method_is_shown_before_its_variants(tmp_path, store):
    seen = {"inspection": {"shared expert": [{"0": 0.5, "1": 0.5}] * 2}}
    for label, seed in (("gated+gate=static", 0), ("gated", 2), ("gated", 1)):
        store(tmp_path, label, [(5, 5)], seed=seed, of_round=seen)
    assert [(run.label, run.seed) for run in inspected_runs(comparison(tmp_path))] == [
        ("gated", 1),
        ("gated", 2),
        ("gated+gate=static", 0),
    ]


def test_what_is_of_one_federation_says_of_which(inspected):
    """Partition, gates and representations are all of seed 0, whatever was stored first."""
    found = comparison(inspected)
    assert PLOTS["partition"].caption_of(found).endswith("under seed 0.")
    for kind in ("weights", "embedding"):
        assert "gated, seed 0, alone" in PLOTS[kind].caption_of(found)
    (axes,) = panels(1)
    draw_partition([axes], found, Style(found.methods))
    assert axes.figure.axes[1].get_ylabel() == "Samples (seed 0)"
    assert partition_data(found)["title"] == "Samples per client and class, seed 0"


def test_half_a_weight_does_not_look_like_no_class(inspected):
    """In the middle of the colours a weight is nearly white, and a class that a client lacks is grey."""
    lines, grid = panels(2)
    found = comparison(inspected)
    draw_weights([lines, grid], found, Style(found.methods))
    (mesh,) = grid.collections
    half = np.array(mesh.cmap(mesh.norm(0.5))[:3])
    assert mesh.get_array().mask.sum() == 4  # two classes of each client
    assert np.abs(half - np.array(to_rgb(grid.get_facecolor()))).max() > 0.15


def test_the_clients_of_the_page_are_those_that_its_means_are_of(tmp_path, store):
    for seed, right in enumerate((5, 7)):
        store(tmp_path, "a", [(right, right + 1)], seed=seed)
    found = comparison(tmp_path)
    (series,) = chart_data(found, answer_of(found, "a"), Style(["a"]), points=20)["series"]
    of_seeds = client_data(found)["local"]["a"]
    assert (of_seeds, series["seeds"]) == ([[50, 60], [70, 80]], [0, 1])
    assert series["curves"]["local"]["accuracy"] == [np.mean(of_seeds)]


@pytest.mark.parametrize("classes, stripes", [(4, 4), (10, 10), (20, 20), (100, 100)])
def test_the_bar_of_classes_has_a_stripe_for_each(inspected, monkeypatch, classes, stripes):
    found = comparison(inspected)
    for run in found.runs:
        run.run["dataset"]["classes"] = classes
    axes = panels(2)
    draw_embedding(axes, found, Style(found.methods))
    points = axes[1].collections[0]
    colours = {tuple(points.cmap(points.norm(c))) for c in range(classes)}
    assert len(colours) == stripes


def test_a_comparison_without_a_finished_run_has_no_empty_tables(tmp_path, store):
    store(tmp_path, "a", [], rounds=[], status="failed", reason="no luck")
    store(tmp_path, "standalone", [], rounds=[], status="failed", reason="no luck either")
    (page,) = write_report(tmp_path, tmp_path / "reports", [], ReportOptions())
    text = (page.parent / "report.md").read_text()
    assert "| Method" not in text
    assert "No method has finished" in text
    assert "a, seed 0: failed (no luck)" in text
    assert [path.name for path in (page.parent / "tables").iterdir()] == ["digits-runs.csv"]


def test_headings_are_words():
    base = {"dataset": "d", "models": "cnn5", "clients": 10, "participation": 1.0, "local_epochs": 1, "rounds": 3}
    others = [base | {"models": "cnn1"}, base | {"clients": 50, "participation": 0.1}, base | {"local_epochs": 5}]
    assert headings_of([base, *others]) == [
        "d, cnn5, N = 10, participation 100 %, one local epoch",
        "d, cnn1, N = 10, participation 100 %, one local epoch",
        "d, cnn5, N = 50, participation 10 %, one local epoch",
        "d, cnn5, N = 10, participation 100 %, 5 local epochs",
    ]
    assert headings_of([base]) == ["d"]


def test_a_report_has_headings_in_words(tmp_path, store, monkeypatch):
    monkeypatch.setattr("benchmark.report.write.PLOTS", {})
    for clients in (2, 3):
        store(tmp_path, "a", [[5] * clients])
    (page,) = write_report(tmp_path, tmp_path / "reports", [], ReportOptions())
    assert "There is no answer over all" in (page.parent / "report.md").read_text().split("## ")[0]
    headings = [line for line in (page.parent / "report.md").read_text().splitlines() if line.startswith("## ")]
    assert headings[:2] == ["## digits, N = 2", "## digits, N = 3"]


def test_captions_name_the_moment(tmp_path, store):
    store(tmp_path, "a", [(5, 5)])
    (figure,) = write_figures(comparison(tmp_path), ["rounds"], Style(["a"]), tmp_path)
    assert "Accuracy after local training." in figure.caption
