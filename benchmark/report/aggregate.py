"""Tables of several comparisons together: differences to the reference over tasks, and ranks where tasks suffice.

What is put together is paired: accuracies on two data sets are no two measurements of one thing.
"""

import json
from collections.abc import Sequence

import numpy as np

from benchmark.errors import plural
from benchmark.report.cells import NOTHING, Cell, Column, Table, interval_text, spread_cell
from benchmark.report.differences import (
    HOLM,
    OVER_SEEDS,
    Difference,
    corrected,
    difference_cell,
    differences,
    marks_of,
    p_cell,
)
from benchmark.report.frame import Comparison
from benchmark.report.statistics import Ranks, average_ranks, paired_t
from benchmark.storage.moments import Moment

RANKED_FROM_TASKS = 5
"""Ranks, and profiles of scores, are of no use with fewer tasks: two can't agree by more than chance."""
TASK = ("dataset", "data_hash", "partition", "models", "models_hash", "clients", "participation")
"""What makes a task of a setting: comparisons that differ in anything else only are the same task."""


def tasks(comparisons: Sequence[Comparison]) -> list[list[Comparison]]:
    """Return the comparisons by task: those of one differ in rounds, local work, training or evaluation alone."""
    groups: dict[str, list[Comparison]] = {}
    for comparison in comparisons:
        task = json.dumps([comparison.setting.get(name) for name in TASK])
        groups.setdefault(task, []).append(comparison)
    return [*groups.values()]


def common(comparisons: Sequence[Comparison]) -> list[str]:
    """Return the methods that are done in every comparison."""
    sets = [{label for label in c.complete if c.mean(label) is not None} for c in comparisons]
    return sorted(set.intersection(*sets)) if sets else []


def aggregate(comparisons: Sequence[Comparison], label: str, reference: str, moment: Moment) -> dict[int, float]:
    """Return seed -> a method's mean difference to the reference over tasks, in points, of the seeds that all have.

    Comparisons of one task are averaged first, so each task weighs the same.
    """
    found: list[dict[int, float]] = []
    for task in tasks(comparisons):
        by_seed = [dict(differences(c, reference, moment)[label].by_seed) for c in task]
        found.append({s: float(np.mean([d[s] for d in by_seed])) for s in set.intersection(*map(set, by_seed))})
    seeds = sorted(set.intersection(*map(set, found)))
    return {seed: float(np.mean([of_task[seed] for of_task in found])) for seed in seeds}


def aggregate_table(comparisons: Sequence[Comparison], reference: str) -> Table | None:
    """Make the table of differences to the reference over all comparisons that have it, a row per other method.

    None if fewer than two have it, or no other method is in all of these.
    """
    inside = [comparison for comparison in comparisons if comparison.of(reference)]
    if len(inside) < 2:
        return None
    moments = [m for m in inside[0].moments if all(m in comparison.moments for comparison in inside)]
    found = {m: differences_over_tasks(inside, reference, m) for m in moments}
    labels = sorted(set.intersection(*map(set, found.values()))) if found else []
    if not labels:
        return None
    ranked = all(comparison.ranked for comparison in inside)
    if ranked:
        labels.sort(key=lambda label: -found[moments[0]][label].mean)
    rows = []
    for label in labels:
        by_moment = [of_label[label] for of_label in found.values()]
        means = [cell for difference in by_moment for cell in _mean_cells(difference)]
        counts = [Cell(str(count), count) for count in (len(tasks(inside)), len(by_moment[0].by_seed))]
        rows.append([Cell(label, label, _waiting(inside, label)), *means, *counts])
    columns = [column for moment in moments for column in _mean_columns(moment)]
    columns = [Column("Method"), *columns, Column("Tasks"), Column("Seeds")]
    title, text = f"Differences to {reference} over tasks", _aggregate_caption(inside, reference)
    return Table("differences", title, "", text, columns, rows, order=ranked)


def differences_over_tasks(comparisons: Sequence[Comparison], reference: str, moment: Moment) -> dict[str, Difference]:
    """Return label -> mean difference to the reference over tasks, of methods that share a seed in all comparisons."""
    labels = set.intersection(*(set(differences(comparison, reference, moment)) for comparison in comparisons))
    by_label = {label: aggregate(comparisons, label, reference, moment) for label in sorted(labels)}
    return corrected(
        {
            label: Difference([*by_seed.items()], paired_t([*by_seed.values()], [0.0] * len(by_seed)), None, None)
            for label, by_seed in by_label.items()
            if by_seed
        }
    )


