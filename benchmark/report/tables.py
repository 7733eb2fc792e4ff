"""The tables of a comparison, as plain values; formats.py writes them."""

from collections.abc import Mapping, Sequence

import numpy as np

from benchmark.report.cells import NOTHING, Cell, Column, Table, mean_cell, spread_cell
from benchmark.report.differences import LEVEL, OVER_CLIENTS, OVER_SEEDS, marks_of
from benchmark.report.frame import COST_UNITS, Comparison, StoredRun
from benchmark.report.notes import noted_table
from benchmark.report.statistics import pareto


def main_table(comparison: Comparison, reference: str) -> Table:
    """Make the main table, a row per method: accuracy with its interval, what was sent and computed."""
    marks = marks_of(comparison, reference)
    rows = []
    for label in comparison.methods:
        accuracy = spread_cell(comparison.values(label, "accuracy_mean"), marks.get(label, ""))
        rows.append(
            [
                Cell(label, label),
                accuracy,
                Cell(str(len(comparison.of(label))), len(comparison.of(label))),
                mean_cell(comparison.values(label, "accuracy_std_clients"), "{:.2f}"),
                mean_cell(comparison.values(label, "accuracy_worst_decile"), "{:.2f}"),
                *(
                    mean_cell([run.total(cost) / scale for run in comparison.of(label)])
                    for cost, (_, scale) in COST_UNITS.items()
                ),
                mean_cell([peak / 2**20 for peak in comparison.values(label, "peak_memory_bytes")], "{:.0f}"),
            ]
        )
    columns = [
        Column("Method"),
        Column("Accuracy [%]", "high", "mean over all clients, each on its own test data, after local training"),
        Column("n", None, "seeds"),
        Column("SD over clients", None, "standard deviation over clients, mean over seeds"),
        Column("Worst tenth", "high", "mean accuracy of the worst tenth of clients [%]"),
        Column("Sent [MB]", "low", "all clients together, up and down, all rounds"),
        Column("Computed [TFLOP]", "low", "all clients together, all rounds"),
        Column("Training [s]", "low", "all clients together, all rounds"),
        Column("Peak memory [MiB]", "low"),
    ]
    return noted_table(comparison, "main", "Accuracy and costs", caption(comparison, reference), columns, rows)


def accuracy_table(comparison: Comparison) -> Table:
    """Make the table of all kinds of accuracies in percent, a row per method."""
    kinds = {
        "Mean over clients": "accuracy_mean",
        "Worst tenth of clients": "accuracy_worst_decile",
        "Over pooled samples": "accuracy_weighted",
        "After next download": "accuracy_mean_post_download",
        "Oracle (best round on test)": "accuracy_oracle",
    }
    predictors = dict.fromkeys(name for run in comparison.done for name in run.summary["accuracy_mean_by_predictor"])
    rows = []
    for label in comparison.methods:
        runs = comparison.of(label)
        others = [[run.summary["accuracy_mean_by_predictor"].get(name) for run in runs] for name in predictors]
        row = [Cell(label, label), *(spread_cell(comparison.values(label, name)) for name in kinds.values())]
        rows.append(row + [spread_cell([value for value in values if value is not None]) for values in others])
    columns = [Column("Method"), *(Column(title, "high") for title in kinds)]
    columns += [Column(f"By {name}", "high") for name in predictors]
    text = f"Accuracies in percent, {comparison.selection}; {_spread_rule(comparison)}."
    return noted_table(comparison, "accuracy", "Accuracy in detail [%]", text, columns, rows)


