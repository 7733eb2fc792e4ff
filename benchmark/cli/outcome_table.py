"""The table that `run` ends with: a row per method, with its difference to the reference, a table per comparison."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from benchmark.cli.tables import LACKING, console, print_table, settings_of
from benchmark.report.differences import DEFAULT_REFERENCE, MARK_LEVEL, OVER_SEEDS, corrected_p
from benchmark.report.statistics import Paired, mean_interval, paired_t
from benchmark.storage.moments import MOMENTS, Moment

if TYPE_CHECKING:
    from benchmark.run.runner import Outcome

SHOWN_MOMENTS = MOMENTS[:2]
"""After local training and after the next download: those that every run is evaluated at."""
COST_COLUMNS = {
    "sent MB": (("bytes_up", "bytes_down"), 1e6),
    "TFLOP": (("client_flops",), 1e12),
    "s": (("client_seconds",), 1),
}
"""Column -> the numbers of a summary that it sums up, and its unit."""
OfMethod = Sequence["Outcome"]
"""The outcomes of one method in a comparison, one per seed."""


def show_outcome_tables(outcomes: Sequence["Outcome"]) -> None:
    """Print a table for each comparison, named by the settings that differ between them, and what its signs mean."""
    comparisons = _comparisons(outcomes)
    settings = [settings_of(rows[0][0].spec) for rows in comparisons]
    differ = [name for name in settings[0] if len({setting[name] for setting in settings}) > 1]
    for setting, methods in zip(settings, comparisons, strict=True):
        title = ", ".join(f"{name} {setting[name]}" for name in differ) or setting["data set"]
        print_table(_table(title, methods))
    seeds = max(len(of_method) for methods in comparisons for of_method in methods)
    console().print(_legend(seeds), markup=False, highlight=False)


def _comparisons(outcomes: Sequence["Outcome"]) -> list[list[OfMethod]]:
    """Return for every comparison its methods, in the order of the grid."""
    found: dict[str, dict[str, list[Outcome]]] = {}
    for outcome in outcomes:
        setting = outcome.spec.model_dump_json(exclude={"method", "seed"})
        found.setdefault(setting, {}).setdefault(outcome.spec.method.label, []).append(outcome)
    return [[*methods.values()] for methods in found.values()]


def _table(title: str, methods: Sequence[OfMethod]) -> Table:
    table = Table(box=SIMPLE_HEAD, title=escape(title), title_justify="left", title_style="bold")
    table.add_column("method", overflow="fold")
    accuracies = [f"{name} {moment.name}" for moment in SHOWN_MOMENTS for name in ("accuracy %,", "difference,")]
    for name in ("n", *accuracies, *COST_COLUMNS):
        table.add_column(name, justify="right")
    table.add_column("status")
    differences = [_differences(methods, moment) for moment in SHOWN_MOMENTS]
    for i, of_method in enumerate(methods):
        scores = [
            text
            for moment, found in zip(SHOWN_MOMENTS, differences, strict=True)
            for text in (_mean(_scores(of_method, moment)), found[i])
        ]
        label, done = of_method[0].spec.method.label, [o for o in of_method if o.status == "done"]
        table.add_row(escape(label), str(len(done)), *scores, *_costs(of_method), _status(of_method))
    return table


def _scores(of_method: OfMethod, moment: Moment) -> dict[int, float]:
    """Return seed -> accuracy in percent; nothing if a run is not done, as the rest is no fair sample."""
    values = {o.spec.seed: _number(o, moment.key("accuracy_mean")) for o in of_method if o.status == "done"}
    found = {seed: value for seed, value in values.items() if value is not None}
    return found if len(found) == len(of_method) else {}


def _differences(methods: Sequence[OfMethod], moment: Moment) -> list[str]:
    """Return each method's mean difference to the reference, paired by seed; marked if chance does not explain it."""
    labels = [of_method[0].spec.method.label for of_method in methods]
    scores = [_scores(of_method, moment) for of_method in methods]
    reference = scores[labels.index(DEFAULT_REFERENCE)] if DEFAULT_REFERENCE in labels else {}
    pairs = [
        [
            (score, reference[seed])
            for seed, score in of_method.items()
            if seed in reference and label != DEFAULT_REFERENCE
        ]
        for label, of_method in zip(labels, scores, strict=True)
    ]
    by_label = dict(zip(labels, pairs, strict=True))
    tests = {k: test for k, paired in by_label.items() if (test := paired_t(*np.array(paired).reshape(-1, 2).T))}
    corrected = corrected_p(tests)
    return [_difference(paired, tests.get(label), corrected.get(label)) for label, paired in by_label.items()]


def _difference(pairs: Sequence[tuple[float, float]], test: Paired | None, p: float | None) -> str:
    if not pairs:
        return LACKING
    mean = float(np.mean([ours - theirs for ours, theirs in pairs]))
    half = f" ± {(test.high - test.low) / 2:.2f}" if test else ""
    mark = OVER_SEEDS if p is not None and p < MARK_LEVEL else " "
    return f"{mean:+.2f}{half} {mark}"


def _mean(scores: dict[int, float]) -> str:
    if not scores:
        return LACKING
    interval = mean_interval([*scores.values()])
    half = f" ± {(interval.high - interval.low) / 2:.2f}" if interval else ""
    return f"{np.mean([*scores.values()]):.2f}{half}"


def _costs(of_method: OfMethod) -> Iterator[str]:
    """Yield the costs of a run of a method, mean over its seeds."""
    done = [o for o in of_method if o.status == "done"]
    for names, unit in COST_COLUMNS.values():
        sums = [sum(_number(o, name) or 0.0 for name in names) / unit for o in done]
        yield f"{np.mean(sums):.4g}" if sums else LACKING


def _number(outcome: "Outcome", name: str) -> Any:
    return (outcome.summary or {}).get(name)


def _status(of_method: OfMethod) -> str:
    """Return the status of all runs, or how many have which."""
    found = [o.status for o in of_method]
    return found[0] if len({*found}) == 1 else ", ".join(f"{found.count(s)} {s}" for s in dict.fromkeys(found))


def _legend(seeds: int) -> str:
    several = f"± half the 95 % interval over seeds; {OVER_SEEDS} Holm-corrected p < {MARK_LEVEL:g}"
    chance = several if seeds > 1 else "one seed, so no interval and no test"
    moments = " and ".join(moment.words for moment in SHOWN_MOMENTS)
    return (
        f"Accuracy: mean over all clients, {moments}. Difference: in points to {DEFAULT_REFERENCE}, paired by seed; "
        f"{chance}. n: seeds that are done. Costs: one run, mean over seeds."
    )
