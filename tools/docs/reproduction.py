"""The published table beside stored results: parts of docs/reproduction.md.

What is compared is each method's gain over Standalone, for accuracies themselves depend on augmentation, epochs and
batches, in which these runs differ from the papers'. The lab's code tests after local training.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from benchmark.config import FederationConfig
from benchmark.report.cells import NOTHING, mean_cell
from benchmark.report.differences import Difference, differences
from benchmark.report.frame import Comparison, setting_words
from benchmark.report.stored_run import StoredRun
from benchmark.storage.moments import DOWNLOAD, LOCAL
from tools.docs.blocks import markdown_table
from tools.docs.cells import (
    MAIN_RESULTS,
    NONE_YET,
    NOT_RUN,
    TOO_FEW_SEEDS,
    Stored,
    cell_title,
    difference_curve,
    gain_text,
    if_precise,
    judged,
    long_cells,
    of_cell,
    published_cells,
    published_tables,
    published_values,
    stretches,
)
from tools.docs.claims import METHOD
from tools.docs.costs import REFERENCE
from tools.reference import MISSION

COMPARED: Mapping[str, float | None] = {MAIN_RESULTS: None, "lab": 1.5, "lab-short": None}
"""Folders of results that the page shows, if they exist -> how many points from the published value Standalone may be.

None if its runs train so little that nobody expects the published value.
"""
REST = "catalogue"
"""The folder of results that has methods which the one of a table lacks."""
VARIED = "one-change"
"""The folder of runs that differ from those of a cell in one thing each."""
VARIED_CELL = ("cifar10", 10)
FAILED = "failed"
RISES = "rises"
"""What the reasons of curves that climb say, and those of curves with too few rounds to judge do not."""
HEADS = (
    *("method", "published %", "ours %", "ours less published", "seeds", "published gain"),
    *("our gain after local training", "and after the next download", "verdict"),
)


def sources() -> str:
    """Return where the published numbers are from, as a list."""
    return "\n".join(f"- {table['source']}" for table in published_tables())


def tables(stored: Stored) -> str:
    """Return a table for each published cell that was run, under its experiment."""
    parts = []
    for experiment, within in COMPARED.items():
        for cell in published_cells():
            if comparison := of_cell(stored.get(experiment, ()), *cell):
                parts += [f"### {cell_title(*cell)} (`results/{experiment}`)", f"{comparison.title}."]
                parts += _table(published_values(cell), comparison, _alike(comparison, stored), within)
    return "\n\n".join(parts) or "None of the published cells has been run yet."


def _alike(comparison: Comparison, stored: Stored) -> list[Comparison]:
    """Return the comparisons of the rest of the catalogue that are trained as this one, and have Standalone."""
    shared = comparison.setting, comparison.training
    return [c for c in stored.get(REST, ()) if (c.setting, c.training) == shared and c.of(REFERENCE)]


def _table(
    known: Mapping[str, Any], comparison: Comparison, rest: Sequence[Comparison], within: float | None
) -> list[str]:
    """Return a table with a row for each published method, and under it the methods that another folder has."""
    rows, elsewhere = [], []
    for name, value in known.items():
        found = next((c for c in (comparison, *rest) if c.of(name)), comparison)
        rows.append(_reference_row(value, found, within) if name == REFERENCE else _row(name, known, found))
        elsewhere += [f"`{name}`"] if found is not comparison else []
    note = f"From `results/{REST}`, beside the Standalone there: {', '.join(elsewhere)}."
    return [markdown_table(HEADS, rows), *([note] if elsewhere else [])]


def _reference_row(value: float, comparison: Comparison, within: float | None) -> list[str]:
    """Return Standalone's values, and whether they are as near to the published one as they are to be, if they are."""
    said = ""
    if within is not None:
        mean = comparison.mean(REFERENCE)
        near = mean is not None and abs(mean - value) <= within
        said = f"{'' if near else 'not '}within {within:g} points"
    return [*_values(REFERENCE, value, comparison), "", "", "", said]


def _row(name: str, known: Mapping[str, Any], comparison: Comparison) -> list[str]:
    """Return a method's values, its gains over Standalone in points, and what they say."""
    value, alone = known[name], known[REFERENCE]
    gain = None if FAILED in (value, alone) else value - alone
    ours = {moment: differences(comparison, REFERENCE, moment).get(name) for moment in (LOCAL, DOWNLOAD)}
    local, mean = ours[LOCAL], comparison.mean(name)
    trains = mean is not None and mean > np.mean(comparison.floors)
    reason, note = judged(comparison, LOCAL, local, name, REFERENCE, size=True) if local else (None, "")
    published = NOTHING if gain is None else f"{gain:+.2f}"
    said = verdict(gain, local, trains, reason, " and ".join(sorted({*comparison.ends(name)})) or None)
    told = said if gain is None else said + note
    return [*_values(name, value, comparison), published, *map(gain_text, ours.values()), told]


def _values(name: str, value: float | str, comparison: Comparison) -> list[str]:
    """Return a method's name, its published accuracy, ours, how far ours is from it, and our number of seeds."""
    mean = comparison.mean(name)
    words = [f"`{name}`", value if isinstance(value, str) else f"{value:.2f}"]
    if mean is None:
        return [*words, NOTHING, NOTHING, NOTHING]
    less = NOTHING if isinstance(value, str) else f"{mean - value:+.2f}"
    return [*words, f"{mean:.2f}", less, str(len(comparison.of(name)))]


