"""The generated parts of a page, each as Markdown."""

from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path

from benchmark.compatibility import unsupported
from benchmark.plugins import registry
from benchmark.report.cells import NOTHING, mean_cell, spread_cell
from benchmark.report.frame import LEAST_SEEDS, Comparison
from tools.docs.costs import CLIENTS, DATASETS, REFERENCE, TRAIN, Catalogue, Costs, MessageBytes, line_up_class, task
from tools.docs.source import hyperparameters, module_docstring

PAGE_LINE_UPS = ("cnn5", "cnn1", "vision4", "vision4-native")
TITLES = {"cifar10": "CIFAR-10", "cifar100": "CIFAR-100", "mnist5k": "MNIST 5k"}
EXPERIMENTS = ("catalogue", "reference")
"""Folders of results that pages report, if they exist."""
VARIES = "varies"


def markdown_table(heads: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> str:
    """Return a Markdown table whose first columns are aligned left, the others right."""
    rules = [":--" if i < left else "--:" for i in range(len(heads))]
    return "\n".join("| " + " | ".join(row) + " |" for row in (heads, rules, *rows))


def algorithm(file: Path) -> str:
    """Return the docstring of a method's file, unchanged."""
    return f"```text\n{module_docstring(file)}\n```"


def fields(file: Path) -> str:
    """Return a table with a row per hyper-parameter."""
    found = hyperparameters(file)
    if not found:
        return "None: there is nothing to set beside the federation's own options."
    rows = [[f"`{h.name}`", h.allowed, f"`{h.default}`", h.comment.replace("|", "\\|") or NOTHING] for h in found]
    return markdown_table(["name", "range", "default", "what it is"], rows, left=4)


def costs(name: str, catalogue: Catalogue) -> str:
    """Return tables of bytes by message, then of FLOPs, on the line-up that the method was measured on."""
    line_up, found = next(iter(catalogue[name].items()))
    heads = [TITLES[dataset] for dataset in DATASETS]
    each = [found[dataset] for dataset in DATASETS]
    sent = _messages(each)
    bytes_ = markdown_table(["bytes per participant", "when", *heads], sent, left=2) if sent else "Nothing travels."
    references = [catalogue[REFERENCE][line_up][dataset] for dataset in DATASETS]
    ratios = [f"{c.client_flops / r.client_flops:.2f} ×" for c, r in zip(each, references, strict=True)]
    own = [_mflop(r.client_flops // (CLIENTS * TRAIN)) for r in references]
    rows = [["Standalone's clients, per sample and epoch, in MFLOP", *own]]
    rows.append(["this method's clients, beside Standalone's", *ratios])
    rows.append(["server, per round of ten participants, in MFLOP", *(_mflop(c.server_flops) for c in each)])
    setting = f"Ten clients on `{line_up}`, {TRAIN:,} samples each, of 2 (CIFAR-10) or 10 (CIFAR-100) classes"
    return f"{setting}; one local epoch.\n\n{bytes_}\n\n{markdown_table(['FLOPs', *heads], rows)}"


def _messages(each: Sequence[Costs]) -> list[list[str]]:
    """Return rows (direction and name, when, bytes on each data set), by first and later rounds if these differ."""
    rows = []
    for direction in ("up", "down"):
        moments = {
            "in the first round": [getattr(c, f"first_{direction}") for c in each],
            "from the second round on": [getattr(c, direction) for c in each],
        }
        by_round = [sorted(name for size in sizes for name in size) for sizes in moments.values()]
        for name in dict.fromkeys(chain.from_iterable(by_round)):
            by_moment = {when: [size.get(name, 0) for size in sizes] for when, sizes in moments.items()}
            if len({*map(tuple, by_moment.values())}) == 1:
                by_moment = {"in every round": by_moment["in the first round"]}
            sent = {when: sizes for when, sizes in by_moment.items() if any(size != 0 for size in sizes)}
            rows += [[f"{direction}: `{name}`", when, *map(_bytes, sizes)] for when, sizes in sent.items()]
    return rows


def _bytes(size: int | None) -> str:
    return VARIES if size is None else f"{size:,}"


def _mflop(flops: int | None) -> str:
    """Return FLOPs in millions, without decimals from a hundred on."""
    if flops is None:
        return VARIES
    return f"{flops / 1e6:,.{0 if flops >= 1e8 else 1}f}" if flops else "0"


def usable_line_ups(name: str) -> str:
    """Return which line-ups the method can work with, and why not with the others."""
    method, _ = registry.method(name)
    reasons = {line_up: unsupported(method, task(registry.line_up(line_up))) for line_up in PAGE_LINE_UPS}
    usable = ", ".join(f"`{line_up}`" for line_up, reason in reasons.items() if not reason)
    refused = [f"- not `{line_up}`: {reason}" for line_up, reason in reasons.items() if reason]
    summary = f"Clients' networks: {line_up_class(method)}. Usable: {usable}."
    return "\n".join([summary, "", *refused] if refused else [summary])


def results(name: str, stored: Mapping[str, Sequence[Comparison]]) -> str:
    """Return a table per comparison that has the method: accuracy, its difference to Standalone's, and costs."""
    parts = [
        f"`results/{experiment}`: {comparison.title}.\n\n{_results(comparison, labels)}"
        for experiment in EXPERIMENTS
        for comparison in stored.get(experiment, ())
        if (labels := [label for label in comparison.methods if label.partition("+")[0] == name])
    ]
    places = " or ".join(f"`results/{experiment}`" for experiment in EXPERIMENTS)
    return "\n\n".join(parts) or f"There are no results of this method in {places}."


def _results(comparison: Comparison, labels: Sequence[str]) -> str:
    """Return a table with a row per label, and a column of accuracies for each moment that is stored."""
    moments = comparison.stored_moments
    rows = []
    for label in labels:
        runs = comparison.of(label)
        pairs = comparison.paired(label, other) if (other := trained_alike(comparison, label)) != label else []
        gains = [a.summary["accuracy_mean"] - b.summary["accuracy_mean"] for a, b in pairs]
        rows.append(
            [
                f"`{label}`",
                str(len(runs)),
                *(accuracy_text(comparison.values(label, moment.key("accuracy_mean"))) for moment in moments),
                mean_cell(gains, "{:+.2f}").text,
                *(
                    _amount([run.total(cost) / unit for run in runs])
                    for cost, unit in (("bytes", 1e6), ("flops", 1e12))
                ),
            ]
        )
    accuracy = [f"{moment.words} %" for moment in moments]
    return markdown_table(["method", "seeds", *accuracy, "minus Standalone", "sent MB", "TFLOP"], rows)


def _amount(values: Sequence[float]) -> str:
    """Return the mean of a cost with four digits, and all its digits before the point."""
    large = bool(values) and sum(values) / len(values) >= 1e4
    return mean_cell(values, "{:,.0f}" if large else "{:.4g}").text


def trained_alike(comparison: Comparison, label: str) -> str:
    """Return the label of Standalone with most of the settings that end a label; `standalone` if no other has any.

    So `fml+alpha=0.1+lr=0.1` is compared with `standalone+lr=0.1` where both were run, and no label with itself.
    """
    words = label.split("+")[1:]
    ends = ["+".join([REFERENCE, *words[i:]]) for i in range(len(words) + 1)]
    return next((end for end in ends if end != label and comparison.of(end)), REFERENCE)


def accuracy_text(values: Sequence[float]) -> str:
    """Return a mean accuracy in percent, with ± half its 95 % interval from as many seeds on as a test needs."""
    return (spread_cell(values) if len(values) >= LEAST_SEEDS else mean_cell(values, "{:.2f}")).text


def exchange(glances: Mapping[str, Mapping[str, str]]) -> str:
    """Return the catalogue by what is exchanged. glances: page -> its words at a glance."""
    heads = ["method", "kind", "shares", "leaves the client", "server"]
    keys = ("Kind", "Shares", "Leaves the client", "Server")
    rows = [[f"[{name}]({name}.md)", *(words.get(key, NOTHING) for key in keys)] for name, words in glances.items()]
    return markdown_table(heads, rows, left=len(heads))


def costs_of_all(catalogue: Catalogue) -> str:
    """Return the catalogue by what it costs."""
    heads = ["method", "networks", "measured on", *(f"{TITLES[dataset]} up + down" for dataset in DATASETS)]
    heads += ["client FLOPs", "server MFLOP"]
    rows = []
    for name, by_line_up in catalogue.items():
        line_up, found = next(iter(by_line_up.items()))
        method, _ = registry.method(name)
        first, reference = found["cifar10"], catalogue[REFERENCE][line_up]["cifar10"]
        server = [found[dataset].server_flops for dataset in DATASETS]
        rows.append(
            [
                f"[{name}]({name}.md)",
                line_up_class(method),
                f"`{line_up}`",
                *(_both(found[dataset]) for dataset in DATASETS),
                f"{first.client_flops / reference.client_flops:.2f} ×",
                " / ".join(dict.fromkeys(map(_mflop, server))),
            ]
        )
    return markdown_table(heads, rows, left=3)


def _both(costs: Costs) -> str:
    """Return the bytes up and down in a later round."""
    return " + ".join(map(_sum, (costs.up, costs.down)))


def _sum(sizes: MessageBytes) -> str:
    known = [size for size in sizes.values() if size is not None]
    return f"{sum(known):,}" if len(known) == len(sizes) else VARIES
