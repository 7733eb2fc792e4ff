"""The tables of accuracies of a comparison, as plain values; formats.py writes them."""

from collections.abc import Callable, Sequence

import numpy as np

from benchmark.report.cells import NOTHING, Cell, Column, Table, mean_cell, spread_cell
from benchmark.report.differences import MARK_LEVEL, OVER_SEEDS, marks_of, sign_notes
from benchmark.report.frame import Comparison
from benchmark.report.levelling import RULE
from benchmark.report.notes import noted_table, spread_rule
from benchmark.report.stored_run import StoredRun
from benchmark.storage.moments import LOCAL, Moment
from benchmark.storage.summary import BY_VALIDATION, worst_tenth

FLOOR = "majority class of each client"
"""Name of the row of what each client has by always answering its most frequent class."""
ALL = "all clients together, all rounds"
SHARED = "of a machine that other work may have shared, so not ranked"


def main_table(comparison: Comparison, reference: str) -> Table:
    """Make the main table, a row per method: accuracy at each moment with its interval, what was sent and computed."""
    accuracy = [(accuracy_column(m), _accuracy_cells(comparison, reference, m)) for m in comparison.moments]
    others = [*_spread_columns(comparison), *_cost_columns(comparison)]
    columns = [Column("Method"), *(column for column, _ in accuracy), *(column for column, _ in others)]
    rows = [
        [Cell(label, label), *(cells[label] for _, cells in accuracy), *(cell(label) for _, cell in others)]
        for label in comparison.methods
    ]
    foot = _floor(comparison, [*[np.mean] * len(accuracy), *[None] * len(others)])
    notes, text = sign_notes(comparison, reference), caption(comparison, reference)
    return noted_table(comparison, "main", "Accuracy and costs", text, columns, rows, foot, notes)


def accuracy_column(moment: Moment) -> Column:
    """Return the column of the main table with the accuracy at a moment."""
    hint = "mean over all clients, each on its own test data"
    return Column(f"Accuracy {moment.words} [%]", "high", hint, short=f"{moment.name} [%]")


def _accuracy_cells(comparison: Comparison, reference: str, moment: Moment) -> dict[str, Cell]:
    marks = marks_of(comparison, reference, moment)
    values = {label: comparison.values(label, moment.key("accuracy_mean")) for label in comparison.methods}
    return {label: spread_cell(values[label], marks.get(label, "")) for label in comparison.methods}


SHORT = {
    "Mean over clients": "mean",
    "Worst tenth of clients": "worst tenth",
    "Over pooled samples": "pooled",
    "Oracle (best round on test)": "oracle",
}
"""Kind of accuracy -> its title in print."""
CellOf = Callable[[str], Cell]
"""Makes the cell of a method."""


def _spread_columns(comparison: Comparison) -> list[tuple[Column, CellOf]]:
    """Return columns of what the accuracy at the primary moment is a mean of, and how it spreads."""

    def mean_of(name: str) -> CellOf:
        return lambda label: mean_cell(comparison.values(label, comparison.moment.key(name)), "{:.2f}")

    def seeds(label: str) -> Cell:
        return Cell(str(len(comparison.of(label))), len(comparison.of(label)))

    return [
        (
            Column("SD over rounds", None, "of the mean accuracy over the rounds averaged"),
            mean_of("accuracy_std_rounds"),
        ),
        (Column("Rounds averaged", None, "rounds that an accuracy is a mean of"), lambda k: _rounds(comparison.of(k))),
        (Column("n", None, "seeds"), seeds),
        (Column("SD over clients", None, "mean over seeds"), mean_of("accuracy_std_clients")),
        (
            Column("Worst tenth", "high", "mean accuracy of the worst tenth of clients [%]"),
            mean_of("accuracy_worst_decile"),
        ),
    ]


def _rounds(runs: Sequence[StoredRun]) -> Cell:
    """Say how many rounds an accuracy is a mean of; one is said in words, as nothing averages its noise."""
    found = {(run.summary["headline_rounds"], run.summary["headline"] == BY_VALIDATION) for run in runs}
    words = [
        str(number) if number > 1 else "one round" + (", by validation" if validated else "")
        for number, validated in sorted(found)
        if number
    ]
    return Cell(" or ".join(words) or NOTHING)


