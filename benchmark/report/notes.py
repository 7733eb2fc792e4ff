"""What is said below tables: runs that are missing, not done, or not what they seem; methods that have not levelled."""

from collections.abc import Mapping, Sequence

from benchmark.errors import plural
from benchmark.report.cells import Cell, Column, Table, align
from benchmark.report.frame import Comparison
from benchmark.storage.conditions import unlike


def footnotes(comparison: Comparison) -> list[str]:
    """Return a line for each run that is not done, for seeds that a method does not have, and for each remark."""
    lines = [
        f"{run.label}, seed {run.seed}: {run.run['status']}" + (f" ({run.run['reason']})" if run.run["reason"] else "")
        for run in sorted(comparison.not_done, key=lambda run: (run.label, run.seed))
    ]
    for label in comparison.complete:
        if missing := sorted({*comparison.seeds} - {run.seed for run in comparison.of(label)}):
            lines.append(f"{label}, seed {', '.join(map(str, missing))}: not run")
    lines += [f"{run.label}, seed {run.seed}: {remark}" for run in comparison.done for remark in run.remarks]
    words = unlike((run.label, run.run["environment"]) for run in comparison.done)
    return lines + [f"The runs were not all made alike: {'; '.join(words)}"] * bool(words)


def not_ranked(comparison: Comparison) -> str:
    """Return why the methods of a comparison are not ranked, as a sentence; '' if they are."""
    if comparison.ranked:
        return ""
    some, all_ = len(comparison.unlevelled), len(comparison.complete)
    who = plural(all_, "method") if some == all_ else f"{some} of {plural(all_, 'method')}"
    return f"Not ranked, in the order of names: {who} {'has' if some == 1 else 'have'} not levelled."


def spread_rule(comparison: Comparison) -> str:
    """Say what stands after a mean."""
    return "± is half the 95 % interval over seeds" if len(comparison.seeds) > 1 else "one seed, so no interval"


def noted_table(
    comparison: Comparison,
    name: str,
    title: str,
    caption: str,
    columns: Sequence[Column],
    rows: Sequence[list[Cell]],
    foot: Sequence[list[Cell]] = (),
    notes: Mapping[str, str] | None = None,
) -> Table:
    """Make a table of one comparison, its first column methods.

    A method that has not levelled is marked at its name; what else is to be said of it, by its label in `notes` and of
    its runs, at its first number.
    """
    noted = []
    for method, first, *others in align(columns, rows):
        said = [
            first.note,
            (notes or {}).get(method.text),
            _whole(comparison, method.text),
            _of(comparison, method.text),
        ]
        why = comparison.unlevelled.get(method.text)
        head = method._replace(note=f"not levelled: {why}" if why else None)
        noted.append([head, first._replace(note="; ".join(filter(None, said)) or None), *others])
    text = " ".join(filter(None, [not_ranked(comparison), caption]))
    lines = footnotes(comparison)
    return Table(name, title, comparison.title, text, columns, noted, lines, foot, order=comparison.ranked)


def _whole(comparison: Comparison, label: str) -> str | None:
    """Return what to know of a method whose clients send all of their network, by the usual names of its parts."""
    sent = [run.summary.get("bytes_by_name", {"up": {}})["up"].keys() for run in comparison.of(label)]
    if not sent or not all({"extractor", "header"} <= names for names in sent):
        return None
    return f"{label}: one network for all clients; after local training it is that network, fine-tuned by each of them"


def _of(comparison: Comparison, label: str) -> str | None:
    return "; ".join(line for line in footnotes(comparison) if line.startswith(f"{label}, seed ")) or None
