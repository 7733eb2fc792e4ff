"""A comparison as tables: what stands in them. How they are written is in formats.py."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal, NamedTuple

import numpy as np

from benchmark.report.frame import COSTS, Comparison, StoredRun
from benchmark.report.statistics import holm, mean_interval, paired_t, pareto, signed_rank

NOTHING = "–"
LEVEL = 0.05
"""Differences with a corrected p-value below it are marked."""
OVER_SEEDS, OVER_CLIENTS = "†", "‡"


class Cell(NamedTuple):
    """text as it is printed; value to rank and sort by, None where there is none; note: why it is empty."""

    text: str
    value: float | str | None = None
    note: str | None = None


class Column(NamedTuple):
    """better: whether high or low values are good; None where neither is, and nothing is marked."""

    title: str
    better: Literal["high", "low"] | None = None
    hint: str = ""


@dataclass(frozen=True)
class Table:
    """One table: its first column names the rows. setting and caption together say what its numbers are."""

    name: str
    title: str
    setting: str
    caption: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    notes: Sequence[str] = field(default=())

    def ranked(self, place: int) -> list[tuple[int, int]]:
        """(row, column) of the best values (place 0) or the second best (1) of each column where one is better."""
        found = []
        for j, column in enumerate(self.columns):
            values = {i: row[j].value for i, row in enumerate(self.rows) if isinstance(row[j].value, float | int)}
            distinct = sorted({*values.values()}, key=float, reverse=column.better == "high")  # type: ignore[arg-type]
            if column.better and len(distinct) > max(1, place):
                found += [(i, j) for i, value in values.items() if value == distinct[place]]
        return found


def main_table(comparison: Comparison, reference: str) -> Table:
    """One row per method: accuracy with its interval, what was sent and computed."""
    marks = _marks(comparison, reference)
    rows = []
    for label in comparison.methods:
        accuracy = _spread(comparison.values(label, "accuracy_mean"), marks.get(label, ""))
        note = _why_not(comparison, label)
        rows.append(
            [
                Cell(label, label),
                accuracy._replace(note=note),
                Cell(str(len(comparison.of(label))), len(comparison.of(label))),
                _mean(comparison.values(label, "accuracy_std_clients"), "{:.2f}"),
                _mean(comparison.values(label, "accuracy_worst_decile"), "{:.2f}"),
                *(
                    _mean([_total(run, cost) / scale for run in comparison.of(label)])
                    for cost, (_, scale) in COSTS.items()
                ),
                _mean([peak / 2**20 for peak in comparison.values(label, "peak_memory_bytes")], "{:.0f}"),
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
    return Table(
        "main",
        "Accuracy and costs",
        comparison.title,
        caption(comparison, reference),
        columns,
        rows,
        footnotes(comparison),
    )


def accuracy_table(comparison: Comparison) -> Table:
    """One row per method: the accuracies of all kinds, in percent."""
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
        row = [Cell(label, label), *(_spread(comparison.values(label, name)) for name in kinds.values())]
        rows.append(row + [_spread([value for value in values if value is not None]) for values in others])
    columns = [Column("Method"), *(Column(title, "high") for title in kinds)]
    columns += [Column(f"By {name}", "high") for name in predictors]
    text = f"Accuracies in percent, {_selection(comparison)}; {_spread_rule(comparison)}."
    return Table("accuracy", "Accuracy in detail [%]", comparison.title, text, columns, rows, footnotes(comparison))


def difference_table(comparison: Comparison, reference: str) -> Table | None:
    """One row per other method: how far it is from the reference, over seeds and over clients; None without one."""
    if not comparison.of(reference):
        return None
    labels, over_seeds, over_clients = _tests(comparison, reference)
    seeds_p = _corrected([test.p if test else None for test in over_seeds])
    clients_p = _corrected([test.p if test else None for test in over_clients])
    rows = []
    for label, t, w, p_seeds, p_clients in zip(labels, over_seeds, over_clients, seeds_p, clients_p, strict=True):
        pairs = comparison.paired(label, reference)
        mean = float(np.mean([a.summary["accuracy_mean"] - b.summary["accuracy_mean"] for a, b in pairs]))
        rows.append(
            [
                Cell(label, label),
                Cell(f"{mean:+.2f}", mean),
                Cell(f"[{t.low:+.2f}, {t.high:+.2f}]", t.mean) if t else Cell(NOTHING),
                _p(p_seeds),
                Cell(str(len(pairs)), len(pairs)),
                Cell(f"{w.median:+.2f}", w.median) if w else Cell(NOTHING),
                Cell(f"{100 * w.better:.0f}", 100 * w.better) if w else Cell(NOTHING),
                _p(p_clients),
                Cell(str(w.n), w.n) if w else Cell(NOTHING),
            ]
        )
    columns = [
        Column("Method"),
        Column("Difference", "high", "mean over seeds, in points of accuracy"),
        Column("95 % interval"),
        Column("p", None, "paired t-test over seeds, Holm-corrected"),
        Column("Seeds"),
        Column("Median of clients", "high", "median over clients and seeds of the difference"),
        Column("Clients better off [%]", "high"),
        Column("p over clients", None, "Wilcoxon signed-rank over clients and seeds, Holm-corrected"),
        Column("Pairs"),
    ]
    seeds = len(comparison.seeds)
    text = (
        f"Differences to {reference} in points of accuracy, paired: {_selection(comparison)}. "
        + (f"Over {seeds} seeds: paired t-test and its interval. " if seeds > 1 else "One seed: no test over seeds. ")
        + "Over clients: Wilcoxon signed-rank test of all pairs of a client with itself; the clients of one run share "
        "a federation, so it speaks of these federations only. p-values are Holm-corrected over the rows."
    )
    return Table("differences", f"Differences to {reference}", comparison.title, text, columns, rows)


def cost_table(comparison: Comparison) -> Table:
    """One row per method: what the target costs, and whether it is on the Pareto front of accuracy and cost."""
    target, labels = comparison.target, comparison.complete
    scores = [comparison.mean(label) for label in labels]
    rated = [label for label, score in zip(labels, scores, strict=True) if score is not None]
    front = {
        cost: dict(
            zip(
                rated,
                pareto(
                    [float(np.mean([_total(run, cost) for run in comparison.of(label)])) for label in rated],
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
    columns = [Column("Method")]
    if target is not None:
        units = ["Rounds", *(unit for unit, _ in COSTS.values())]
        columns += [Column(f"{unit} to {target:g} %", "low") for unit in units]
    columns += [Column("On the front of bytes"), Column("On the front of FLOPs")]
    reach = f"Cost up to the first evaluated round at {target:g} %, mean over seeds. " if target is not None else ""
    text = (
        f"{reach}A method is on a front where no other is as accurate for less, or more accurate "
        "for as much, over all rounds."
    )
    return Table("costs", "Cost of the target", comparison.title, text, columns, rows, footnotes(comparison))


def budget_table(comparison: Comparison, budgets: Mapping[str, Sequence[float]]) -> Table | None:
    """One row per method: accuracy within budgets of bytes and FLOPs (in base units); None where there is none."""
    asked = [(cost, budget) for cost in budgets for budget in (budgets[cost] or _decades(comparison, cost))]
    if not asked:
        return None
    rows = []
    for label in comparison.methods:
        cells = [Cell(label, label)]
        for cost, budget in asked:
            runs = comparison.of(label)
            found = [value for run in runs if (value := run.accuracy_within(cost, budget)) is not None]
            short = Cell("no round", None, f"{label}: no evaluated round within the budget")
            cells.append(_spread(found) if len(found) == len(runs) else short)
        rows.append(cells)
    columns = [Column("Method")]
    columns += [Column(f"{budget / COSTS[cost][1]:g} {COSTS[cost][0]}", "high") for cost, budget in asked]
    text = (
        f"Accuracy in percent in the last evaluated round within a budget of all clients together; "
        f"{_spread_rule(comparison)}."
    )
    return Table(
        "budgets", "Accuracy within a budget [%]", comparison.title, text, columns, rows, footnotes(comparison)
    )


def caption(comparison: Comparison, reference: str) -> str:
    """What the numbers of a comparison's main table are."""
    tests = ""
    if len(comparison.of(reference)) > 1:
        tests = f"{OVER_SEEDS} differs from {reference} over seeds (paired t-test), "
    if comparison.of(reference):
        tests += f"{OVER_CLIENTS} over clients (Wilcoxon signed-rank test), Holm-corrected p < {LEVEL:g}. "
    return (
        f"Accuracy: mean over all clients, {_selection(comparison)}; n counts seeds, "
        f"{_spread_rule(comparison)}. {tests}"
        "Sent, computed and seconds: all clients together, up and down, all rounds; FLOPs of matrix products and "
        "convolutions, forward and backward."
    )


