"""Figures of devices: accuracy over seconds on each profile, and the fastest method over bandwidths and rates."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.patches import Patch

from benchmark.devices.clock import Rates, seconds_of_rounds
from benchmark.devices.fastest import SpeedMap, speed_map
from benchmark.devices.profile import Profile
from benchmark.report.devices import DeviceComparison
from benchmark.report.drawing import Drawn, logarithmic
from benchmark.report.figures import Plot, draw_figure
from benchmark.report.frame import Comparison
from benchmark.report.looks import Style

PALE = 0.7
"""How much of a cell's colour is white where the clocks disagree."""


def device_figures(
    comparison: Comparison, found: DeviceComparison | None, profiles: Sequence[Profile], style: Style, folder: Path
) -> list[Drawn]:
    """Draw accuracy over seconds, and a map around each profile if there is a target."""
    drawn = []
    for profile in profiles:
        plot = Plot(
            f"Accuracy over seconds on {profile.name}",
            "Mean over seeds.",
            partial(_over_seconds, profile=profile),
            judges=True,
        )
        if plot.has_data(comparison):
            drawn.append(draw_figure(comparison, f"seconds-{profile.name}", plot, style, folder))
        if found is not None and found.workloads:
            caption = (
                f"Mean seconds to {found.target:g} % over seeds; the cross is {profile.name}, whose proportion of up "
                "and down, round trip and server all cells have. Pale: the second clock names another method."
            )
            draw = partial(_fastest, found=found, profile=profile)
            plot = Plot(f"The fastest method around {profile.name}", caption, draw, lists=False)
            drawn.append(draw_figure(comparison, f"fastest-{profile.name}", plot, style, folder))
    return drawn


def _over_seconds(panels: Sequence[Axes], comparison: Comparison, style: Style, profile: Profile) -> None:
    """Draw on a logarithmic axis: links make a thousandfold difference."""
    for label in comparison.complete:
        curve = seconds_curve(comparison, label, profile)
        panels[0].plot(
            curve["seconds"], curve["accuracy"], label=label, markevery=max(1, len(curve) // 10), **style.of(label).line
        )
    logarithmic(panels[0])
    panels[0].set_xlabel(f"Seconds on {profile.name}")
    panels[0].set_ylabel("Mean accuracy of clients [%]")
    panels[0].legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, handlelength=3)


def seconds_curve(comparison: Comparison, label: str, profile: Profile) -> pd.DataFrame:
    """Return mean seconds on a profile and mean accuracy in percent over seeds, a row per evaluated round."""
    curves = [
        pd.DataFrame(
            {
                "round": run.curve["round"],
                "seconds": seconds_of_rounds(run.work, Rates.of(profile)).cumsum(),
                "accuracy": run.curve[comparison.moment.name],
            }
        ).dropna()
        for run in comparison.of(label)
    ]
    return pd.concat(curves).groupby("round").mean()


def _fastest(
    panels: Sequence[Axes], comparison: Comparison, style: Style, found: DeviceComparison, profile: Profile
) -> None:
    labels = found.comparison.complete
    by_flops = speed_map([found.workloads.get(label) for label in labels], profile)
    by_seconds = speed_map([found.timed.get(label) for label in labels], profile)
    agreed = by_flops.fastest == by_seconds.fastest
    _cells(panels[0], by_flops, agreed, [to_rgb(style.of(label).colour) for label in labels])
    panels[0].plot(profile.up / 1e6, profile.flops / 1e9, "x", color="black", markersize=7)
    shown = [labels[i] for i in np.unique(by_flops.fastest) if i >= 0]
    handles = [Patch(color=style.of(label).colour, label=label) for label in shown]
    panels[0].legend(handles=handles, loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    panels[0].set_xlabel("Bandwidth up [Mbit/s]")
    panels[0].set_ylabel("Clients' rate [GFLOP/s]")


def _cells(axes: Axes, found: SpeedMap, agreed: np.ndarray, colours: Sequence[tuple[float, float, float]]) -> None:
    """Colour each cell by the fastest method, paler where the clocks disagree, and white where none reaches it."""
    palette: Any = np.array([*colours, (1.0, 1.0, 1.0)])  # -1 is the last
    image = palette[found.fastest.T]
    image = np.where(agreed.T[..., np.newaxis], image, PALE + (1 - PALE) * image)
    axes.pcolormesh(found.up / 1e6, found.flops / 1e9, image, shading="nearest", rasterized=True)
    logarithmic(axes)
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(lambda y, _: f"{y:g}")
    axes.grid(visible=False)
