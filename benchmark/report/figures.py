"""A comparison as figures, for a page (PNG) and for a paper (PDF)."""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from benchmark.report.drawing import Drawn, logarithmic, name_methods, sheet, shown_range
from benchmark.report.frame import COST_UNITS, Comparison
from benchmark.report.looks import Style
from benchmark.report.one_federation import (
    draw_embedding,
    draw_partition,
    draw_weights,
    embedded_runs,
    inspected_runs,
    words_of_run,
)
from benchmark.report.statistics import pareto

COST_WORDS = {
    "bytes": "Sent, up and down, by all [MB]",
    "flops": "Computed by all and the server [TFLOP]",
}


class Plot(NamedTuple):
    """A kind of figure.

    draw: draws a comparison into the panels; size: width and height in inches
    applies: whether there is anything to draw of a comparison
    judges: whether it shows accuracies, and the caption then says of which moment
    ranks: what the caption says besides where methods are ranked
    lists: whether it has a line for each method, in a legend or as a row
    """

    title: str
    caption: str | Callable[[Comparison], str]
    draw: Callable[[Sequence[Axes], Comparison, Style], None]
    panels: int = 1
    size: tuple[float, float] = (6.0, 3.2)
    applies: Callable[[Comparison], bool] = lambda comparison: bool(comparison.complete)
    lists: bool = True
    judges: bool = False
    ranks: str = ""

    def has_data(self, comparison: Comparison) -> bool:
        """Return whether there is something to draw: of accuracies, a method that was evaluated at the moment."""
        judged = any(comparison.mean(label) is not None for label in comparison.complete)
        return self.applies(comparison) and (judged or not self.judges)

    def caption_of(self, comparison: Comparison) -> str:
        """Return the caption under a comparison's figure."""
        own = self.caption if isinstance(self.caption, str) else self.caption(comparison)
        words = [own, f"Accuracy {comparison.moment.words}." if self.judges else ""]
        return " ".join(filter(None, [*words, self.ranks if comparison.ranked else ""]))


def write_figures(comparison: Comparison, kinds: Sequence[str], style: Style, folder: Path) -> list[Drawn]:
    """Draw the figures of these kinds, without those for which the comparison has no data."""
    return [
        draw_figure(comparison, suffix, plot, style, folder)
        for suffix, plot in PLOTS.items()
        if suffix in kinds and plot.has_data(comparison)
    ]


def draw_figure(comparison: Comparison, suffix: str, plot: Plot, style: Style, folder: Path) -> Drawn:
    """Draw one figure of a comparison, as <comparison>-<suffix>."""
    stem = f"{comparison.name}-{suffix}"
    methods = len(comparison.complete) if plot.lists else 0
    with sheet(folder / stem, plot.panels, plot.size, comparison.title, methods, style.paper) as panels:
        plot.draw(panels, comparison, style)
    return Drawn(stem, plot.title, plot.caption_of(comparison))


def _over_rounds(panels: Sequence[Axes], comparison: Comparison, style: Style) -> None:
    panels[0].xaxis.set_major_locator(MaxNLocator(integer=True))
    _curves(panels[0], comparison, style, "round", 1)
    panels[0].set_xlabel("Round")


def _over_bytes(panels: Sequence[Axes], comparison: Comparison, style: Style) -> None:
    """Draw on a logarithmic axis; a method that sends nothing is a level line at its last accuracy."""
    if any((run.curve["bytes"] > 0).any() for run in comparison.done):
        logarithmic(panels[0])
    _curves(panels[0], comparison, style, "bytes", 1e6)
    panels[0].set_xlabel(COST_WORDS["bytes"])


def _over_flops(panels: Sequence[Axes], comparison: Comparison, style: Style) -> None:
    _curves(panels[0], comparison, style, "flops", 1e12)
    panels[0].set_xlabel(COST_WORDS["flops"])