def cost_table(comparison: Comparison) -> Table:
    """Make the table of the target's costs and of the Pareto fronts of accuracy and cost, a row per method."""
    target, labels = comparison.target, comparison.complete
    scores = [comparison.mean(label) for label in labels]
    rated = [label for label, score in zip(labels, scores, strict=True) if score is not None]
    front = {
        cost: dict(
            zip(
                rated,
                pareto(
                    [float(np.mean([run.total(cost) for run in comparison.of(label)])) for label in rated],
                    [score for score in scores if score is not None],
                ),
                strict=True,
            )
        )
        for cost in ("bytes", "flops")
    }
    rows = []
    for label in comparison.methods:
        runs = comparison.of(label)
        cells = [Cell(label, label), *(_cost_to(target, runs) if target is not None else ())]
        rows.append(cells + [Cell("yes" if front[cost].get(label) else NOTHING) for cost in front])
    title = "Fronts" if target is None else "Cost of the target"
    columns = [Column("Method")]
    if target is not None:
        units = ["Rounds", *(unit for unit, _ in COST_UNITS.values())]
        columns += [Column(f"{unit} to {target:g} %", "low") for unit in units]
    columns += [Column("On the front of bytes"), Column("On the front of FLOPs")]
    reach = f"Cost up to the first evaluated round at {target:g} %, mean over seeds. " if target is not None else ""
    text = (
        f"{reach}Accuracy: {comparison.selection}. A method is on a front where no other is as "
        "accurate for less, or more accurate for as much, over all rounds."
    )
    return noted_table(comparison, "costs", title, text, columns, rows)


def budget_table(comparison: Comparison, budgets: Mapping[str, Sequence[float]]) -> Table | None:
    """Make the table of accuracy within budgets of bytes and FLOPs (in base units), a row per method.

    An empty list of budgets stands for powers of ten. None if there are no budgets at all.
    """
    asked = [(cost, budget) for cost in budgets for budget in (budgets[cost] or _decade_budgets(comparison, cost))]
    if not asked:
        return None
    rows = []
    for label in comparison.methods:
        cells = [Cell(label, label)]
        for cost, budget in asked:
            runs = comparison.of(label)
            found = [value for run in runs if (value := run.accuracy_within(cost, budget)) is not None]
            short = Cell("no round", None, f"{label}: no evaluated round within the budget")
            cells.append(spread_cell(found) if len(found) == len(runs) else short)
        rows.append(cells)
    columns = [Column("Method")]
    columns += [Column(f"{budget / COST_UNITS[cost][1]:g} {COST_UNITS[cost][0]}", "high") for cost, budget in asked]
    text = (
        "Accuracy in percent in the last evaluated round within a budget of all clients together, after local training "
        f"and before aggregation, n = {len(comparison.seeds)}; {_spread_rule(comparison)}."
    )
    return noted_table(comparison, "budgets", "Accuracy within a budget [%]", text, columns, rows)


def caption(comparison: Comparison, reference: str) -> str:
    """Describe the numbers of a comparison's main table."""
    tests = ""
    if len(comparison.of(reference)) > 1:
        tests = f"{OVER_SEEDS} differs from {reference} over seeds (paired t-test), "
    if comparison.of(reference):
        tests += f"{OVER_CLIENTS} over clients (Wilcoxon signed-rank test), Holm-corrected p < {LEVEL:g}. "
    return (
        f"Accuracy: mean over all clients, {comparison.selection}; n counts seeds; "
        f"{_spread_rule(comparison)}. {tests}"
        "Sent, computed and seconds: all clients together, up and down, all rounds; FLOPs of matrix products and "
        "convolutions, forward and backward."
    )


def _spread_rule(comparison: Comparison) -> str:
    return "± is half the 95 % interval over seeds" if len(comparison.seeds) > 1 else "one seed, so no interval"


def _cost_to(target: float, runs: Sequence[StoredRun]) -> list[Cell]:
    """Make cells with the mean cost of the target over seeds; if a seed has not reached it, with how many have."""
    scales = {"round": 1.0, **{cost: scale for cost, (_, scale) in COST_UNITS.items()}}
    reached = [row for run in runs if (row := run.cost_to(target)) is not None]
    if runs and len(reached) < len(runs):
        return [Cell(f"reached by {len(reached)} of {len(runs)}" if reached else "not reached")] * len(scales)
    return [mean_cell([row[cost] / scale for row in reached]) for cost, scale in scales.items()]


def _decade_budgets(comparison: Comparison, cost: str) -> list[float]:
    """Return powers of ten between the least and the most that a run costs in all, the three largest at most."""
    totals = [total for run in comparison.done if (total := run.total(cost)) > 0]
    if not totals:
        return []
    first, last = int(np.ceil(np.log10(min(totals)))), int(np.floor(np.log10(max(totals))))
    return [10.0**power for power in range(max(first, last - 2), last + 1)]
