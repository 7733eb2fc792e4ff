"""Figures of several comparisons together: ranks, profiles, and how methods respond to a change of the setting."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from benchmark.report.aggregate import common, task_ranks, tasks
from benchmark.report.drawing import Drawn, logarithmic, sheet
from benchmark.report.frame import Comparison
from benchmark.report.looks import Style
from benchmark.report.statistics import Ranks, cliques, mean_interval, performance_profile
from benchmark.storage.names import apart, clean_name

AXIS_WORDS = {
    "clients": "Number of clients",
    "participation": "Share of clients that take part in a round",
    "pathological": "Classes per client",
    "dirichlet": "Dirichlet concentration",
    "quantity": "Dirichlet concentration of client sizes",
    "label-quantity 1": "Dirichlet concentration of labels",
    "label-quantity 2": "Dirichlet concentration of client sizes",
    "local_epochs": "Local epochs",
    "batch_size": "Batch size",
    "lr": "Learning rate",
    "rounds": "Rounds",
}
"""Number of a setting -> its words on the axis of a figure."""


class Axis(NamedTuple):
    """Comparisons on one data set that differ in one number alone."""

    name: str
    what: str
    dataset: str
    values: Sequence[float]
    comparisons: Sequence[Comparison]


def write_across(comparisons: Sequence[Comparison], style: Style, folder: Path) -> list[Drawn]:
    """Draw those figures over several comparisons for which there is data."""
    ranked = [comparison for comparison in comparisons if comparison.ranked]
    labels, drawn = common(ranked), []
    ranks = task_ranks(ranked, labels)
    if ranks is not None and len(labels) > 2:
        with sheet(folder / "across-ranks", 1, (5.5, 0.9 + 0.22 * len(labels)), "") as (axes,):
            _critical_difference(axes, labels, ranks)
        text = "1 is the best. Methods that a bar joins are not told apart (Nemenyi test, 5 %)."
        drawn.append(Drawn("across-ranks", "Average ranks", text))
    if ranks is not None:
        with sheet(folder / "across-profiles", 1, (5.5, 3.1), "", len(labels)) as (axes,):
            _profiles(axes, ranked, labels, style)
        text = "Share of runs that are above an accuracy, each task weighing the same."
        drawn.append(Drawn("across-profiles", "Performance profiles", text))
    axes_of_settings = [*varying(comparisons)]
    stems = apart(f"across-{axis.name}" for axis in axes_of_settings)
    for axis, stem in zip(axes_of_settings, stems, strict=True):
        methods = len({label for comparison in axis.comparisons for label in comparison.complete})
        with sheet(folder / stem, 1, (5.5, 3.1), _fixed(axis), methods) as (axes,):
            _robustness(axes, axis, style)
        words = f"Accuracy {axis.comparisons[0].moment.words}: mean over seeds and 95 % interval."
        drawn.append(Drawn(stem, f"{axis.what}, {axis.dataset}", words))
    return drawn


def varying(comparisons: Sequence[Comparison]) -> Iterator[Axis]:
    """Yield every number that is the only difference between two or more comparisons of a data set."""
    settings = [_numbers(comparison.setting) for comparison in comparisons]
    for field in dict.fromkeys(name for setting in settings for name in setting):
        groups: dict[str, list[tuple[float, Comparison]]] = {}
        for setting, comparison in zip(settings, comparisons, strict=True):
            value = setting.get(field)
            if isinstance(value, int | float) and not isinstance(value, bool):
                rest = {name: other for name, other in setting.items() if name != field}
                groups.setdefault(json.dumps(rest, sort_keys=True), []).append((value, comparison))
        wide = [sorted(group, key=lambda pair: pair[0]) for group in groups.values() if len(group) > 1]
        for number, group in enumerate(wide, start=1):
            values, members = zip(*group, strict=True)
            dataset = members[0].dataset
            name = clean_name(f"{field}-{dataset}") + (f"-{number}" if len(wide) > 1 else "")
            yield Axis(name, AXIS_WORDS.get(field, field.replace("_", " ").capitalize()), dataset, values, members)


def _numbers(setting: Mapping[str, Any]) -> dict[str, Any]:
    """Return a setting with the partition's parameters as separate numbers: pathological:2 becomes pathological = 2."""
    plain, plus, shifts = setting["partition"].partition("+")
    family, *parameters = plain.split(":")
    fields = [family] if len(parameters) == 1 else [f"{family} {i}" for i in range(1, len(parameters) + 1)]
    try:
        return {
            **setting,
            "partition": family + plus + shifts,
            **dict(zip(fields, map(float, parameters), strict=True)),
        }
    except ValueError:
        return {**setting}


