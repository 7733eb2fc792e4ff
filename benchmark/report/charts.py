"""What the charts of the page draw of a comparison, as plain values: curves, differences, clients, who holds what."""

import colorsys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from benchmark.report.answer import Answer
from benchmark.report.frame import COST_UNITS, Comparison
from benchmark.report.looks import Look, Style
from benchmark.report.statistics import mean_interval
from benchmark.storage.moments import Moment

DARK_GROUND = (0x14, 0x17, 0x1B)
"""Red, green and blue of the page at night, 0 to 255."""
CONTRAST_AT_NIGHT = 4.5
"""Least contrast of a method's colour with it."""
DASHES_OF_SVG = {"solid": "", "dashed": "6 3", "dashdot": "7 3 1.5 3", "dotted": "1.5 3"}
WORST_TENTH = "worst"


def chart_data(comparison: Comparison, answer: Answer | None, style: Style, points: int) -> dict[str, Any]:
    """Return all that is drawn of one comparison but for clients and partition; at most `points` points of a curve."""
    return {
        "name": comparison.name,
        "ranked": comparison.ranked,
        "target": comparison.target,
        "floor": float(np.mean(comparison.floors)) if comparison.floors else None,
        "moments": [{"name": moment.name, "words": moment.words} for moment in comparison.moments],
        "reference": answer.reference if answer and comparison.of(answer.reference) else None,
        "forest": forest_data(answer, style) if answer else None,
        "series": [_series(comparison, label, style, points) for label in comparison.complete],
    }


def forest_data(answer: Answer, style: Style) -> dict[str, Any]:
    """Return the rows of a forest plot: at each moment the difference, its interval if there is one, and its mark."""
    labels = dict.fromkeys(label for found in answer.effects.values() for label in found)
    ordered = sorted(labels)
    if answer.best is not None:
        first = answer.effects[answer.moments[0]]
        ordered.sort(key=lambda label: -first[label].mean if label in first else np.inf)
    return {
        "reference": answer.reference,
        "moments": [{"name": moment.name, "words": moment.words} for moment in answer.moments],
        "rows": [look_of(label, style) | {"effects": _effects(answer, label)} for label in ordered],
    }


def _effects(answer: Answer, label: str) -> dict[str, Any]:
    found = {moment.name: answer.effects[moment].get(label) for moment in answer.moments}
    return {
        name: {
            "mean": difference.mean,
            "low": difference.test.low if difference.test else None,
            "high": difference.test.high if difference.test else None,
            "marked": difference.marked,
        }
        for name, difference in found.items()
        if difference
    }


def look_of(label: str, style: Style) -> dict[str, Any]:
    """Return a method's label, its colour by day and at night, and its dashes."""
    look: Look = style.of(label)
    return {"label": label, "colour": look.colour, "dark": at_night(look.colour), "dash": DASHES_OF_SVG[look.dash]}


def _series(comparison: Comparison, label: str, style: Style, points: int) -> dict[str, Any]:
    """Return a method: its mean curves, what it costs in all and where it ends with the interval over seeds."""
    runs = comparison.of(label)
    scores = {moment.name: comparison.values(label, moment.key("accuracy_mean")) for moment in comparison.moments}
    scores[WORST_TENTH] = comparison.values(label, comparison.moment.key("accuracy_worst_decile"))
    return {
        **look_of(label, style),
        "seeds": [run.seed for run in runs],
        "totals": {cost: comparison.mean_total(label, cost) for cost in COST_UNITS},
        "scores": {name: _spread(values) for name, values in scores.items() if values},
        **_curves(comparison, label, points),
    }


def _spread(values: Sequence[float]) -> list[float | None]:
    """Return the mean of some seeds and the ends of its interval, None for one seed."""
    interval = mean_interval(values)
    return [float(np.mean(values)), *((interval.low, interval.high) if interval else (None, None))]


def _curves(comparison: Comparison, label: str, points: int) -> dict[str, Any]:
    """Return costs by evaluated round, and at each moment accuracies and intervals there; None where there are none."""
    found = {m.name: replace(comparison, moments=[m]).series(label).set_index("round") for m in comparison.moments}
    rounds = sorted(set().union(*(curve.index for curve in found.values())))
    kept = [rounds[i] for i in np.linspace(0, len(rounds) - 1, min(points, len(rounds))).round().astype(int)]
    costs = pd.concat([curve[[*COST_UNITS]] for curve in found.values()]).groupby(level=0).first()
    at = {name: curve.reindex(kept) for name, curve in found.items()}
    return {
        "round": kept,
        **{cost: costs.reindex(kept)[cost].tolist() for cost in COST_UNITS},
        "curves": {
            name: {"accuracy": curve["accuracy"].tolist()}
            | {side: curve[side].tolist() for side in ("low", "high") if curve[side].notna().any()}
            for name, curve in at.items()
        },
    }


def client_data(comparison: Comparison) -> dict[str, Mapping[str, Any]]:
    """Return moment -> label -> accuracies of all clients, a list for each seed of the method."""
    return {moment.name: _clients(comparison, moment) for moment in comparison.moments}


def _clients(comparison: Comparison, moment: Moment) -> dict[str, Any]:
    found = {label: [run.clients[moment] for run in comparison.of(label)] for label in comparison.complete}
    return {label: [np.round(clients, 2).tolist() for clients in of_seeds] for label, of_seeds in found.items()}


def partition_data(comparison: Comparison) -> dict[str, Any]:
    """Return who holds what under the first seed."""
    run = comparison.first_run
    title = f"Samples per client and class, seed {run.seed}"
    return {"title": title, "classes": run.class_names, "counts": run.run["partition"]["counts"]}


@cache
def at_night(colour: str) -> str:
    """Return a colour #rrggbb made lighter, in its hue, until it stands out on the dark ground."""
    hue, lightness, saturation = colorsys.rgb_to_hls(*(int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)))
    for step in np.arange(lightness, 1.0, 0.01):
        rgb = [round(255 * part) for part in colorsys.hls_to_rgb(hue, float(step), saturation)]
        if contrast(rgb, DARK_GROUND) >= CONTRAST_AT_NIGHT:
            return "#" + "".join(f"{part:02x}" for part in rgb)
    return "#ffffff"


def contrast(one: Sequence[int], other: Sequence[int]) -> float:
    """Return the contrast of two colours (red, green and blue, 0 to 255) as WCAG 2 defines it: 1 to 21."""
    low, high = sorted(map(_luminance, (one, other)))
    return (high + 0.05) / (low + 0.05)


def _luminance(rgb: Sequence[int]) -> float:
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (part / 255 for part in rgb)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
