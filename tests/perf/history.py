"""The timings of several runs of one revision: a line of the history, perhaps the baseline, and the curves.

python tests/perf/history.py RUN.json...               add a line to history.jsonl, and draw the curves
python tests/perf/history.py --baseline RUN.json...    the same, and write baseline.json anew
python tests/perf/history.py                           draw the curves

RUN.json is what `make perf-timings` writes; several runs of one revision tell how far results lie apart.
"""

import argparse
import json
from pathlib import Path
from statistics import median

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

HERE = Path(__file__).parent
BASELINE, HISTORY = HERE / "baseline.json", HERE / "history.jsonl"
CURVES = HERE.parent.parent / "docs" / "performance.png"
COLUMNS = 3


def gathered(runs: list[dict]) -> dict[str, dict]:
    """Benchmark -> group, median of the normalised times, and their range as a share of it."""
    found: dict[str, dict] = {}
    for run in runs:
        for benchmark in run["benchmarks"]:
            entry = found.setdefault(benchmark["name"], {"group": benchmark["group"], "values": []})
            entry["values"].append(benchmark["extra_info"]["normalised"])
    return {name: {"group": entry["group"], **summary(entry["values"])} for name, entry in found.items()}


def summary(values: list[float]) -> dict[str, float]:
    """Median and relative range."""
    middle = median(values)
    return {"normalised": round(middle, 4), "spread": round((max(values) - min(values)) / middle, 4)}


def measured(runs: list[dict]) -> dict[str, str | int]:
    """Where and on which code; of runs of several revisions the first."""
    machine, commit = runs[0]["machine_info"], runs[0]["commit_info"]
    return {
        "revision": commit["id"][:10],
        "date": commit["time"],
        "cpu": machine["cpu"]["brand_raw"],
        "cores": machine["cpu"]["count"],
        "python": machine["python_version"],
        "torch": machine["torch"],
        "runs": len(runs),
    }


def add(runs: list[dict]) -> None:
    """A line of the history, in place of an earlier one of the same revision."""
    where = measured(runs)
    line = where | {"timings": {name: entry["normalised"] for name, entry in gathered(runs).items()}}
    others = [point for point in history() if point["revision"] != where["revision"]]
    points = sorted([*others, line], key=lambda point: point["date"])
    HISTORY.write_text("".join(json.dumps(point) + "\n" for point in points))


def history() -> list[dict]:
    """All points, by date."""
    return [json.loads(line) for line in HISTORY.read_text().splitlines()] if HISTORY.exists() else []


def draw() -> None:
    """One panel for each group of the baseline; a point for every revision of the history."""
    groups: dict[str, list[str]] = {}
    for name, timing in json.loads(BASELINE.read_text())["timings"].items():
        groups.setdefault(timing["group"], []).append(name)
    rows = -(-len(groups) // COLUMNS)
    style = {"font.size": 8, "axes.spines.top": False, "axes.spines.right": False, "legend.frameon": False}
    with mpl.rc_context(style):
        figure = Figure(figsize=(10, 2.6 * rows), layout="constrained")
        panels = figure.subplots(rows, COLUMNS, squeeze=False).flat
        for (group, names), axes in zip(groups.items(), panels, strict=False):
            panel(axes, group, names)
        for axes in panels:  # what is left of the last row
            axes.set_axis_off()
        figure.savefig(CURVES, dpi=110)


def panel(axes: Axes, group: str, names: list[str]) -> None:
    """The curves of one group over the revisions."""
    points = history()
    for name in names:
        known = [(i, point["timings"][name]) for i, point in enumerate(points) if name in point["timings"]]
        axes.plot(*zip(*known, strict=True), marker="o", markersize=3, label=name.removeprefix("test_"))
    axes.set_title(group, loc="left")
    axes.set_xticks(range(len(points)), [point["revision"][:7] for point in points], rotation=30, ha="right")
    axes.set_xlim(-0.3, len(points) - 0.7)
    axes.set_ylim(0, 1.1 * axes.get_ylim()[1])
    axes.set_ylabel("kernel's time")
    axes.legend(fontsize=7)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--baseline", action="store_true")
    parser.add_argument("runs", nargs="*", type=Path)
    given = parser.parse_args()
    if loaded := [json.loads(path.read_text()) for path in given.runs]:
        add(loaded)
        if given.baseline:
            content = {"measured": measured(loaded), "timings": gathered(loaded)}
            BASELINE.write_text(json.dumps(content, indent=1) + "\n")
    draw()