def _curves(axes: Axes, comparison: Comparison, style: Style, cost: str, scale: float) -> None:
    """Draw mean accuracy over seeds against a cost, in a band of the 95 % interval if there are several seeds."""
    for label in comparison.complete:
        curve, look = comparison.series(label), style.of(label).line
        if curve.empty:
            continue
        x = curve[cost] / scale
        if cost == "bytes" and not x.any():
            level = curve["accuracy"].iloc[-1]
            axes.axhline(level, color=look["color"], linestyle=look["linestyle"], label=f"{label} (0 bytes)")
            continue
        axes.plot(x, curve["accuracy"], label=label, markevery=max(1, len(x) // 10), **look)
        if curve["low"].notna().any():
            shade = 0.15 if len(comparison.complete) <= FEW_BANDS else 0.06
            axes.fill_between(x, curve["low"], curve["high"], color=look["color"], alpha=shade, linewidth=0)
    _accuracy_axis(axes, comparison)
    _floor_line(axes, comparison)
    name_methods(axes, style.paper)


def _accuracy_axis(axes: Axes, comparison: Comparison) -> None:
    """Limit the axis to means and intervals, as far as these do not dwarf the means; and say what is cut."""
    table = pd.concat([comparison.series(label) for label in comparison.complete])
    if not table.empty:
        bands = table.dropna()
        low, high, cut = shown_range(table["accuracy"].tolist(), bands["low"].tolist(), bands["high"].tolist())
        axes.set_ylim(low, high)
        if cut:
            axes.annotate(CUT_WORDS, (1, 1), (0, 2), "axes fraction", "offset points", ha="right")
    axes.set_ylabel("Mean accuracy [%]")


def _floor_line(axes: Axes, comparison: Comparison) -> None:
    """Draw what each client has by its most frequent class; a line of text at the edge where that is off the axis."""
    floor = float(np.mean(comparison.floors))
    low, high = axes.get_ylim()
    look: dict[str, Any] = {
        "color": "0.4",
        "ha": "left",
        "transform": axes.get_yaxis_transform(),
    }
    if low <= floor <= high:
        axes.axhline(floor, color="0.4", linewidth=0.7, linestyle=(0, (1, 2)), zorder=1)
        axes.text(0.01, floor, f"majority class {floor:.1f} %", va="bottom", **look)
    else:
        edge, arrow, align = (low, "↓", "bottom") if floor < low else (high, "↑", "top")
        axes.text(0.01, edge, f"majority class {floor:.1f} % {arrow}", va=align, **look)


def _cost_bars(panels: Sequence[Axes], comparison: Comparison, style: Style) -> None:
    labels = comparison.complete
    for axes, (cost, (unit, scale)) in zip(panels, COST_UNITS.items(), strict=True):
        totals = [comparison.mean_total(label, cost) / scale for label in labels]
        axes.barh(range(len(labels)), totals, color=[style.of(label).colour for label in labels], height=0.7)
        for row, total in enumerate(totals):
            axes.annotate(
                f"{total:.3g}",
                (total, row),
                xytext=(3, 0),
                textcoords="offset points",
                va="center",
            )
        named = axes is panels[0] or style.paper.stacked
        axes.set_yticks(range(len(labels)), labels if named else [""] * len(labels))
        axes.set_ylim(len(labels) - 0.5, -0.5)
        axes.margins(x=0.25)
        axes.xaxis.set_major_locator(MaxNLocator(3))
        axes.set_xlabel({"bytes": "Sent", "flops": "Computed", "seconds": "Training"}[cost] + f" [{unit}]")
        axes.grid(axis="y", visible=False)


def _per_client(panels: Sequence[Axes], comparison: Comparison, style: Style) -> None:
    """Draw a dot per client and seed, spread over the method's row by the client's id, and a bar at the mean."""
    (axes,) = panels
    for row, label in enumerate(comparison.complete):
        look = {key: value for key, value in style.of(label).line.items() if key != "linestyle"}
        found = [run.clients[comparison.moment] for run in comparison.of(label)]
        for clients in found:
            spread = np.linspace(-0.28, 0.28, max(2, len(clients)))[: len(clients)]
            axes.scatter(clients, row + spread, alpha=0.75 / len(found) ** 0.5, linewidths=0, **look)
        mean = np.mean([clients.mean() for clients in found if len(clients)] or [np.nan])
        axes.plot([mean, mean], [row - 0.38, row + 0.38], color="black", linewidth=1.5)
    axes.set_yticks(range(len(comparison.complete)), comparison.complete)
    axes.set_ylim(len(comparison.complete) - 0.5, -0.5)
    axes.set_xlabel("Accuracy of clients [%]")
    axes.grid(axis="y", visible=False)


def _fronts(panels: Sequence[Axes], comparison: Comparison, style: Style) -> None:
    """Draw methods after all rounds, and if they are ranked the front that joins those that no other dominates."""
    scored = [label for label in comparison.complete if comparison.mean(label) is not None]
    scores = [comparison.mean(label) or 0.0 for label in scored]
    size = 36 * style.paper.scale**2
    for axes, cost in zip(panels, COST_WORDS, strict=True):
        scale = COST_UNITS[cost][1]
        totals = [comparison.mean_total(label, cost) / scale for label in scored]
        on_front = sorted((x, y) for x, y, front in zip(totals, scores, pareto(totals, scores), strict=True) if front)
        if comparison.ranked:
            axes.step(*zip(*on_front, strict=True), where="post", color="0.6", linewidth=1, zorder=1)
        for label, x, y in zip(scored, totals, scores, strict=True):
            look = style.of(label)
            axes.scatter([x], [y], color=[look.colour], marker=look.marker, s=size, zorder=2, label=label)
        if cost == "bytes" and max(totals) > 0:
            least = min(total for total in totals if total > 0)
            logarithmic(axes, "symlog", linthresh=least / 3)
            axes.set_xlim(left=-least / 30)
            # Nothing nearer to 0: the axis is linear there.
            axes.set_xticks([0, *_decade_ticks(least / 3, max(totals))])
        axes.set_xlabel({"bytes": "Sent [MB]", "flops": "Computed [TFLOP]"}[cost])
    for axes in panels if style.paper.stacked else panels[:1]:
        axes.set_ylabel("Mean accuracy [%]")
    for axes in panels if style.paper.stacked else panels[1:]:
        name_methods(axes, style.paper)


def _decade_ticks(low: float, high: float) -> list[float]:
    """Return powers of ten from low to high, thinned out to seven at most; [high] if there are none."""
    exponents = range(math.ceil(math.log10(low)), math.floor(math.log10(high)) + 1)
    return [10.0**exponent for exponent in exponents[:: 1 + len(exponents) // 8]] or [float(f"{high:.2g}")]


FEW_BANDS = 3
"""More bands than that are drawn fainter, or lines drown where they overlap."""
CUT_WORDS = "bands of 95 % go on beyond the axis"
"""What a figure says of intervals that its axis cuts."""
PLOTS: Mapping[str, Plot] = {
    "rounds": Plot(
        "Accuracy over rounds",
        "Mean over seeds; bands are 95 % intervals of three or more.",
        _over_rounds,
        judges=True,
    ),
    "bytes": Plot(
        "Accuracy over bytes",
        "Mean over seeds, bytes of all clients together; a level line sends nothing.",
        _over_bytes,
        judges=True,
    ),
    "flops": Plot(
        "Accuracy over FLOPs", "Mean over seeds, clients and server, forward and backward.", _over_flops, judges=True
    ),
    "costs": Plot(
        "Costs",
        "All clients together, FLOPs with the server's; all rounds, mean over seeds.",
        _cost_bars,
        3,
        (6.5, 2.6),
    ),
    "clients": Plot(
        "Clients", "Each client (dots, by id from top to bottom) and the mean (bar).", _per_client, judges=True
    ),
    "fronts": Plot(
        "Accuracy against costs",
        "Methods after all rounds.",
        _fronts,
        2,
        (6.5, 2.8),
        judges=True,
        ranks="The line joins those that no other beats in both.",
    ),
    "partition": Plot(
        "Partition",
        lambda comparison: f"Samples of each class at each client, under seed {comparison.first_run.seed}.",
        draw_partition,
        1,
        (5.0, 3.4),
        lambda _: True,
        lists=False,
    ),
    "weights": Plot(
        "What the gates say",
        lambda comparison: words_of_run(
            "Mean weight over each client's test samples; grey: a client has no sample of the class",
            inspected_runs(comparison)[0],
        ),
        draw_weights,
        2,
        (6.5, 3.0),
        lambda comparison: bool(inspected_runs(comparison)),
        lists=False,
    ),
    "embedding": Plot(
        "Representations",
        lambda comparison: words_of_run(
            "t-SNE of the representations of some test samples, by expert and by class", embedded_runs(comparison)[0]
        ),
        draw_embedding,
        2,
        (6.5, 3.0),
        lambda comparison: bool(embedded_runs(comparison)),
        lists=False,
    ),
}