def _cost_columns(comparison: Comparison) -> list[tuple[Column, CellOf]]:
    """Return columns of what was sent, computed and waited for; fine-tuning has one if any run has been fine-tuned."""

    def total(cost: str, scale: float) -> CellOf:
        return lambda label: mean_cell([run.total(cost) / scale for run in comparison.of(label)])

    def stored(name: str, scale: float, form: str = "{:.4g}") -> CellOf:
        return lambda label: mean_cell([value / scale for value in comparison.values(label, name)], form)

    tuned = any(run.summary["finetune_flops"] is not None for run in comparison.done)
    fine_tuning = (
        Column("Fine-tuning [TFLOP]", "low", f"before evaluation alone; {ALL}", aligned=True),
        stored("finetune_flops", 1e12),
    )
    return [
        (Column("Sent [MB]", "low", f"up and down; {ALL}", aligned=True, short="MB"), total("bytes", 1e6)),
        (Column("Computed [TFLOP]", "low", ALL, aligned=True, short="TFLOP"), total("client_flops", 1e12)),
        (Column("Server [TFLOP]", "low", "all rounds", aligned=True), total("server_flops", 1e12)),
        *([fine_tuning] if tuned else []),
        (Column("Training [s]", None, f"{ALL}; {SHARED}", aligned=True), total("seconds", 1)),
        (Column("Server [s]", None, f"all rounds; {SHARED}", aligned=True), total("server_seconds", 1)),
        (Column("Peak memory [MiB]", None, SHARED), stored("peak_memory_bytes", 2**20, "{:.0f}")),
    ]


def _floor(comparison: Comparison, numbers: Sequence[Callable | None]) -> list[list[Cell]]:
    """Make the row of the floor: one number over clients for each column, None where a column has none."""
    values = [[float(number(floor)) for floor in comparison.floors] if number else [] for number in numbers]
    return [[Cell(FLOOR, FLOOR), *map(spread_cell, values)]]


def accuracy_table(comparison: Comparison) -> Table:
    """Make the table of all kinds of accuracies in percent, a row per method."""
    primary, *others = comparison.moments
    kinds = {
        "Mean over clients": primary.key("accuracy_mean"),
        "Worst tenth of clients": primary.key("accuracy_worst_decile"),
        "Over pooled samples": primary.key("accuracy_weighted"),
        **{f"Mean {moment.words}": moment.key("accuracy_mean") for moment in others},
        "Oracle (best round on test)": primary.key("accuracy_oracle"),
    }
    by_predictor = primary.key("accuracy_mean_by_predictor")
    predictors = dict.fromkeys(name for run in comparison.done for name in run.summary[by_predictor])
    rows = []
    for label in comparison.methods:
        found = [[run.summary[by_predictor].get(name) for run in comparison.of(label)] for name in predictors]
        row = [Cell(label, label), *(spread_cell(comparison.values(label, name)) for name in kinds.values())]
        rows.append(row + [spread_cell([value for value in values if value is not None]) for values in found])
    columns = [Column("Method"), *(Column(title, "high", short=SHORT.get(title, "")) for title in kinds)]
    columns += [Column(f"By {name}", "high") for name in predictors]
    text = f"Accuracies in percent, {comparison.selection}; {spread_rule(comparison)}. {FLOOR_RULE}"
    floors = [np.mean, worst_tenth, None, *[np.mean] * len(others)]
    foot = _floor(comparison, [*floors, *[None] * (len(columns) - 1 - len(floors))])
    return noted_table(comparison, "accuracy", "Accuracy in detail [%]", text, columns, rows, foot)


FLOOR_RULE = f"The last row is no method: it is what the {FLOOR} alone would score."


def caption(comparison: Comparison, reference: str) -> str:
    """Describe the numbers of a comparison's main table."""
    tests = ""
    if len(comparison.of(reference)) > 1:
        tests = f"{OVER_SEEDS} differs from {reference} over seeds: paired t-test, Holm-corrected p < {MARK_LEVEL:g}"
        tests += ", each moment for itself. " if len(comparison.moments) > 1 else ". "
    tuned = "After local training a method with one global model is that model fine-tuned by each client. "
    words = [
        f"Accuracy: mean over all clients, {comparison.selection_at(*comparison.moments)}; n counts seeds; "
        f"{spread_rule(comparison)}. {tests}{tuned if LOCAL in comparison.moments else ''}"
    ]
    if len(comparison.moments) > 1:
        words.append(f"Spreads and the worst tenth are {comparison.moment.words}. ")
    words += [f"{FLOOR_RULE} {RULE} "]
    return "".join(words) + (
        "Sent, computed and seconds: all clients together, up and down, all rounds, the server apart; FLOPs of matrix "
        "products and convolutions, forward and backward. Seconds and memory are of a machine that other work may have "
        "shared, and are not ranked."
    )
