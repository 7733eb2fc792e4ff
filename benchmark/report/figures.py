"""A comparison as figures, for a page (PNG) and for a paper (PDF).

A method has one colour, marker and dash throughout a report, from a palette that colour-blind readers can tell apart.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from benchmark.report.frame import Comparison

MARKERS = "osD^vPX<>ph*"
DASHES = ("-", "--", "-.", ":")
PAPER: Any = {  # what rc_context takes; its stub wants the literal names
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
    "savefig.dpi": 200,
    "svg.hashsalt": "mhpfl",
}


@dataclass(frozen=True)
class Style:
    """How each method is drawn."""

    order: Sequence[str]
    """All labels of the report."""

    def of(self, label: str) -> dict:
        """Colour, marker and dash of a method."""
        i = self.order.index(label)
        palette = sns.color_palette("colorblind", 10) if len(self.order) <= 10 else sns.husl_palette(len(self.order))
        return {"color": palette[i], "marker": MARKERS[i % len(MARKERS)], "linestyle": DASHES[i % len(DASHES)]}


def write_figures(comparison: Comparison, style: Style, folder: Path) -> list[tuple[str, str]]:
    """Draw every figure as PNG and PDF; (file stem, caption) of each. None where no run is done."""
    if not comparison.done:
        return []
    drawn = []
    for suffix, (draw, caption) in FIGURES.items():
        with mpl.rc_context(PAPER):
            figure = Figure(figsize=(5.5, 3.1), layout="constrained")
            axes = figure.subplots()
            draw(axes, comparison, style)
            axes.set_title(_title(comparison), loc="left", color="0.3", fontsize=8)
            stem = f"{comparison.name}-{suffix}"
            figure.savefig(folder / f"{stem}.png")
            figure.savefig(folder / f"{stem}.pdf", metadata={"CreationDate": None})
        drawn.append((stem, caption))
    return drawn


def _title(comparison: Comparison) -> str:
    """The setting, over two lines where it is long."""
    words = comparison.title.split(", ")
    middle = len(words) // 2
    return ", ".join(words[:middle]) + ",\n" + ", ".join(words[middle:])


def _over_rounds(axes: Axes, comparison: Comparison, style: Style) -> None:
    _curves(axes, comparison, style, "round", 1)
    axes.set_xlabel("Round")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def _over_bytes(axes: Axes, comparison: Comparison, style: Style) -> None:
    """On a logarithmic axis; a method that sends nothing is a level line at its last accuracy."""
    _curves(axes, comparison, style, "bytes", 1e6)
    if any((run.curve["bytes"] > 0).any() for run in comparison.done):
        axes.set_xscale("log")
    axes.set_xlabel("Sent, up and down, by all clients together [MB]")


def _over_flops(axes: Axes, comparison: Comparison, style: Style) -> None:
    _curves(axes, comparison, style, "flops", 1e12)
    axes.set_xlabel("Computed by all clients together [TFLOP]")


def _per_client(axes: Axes, comparison: Comparison, style: Style) -> None:
    """A dot per client and seed, its place beside the method's name spread by its id; a bar at the mean."""
    labels = [label for label in comparison.methods if comparison.of(label)]
    for row, label in enumerate(labels):
        clients = pd.concat([run.clients for run in comparison.of(label)])
        spread = (clients["client"] / max(1, clients["client"].max()) - 0.5) * 0.55
        axes.scatter(
            clients["accuracy"],
            row + spread,
            s=14,
            alpha=0.75,
            linewidths=0,
            color=style.of(label)["color"],
            marker=style.of(label)["marker"],
        )
        axes.plot([clients["accuracy"].mean()] * 2, [row - 0.38, row + 0.38], color="black", linewidth=1.5)
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.set_xlabel("Accuracy of a client on its own test data [%]")
    axes.grid(axis="y", visible=False)


FIGURES: dict[str, tuple[Callable[[Axes, Comparison, Style], None], str]] = {
    "rounds": (_over_rounds, "Accuracy over rounds"),
    "bytes": (_over_bytes, "Accuracy over transmitted bytes; a level line sends nothing"),
    "flops": (_over_flops, "Accuracy over what the clients compute"),
    "clients": (_per_client, "Accuracy of each client (dots, by client id from top to bottom) and their mean (bar)"),
}


def _curves(axes: Axes, comparison: Comparison, style: Style, cost: str, scale: float) -> None:
    """Mean accuracy over seeds against a cost; a band of one standard deviation where there are several."""
    for label in comparison.methods:
        runs = comparison.of(label)
        if not runs:
            continue
        by_round = pd.concat([run.curve for run in runs]).dropna(subset="accuracy").groupby("round")
        x, mean = (
            by_round[cost].mean() / scale if cost != "round" else by_round["round"].first(),
            by_round["accuracy"].mean(),
        )
        look = style.of(label)
        if cost == "bytes" and not x.any():
            axes.axhline(mean.iloc[-1], color=look["color"], linestyle=look["linestyle"], label=f"{label} (0 bytes)")
            continue
        axes.plot(x, mean, label=label, markevery=max(1, len(x) // 10), **look)
        if len(runs) > 1:
            spread = by_round["accuracy"].std().to_numpy()
            axes.fill_between(x, mean - spread, mean + spread, color=look["color"], alpha=0.15, linewidth=0)
    axes.set_ylabel("Mean accuracy of clients [%]")
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, handlelength=3)
