"""The generated part of the README: what methods reach and cost in the stored results, in a row for each."""

from collections.abc import Collection, Iterable, Mapping, Sequence

import numpy as np

from benchmark.config import FederationConfig
from benchmark.errors import plural
from benchmark.report.answer import answer_of
from benchmark.report.cells import NOTHING, mean_cell
from benchmark.report.differences import differences
from benchmark.report.frame import LEAST_SEEDS, Comparison
from benchmark.report.levelling import too_few
from benchmark.report.sentences import listed, sentences
from benchmark.storage.moments import DOWNLOAD, LOCAL
from tools.docs.blocks import accuracy_text, markdown_table
from tools.docs.cells import DIGITS, DIGITS_RESULTS, MAIN_RESULTS, cell_title, gain_text, judged, long_enough, side_of
from tools.docs.costs import REFERENCE
from tools.reference import MISSION

SHOWN = (DIGITS_RESULTS, MAIN_RESULTS)
"""The folders of results that the README shows, if they exist."""
CELLS = (DIGITS, ("cifar10", 10), ("cifar10", 100), ("cifar100", 10))
"""The data sets and numbers of clients that it has columns for, if they were run."""
BESIDE = (*MISSION, "fedmoe+gate=static")
"""What it says of comparisons that are not ranked: the five methods, and equal weights in place of FedMoE's gate."""
COSTS_OF = "cifar10"
"""The data set that the columns of costs are of."""


def answer(stored: Mapping[str, Sequence[Comparison]], glances: Mapping[str, Mapping[str, str]]) -> str:
    """Return a table with a row per method that all shown comparisons have, variants apart, and what it is of.

    Shown is the longest comparison of each of CELLS that has all methods of the demo.

    glances: method -> its page's words at a glance
    """
    found = {_cell(c): c for c in longest(c for name in SHOWN for c in stored.get(name, ()))}
    shown = [found[cell] for cell in CELLS if cell in found]
    if not shown:
        return f"There are no results in {' or '.join(f'`results/{name}`' for name in SHOWN)}."
    labels = sorted(set.intersection(*(set(comparison.complete) for comparison in shown)) & glances.keys())
    priced = next((comparison for comparison in shown if comparison.dataset == COSTS_OF), shown[0])
    heads = [
        "method",
        "leaves the client",
        *(f"{_title(comparison)}, %" for comparison in shown),
        "kB a round",
        "FLOPs",
    ]
    rows = [
        [
            f"[`{label}`](docs/methods/{label}.md)",
            glances[label]["Leaves the client"],
            *(accuracy(comparison, label) for comparison in shown),
            _kilobytes(priced, label),
            f"{priced.mean_total(label, 'flops') / priced.mean_total(REFERENCE, 'flops'):.2f} ×",
        ]
        for label in labels
    ]
    floors = [f"{float(np.mean(comparison.floors)):.2f}" for comparison in shown]
    rows.append(["most frequent class of each client", "", *floors, "", ""])
    return "\n\n".join([markdown_table(heads, rows, left=2), _caption(shown, priced, labels), *_said(shown)])


def longest(comparisons: Iterable[Comparison]) -> list[Comparison]:
    """Return the comparison with most rounds of each data set and number of clients, of those that lack no method.

    Those whose rounds are too few to judge their curves, whatever the seeds, are left out.
    """
    found: dict[tuple[str, int], Comparison] = {}
    for comparison in comparisons:
        cell = _cell(comparison)
        longer = cell not in found or comparison.setting["rounds"] > found[cell].setting["rounds"]
        if long_enough(comparison) and longer and set(MISSION) <= set(comparison.complete):
            found[cell] = comparison
    return [*found.values()]


def _title(comparison: Comparison) -> str:
    return cell_title(*_cell(comparison))


def _cell(comparison: Comparison) -> tuple[str, int]:
    return comparison.dataset, comparison.setting["clients"]