def footnotes(comparison: Comparison) -> list[str]:
    """One line for each run that is not done, and for seeds that a method does not have."""
    lines = [
        f"{run.label}, seed {run.seed}: {run.run['status']}" + (f" ({run.run['reason']})" if run.run["reason"] else "")
        for run in sorted(comparison.not_done, key=lambda run: (run.label, run.seed))
    ]
    for label in comparison.complete:
        if missing := sorted({*comparison.seeds} - {run.seed for run in comparison.of(label)}):
            lines.append(f"{label}: not run with seed {', '.join(map(str, missing))}")
    return lines


def _why_not(comparison: Comparison, label: str) -> str | None:
    lines = [line for line in footnotes(comparison) if line.startswith((f"{label}, seed", f"{label}: not run"))]
    return "; ".join(lines) or None


def _selection(comparison: Comparison) -> str:
    """Which moment and which rounds an accuracy is of."""
    rules = sorted({run.summary["headline"] for run in comparison.done})
    of_rounds = " or ".join(rules) or "no run is done"
    return f"each on its own test data, after local training and before aggregation, {of_rounds}"


def _spread_rule(comparison: Comparison) -> str:
    return "± is half the 95 % interval over seeds" if len(comparison.seeds) > 1 else "one seed, so no interval"


@lru_cache(maxsize=4)
def _tests(comparison: Comparison, reference: str) -> tuple[list[str], list, list]:
    """(labels, paired t-test over seeds, signed-rank test over clients), of the methods that can be paired."""
    labels = [label for label in comparison.complete if label != reference and comparison.paired(label, reference)]
    labels = [
        label
        for label in labels
        if all(len(run.clients) for pair in comparison.paired(label, reference) for run in pair)
    ]
    over_seeds, over_clients = [], []
    for label in labels:
        ours, theirs = zip(*comparison.paired(label, reference), strict=True)
        over_seeds.append(
            paired_t([run.summary["accuracy_mean"] for run in ours], [run.summary["accuracy_mean"] for run in theirs])
        )
        over_clients.append(
            signed_rank(np.concatenate([run.clients for run in ours]), np.concatenate([run.clients for run in theirs]))
        )
    return labels, over_seeds, over_clients


