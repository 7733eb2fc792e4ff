"""The generated part of docs/reproducing.md: what methods reach on real data that every machine has."""

from collections.abc import Mapping, Sequence

import numpy as np

from benchmark.errors import plural
from benchmark.report.cells import mean_cell, spread_cell
from benchmark.report.frame import Comparison
from benchmark.storage.moments import LOCAL
from tools.docs.blocks import markdown_table
from tools.docs.cells import DIGITS_RESULTS


def levelled(stored: Mapping[str, Sequence[Comparison]]) -> str:
    """Return a table of each comparison: a row per method, the floor below, and whether its curve has levelled."""
    tables = map(_table, stored.get(DIGITS_RESULTS, ()))
    return "\n\n".join(tables) or f"There are no results in `results/{DIGITS_RESULTS}`."


def _table(comparison: Comparison) -> str:
    moments = comparison.stored_moments
    rows = [
        [
            f"`{label}`",
            *(spread_cell(comparison.values(label, moment.key("accuracy_mean"))).text for moment in moments),
            mean_cell([run.total("bytes") / 1e6 for run in comparison.of(label)]).text,
            mean_cell([run.total("flops") / 1e12 for run in comparison.of(label)]).text,
            comparison.unlevelled.get(label, "levelled"),
        ]
        for label in comparison.complete
    ]
    floor = f"{float(np.mean(comparison.floors)):.2f}"
    rows.append(["majority class of each client", *[floor] * len(moments), "", "", ""])
    heads = ["method", *(f"{moment.words} %" for moment in moments), "sent MB", "TFLOP", "curve " + LOCAL.words]
    seeds = plural(len(comparison.seeds), "seed")
    return f"{comparison.title}; {seeds}.\n\n{markdown_table(heads, rows)}"
