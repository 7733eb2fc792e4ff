"""Figures of one federation alone: who holds what, what its gates say, and where its representations lie."""

import re
from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.ticker import MaxNLocator

from benchmark.report.drawing import figure_of
from benchmark.report.embedding import embeddable, embedded
from benchmark.report.frame import Comparison
from benchmark.report.looks import MARKERS, Style
from benchmark.report.stored_run import StoredRun

WEIGHTS = "PuOr_r"
NO_CLASS = "0.75"
"""Weights of half, in the middle of the colours, are nearly white; what a client lacks is grey."""
PLAIN_NAME = re.compile(r"[\w .,:+-]*[^\W\d][\w .,:+-]*", re.ASCII)
"""Names of classes that every font has, and that are no numbers: those that an axis shows."""
MOST_NAMED_CLASSES = 20


def draw_partition(panels: Sequence[Axes], comparison: Comparison, style: Style) -> None:
    """Draw the samples of each class at each client, with their numbers where there is room."""
    (axes,) = panels
    run = comparison.first_run
    counts = np.array(run.run["partition"]["counts"])
    _grid(axes, counts, f"Samples (seed {run.seed})", cmap="viridis" if counts.size > 400 else "Blues")
    if all(map(PLAIN_NAME.fullmatch, run.class_names)) and len(run.class_names) <= MOST_NAMED_CLASSES:
        axes.set_xticks(np.arange(len(run.class_names)) + 0.5, run.class_names)
        if max(map(len, run.class_names)) > 3:
            axes.tick_params("x", rotation=90)
    if _has_room(axes, counts):
        for (k, c), count in np.ndenumerate(counts):
            if count:
                colour = "w" if count > 0.6 * counts.max() else "k"
                axes.text(c + 0.5, k + 0.5, str(count), ha="center", va="center", color=colour)


def _has_room(axes: Axes, counts: np.ndarray) -> bool:
    """Return whether numbers fit into the cells of a grid, which is about two thirds of its figure's width."""
    cell = 0.65 * 72 * figure_of(axes).get_figwidth() / counts.shape[1]
    return counts.size <= 200 and 0.6 * len(str(counts.max())) * mpl.rcParams["font.size"] < cell


def _grid(axes: Axes, values: np.ndarray, label: str, **look: Any) -> None:
    """Draw a value for each client (rows, the first on top) and class."""
    image = axes.pcolormesh(values, rasterized=True, **look)
    for axis, size in ((axes.xaxis, values.shape[1]), (axes.yaxis, values.shape[0])):
        ticks = np.arange(0, size, max(1, size // 10))
        axis.set_ticks(ticks + 0.5, ticks.astype(str))
    axes.set_ylim(len(values), 0)
    axes.set_xlabel("Class")
    axes.set_ylabel("Client")
    axes.grid(visible=False)
    axes.figure.colorbar(image, ax=axes, label=label)


def draw_weights(panels: Sequence[Axes], comparison: Comparison, style: Style) -> None:
    """Draw each client's mean weight over the rounds (left), and by client and class in the last round (right)."""
    run = inspected_runs(comparison)[0]
    name = next(iter(next(iter(run.weights.values()))))
    means = pd.DataFrame(
        {t: [np.mean(list(of.values())) for of in weights[name]] for t, weights in run.weights.items()}
    )
    lines, grid = panels
    for k, row in means.iterrows():
        lines.plot(means.columns, row, color="0.55", linewidth=0.8, label="a client" if k == 0 else None)
    lines.plot(means.columns, means.mean(), color="black", linewidth=2, label="mean")
    lines.set_xlabel("Round")
    lines.set_ylabel(f"Weight, {name}")
    lines.xaxis.set_major_locator(MaxNLocator(integer=True))
    lines.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, frameon=False)
    last = run.weights[max(run.weights)][name]
    table = np.full((len(last), run.run["dataset"]["classes"]), np.nan)
    for k, of_classes in enumerate(last):
        for c, weight in of_classes.items():
            if c.isdecimal() and int(c) < table.shape[1]:
                table[k, int(c)] = weight
    _grid(grid, table, f"Weight, round {max(run.weights)}", cmap=WEIGHTS, vmin=0, vmax=1)
    grid.set_facecolor(NO_CLASS)


def draw_embedding(panels: Sequence[Axes], comparison: Comparison, style: Style) -> None:
    """Draw all experts' representations in one t-SNE, coloured by expert (left) and by class (right)."""
    run = embedded_runs(comparison)[0]
    found = run.representations
    places, taken = embedded(found)
    for kind, name in enumerate(found["names"].tolist()[: len(MARKERS)]):
        x, y = places[found["kind"][taken] == kind].T
        panels[0].scatter(x, y, s=5, linewidths=0, marker=MARKERS[kind], label=name)
    panels[0].legend(frameon=True, markerscale=2, loc="best")
    _by_class(panels[1], places, found["label"][taken], run.run["dataset"]["classes"])
    for axes in panels:
        axes.set_xticks([])
        axes.set_yticks([])


def _by_class(axes: Axes, places: np.ndarray, labels: np.ndarray, classes: int) -> None:
    """Draw points [points, 2] in a colour for each class, and a bar with one stripe per class."""
    few = "tab10" if classes <= 10 else "tab20" if classes <= 20 else None
    shades = ListedColormap(mpl.color_sequences[few][:classes]) if few else mpl.colormaps["turbo"].resampled(classes)
    edges = BoundaryNorm(np.arange(classes + 1) - 0.5, classes)
    points = axes.scatter(places[:, 0], places[:, 1], c=labels, s=5, linewidths=0, cmap=shades, norm=edges)
    ticks = np.arange(0, classes, max(1, classes // 10))
    bar = axes.figure.colorbar(points, ax=axes, label="Class", ticks=ticks)
    bar.ax.minorticks_off()


def inspected_runs(comparison: Comparison) -> list[StoredRun]:
    """Return the finished runs that were inspected (`run --inspect`), methods as they are before variants, by seed."""
    return sorted((run for run in comparison.done if run.weights), key=lambda run: ("+" in run.label, run.seed))


def embedded_runs(comparison: Comparison) -> list[StoredRun]:
    """Return those of them that left representations to draw."""
    return [run for run in inspected_runs(comparison) if embeddable(run.representations)]


def words_of_run(words: str, run: StoredRun) -> str:
    """Return a caption of what is shown of one run."""
    return f"{words}; {run.label}, seed {run.seed}, alone."
