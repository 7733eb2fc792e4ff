"""The generated part of the README: what methods reach and cost in the stored results, in a row for each."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from benchmark.errors import plural
from benchmark.report.cells import mean_cell, spread_cell
from benchmark.report.frame import Comparison
from tools.docs.blocks import TITLES, markdown_table
from tools.docs.costs import REFERENCE
from tools.reference import MISSION

SHOWN = ("reference",)
"""The folders of results that the README shows, if they exist."""


def answer(stored: Mapping[str, Sequence[Comparison]], glances: Mapping[str, Mapping[str, str]]) -> str:
    """Return a table with a row per method that all shown comparisons have, variants apart, and what it is of.

    Shown is the longest comparison of each data set that has the results of all methods of the demo.

    glances: method -> its page's words at a glance
    """
    shown = longest(comparison for name in SHOWN for comparison in stored.get(name, ()))
    if not shown:
        return f"There are no results in {' or '.join(f'`results/{name}`' for name in SHOWN)}."
    labels = sorted(set.intersection(*(set(comparison.complete) for comparison in shown)) & glances.keys())
    titles = [TITLES.get(comparison.dataset, comparison.dataset) for comparison in shown]
    heads = ["method", "leaves the client", *(f"{title} %" for title in titles)]
    heads += [f"kB, {title}" for title in titles] + [f"FLOPs, {titles[0]}"]
    rows = [
        [
            f"[`{label}`](docs/methods/{label}.md)",
            glances[label]["Leaves the client"],
            *(spread_cell(comparison.values(label, "accuracy_mean")).text for comparison in shown),
            *(_kilobytes(comparison, label) for comparison in shown),
            f"{_flops(shown[0], label) / _flops(shown[0], REFERENCE):.2f} ×",
        ]
        for label in labels
    ]
    return f"{markdown_table(heads, rows, left=2)}\n\n{_caption(shown, titles)}"


def longest(comparisons: Iterable[Comparison]) -> list[Comparison]:
    """Return the comparison with most rounds of each data set, of those that lack no method of the demo."""
    found: dict[str, Comparison] = {}
    for comparison in comparisons:
        before = found.get(comparison.dataset)
        longer = before is None or comparison.setting["rounds"] > before.setting["rounds"]
        if longer and set(MISSION) <= set(comparison.complete):
            found[comparison.dataset] = comparison
    return [*found.values()]


def _kilobytes(comparison: Comparison, label: str) -> str:
    """Return what a participant sends and receives in a round, in thousands of bytes: mean over rounds and seeds."""
    setting = comparison.setting
    visits = setting["rounds"] * setting["clients"] * setting["participation"]
    return mean_cell([run.total("bytes") / visits / 1e3 for run in comparison.of(label)]).text


def _flops(comparison: Comparison, label: str) -> float:
    return float(np.mean([run.total("flops") for run in comparison.of(label)]))


def _caption(shown: Sequence[Comparison], titles: Sequence[str]) -> str:
    """Return the setting, what the columns are, and the floor."""
    floors = [float(np.mean(comparison.floors)) for comparison in shown]
    named = " and ".join(f"{floor:.2f} % on {title}" for floor, title in zip(floors, titles, strict=True))
    s = shown[0].setting
    return (
        f"{plural(s['clients'], 'client')} on `{s['models']}`, {plural(s['rounds'], 'round')}, "
        f"{plural(len(shown[0].seeds), 'seed')}: accuracy after local training with its 95 % interval; kilobytes that "
        "a client sends and receives in a round; FLOPs of clients and server beside Standalone's. Naming each client's "
        f"most frequent class has {named}."
    )
