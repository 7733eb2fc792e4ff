"""Paper: the size, type and layout of figures, and the two files of each."""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from benchmark.report.fonts import choose_fonts

ROW_INCHES = 0.17
"""Height of a method's line in a legend, or of its row in a panel."""
NAME_CHARACTERS_DRAWN = 36
"""Longest name of a method in a figure; tables have it whole."""
FRAME_INCHES = 0.9
"""Height of title, ticks and axis label above and below such rows."""
PAPER: Any = sns.axes_style("ticks") | {  # what rc_context takes; its stub wants the literal names
    "font.size": 9,
    "axes.labelsize": 9,
    "axes.titlesize": 9,
    "legend.fontsize": 8,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "0.9",
    "lines.linewidth": 1.5,
    "lines.markersize": 4,
    "pdf.fonttype": 42,
    "savefig.dpi": 160,
    "text.parse_math": False,  # a $ in a label is a $
}


class Drawn(NamedTuple):
    """A figure on disk: <stem>.png and <stem>.pdf, and what it shows."""

    stem: str
    title: str
    caption: str


@contextmanager
def sheet(path: Path, panels: int, size: tuple[float, float], title: str, methods: int = 0) -> Iterator[list[Axes]]:
    """Yield a figure's panels from left to right, and save it as <path>.png and <path>.pdf when the block ends.

    size: in inches; the figure is higher if `methods` lines below each other need more. A long title is broken in two.
    """
    width, height = size
    words = title.split(", ")
    middle = len(words) // 2 if len(title) > 80 else 0
    lines = [", ".join(words[:middle]) + ",", ", ".join(words[middle:])] if middle else [title]
    with mpl.rc_context(PAPER):
        figure = Figure(figsize=(width, max(height, FRAME_INCHES + ROW_INCHES * methods)), layout="constrained")
        axes = figure.subplots(1, panels, squeeze=False)[0]
        figure.suptitle("\n".join(lines), x=0.01, ha="left", color="0.3", fontsize=8)
        yield list(axes)
        for panel in axes:
            _shorten_names(panel)
        choose_fonts(figure)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", r"Glyph \d+ .* missing from font")  # `undrawable` has told it
            figure.savefig(f"{path}.png")
            figure.set_layout_engine("none")  # laid out once is laid out
            figure.savefig(f"{path}.pdf", metadata={"CreationDate": None})


def _shorten_names(axes: Axes) -> None:
    """Cut long names in a legend or beside rows, such as one with many settings, or no room is left to draw in."""
    legend = axes.get_legend()
    for text in legend.get_texts() if legend else ():
        text.set_text(_shortened(text.get_text()))
    names = [text.get_text() for text in axes.get_yticklabels()]
    if any(map(_is_long, names)):
        axes.set_yticks(axes.get_yticks(), [_shortened(name) for name in names])


def _is_long(words: str) -> bool:
    return len(words.partition(" ")[0]) > NAME_CHARACTERS_DRAWN


def _shortened(words: str) -> str:
    """Cut the first of some words if it is long."""
    name, space, others = words.partition(" ")
    return f"{name[: NAME_CHARACTERS_DRAWN - 1]}…{space}{others}" if _is_long(words) else words


def logarithmic(axes: Axes, scale: str = "log", **more: float) -> None:
    """Make the horizontal axis logarithmic, its ticks plain numbers."""
    axes.set_xscale(scale, **more)
    axes.xaxis.set_major_formatter(lambda x, _: f"{x:g}")
    axes.xaxis.set_minor_formatter(NullFormatter())


def shown_range(
    means: Sequence[float], lows: Sequence[float] = (), highs: Sequence[float] = ()
) -> tuple[float, float, bool]:
    """Return the ends of an axis that shows means with their intervals, and whether it cuts an interval.

    Intervals widen the axis by as much as the means themselves reach over, and a point at least; that of two seeds can
    be many times the whole scale.
    """
    low, high = min(means), max(means)
    room = max(1.0, high - low)
    ends = min([low, *lows]), max([high, *highs])
    shown = max(ends[0], low - room), min(ends[1], high + room)
    margin = 0.05 * (shown[1] - shown[0]) or 1.0
    return shown[0] - margin, shown[1] + margin, bool(shown[0] > ends[0] or shown[1] < ends[1])
