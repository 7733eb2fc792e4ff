"""The commands that execute grids of runs: `run`, and `tune`, whose trials are runs too."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from benchmark.cli.options import FiniteRange, Grid, execution_options
from benchmark.errors import RequestError, plural, tell
from benchmark.run.streams import users_code
from benchmark.storage.files import check_writable

if TYPE_CHECKING:
    from benchmark.problem import Run
    from benchmark.run.plan import Request
    from benchmark.run.runner import Outcome
    from benchmark.run.tuned import Chosen


PREPARING = "preparing: loading torch, reading data, drawing partitions"


class Options(NamedTuple):
    """What a command does with its outcomes: whether and where it writes the report, and what it prints."""

    reports: Path
    no_report: bool
    dry_run: bool
    as_json: bool


@click.command(cls=Grid)
@execution_options
@click.option("--shard", metavar="I/N", help="Of the grid only every N-th run, beginning with the I-th.")
@click.option("--experiment", metavar="NAME", help="Name of the results' folder.  [the preset's name, or default]")
@click.option("--tuned", metavar="EXPERIMENT", help="Each method as `tune` has chosen it there.")
@click.pass_obj
def run(
    argv: tuple[str, ...],
    shard: str | None,
    experiment: str | None,
    tuned: str | None,
    reports: Path,
    no_report: bool,
    dry_run: bool,
    as_json: bool,
    **given: Any,
) -> int:
    """Run every method on every data set, and write the report. Without arguments: the demo."""
    from benchmark.cli.arguments import shard_of
    from benchmark.run.progress_display import preparing

    options = Options(reports, no_report, dry_run, as_json)
    with preparing(PREPARING, quiet=as_json), users_code():
        from benchmark.run.plan import plan

        request, execute_all = _request(argv, experiment, options, given, shard=shard_of(shard))
        grids = [(plan(each), each) for each in ([request] if tuned is None else _as_tuned(request, tuned))]
    if dry_run:
        return _predict(grids, as_json)
    outcomes = _execute(grids, execute_all, as_json)
    _show(outcomes, request, as_json)
    return _end(outcomes, request, options)


@click.command(cls=Grid)
@execution_options
@click.option(
    "--experiment",
    metavar="NAME",
    default="tune",
    show_default=True,
    help="Folder of the runs of what was chosen; NAME-trials has those of the trials.",
)
@click.option(
    "--trials",
    type=click.IntRange(min=2, max=10_000),
    metavar="N",
    default=16,
    show_default=True,
    help="Trials of each method, the default first.",
)
@click.option(
    "--tuning-seeds", metavar="A,B,...", default="100,101", show_default=True, help="Seeds that only trials have."
)
@click.option(
    "--tuning-validation",
    type=FiniteRange(min=0, max=1, min_open=True, max_open=True),
    metavar="X",
    default=0.2,
    show_default=True,
    help="Share of each client's training samples that trials are chosen on.",
)
@click.pass_obj
def tune(
    argv: tuple[str, ...],
    experiment: str,
    trials: int,
    tuning_seeds: str,
    tuning_validation: float,
    reports: Path,
    no_report: bool,
    dry_run: bool,
    as_json: bool,
    **given: Any,
) -> int:
    """Choose each method's settings among as many trials, and run what was chosen on fresh seeds (--seeds).

    A method's first trial is the method as it is given; its others have values of the clients' learning rate and of its
    own fields from the ranges of their types. What is best on validation samples is chosen.
    """
    from benchmark.cli.arguments import seeds_of
    from benchmark.run.progress_display import preparing
    from benchmark.tuning.record import store_tunings

    options = Options(reports, no_report, dry_run, as_json)
    given["seeds"] = "0,1,2" if given["seeds"] is None else given["seeds"]
    with preparing(PREPARING, quiet=as_json), users_code():
        from benchmark.run.plan import plan
        from benchmark.run.tuned import TrialGrid, chosen

        request, execute_all = _request(argv, experiment, options, given)
        grid = TrialGrid.of(request, trials, seeds_of("tuning-seeds", tuning_seeds), tuning_validation)
        defaults, runs = plan(request), plan(grid.request)
    if dry_run:
        return _predict([(runs, grid.request), (defaults, request)], as_json, stand_ins=True)
    store_tunings(request.results, experiment, grid.records(runs))
    tried = _execute([(runs, grid.request)], execute_all, as_json)
    with users_code():
        choices = chosen(request, experiment, with_defaults=True)
        grids = [(plan(choice.request), choice.request) for choice in choices]
    if not as_json:
        _show_choices(choices)
    outcomes = _execute(grids, execute_all, as_json)
    _show(outcomes, request, as_json, choices)
    return _end(outcomes, request, options) or int(any(outcome.status == "failed" for outcome in tried))


def _request(
    argv: tuple[str, ...], experiment: str | None, options: Options, given: dict[str, Any], **others: Any
) -> tuple["Request", Callable]:
    """Return the request of a command's words, and the function that executes it. Raises RequestError."""
    from benchmark.cli.arguments import AXES, FEDERATION, request_of

    if given["ray_address"] is not None and given["executor"] != "ray":
        raise RequestError("--ray-address is of use with --executor ray only; add that, or leave it out")
    execute_all = _executor(given["executor"], given["jobs"])
    values = {name: given.pop(name) for name in (*AXES, *FEDERATION)}
    preset = given.pop("preset")
    if preset is None and values["datasets"] is None:
        preset = "demo"
    request = request_of(preset, values, experiment, argv, **given, **others)  # fields of Request
    if not options.no_report and not options.dry_run:
        check_writable(options.reports / request.experiment)
    return request, execute_all


