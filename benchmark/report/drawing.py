"""Figures on paper: their panels, the names of methods in them, and the two files of each."""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter
from scipy.optimize import isotonic_regression

from benchmark.report.fonts import choose_fonts
from benchmark.report.paper import SCREEN, SMALL_SHARE, Paper

ROW_INCHES = 0.17
"""Height of a method's line in a legend, or of its row in a panel."""
STACKED_HEIGHT = 0.65
"""Share of its height that a panel in a narrow column has."""
FRAME_INCHES = 0.9
"""Height of title, ticks and axis label above and below such rows."""
LOOK: dict[str, Any] = sns.axes_style("ticks") | {
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "0.9",
    "savefig.dpi": 160,
    "text.parse_math": False,  # a $ in a label is a $
}


def rc_of(paper: Paper) -> Any:
    """Return what rc_context of matplotlib takes for a paper; its stub wants the literal names.

    Publishers want TrueType (42); to cut its fonts down takes a third of a figure's time, so the page's has Type 3.
    """
    small = ("font.size", "figure.titlesize", "legend.fontsize", "xtick.labelsize", "ytick.labelsize")
    sizes = {"axes.labelsize": paper.points} | dict.fromkeys(small, SMALL_SHARE * paper.points)
    sizes["pdf.fonttype"] = 3 if paper == SCREEN else 42
    return LOOK | sizes | {"lines.linewidth": 1.5 * paper.scale, "lines.markersize": 4 * paper.scale}


class Drawn(NamedTuple):
    """A figure on disk: <stem>.png and <stem>.pdf, and what it shows."""

    stem: str
    title: str
    caption: str


@contextmanager
def sheet(
    path: Path, panels: int, size: tuple[float, float], title: str, rows: float = 0, paper: Paper = SCREEN
) -> Iterator[list[Axes]]:
    """Yield a figure's panels in their order, and save it as <path>.png and <path>.pdf when the block ends.

    size: in inches on the report's page; rows: lines below each other for which there has to be room
    """
    width = paper.inches or size[0]
    below = panels if paper.stacked else 1
    shape = STACKED_HEIGHT if paper.stacked else max(width / size[0], 1.0)
    height = max(size[1] * shape, (FRAME_INCHES + ROW_INCHES * rows) * paper.scale) * below
    with mpl.rc_context(rc_of(paper)):
        figure = Figure(figsize=(width, height), layout="constrained")
        axes = [*figure.subplots(below, panels // below, squeeze=False).flat]
        if paper.setting:
            figure.suptitle(_two_lines(title), x=0.01, ha="left", color="0.3")
        yield axes
        for panel in axes:
            _shorten_names(panel, paper)
        choose_fonts(figure)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", r"Glyph \d+ .* missing from font")  # `undrawable` has told it
            figure.savefig(f"{path}.png")
            figure.set_layout_engine("none")  # laid out once is laid out
            figure.savefig(f"{path}.pdf", metadata={"CreationDate": None})


def _two_lines(title: str) -> str:
    """Break a long title in two."""
    words = title.split(", ")
    middle = len(words) // 2 if len(title) > 80 else 0
    return ", ".join(words[:middle]) + ",\n" + ", ".join(words[middle:]) if middle else title


def figure_of(axes: Axes) -> Figure:
    """Return the figure that a panel belongs to."""
    figure = axes.get_figure(root=True)
    if not isinstance(figure, Figure):
        raise TypeError("a panel without a figure has no size")
    return figure


def name_methods(axes: Axes, paper: Paper) -> None:
    """Name a panel's methods: in a legend beside it, or each at the end of its line or at its point."""
    handles, labels = axes.get_legend_handles_labels()
    if not paper.direct:
        long = 2 if all(isinstance(handle, PathCollection) for handle in handles) else 3  # to tell dashes apart
        axes.legend(handles, labels, loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, handlelength=long)
        return
    ends = [_end(axes, handle) for handle in handles]
    figure = figure_of(axes)
    inches = figure.get_figheight() / (len(figure.axes) if paper.stacked else 1)
    gap = 1.2 * mpl.rcParams["font.size"] / 72 / max(0.5, inches - 0.6 * paper.scale)
    for handle, label, end, height in zip(handles, labels, ends, spread([y for _, y in ends], gap), strict=True):
        leader = {"arrowstyle": "-", "linewidth": 0.5, "color": _colour(handle), "shrinkA": 0, "shrinkB": 0}
        at, name = ((1.04, height), "axes fraction"), _shortened(label, paper)
        axes.annotate(name, end, *at, "axes fraction", leader, va="center").set_color(_colour(handle))


def spread(heights: Sequence[float], gap: float) -> list[float]:
    """Return heights in [0, 1] with a gap between neighbours, as near to these as can be, in the same order."""
    order = np.argsort(heights, kind="stable")
    steps = gap * np.arange(len(order))
    wanted = np.asarray(heights, dtype=float)[order] - steps
    found = np.clip(isotonic_regression(wanted).x, 0, max(0.0, 1 - steps[-1])) + steps if len(order) else wanted
    placed = np.empty(len(order))
    placed[order] = found
    return placed.tolist()


def _end(axes: Axes, handle: Any) -> tuple[float, float]:
    """Return where a line ends, or a point is, as shares of the panel; a level line ends at its right edge."""
    axes.get_xlim(), axes.get_ylim()  # what has been drawn moves them only when they are asked for
    artist = handle[0] if isinstance(handle, tuple) else handle
    points = np.asarray(artist.get_offsets() if isinstance(artist, PathCollection) else artist.get_xydata())
    x, y = axes.transLimits.transform(axes.transScale.transform(points[-1]))
    level = len(points) == 2 and tuple(points[:, 0]) == (0, 1)
    return (1.0 if level else float(np.clip(x, 0, 1))), float(np.clip(y, 0, 1))


def _colour(handle: Any) -> Any:
    artist = handle[0] if isinstance(handle, tuple) else handle
    return artist.get_facecolor()[0] if isinstance(artist, PathCollection) else artist.get_color()


def _shorten_names(axes: Axes, paper: Paper) -> None:
    """Cut long names in a legend or beside rows, such as one with many settings, or no room is left to draw in."""
    legend = axes.get_legend()
    for text in legend.get_texts() if legend else ():
        text.set_text(_shortened(text.get_text(), paper))
    names = [text.get_text() for text in axes.get_yticklabels()]
    shown = [_shortened(name, paper) for name in names]
    if shown != names:
        axes.set_yticks(axes.get_yticks(), shown)


def _shortened(words: str, paper: Paper) -> str:
    """Cut the first of some words if it is long."""
    name, space, others = words.partition(" ")
    most = paper.name_characters
    return f"{name[: most - 1]}…{space}{others}" if len(name) > most else words


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