def accuracy(comparison: Comparison, label: str) -> str:
    """Return the accuracy after local training, and in brackets after the next download, if that is another."""
    local, download = (comparison.values(label, moment.key("accuracy_mean")) for moment in (LOCAL, DOWNLOAD))
    text, other = accuracy_text(local), f"{np.mean(download):.2f}" if download else ""
    return text if other in ("", f"{np.mean(local):.2f}") else f"{text} ({other})"


def _kilobytes(comparison: Comparison, label: str) -> str:
    """Return what a participant sends and receives in a round, in thousands of bytes: mean over rounds and seeds."""
    numbers = {name: comparison.setting[name] for name in ("rounds", "clients", "participation")}
    config = FederationConfig(**numbers)
    visits = config.rounds * config.participants
    return mean_cell([run.total("bytes") / visits / 1e3 for run in comparison.of(label)]).text


def _caption(shown: Sequence[Comparison], priced: Comparison, labels: Collection[str]) -> str:
    """Return the settings, and what the columns are. labels: the methods of the table"""
    settings = [
        f"{_title(c)}: {c.setting['partition']}, {_participation(c)}{plural(c.setting['rounds'], 'round')}, "
        f"{plural(len(c.seeds), 'seed')}, {_level(c, labels)}"
        for c in shown
    ]
    s = priced.setting
    return (
        f"Accuracy after local training, at default rates, with its 95 % interval from {LEAST_SEEDS} seeds on, in "
        f"brackets after the next download if that is another; N clients on `{s['models']}`. {'; '.join(settings)}. "
        "Kilobytes that a client sends and receives in a round, and FLOPs of clients and server beside Standalone's: "
        f"{_title(priced)}."
    )


def _participation(comparison: Comparison) -> str:
    """Return the share of clients that take part in a round, if it is not all of them."""
    share = comparison.setting["participation"]
    return "" if share == 1 else f"{100 * share:g} % a round, "


def _level(comparison: Comparison, labels: Collection[str]) -> str:
    """Return whether the curves of a comparison have levelled, as far as its rounds and seeds can say, and whose not.

    labels: the methods that are named, the others are counted
    """
    if comparison.ranked:
        return "levelled"
    if too_few(comparison.unlevelled.values()):
        return "**too few rounds and seeds to rank**"
    named = [label for label in comparison.unlevelled if label in labels]
    others = len(comparison.unlevelled) - len(named)
    words = [*named, *([plural(others, "variant")] if others else [])]
    return f"**{listed(words)} {'has' if len(named) + others == 1 else 'have'} not levelled**"


def _said(shown: Sequence[Comparison]) -> list[str]:
    """Return a paragraph with what reports say of comparisons that have levelled, and one with how far others are."""
    told = {c: f"**{_title(c)}:** {_words(c)}" for c in shown if c.of(REFERENCE)}
    paragraphs = (" ".join(words for c, words in told.items() if c.ranked == ranked) for ranked in (True, False))
    return [paragraph for paragraph in paragraphs if paragraph]


def _words(comparison: Comparison) -> str:
    return " ".join(sentences(answer_of(comparison, REFERENCE))[:2]) if comparison.ranked else _so_far(comparison)


def _so_far(comparison: Comparison) -> str:
    """Return differences to Standalone at both moments, by name, and of those that can be told which way they go."""
    local, download = (differences(comparison, REFERENCE, moment) for moment in (LOCAL, DOWNLOAD))
    found = []
    for label in sorted({*local} & {*BESIDE}):
        before, after = gain_text(local[label]), gain_text(download.get(label))
        reason, note = judged(comparison, LOCAL, local[label], label, REFERENCE)
        answer = "" if reason else f" ({side_of(local[label])} it{note})"
        also = f", {after} after the download" if after not in (before, NOTHING) else ""
        found.append(f"{label} {before}{answer}{also}")
    return f"not ranked; so far, in points beside {REFERENCE}: {'; '.join(found)}."