def verdict(
    gain: float | None, ours: Difference | None, trains: bool, reason: str | None, ended: str | None = None
) -> str:
    """Return what our gain over Standalone says of a published one; None: of a method that failed to converge there.

    A published gain is reproduced if our 95 % interval holds it, and is narrow enough to be told from other gains.

    trains: whether it is above the floor here; reason: why nothing can be said of our gain, or None
    ended: how its runs have ended here, if not all of them were done
    """
    if ours is None:
        return NOT_RUN if ended is None else f"reproduced: it {ended}" if gain is None else ended
    if gain is None and trains:
        return "not reproduced: it trains here"
    if reason or not ours.test:
        return f"not comparable: {reason or TOO_FEW_SEEDS}"
    if gain is None:
        return "reproduced: it fails"
    if not ours.test.low <= gain <= ours.test.high:
        return "not reproduced"
    return if_precise(ours.test, "reproduced")


def moments(stored: Stored) -> str:
    """Return a row for each cell and method of the mission, with its accuracy by when, and on whom, it is tested."""
    rows = [
        _at_moments(title, comparison, name)
        for title, comparison in long_cells(stored)
        for name in MISSION
        if comparison.of(name)
    ]
    heads = [
        *("cell", "method", "seeds", "all clients, after local training", "all clients, after the next download"),
        *("participants only, after local training", "best round on test, after local training"),
    ]
    return markdown_table(heads, rows, left=2) if rows else NONE_YET


def _at_moments(title: str, comparison: Comparison, name: str) -> list[str]:
    keys = [LOCAL.key("accuracy_mean"), DOWNLOAD.key("accuracy_mean"), LOCAL.key("accuracy_oracle")]
    local, download, oracle = (comparison.values(name, key) for key in keys)
    participants = [run.participants for run in comparison.of(name) if run.participants is not None]
    means = [mean_cell(values, "{:.2f}").text for values in (local, download, participants, oracle)]
    return [title, f"`{name}`", str(len(comparison.of(name))), *means]


def over_rounds(stored: Stored) -> str:
    """Return a row for each cell and method of the mission: its gain over Standalone in each quarter of the rounds."""
    rows = []
    for title, comparison in long_cells(stored):
        names = [name for name in MISSION if name != REFERENCE and comparison.paired(name, REFERENCE)]
        rows += [[title, f"`{name}`", *_by_quarter(comparison, name)] for name in names]
    heads = ["cell", "method", "seeds", "first quarter", "second", "third", "last"]
    return markdown_table(heads, rows, left=2) if rows else NONE_YET


def _by_quarter(comparison: Comparison, name: str) -> list[str]:
    """Return the number of seeds, and the mean gain over them and over the evaluated rounds of each quarter."""
    rounds, gains = difference_curve(comparison, LOCAL, name, REFERENCE)
    quarter = stretches(rounds, 4)
    return [str(len(gains)), *(f"{gains[:, quarter == q].mean():+.2f}" for q in (1, 2, 3, 4))]


def one_change(stored: Stored) -> str:
    """Return a row for each setting of results/one-change below one for what they differ from, under the same seeds.

    Rates are settings of methods, so two of them stand in one comparison, as labels with the same end.
    """
    varied = stored.get(VARIED, ())
    base = of_cell(stored.get(MAIN_RESULTS, ()), *VARIED_CELL)
    if not (base and varied):
        return NONE_YET
    usual = _whole(base.of(REFERENCE)[0])
    rows = []
    for comparison in varied:
        for label in comparison.complete:
            alone = label.partition("+")[0] == REFERENCE
            if alone and (words := _apart(usual, _whole(comparison.of(label)[0]))):  # else it is the first row again
                rows.append(_changed_row(words, comparison, label.removeprefix(REFERENCE)))
    seeds = {run.seed for comparison in varied for run in comparison.runs}
    same_seeds = replace(base, runs=[run for run in base.runs if run.seed in seeds])
    heads = ["setting", f"{REFERENCE} %", "its best round on test %", f"{METHOD}, local", f"{METHOD}, download"]
    return markdown_table([*heads, "still climbs"], [_changed_row("levelled", same_seeds, ""), *sorted(rows)])


def _whole(run: StoredRun) -> dict[str, Any]:
    """Return all settings of a run without method and seed, also those that it leaves at their defaults."""
    return {name: field.default for name, field in FederationConfig.model_fields.items()} | run.whole_setting


def _apart(usual: Mapping[str, Any], setting: Mapping[str, Any]) -> str:
    """Return in words what a setting has otherwise than the usual one."""
    return ", ".join(setting_words(name, value) for name, value in setting.items() if value != usual.get(name))


def _changed_row(words: str, comparison: Comparison, end: str) -> list[str]:
    """Return Standalone's accuracies, FedMoE's gains over it, and who climbs, of the labels with an end."""
    alone, method = REFERENCE + end, METHOD + end
    accuracies = [
        mean_cell(comparison.values(alone, LOCAL.key(key)), "{:.2f}").text
        for key in ("accuracy_mean", "accuracy_oracle")
    ]
    gains = [gain_text(differences(comparison, alone, moment).get(method)) for moment in (LOCAL, DOWNLOAD)]
    climbing = [name for name in (REFERENCE, METHOD) if RISES in comparison.unlevelled.get(name + end, "")]
    return [words, *accuracies, *gains, ", ".join(climbing)]
