"""Figures for a paper or a talk: width, type, names at the ends of lines, and nothing that leaves the sheet."""

import re
import zlib

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from benchmark.cli.commands import main
from benchmark.report.answer import answer_of
from benchmark.report.drawing import spread
from benchmark.report.figures import PLOTS, write_figures
from benchmark.report.forest import write_forest
from benchmark.report.frame import read_experiment
from benchmark.report.looks import Style
from benchmark.report.paper import PAPERS

LABELS = ["a", "b+setting=another", "c+a_rather_long_setting=0.123456", "standalone"]
LEAST_POINTS = 6.5


@pytest.fixture(scope="session")
def found(tmp_path_factory, stored_once):
    """Four methods, three seeds, gates and representations."""
    folder, rng = tmp_path_factory.mktemp("paper"), np.random.default_rng(0)
    for i, label in enumerate(LABELS):
        for seed in range(3):
            right = [(4 + i % 3, 6), (7, 7 + seed % 2), (8, 9 - i)]
            inspected = {}
            if label == "a" and not seed:
                arrays = {"points": rng.normal(size=(40, 5)).astype(np.float32), "names": np.array(["shared expert"])}
                arrays |= {name: np.zeros(40, np.int32) for name in ("kind", "client")} | {"label": np.arange(40) % 4}
                seen = {"inspection": {"shared expert": [{"0": 0.5, "1": 0.2}, {"2": 0.5, "3": 0.9}]}}
                inspected = {"inspection": arrays, "of_round": seen}
            stored_once(folder, label, right, seed=seed, sent=(10**i, 10**i), **inspected)
    (comparison,) = read_experiment(folder, "exp", {})
    return comparison


def drawn(found, folder, name):
    """All figures of a comparison in a style, by stem."""
    style = Style(found.methods, PAPERS[name])
    lead = write_forest(answer_of(found, "standalone"), "digits-differences", found.title, style, folder)
    return [figure.stem for figure in [*lead, *write_figures(found, list(PLOTS), style, folder)]]


def streams(path):
    """The contents of a PDF's streams, unpacked."""
    for match in re.finditer(rb"stream\r?\n(.*?)\r?\nendstream", path.read_bytes(), re.DOTALL):
        try:
            yield zlib.decompress(match[1])
        except zlib.error:
            yield match[1]


def type_sizes(path):
    """The sizes in points of all type of a PDF, from its operators Tf."""
    return {float(size) for stream in streams(path) for size in re.findall(rb"/F\S+ ([\d.]+) Tf", stream)}


def width(path):
    (box,) = set(re.findall(rb"/MediaBox \[ ?0 0 ([\d.]+)", path.read_bytes()))
    return float(box) / 72


def test_in_a_column_no_type_is_too_small_to_read(found, tmp_path):
    """Measured in the PDF: 3.3 inches wide, and no text under 6.5 points."""
    stems = drawn(found, tmp_path, "column")
    assert len(stems) == 1 + len(PLOTS)
    for stem in stems:
        path = tmp_path / f"{stem}.pdf"
        assert width(path) == pytest.approx(3.3, abs=0.01), stem
        sizes = type_sizes(path)
        assert sizes and min(sizes) >= LEAST_POINTS and max(sizes) <= 8.1, (stem, sizes)


@pytest.mark.parametrize("name", PAPERS)
def test_no_text_leaves_the_sheet(found, tmp_path, monkeypatch, name):
    figures = {}

    def laid_out(figure, path, **options):
        if str(path).endswith(".png"):
            figure.draw_without_rendering()
            figures[str(path)] = figure

    monkeypatch.setattr(Figure, "savefig", laid_out)
    drawn(found, tmp_path, name)
    assert len(figures) == 1 + len(PLOTS)
    for path, figure in figures.items():
        assert figure.get_suptitle() == ""  # the setting stands in the paper's caption
        sheet, beyond = figure.bbox.padded(1), ticks_beyond(figure)
        for text in figure.findobj(Text):
            if text.get_visible() and text.get_text().strip() and text not in beyond:
                box = text.get_window_extent()
                assert sheet.x0 <= box.x0 and box.x1 <= sheet.x1, (path, text.get_text())
                assert sheet.y0 <= box.y0 and box.y1 <= sheet.y1, (path, text.get_text())


def ticks_beyond(figure):
    """Labels of ticks beyond the ends of their axes, which are there and not drawn."""
    axes = [axis for panel in figure.axes for axis in (panel.xaxis, panel.yaxis)]
    ticks = [(axis, tick) for axis in axes for tick in [*axis.get_major_ticks(), *axis.get_minor_ticks()]]
    inside = {axis: sorted(axis.get_view_interval()) for axis in axes}
    out = [tick for axis, tick in ticks if not inside[axis][0] <= tick.get_loc() <= inside[axis][1]]
    return {label for tick in out for label in (tick.label1, tick.label2)}


def test_methods_are_named_at_the_ends_of_their_lines(found, tmp_path, monkeypatch):
    figures = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, *_, **__: figures.append(figure))
    write_figures(found, ["rounds"], Style(found.methods, PAPERS["page"]), tmp_path)
    (axes,) = figures[0].axes
    assert axes.get_legend() is None
    names = {text.get_text(): text for text in axes.texts if text.get_text() in LABELS}
    lines = {line.get_label(): line for line in axes.lines}
    assert names.keys() == set(LABELS)
    for label, text in names.items():
        assert mpl.colors.to_hex(text.get_color()) == mpl.colors.to_hex(lines[label].get_color())
    heights = sorted(text.xyann[1] for text in names.values())
    assert min(np.diff(heights)) > 0.03  # they do not lie on each other


def test_names_are_spread_no_further_than_they_must():
    assert spread([0.2, 0.8], 0.1) == pytest.approx([0.2, 0.8])
    assert spread([0.5, 0.5], 0.1) == pytest.approx([0.45, 0.55])
    assert spread([0.55, 0.5], 0.1) == pytest.approx([0.575, 0.475])
    assert spread([1.0, 1.0, 0.0], 0.2) == pytest.approx([0.8, 1.0, 0.0])
    assert spread([], 0.1) == []


def test_the_command_takes_a_style(found, tmp_path, store, monkeypatch, capsys):
    monkeypatch.setattr("benchmark.report.write.PLOTS", {})
    for label in ("a", "standalone"):
        store(tmp_path / "results", label, [(5, 5)])
    words = ["report", "--results", str(tmp_path / "results"), "--reports", str(tmp_path / "reports")]
    assert main([*words, "--style", "slide"]) == 0
    assert width(tmp_path / "reports/exp/figures/digits-differences.pdf") == pytest.approx(10)
    capsys.readouterr()
    assert main([*words, "--style", "poster"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "poster" in line and "column" in line