def _executor(name: str, jobs: int | None) -> Callable:
    """Return the function that executes a grid. Raises RequestError if Ray is needed and not installed."""
    if name == "ray":
        try:
            from benchmark.run.executor import ray_pool
        except ImportError as error:
            way = "pip install 'mhpfl-benchmark[ray]', or pip install -e '.[ray]' in a checkout"
            raise RequestError(f"--executor ray needs Ray ({error}); install it: {way}") from error
        return ray_pool.execute_on_ray
    from benchmark.run.executor import local_pool

    return local_pool.execute_here if jobs is None else local_pool.execute_in_processes


def _as_tuned(request: "Request", experiment: str) -> list["Request"]:
    """Return a request for each comparison, with the methods as they were chosen for it. Raises RequestError."""
    from benchmark.run.tuned import chosen
    from benchmark.storage.names import file_name

    return [choice.request for choice in chosen(request, file_name("--tuned", experiment))]


def _execute(
    grids: Sequence[tuple[Sequence["Run"], "Request"]], execute_all: Callable, as_json: bool
) -> list["Outcome"]:
    """Execute grids one after the other; say before the first run what follows."""
    from benchmark.run.progress_display import display
    from benchmark.run.runner import is_complete, title

    titles = [title(run, i, len(runs)) for runs, _ in grids for i, run in enumerate(runs, start=1)]
    rounds = sum(run.rounds for runs, _ in grids for run in runs)
    there = sum(is_complete(run, request) for runs, request in grids for run in runs)
    counts = plural(len(titles), "run") + (f", {there} of them already there" if there else "")
    where = ", ".join(dict.fromkeys(str(request.results / request.experiment) for _, request in grids))
    with display(quiet=as_json) as shown, users_code():
        shown.say(f"{counts}, {plural(rounds, 'round')} in all; results: {where}")
        shown.begin(titles, rounds)
        return [outcome for runs, request in grids for outcome in execute_all(runs, request, shown)]


def _end(outcomes: Sequence["Outcome"], request: "Request", options: Options) -> int:
    """Write the report; return the exit code."""
    failed = any(outcome.status != "done" for outcome in outcomes)
    written = options.no_report or _report(request, options.reports, options.as_json)
    return 1 if failed or not written else 0


def _show(
    outcomes: Sequence["Outcome"], request: "Request", as_json: bool, choices: Sequence["Chosen"] | None = None
) -> None:
    """Print the outcomes of a grid, and the reasons of those that are not done on standard error."""
    from benchmark.cli.tables import choices_document, outcomes_document

    if as_json:
        document = outcomes_document(request.experiment, outcomes)
        tuned = {} if choices is None else {"chosen": choices_document(choices)}
        click.echo(json.dumps(document | tuned, indent=1))
    elif outcomes:
        from benchmark.cli.outcome_table import show_outcome_tables

        show_outcome_tables(outcomes)
    else:
        click.echo(f"the grid has no run for shard {'/'.join(map(str, request.shard))}")
    for o in outcomes:
        if o.status != "done":
            click.echo(f"{o.status}: {o.spec.method.label} on {o.spec.dataset}: {o.reason}", err=True)


def _show_choices(choices: Sequence["Chosen"]) -> None:
    """Print what was chosen, by validation accuracy; test accuracies of trials are for the report alone."""
    from benchmark.cli.tables import choice_rows, show_rows

    show_rows(choice_rows(choices))


def _report(request: "Request", reports: Path, as_json: bool) -> bool:
    """Write the report of a grid; return whether that was possible."""
    from benchmark.report.write import ReportOptions, write_report

    try:
        (page,) = write_report(request.results, reports, [request.experiment], ReportOptions())
    except RequestError as error:
        click.echo(f"no report: {error}", err=True)
        return False
    if not as_json:
        click.echo(f"report: {page}")
    return True


def _predict(grids: Sequence[tuple[Sequence["Run"], "Request"]], as_json: bool, stand_ins: bool = False) -> int:
    """Print the predicted costs of runs; return the exit code.

    stand_ins: the runs of the last grid count once more, for what will be chosen instead of the defaults; and trials
    are many, so each is predicted on one seed
    """
    from benchmark.cli.tables import dry_document, dry_rows, dry_total, show_rows
    from benchmark.run.dry_run import planned, stand_in, totals

    request = grids[-1][1]
    with users_code():
        plans = [p for runs, each in grids for p in planned(runs, each, every_seed=not stand_ins)]
    plans += [stand_in(p) for p in plans[-len(grids[-1][0]) :]] if stand_ins else []
    total = totals(plans, request.jobs or 1)
    if as_json:
        click.echo(json.dumps(dry_document(request.experiment, plans, total), indent=1))
        return 0
    if plans:
        show_rows(dry_rows(plans))
    click.echo(dry_total(total, request.jobs or 1))
    if request.audit:
        tell("what an audit takes is left out of these seconds")
    return 0