def _corrected(p_values: Sequence[float | None]) -> list[float | None]:
    """Holm's correction over the values that there are."""
    corrected = iter(holm([p for p in p_values if p is not None]))
    return [None if p is None else next(corrected) for p in p_values]


def _marks(comparison: Comparison, reference: str) -> dict[str, str]:
    """Label -> the marks of its differences to the reference."""
    if not comparison.of(reference):
        return {}
    labels, over_seeds, over_clients = _tests(comparison, reference)
    marks = dict.fromkeys(labels, "")
    for tests, mark in ((over_seeds, OVER_SEEDS), (over_clients, OVER_CLIENTS)):
        for label, p in zip(labels, _corrected([test.p if test else None for test in tests]), strict=True):
            marks[label] += mark if p is not None and p < LEVEL else ""
    return marks


def _cost_to(target: float, runs: Sequence[StoredRun]) -> list[Cell]:
    """Mean cost of the target over seeds; where a seed has not reached it, how many have."""
    scales = {"round": 1.0, **{cost: scale for cost, (_, scale) in COSTS.items()}}
    reached = [row for run in runs if (row := run.cost_to(target)) is not None]
    if runs and len(reached) < len(runs):
        return [Cell(f"reached by {len(reached)} of {len(runs)}" if reached else "not reached")] * len(scales)
    return [_mean([row[cost] / scale for row in reached]) for cost, scale in scales.items()]


def _decades(comparison: Comparison, cost: str) -> list[float]:
    """Powers of ten between the least and the most that a method's last round costs, three at most."""
    totals = [total for run in comparison.done if (total := _total(run, cost)) > 0]
    if not totals:
        return []
    first, last = int(np.ceil(np.log10(min(totals)))), int(np.floor(np.log10(max(totals))))
    return [10.0**power for power in range(max(first, last - 2), last + 1)]


def _total(run: StoredRun, cost: str) -> float:
    return float(run.curve[cost].iloc[-1])


def _mean(values: Sequence[float], form: str = "{:.4g}") -> Cell:
    return Cell(form.format(np.mean(values)), float(np.mean(values))) if values else Cell(NOTHING)


def _spread(values: Sequence[float], marks: str = "") -> Cell:
    """Mean, and ± half its interval where there are several."""
    interval = mean_interval(values)
    cell = _mean(values, "{:.2f}")
    half = f" ± {(interval.high - interval.low) / 2:.2f}" if interval else ""
    return cell._replace(text=f"{cell.text}{half}{' ' * bool(marks)}{marks}")


def _p(value: float | None) -> Cell:
    if value is None:
        return Cell(NOTHING)
    return Cell("< 0.001" if value < 0.001 else f"{value:.3f}", value)
