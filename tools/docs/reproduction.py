"""The published table beside stored results: docs/reproduction.md.

What is compared is each method's gain over Standalone, for accuracies themselves depend on augmentation, epochs and
batches, in which these runs differ from the papers'. The lab's code tests after local training.
"""

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.report.cells import NOTHING, interval_text
from benchmark.report.differences import Difference, differences
from benchmark.report.frame import Comparison
from benchmark.report.levelling import too_few
from benchmark.storage.moments import DOWNLOAD, LOCAL
from tools.docs.blocks import TITLES, markdown_table
from tools.docs.costs import REFERENCE

COMPARED = ("reference", "lab-short")
"""Folders of results that the page shows, if they exist."""
VARIED = "one-change"
"""The folder of runs that differ from a preset in one thing each."""
METHOD = "fedmoe"
FAILED = "failed"
NOT_RUN = "not run"
LINE_UP = "cnn5"
HEADS = (
    *("method", "published %", "ours %", "published gain"),
    *("our gain after local training", "and after the download", "verdict"),
)

CLAIMS = (
    ("Is FedMoE better than training alone?", METHOD, REFERENCE),
    ("Does averaging its small extractor help?", METHOD, f"{METHOD}+federate=false"),
    ("Is its gate better than equal weights?", METHOD, f"{METHOD}+gate=static"),
    ("Is it better than training alone twice as long, for about its FLOPs?", METHOD, f"{REFERENCE}+epochs=2"),
    ("Is it better than FML?", METHOD, "fml"),
    ("Than FedKD, by 22.16 points on CIFAR-100 with N = 10 as published?", METHOD, "fedkd"),
    ("Is FML, printed as failing, better than training alone?", "fml", REFERENCE),
    ("Is FedKD?", "fedkd", REFERENCE),
)
"""Questions, and the two methods whose difference answers each."""


@cache
def published() -> dict[str, Any]:
    """Return the published tables as their file has them."""
    return tomllib.loads(Path(__file__).with_name("published.toml").read_text(encoding="utf-8"))


def sources() -> str:
    """Return where the published numbers are from, as a list."""
    return "\n".join(f"- {table['source']}" for table in _tables())


def tables(stored: Mapping[str, Sequence[Comparison]]) -> str:
    """Return a table for each published cell that was run, under its experiment."""
    parts = []
    for experiment in COMPARED:
        for i, (dataset, clients) in enumerate(published()["cells"]):
            if comparison := _of_cell(stored.get(experiment, ()), dataset, clients):
                title = f"### {TITLES[dataset]}, N = {clients} (`results/{experiment}`)"
                parts.append(f"{title}\n\n{comparison.title}.\n\n{_table(comparison, i)}")
    return "\n\n".join(parts) or "None of the published cells has been run yet."


def claims(stored: Mapping[str, Sequence[Comparison]]) -> str:
    """Return a row for each claim and published cell whose two methods were run in results/reference.

    A claim without such a cell has a row that says so.
    """
    rows: list[list[str]] = []
    for question, one, other in CLAIMS:
        answered = len(rows)
        for dataset, clients in published()["cells"]:
            comparison = _of_cell(stored.get(COMPARED[0], ()), dataset, clients)
            if comparison and {one, other} <= {*comparison.complete}:
                found = [differences(comparison, other, moment).get(one) for moment in (LOCAL, DOWNLOAD)]
                said = _unjudged(comparison, one, other)
                answers = [f"{gain_text(ours)}: {said or _told(ours)}" if ours else NOTHING for ours in found]
                price = f"{comparison.mean_total(one, 'flops') / comparison.mean_total(other, 'flops'):.2f} ×"
                rows.append([question, f"{TITLES[dataset]}, N = {clients}", *answers, price])
        if len(rows) == answered:
            rows.append([question, NOTHING, NOT_RUN, NOT_RUN, NOTHING])
    heads = ["question", "cell", "after local training", "after the download", "for FLOPs of"]
    return markdown_table(heads, rows, left=2)


def _unjudged(comparison: Comparison, *labels: str) -> str | None:
    """Return why the curves of these methods can't be compared; None if they have levelled."""
    reasons = [comparison.unlevelled[label] for label in labels if label in comparison.unlevelled]
    if not reasons:
        return None
    return "too few rounds or seeds" if too_few(reasons) else "not levelled"


