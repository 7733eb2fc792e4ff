"""Outcomes of runs and checks, as rows of tables and as JSON documents."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.measure import Measurement
from rich.table import Table

from benchmark.errors import plural
from benchmark.run.pace import duration
from benchmark.storage.files import MEBIBYTE

if TYPE_CHECKING:
    from benchmark.config import RunSpec
    from benchmark.run.dry_run import Planned
    from benchmark.run.runner import Outcome
    from benchmark.run.tuned import Chosen

LACKING = "–"


def outcomes_document(experiment: str, outcomes: Sequence["Outcome"]) -> dict[str, Any]:
    """Return the document that `run --json` prints."""
    runs = [
        {
            "dataset": o.spec.dataset,
            "method": o.spec.method.label,
            "key": o.spec.key,
            "status": o.status,
            "reason": o.reason,
            "path": str(o.path),
            "summary": o.summary,
        }
        for o in outcomes
    ]
    return {"experiment": experiment, "runs": runs}


def settings_of(spec: "RunSpec") -> dict[str, str]:
    """Return the settings in which a run may differ from others of its grid."""
    return {
        "data set": spec.dataset,
        "method": spec.method.label,
        "partition": spec.partition,
        "models": spec.models,
        "N": str(spec.federation.clients),
        "participation": f"{spec.federation.participation:g}",
        "seed": str(spec.seed),
    }


def choice_rows(choices: Sequence["Chosen"]) -> list[dict[str, str]]:
    """Return a row for every method that was tuned: what was chosen, with accuracies on validation samples."""
    return [
        {
            "data set": str(t.setting["dataset"]),
            "partition": str(t.setting["partition"]),
            "models": str(t.setting["models"]),
            "N": str(t.setting["clients"]),
            "participation": f"{t.setting['participation']:g}",
            "method": t.method,
            "trials": str(len(t.trials)),
            "default, validation %": _percent(t.trials[0].validation),
            "chosen, validation %": _percent(t.chosen.validation),
            "chosen": t.chosen.label,
        }
        for choice in choices
        for t in choice.tunings
    ]


def _percent(value: float | None) -> str:
    return LACKING if value is None else f"{value:.2f}"


def choices_document(choices: Sequence["Chosen"]) -> list[dict[str, Any]]:
    """Return what `tune --json` prints of the choices; validation: of each trial in order, null if it is not done."""
    return [
        {
            "dataset": t.setting["dataset"],
            "method": t.method,
            "chosen": t.chosen.label,
            "trials": [
                {"label": trial.label, "status": trial.status, "validation": trial.validation} for trial in t.trials
            ],
        }
        for choice in choices
        for t in choice.tunings
    ]


def dry_document(experiment: str, plans: Sequence["Planned"], total: Mapping[str, Any]) -> dict[str, Any]:
    """Return the document that `run --dry-run --json` prints."""
    runs = [
        {
            "dataset": p.run.spec.dataset,
            "method": p.run.spec.method.label,
            "key": p.run.spec.key,
            "prediction": p.prediction,
            "status": p.status,
        }
        for p in plans
    ]
    return {"experiment": experiment, "runs": runs, "total": total}


def dry_rows(plans: Sequence["Planned"]) -> list[dict[str, str]]:
    """Return a row for every run of a dry run; ~ stands before bytes that depend on what is learned."""

    def cell(p: "Planned", name: str, scale: float, form: str) -> str:
        found = p.prediction[name]  # type: ignore[literal-required]
        about = "~" if p.prediction["varying"] and name.startswith("bytes") else ""
        return LACKING if found is None else about + format(found / scale, form)

    return [
        {
            **settings_of(p.run.spec),
            "TFLOP": cell(p, "client_flops", 1e12, ".3f"),
            "up MB": cell(p, "bytes_up", 1e6, ".2f"),
            "down MB": cell(p, "bytes_down", 1e6, ".2f"),
            "memory MiB": cell(p, "peak_memory_bytes", MEBIBYTE, ".0f"),
            "s": cell(p, "seconds", 1, ".1f"),
            "status": p.status,
        }
        for p in plans
    ]


def dry_total(total: Mapping[str, Any], jobs: int) -> str:
    """Return the line below the table of a dry run."""

    def amount(name: str, scale: float, form: str) -> str:
        return LACKING if total[name] is None else format(total[name] / scale, form)

    costs = f"{amount('client_flops', 1e12, '.3f')} TFLOP, {amount('bytes_up', 1e6, '.2f')} MB up, "
    costs += f"{amount('bytes_down', 1e6, '.2f')} MB down"
    lasts = LACKING if total["seconds"] is None else duration(total["seconds"])
    line = f"{total['runs']} to run: {costs}; about {lasts}, {jobs} at a time (an estimate)"
    if not total["not_predicted"]:
        return line
    return f"{line}; left out: some costs of {plural(total['not_predicted'], 'run')}, which can't be predicted"


SETTINGS = ("data set", "partition", "models", "N", "participation", "seed")


def show_checks(checks: Sequence[Any]) -> None:
    """Print the table of `compare`: one row per number, what regressed in capitals."""
    table = Table(box=SIMPLE_HEAD)
    for name in ("comparison", "method", "what", "baseline", "current", "change", "limit", ""):
        table.add_column(name, justify="left" if name in ("comparison", "method", "what", "") else "right")
    for check in checks:
        values = [
            escape(v) if isinstance(v, str) else with_unit(v, check.unit) for v in (check.baseline, check.current)
        ]
        change = "" if check.change is None else _change(check.change, check.unit)
        limit = "" if check.limit is None else _change(check.limit, check.unit).lstrip("+")
        verdict = "REGRESSED" if check.verdict == "regressed" else check.verdict
        table.add_row(escape(check.comparison), escape(check.method), check.what, *values, change, limit, verdict)
    print_table(table)


PREFIXES = ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def with_unit(value: float, unit: str) -> str:
    """Return a number with its unit as people write it: 1.204 MB, 3.5 TFLOP, 66.40 %, 1.32 ×."""
    if unit in ("%", "×"):
        return f"{value:.2f} {unit}"
    scale, prefix = next((found for found in PREFIXES if abs(value) >= found[0]), (1.0, ""))
    return f"{value / scale:.4g} {prefix}{unit}"


def _change(value: float, unit: str) -> str:
    """Return a change of accuracies in points, one of anything else in percent of the baseline."""
    return f"{value:+.2f} points" if unit == "%" else f"{100 * value:+.3g} %"


def show_timings(checks: Sequence[Any]) -> None:
    """Print the table of `compare` for timings: one row per benchmark, what is slower or missing in capitals."""
    table = Table("group", "benchmark", box=SIMPLE_HEAD)
    for name in ("baseline", "current", "change", "limit"):
        table.add_column(name, justify="right")
    table.add_column("")
    for check in checks:
        times = ["" if value is None else f"{value:.4g}" for value in (check.baseline, check.current)]
        change = "" if check.change is None else f"{check.change:+.1%}"
        limit = "" if check.limit is None else f"{check.limit:.1%}"
        verdict = check.verdict.upper() if check.verdict in ("regressed", "missing") else check.verdict
        table.add_row(escape(check.group), escape(check.name), *times, change, limit, verdict)
    print_table(table)


def show_results(title: str, results: Sequence[Any]) -> None:
    """Print the table of `check`: one row per check, with what holds, or what is wrong."""
    verdicts = {"holds": "ok", "broken": "BROKEN", "not examined": "–"}
    table = Table("check", "", "", box=SIMPLE_HEAD, title=escape(title), title_justify="left", title_style="bold")
    for check, verdict, problem in results:
        table.add_row(check.name, verdicts[verdict], escape(problem or check.says))
    print_table(table)


def show_counts(classes: Sequence[str], train: Any, test: Any, most: int) -> None:
    """Print samples of each class at each client, as training + test: [clients, C] both; at most so many columns."""
    table = Table("client", box=SIMPLE_HEAD)
    shown = len(classes) if len(classes) <= most else 0
    for name in ["train", "test", "classes", *classes[:shown]]:
        table.add_column(escape(name), justify="right")
    for client, (own, held) in enumerate(zip(train, test, strict=True)):
        cells = [f"{a}+{b}" if a + b else "" for a, b in zip(own, held, strict=True)][:shown]
        held_classes = sum(a + b > 0 for a, b in zip(own, held, strict=True))
        table.add_row(str(client), str(sum(own)), str(sum(held)), str(held_classes), *cells)
    print_table(table)


WIDEST = 10_000
"""Characters of a line, more than any table has."""


def console() -> Console:
    """Return a console on standard output, 140 characters wide if that is no terminal."""
    console = Console()
    return console if console.is_terminal else Console(width=140)


def print_table(table: Table) -> None:
    """Print a table, in lines that are longer than a terminal if it is too narrow for whole numbers and words."""
    out, wide = console(), Console(width=WIDEST)
    for column in table.columns:
        alone = Table(pad_edge=False, show_edge=False, padding=0)
        alone.columns.append(column)
        column.min_width = Measurement.get(wide, wide.options, alone).minimum
    narrowest = Measurement.get(wide, wide.options, table).minimum + len(table.columns)
    (out if narrowest <= out.width else Console(width=narrowest)).print(table)


def show_rows(rows: Sequence[Mapping[str, str]]) -> None:
    """Print a table of runs or choices, without settings that all rows share."""
    shown = [name for name in rows[0] if name not in SETTINGS or len({row[name] for row in rows}) > 1]
    table = Table(box=SIMPLE_HEAD)
    for name in shown:
        table.add_column(name, justify="left" if name in ("data set", "method", "status", "chosen") else "right")
    for row in rows:
        table.add_row(*(escape(row[name]) for name in shown))
    print_table(table)