def _waiting(comparisons: Sequence[Comparison], label: str) -> str | None:
    names = [comparison.heading for comparison in comparisons if label in comparison.unlevelled]
    return f"not levelled in {'; '.join(names)}" if names else None


def _mean_columns(moment: Moment) -> list[Column]:
    title = f"Difference {moment.words}"
    return [
        Column(title, "high", "in points of accuracy", short=moment.name),
        Column(f"95 % interval {moment.words}", short="95 % interval"),
        Column(f"p {moment.words}", None, "paired t-test over seeds, Holm-corrected"),
    ]


def _mean_cells(difference: Difference) -> list[Cell]:
    test = difference.test
    shown = Cell(interval_text(test.low, test.high)) if test else Cell(NOTHING)
    return [difference_cell(difference), shown, p_cell(difference.p)]


def _aggregate_caption(comparisons: Sequence[Comparison], reference: str) -> str:
    number = plural(len(tasks(comparisons)), "task")
    return (
        f"{_unranked(comparisons)}Differences to {reference} in points of accuracy, paired by seed: for each seed "
        f"the mean over {number}, then mean and Student's interval over seeds. Comparisons that differ only in rounds, "
        "local work, training or evaluation are one task, and are averaged first. Interval and test (paired, "
        f"{HOLM}) are over seeds: they do not say what other tasks would give."
    )


def accuracy_matrix(comparisons: Sequence[Comparison], reference: str) -> Table | None:
    """Make the table of methods against comparisons, that is data sets: accuracy at the primary moment.

    None for fewer than two comparisons with a finished run.
    """
    inside = [comparison for comparison in comparisons if comparison.complete]
    if len(inside) < 2:
        return None
    labels = sorted({label for comparison in inside for label in comparison.complete})
    marks = [marks_of(comparison, reference, comparison.moment) for comparison in inside]
    pairs = [*zip(inside, marks, strict=True)]
    rows = [[Cell(k, k), *(spread_cell(c.scores(k), marked.get(k, "")) for c, marked in pairs)] for k in labels]
    columns = [Column("Method"), *(Column(c.heading, "high" if c.ranked else None, c.title) for c in inside)]
    text = (
        f"Accuracy in percent {inside[0].moment.words}: mean over all clients, each on its own test data, and over "
        f"seeds; ± is half the 95 % interval over seeds. {OVER_SEEDS} differs from {reference} over seeds: paired "
        f"t-test, {HOLM}, of a column. {_unranked(inside)}"
    )
    return Table("methods", "Methods against data sets", "", text.strip(), columns, rows)


def _unranked(comparisons: Sequence[Comparison]) -> str:
    """Name the comparisons that are not ranked, as a sentence."""
    waiting = "; ".join(comparison.heading for comparison in comparisons if not comparison.ranked)
    return f"Not ranked, in the order of names: methods have not levelled in {waiting}. " if waiting else ""


def ranking_table(comparisons: Sequence[Comparison]) -> Table | None:
    """Make the table of average ranks, a row per method that is done in every ranked comparison.

    None if there are fewer than RANKED_FROM_TASKS tasks or fewer than two such methods.
    """
    ranked = [comparison for comparison in comparisons if comparison.ranked]
    labels = common(ranked)
    ranks = task_ranks(ranked, labels)
    if ranks is None:
        return None
    order = np.argsort(ranks.average, kind="stable")
    rows = [[Cell(labels[i], labels[i]), Cell(f"{ranks.average[i]:.2f}", float(ranks.average[i]))] for i in order]
    columns = [Column("Method"), Column("Average rank", "low", "1 is the best; mean accuracy of each task")]
    text = (
        f"Over {ranks.n} tasks, methods that are done in all; comparisons with methods that have not levelled are left "
        f"out. Friedman test (Iman and Davenport's F): p = {ranks.p:.3g}; Nemenyi critical difference of ranks at 5 %: "
        f"{ranks.critical_difference:.2f}. Tasks that share a data set are not independent of each other."
    )
    return Table("ranks", "Ranks over tasks", "", text, columns, rows)


def task_ranks(comparisons: Sequence[Comparison], labels: Sequence[str]) -> Ranks | None:
    """Rank methods by their mean accuracy in each task; None for too few tasks, or methods."""
    found = tasks(comparisons)
    if len(found) < RANKED_FROM_TASKS or len(labels) < 2:
        return None
    means = [[np.mean([c.mean(label) for c in task]) for label in labels] for task in found]
    return average_ranks(means)
