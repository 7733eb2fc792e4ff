"""The figure of the answer: each method's paired difference to the reference with its interval, at every moment."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from benchmark.report.answer import Answer
from benchmark.report.differences import OVER_SEEDS, Difference
from benchmark.report.drawing import Drawn, sheet, shown_range
from benchmark.report.looks import Look, Style

MOMENT_INCHES = 0.17
"""Height of one moment's interval in a method's row."""
FACES = ("full", "none", "left")
"""How markers are filled at the first, second and third moment."""


def write_forest(answer: Answer, stem: str, title: str, style: Style, folder: Path) -> list[Drawn]:
    """Draw an answer's differences; nothing if there are none."""
    labels = _rows(answer)
    if not labels:
        return []
    height = 1.1 + MOMENT_INCHES * len(answer.moments) * len(labels) + 0.08 * len(labels)
    with sheet(folder / stem, 1, (6.0, height), title) as (axes,):
        draw_forest(axes, answer, labels, style)
    return [Drawn(stem, f"Differences to {answer.reference}", _caption(answer))]


def _rows(answer: Answer) -> list[str]:
    """Return the methods in the order of their rows: the best on top, by name if they are not ranked."""
    labels = sorted({label for found in answer.effects.values() for label in found})
    if answer.best is None or not labels:
        return labels
    first = answer.effects[answer.moments[0]]
    return sorted(labels, key=lambda label: -first[label].mean if label in first else np.inf)


def _caption(answer: Answer) -> str:
    over = f"mean over {answer.tasks} tasks" if answer.tasks else "mean accuracy of clients"
    spread = f"Bars: 95 % intervals over {answer.seeds} seeds. " if answer.tested else "One seed: no intervals. "
    marked = f"{OVER_SEEDS} chance does not explain it (paired t-test, Holm-corrected). " if answer.tested else ""
    return f"Paired by seed, {over}. {spread}{marked}A bar that ends in an arrow goes on beyond the axis."


def draw_forest(axes: Axes, answer: Answer, labels: Sequence[str], style: Style) -> None:
    """Draw a row per method, in it a marker and an interval per moment, filled at the first moment."""
    every = [difference for found in answer.effects.values() for difference in found.values()]
    ends = [(d.test.low, d.test.high) for d in every if d.test]
    low, high, _ = shown_range([0.0, *(difference.mean for difference in every)], *map(list, zip(*ends, strict=True)))
    axes.set_xlim(low, high)
    axes.axvline(0, color="0.3", linewidth=0.8, zorder=1)
    offsets = np.linspace(-0.22, 0.22, len(answer.moments)) if len(answer.moments) > 1 else [0.0]
    for row, label in enumerate(labels):
        for place, moment in enumerate(answer.moments):
            if label in answer.effects[moment]:
                _interval(axes, answer.effects[moment][label], row + offsets[place], style.of(label), FACES[place])
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.set_xlabel(f"Difference to {answer.reference} [points of accuracy]")
    axes.grid(axis="y", visible=False)
    if len(answer.moments) > 1:
        _name_moments(axes, answer)


def _interval(axes: Axes, difference: Difference, y: float, look: Look, face: str) -> None:
    """Draw a difference, its interval as far as the axis reaches, and its number at the right edge."""
    low, high = axes.get_xlim()
    if difference.test:
        ends = np.clip([difference.test.low, difference.test.high], low, high)
        axes.plot(ends, [y, y], color=look.colour, linewidth=1.2, solid_capstyle="butt")
        for end, beyond, arrow in ((low, difference.test.low < low, "<"), (high, difference.test.high > high, ">")):
            if beyond:
                axes.plot([end], [y], color=look.colour, marker=arrow, markersize=5, clip_on=False)
    axes.plot([difference.mean], [y], color=look.colour, marker=look.marker, markersize=5, fillstyle=face)
    text = f"{difference.mean:+.2f}{f' {OVER_SEEDS}' if difference.marked else ''}"
    axes.annotate(text, (1, y), (4, 0), axes.get_yaxis_transform(), "offset points", va="center", fontsize=7)


def _name_moments(axes: Axes, answer: Answer) -> None:
    keys = [
        Line2D([], [], color="0.3", marker="o", markersize=5, linestyle="", fillstyle=face, label=moment.words)  # type: ignore[arg-type]
        for moment, face in zip(answer.moments, FACES, strict=False)
    ]
    axes.legend(handles=keys, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=len(keys), frameon=False)