def _fixed(axis: Axis) -> str:
    """Return in words what the comparisons have in common."""
    words = [set(comparison.title.split(", ")) for comparison in axis.comparisons]
    shared = set.intersection(*words)
    return ", ".join(word for word in axis.comparisons[0].title.split(", ") if word in shared)


def _critical_difference(axes: Axes, labels: Sequence[str], ranks: Ranks) -> None:
    """Draw Demšar's diagram: names by average rank, a bar over every group in which no difference is significant."""
    order = np.argsort(ranks.average, kind="stable")
    low, high = 1, len(labels)
    bars = cliques(ranks.average, ranks.critical_difference)
    depth = len(bars) * 0.35 + 0.5
    for place, i in enumerate(order):
        left = place < (len(order) + 1) // 2
        row = place if left else len(order) - 1 - place
        y, x = depth + row * 0.6, float(ranks.average[i])
        edge = low - 0.15 if left else high + 0.15
        axes.plot([x, x, edge], [0, y, y], color="0.25", linewidth=0.9)
        axes.text(edge, y, f"{labels[i]} ({x:.2f})", ha="right" if left else "left", va="center", fontsize=8)
    for row, group in enumerate(bars):
        ends = [float(ranks.average[i]) for i in group]
        axes.plot([min(ends) - 0.04, max(ends) + 0.04], [0.35 + 0.35 * row] * 2, color="black", linewidth=3)
    width = min(ranks.critical_difference, high - low)
    axes.plot([low, low + width], [-0.9, -0.9], color="black", linewidth=1, marker="|")
    axes.text(low + width, -0.9, f"  critical difference {ranks.critical_difference:.2f}", va="center", fontsize=8)
    axes.set_xlim(low - (high - low) * 0.6, high + (high - low) * 0.6)
    axes.set_ylim(depth + (len(order) + 1) // 2 * 0.6, -1.3)
    axes.xaxis.tick_top()
    axes.set_xticks(range(low, high + 1))
    axes.spines[["left", "bottom"]].set_visible(False)
    axes.spines["top"].set_visible(True)
    axes.spines["top"].set_position(("data", 0))
    axes.spines["top"].set_bounds(low, high)
    axes.set_yticks([])
    axes.grid(visible=False)


def _profiles(axes: Axes, comparisons: Sequence[Comparison], labels: Sequence[str], style: Style) -> None:
    scores = {label: [[v for c in task for v in c.scores(label)] for task in tasks(comparisons)] for label in labels}
    everything = [value for by_task in scores.values() for task in by_task for value in task]
    thresholds = np.linspace(min(everything) - 1, max(everything) + 1, 201)
    for label, by_task in scores.items():
        profile = performance_profile(by_task, thresholds)
        look = {name: value for name, value in style.of(label).line.items() if name != "marker"}
        axes.step(thresholds, profile, where="post", label=label, **look)
    axes.set_xlabel("Accuracy [%]")
    axes.set_ylabel("Share of runs above it")
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, handlelength=3)


def _robustness(axes: Axes, axis: Axis, style: Style) -> None:
    for label in sorted({label for comparison in axis.comparisons for label in comparison.complete}):
        points = [
            (value, comparison.scores(label))
            for value, comparison in zip(axis.values, axis.comparisons, strict=True)
            if comparison.mean(label) is not None
        ]
        if not points:
            continue
        x, means = [value for value, _ in points], [float(np.mean(found)) for _, found in points]
        found = [mean_interval(values) for _, values in points]
        half = [(interval.high - interval.low) / 2 if interval else 0.0 for interval in found]
        axes.errorbar(
            x, means, yerr=half if any(half) else None, label=label, capsize=2, elinewidth=0.8, **style.of(label).line
        )
    if min(axis.values) > 0 and max(axis.values) / min(axis.values) >= 10:
        logarithmic(axes)
    elif all(float(value).is_integer() for value in axis.values):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel(axis.what)
    axes.set_ylabel("Mean accuracy of clients [%]")
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, handlelength=3)