def _told(ours: Difference) -> str:
    """Return what the interval of a difference says."""
    if ours.test is None:
        return "one seed"
    return "yes" if ours.test.low > 0 else "no" if ours.test.high < 0 else "not told apart"


def one_change(stored: Mapping[str, Sequence[Comparison]]) -> str:
    """Return a row for each setting of results/one-change: what sets it apart, Standalone's accuracy, FedMoE's gains.

    Rates are settings of methods, so two of them stand in one comparison, as labels with the same end.
    """
    comparisons = stored.get(VARIED, ())
    titles = [comparison.title.split(", ") for comparison in comparisons]
    rows = []
    for comparison, words in zip(comparisons, titles, strict=True):
        apart = [word for word in words if not all(word in others for others in titles)]
        for label in comparison.complete:
            if label.partition("+")[0] == REFERENCE:
                end = label.removeprefix(REFERENCE)
                gains = [
                    gain_text(differences(comparison, label, moment).get(METHOD + end)) for moment in (LOCAL, DOWNLOAD)
                ]
                climbing = [name for name in (label, METHOD + end) if name in comparison.unlevelled]
                setting = ", ".join([*apart, *end.split("+")[1:]])
                rows.append([setting or "levelled", f"{comparison.mean(label):.2f}", *gains, ", ".join(climbing)])
    heads = ["setting", f"{REFERENCE} %", f"{METHOD}, local", f"{METHOD}, download", "not levelled"]
    return markdown_table(heads, sorted(rows)) if rows else "None of them has been run yet."


def _tables() -> Iterator[dict[str, Any]]:
    return (table for table in published().values() if isinstance(table, dict))


def _of_cell(comparisons: Sequence[Comparison], dataset: str, clients: int) -> Comparison | None:
    """Return the comparison with the most rounds of a published cell that has Standalone's runs."""
    of_cell = [
        c
        for c in comparisons
        if (c.dataset, c.setting["clients"], c.setting["models"]) == (dataset, clients, LINE_UP) and c.of(REFERENCE)
    ]
    return max(of_cell, key=lambda c: c.setting["rounds"], default=None)


def _table(comparison: Comparison, cell: int) -> str:
    """Return a row for each published method: values, gains over Standalone in points, and what they say."""
    known = {name: values[cell] for table in _tables() for name, values in table.items() if name != "source"}
    local, download = (differences(comparison, REFERENCE, moment) for moment in (LOCAL, DOWNLOAD))
    rows = []
    for name, value in known.items():
        mean = comparison.mean(name)
        gain = None if FAILED in (value, known[REFERENCE]) else value - known[REFERENCE]
        words = [_number(value), NOTHING if mean is None else f"{mean:.2f}"]
        if name != REFERENCE:
            words += [
                NOTHING if gain is None else f"{gain:+.2f}",
                gain_text(local.get(name)),
                gain_text(download.get(name)),
            ]
            trains = mean is not None and mean > np.mean(comparison.floors)
            words.append(verdict(gain, local.get(name), trains, _unjudged(comparison, name, REFERENCE)))
        rows.append([f"`{name}`", *words, *[""] * (len(HEADS) - 1 - len(words))])
    return markdown_table(HEADS, rows)


def _number(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.2f}"


def gain_text(ours: Difference | None) -> str:
    """Return a gain in points with its interval, if there are two seeds."""
    if ours is None:
        return NOTHING
    return f"{ours.mean:+.2f}" + (f" {interval_text(ours.test.low, ours.test.high)}" if ours.test else "")


def verdict(gain: float | None, ours: Difference | None, trains: bool, unjudged: str | None) -> str:
    """Return what our gain over Standalone says of a published one; None: of a method that failed to converge there.

    A published gain is reproduced if our 95 % interval holds it.

    trains: whether it is above the floor here; unjudged: why its curve or Standalone's can't be compared, or None.
    """
    if ours is None:
        return NOT_RUN
    if gain is None and trains:
        return "not reproduced: it trains here"
    if unjudged:
        return f"not comparable: {unjudged}"
    if gain is None:
        return "reproduced: it fails"
    if ours.test is None:
        return "not comparable: one seed"
    return "reproduced" if ours.test.low <= gain <= ours.test.high else "not reproduced"
