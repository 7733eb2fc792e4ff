"""A comparison as tables: Markdown to read, LaTeX (booktabs) to print, and all summaries as CSV to compute with."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmark.report.frame import Comparison, StoredRun

NOTHING = "–"
COSTS = {"bytes": ("MB", 1e6), "flops": ("TFLOP", 1e12), "seconds": ("s", 1.0)}
"""Column of a curve -> its unit in tables, and how many base units that is."""


def main_table(comparison: Comparison) -> pd.DataFrame:
    """One row per method: accuracy with its spread, what was sent and computed, and the cost of the target."""
    rows = []
    for label in comparison.methods:
        runs = comparison.of(label)
        row = {"Method": label, "Accuracy [%]": _spread(_summaries(runs, "accuracy_mean")), "n": str(len(runs))}
        row["SD over clients"] = _mean(_summaries(runs, "accuracy_std_clients"), "{:.2f}")
        for cost, (unit, scale) in COSTS.items():
            row[_head(cost, unit)] = _mean([run.curve[cost].iloc[-1] / scale for run in runs], "{:.4g}")
        row["Peak memory [MiB]"] = _mean(_summaries(runs, "peak_memory_bytes", 2**20), "{:.0f}")
        if comparison.target is not None:
            row |= _cost_to(comparison.target, runs)
        rows.append(row)
    return pd.DataFrame(rows).set_index("Method")


def accuracy_table(comparison: Comparison) -> pd.DataFrame:
    """One row per method: the accuracies of all kinds, in percent."""
    columns = {
        "Mean over clients": "accuracy_mean",
        "Worst tenth of clients": "accuracy_worst_decile",
        "Over pooled samples": "accuracy_weighted",
        "After next download": "accuracy_mean_post_download",
        "Oracle (best round on test)": "accuracy_oracle",
    }
    rows = []
    for label in comparison.methods:
        runs = comparison.of(label)
        row = {"Method": label} | {head: _spread(_summaries(runs, name)) for head, name in columns.items()}
        others = runs[0].run["summary"]["accuracy_mean_by_predictor"] if runs else {}
        for other in others:
            row[f"By {other}"] = _spread([run.run["summary"]["accuracy_mean_by_predictor"][other] for run in runs])
        rows.append(row)
    return pd.DataFrame(rows).fillna(NOTHING).set_index("Method")


def caption(comparison: Comparison) -> str:
    """What the numbers of a comparison's tables are."""
    rules = {run.run["summary"]["headline"] for run in comparison.done}
    seeds = sorted({run.seed for run in comparison.runs})
    spread = "± is the standard deviation over seeds" if len(seeds) > 1 else "one seed, so no spread over seeds"
    return (
        f"{comparison.title}. Accuracy: mean over all clients, each on its own test data, after local training and "
        f"before aggregation; {' or '.join(sorted(rules)) or 'no run is done'}; n counts seeds, {spread}. "
        "Sent, computed and seconds: all clients together, up and down, all rounds; FLOPs of matrix products and "
        "convolutions, forward and backward."
        + (f" To {comparison.target:g} %: cost up to the first round at that accuracy." if comparison.target else "")
    )


def footnotes(comparison: Comparison) -> list[str]:
    """One line for each run that is not done."""
    return [
        f"{run.label}, seed {run.seed}: {run.run['status']}" + (f" ({run.run['reason']})" if run.run["reason"] else "")
        for run in comparison.not_done
    ]


def commands(comparison: Comparison) -> list[str]:
    """The command lines that made these runs."""
    return sorted({shlex.join(run.run["command"]) for run in comparison.runs})


def write_tables(comparison: Comparison, folder: Path) -> None:
    """<name> and <name>-accuracy as .md and .tex, and <name>.csv with the summary of every run."""
    for suffix, table in (("", main_table(comparison)), ("-accuracy", accuracy_table(comparison))):
        stem = folder / f"{comparison.name}{suffix}"
        notes = [caption(comparison), *footnotes(comparison), *(f"`{c}`" for c in commands(comparison))]
        # stem may have a dot in it (dirichlet0.3), which with_suffix would cut
        Path(f"{stem}.md").write_text(as_markdown(table) + "\n\n" + "\n\n".join(notes) + "\n", encoding="utf-8")
        Path(f"{stem}.tex").write_text(_as_latex(table, comparison), encoding="utf-8")
    summaries(comparison).to_csv(folder / f"{comparison.name}.csv", index=False)


def summaries(comparison: Comparison) -> pd.DataFrame:
    """One row per run, its numbers as they are stored."""
    rows = []
    for run in comparison.runs:
        numbers = {k: v for k, v in (run.run["summary"] or {}).items() if not isinstance(v, dict)}
        rows.append(
            {"method": run.label, "seed": run.seed, "key": run.run["key"], "status": run.run["status"]} | numbers
        )
    return pd.DataFrame(rows)


def as_markdown(table: pd.DataFrame) -> str:
    """A table for a page; numbers are text already."""
    return table.to_markdown(disable_numparse=True, colalign=["left"] + ["right"] * len(table.columns))


def _as_latex(table: pd.DataFrame, comparison: Comparison) -> str:
    escape = {"\\": r"\textbackslash{}", **{c: "\\" + c for c in "%_&#$"}, "±": r"$\pm$", "–": "--", "≥": r"$\ge$"}

    def escaped(text: str) -> str:
        return "".join(escape.get(character, character) for character in text)

    plain = table.rename_axis(None).rename(index=escaped, columns=escaped).map(escaped)
    body = plain.to_latex(column_format="l" + "r" * len(table.columns))
    comments = [*footnotes(comparison), *commands(comparison)]
    return "".join(
        [
            "% needs the packages booktabs and graphicx\n",
            *(f"% {line}\n" for line in comments),
            "\\begin{table}\n\\centering\n",
            f"\\caption{{{escaped(caption(comparison))}}}\n",
            f"\\resizebox{{\\linewidth}}{{!}}{{%\n{body}}}\n",
            "\\end{table}\n",
        ]
    )


def _head(cost: str, unit: str) -> str:
    return {"bytes": "Sent", "flops": "Computed", "seconds": "Training"}[cost] + f" [{unit}]"


def _cost_to(target: float, runs: Sequence[StoredRun]) -> dict[str, str]:
    """Mean cost of the target over seeds; where a seed has not reached it, how many have."""
    reached = [row for run in runs if (row := run.cost_to(target)) is not None]
    heads = {"round": (f"Rounds to {target:g} %", 1.0)}
    heads |= {cost: (f"{unit} to {target:g} %", scale) for cost, (unit, scale) in COSTS.items()}
    if runs and len(reached) < len(runs):
        missing = "not reached" if not reached else f"reached by {len(reached)} of {len(runs)}"
        return {head: missing for head, _ in heads.values()}
    return {head: _mean([row[cost] / scale for row in reached], "{:.4g}") for cost, (head, scale) in heads.items()}


def _summaries(runs: Sequence[StoredRun], name: str, scale: float = 1) -> list[Any]:
    found = [run.run["summary"][name] for run in runs]
    return [value / scale for value in found if value is not None]


def _mean(values: Sequence[float], form: str) -> str:
    return form.format(np.mean(values)) if values else NOTHING


def _spread(values: Sequence[float]) -> str:
    """Mean, and ± the standard deviation where there are several."""
    return _mean(values, "{:.2f}") + (f" ± {np.std(values, ddof=1):.2f}" if len(values) > 1 else "")
