"""The tables of what accuracy costs: bytes, FLOPs and seconds to a target, fronts, accuracy within a budget."""

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from benchmark.errors import plural
from benchmark.report.cells import NOTHING, Cell, Column, Table, mean_cell, spread_cell
from benchmark.report.frame import COST_UNITS, Comparison
from benchmark.report.notes import noted_table, spread_rule
from benchmark.report.statistics import pareto

FLOPS_RULE = "FLOPs are those of all clients and the server together, without what evaluation takes."
FRONT_RULE = (
    "A method is on a front where no other is as accurate for less, or more accurate for as much, over all rounds."
)


def cost_table(comparison: Comparison) -> Table | None:
    """Make the table of the target's costs and of the Pareto fronts of accuracy and cost, a row per method.

    Methods that are not ranked have no fronts; None if there is no target either.
    """
    target = comparison.target
    on_fronts = fronts(comparison)
    if target is None and not on_fronts:
        return None
    columns, words = [Column("Method")], []
    if target is not None:
        units = ["Rounds", *(unit for unit, _ in COST_UNITS.values())]
        columns += [Column(f"{unit} to {target:g} %", _better(unit), aligned=True, short=unit) for unit in units]
        words.append(f"Cost up to the first evaluated round at {target:g} %, mean over seeds; seconds are not ranked.")
    words.append(f"Accuracy: {comparison.selection}. {FLOPS_RULE}")
    if on_fronts:
        columns += [Column("On the front of bytes"), Column("On the front of FLOPs")]
        words.append(FRONT_RULE)
    rows = []
    for label in comparison.methods:
        cells = [Cell(label, label), *(_cost_to(comparison, label, target) if target is not None else ())]
        rows.append(cells + [Cell("yes" if label in front else NOTHING) for front in on_fronts.values()])
    title = "Fronts" if target is None else "Cost of the target"
    return noted_table(comparison, "costs", title, " ".join(words), columns, rows)


def fronts(comparison: Comparison) -> dict[str, set[str]]:
    """Return bytes and flops -> the methods on the front of accuracy and that cost; nothing if none is ranked."""
    return {cost: _front(comparison, cost) for cost in ("bytes", "flops")} if comparison.ranked else {}


def _better(unit: str) -> Literal["low"] | None:
    """Seconds are of a machine that other work may have shared, so they are not ranked."""
    return None if unit == "s" else "low"


def _front(comparison: Comparison, cost: str) -> set[str]:
    """Return the methods that no other beats in accuracy and in a cost."""
    scored = {label: score for label in comparison.complete if (score := comparison.mean(label)) is not None}
    totals = [comparison.mean_total(label, cost) for label in scored]
    return {label for label, front in zip(scored, pareto(totals, [*scored.values()]), strict=True) if front}


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
            found = [
                value for run in runs if (value := run.accuracy_within(cost, budget, comparison.moment)) is not None
            ]
            short = Cell("no round", None, f"{label}: no evaluated round within the budget")
            cells.append(spread_cell(found) if len(found) == len(runs) else short)
        rows.append(cells)
    columns = [Column("Method")]
    columns += [Column(f"{budget / COST_UNITS[cost][1]:g} {COST_UNITS[cost][0]}", "high") for cost, budget in asked]
    text = (
        f"Accuracy in percent in the last evaluated round within a budget, that one alone, {comparison.moment.words}, "
        f"n = {plural(len(comparison.seeds), 'seed')}; {spread_rule(comparison)}. {FLOPS_RULE}"
    )
    return noted_table(comparison, "budgets", "Accuracy within a budget [%]", text, columns, rows)


def _cost_to(comparison: Comparison, label: str, target: float) -> list[Cell]:
    """Make cells with the mean cost of a target over seeds; if a seed has not reached it, with how many have."""
    scales = {"round": 1.0, **{cost: scale for cost, (_, scale) in COST_UNITS.items()}}
    runs = comparison.of(label)
    reached = [row for run in runs if (row := run.cost_to(target, comparison.moment)) is not None]
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
