"""The command line: it turns words into a request, and outcomes into words and an exit code.

Exit codes: 0 all done, 1 some runs failed or a check did not hold, 2 the request itself is wrong, 130 interrupted,
143 terminated.

Commands import torch when they run, if they need it; also pydantic, which takes longer to import than all else that
`--help` needs.
"""

import errno
import json
import shlex
import sys
from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from benchmark import __version__
from benchmark.cli.grids import run, tune
from benchmark.cli.options import COUNT, FiniteRange, folder_option, image_size_option, json_option
from benchmark.errors import RequestError, StorageError, Terminated, plain, plural, printable_line, telling, unknown
from benchmark.run.ending import INTERRUPTED, TERMINATED
from benchmark.run.streams import discard_output, users_code
from benchmark.storage.files import check_writable
from benchmark.storage.moments import MOMENTS

if TYPE_CHECKING:
    from benchmark.report.compare import ResultCheck
    from tools.perf.timings import TimingCheck

KINDS = {
    "methods": "algorithms, for --methods",
    "datasets": "data sets, for --datasets",
    "models": "line-ups of networks, for --models",
    "partitions": "ways to divide a data set among clients, and shifts (+...) of their pictures, for --partition",
    "presets": "sets of defaults, for --preset",
    "devices": "profiles of devices and links, for report --devices",
}
"""What `list` can list."""
PYTHON = ("python", "-m", "benchmark")
PROGRAM = shlex.join(PYTHON)
LONGEST_LINE = 2000
"""Characters of an error: what was typed may be longer."""
SHOWN_CHARACTERS = 200


def main(argv: Sequence[str]) -> int:
    """Run one command; return the exit code."""
    words: dict[str, Any] = {"prog_name": PROGRAM, "standalone_mode": False, "obj": tuple(argv)}
    try:
        with telling(partial(click.echo, err=True)):
            code = cli.main(args=list(argv) or ["--help"], **words) or 0
        sys.stdout.flush()  # while it can still be said that it can't be written
        return code
    except (click.ClickException, RequestError) as error:
        return _refuse(error.format_message() if isinstance(error, click.ClickException) else str(error), 2)
    except StorageError as error:
        return _refuse(str(error), 1)
    except BrokenPipeError:  # whoever read the output has what it wanted
        discard_output()
        return 1
    except OSError as error:
        named = isinstance(error.filename, str)
        if not named:
            discard_output()
        place = error.filename[:SHOWN_CHARACTERS] if named else "the output"
        wrong = error.errno in (errno.ENAMETOOLONG, errno.EILSEQ, errno.ELOOP, errno.ENOTDIR)
        return _refuse(f"{place}: {error.strerror or error}", 2 if wrong else 1)
    except (click.Abort, KeyboardInterrupt, Terminated) as error:
        how, code = ("terminated", TERMINATED) if isinstance(error, Terminated) else ("interrupted", INTERRUPTED)
        click.echo(f"{how}; the same command, without --force, goes on after the last checkpoint", err=True)
        return code


def _refuse(message: str, code: int) -> int:
    """Say in one line why a command has not done what it should; return the exit code."""
    line = printable_line(message)
    click.echo(f"error: {line if len(line) <= LONGEST_LINE else line[:LONGEST_LINE] + '…'}", err=True)
    return code


class Commands(click.Group):
    """A group that suggests the nearest command for an unknown one."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the arguments. Raises RequestError if there are none: click would print the whole help as an error."""
        if not args:
            raise RequestError(f"name a command of {ctx.command_path}: {', '.join(sorted(self.commands))}")
        return super().parse_args(ctx, args)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command and its arguments. Raises RequestError if there is no such command."""
        if args and args[0] not in self.commands:
            raise unknown("command", args[0], self.commands)
        return super().resolve_command(ctx, args)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.version_option(__version__, prog_name="benchmark")
def cli() -> None:
    """Benchmark of model-heterogeneous personalised federated learning.

    \b
    python -m benchmark run                                        the demo, one or two minutes
    python -m benchmark run --methods fedmoe,fml --datasets cifar10,cifar100
    python -m benchmark tune --methods fedmoe,fml                  each method's best settings of as many trials
    python -m benchmark report                                     tables and figures anew
    python -m benchmark check my/method.py                         does your method do what every method must?
    """


cli.add_command(run)
cli.add_command(tune)


@cli.command()
@folder_option("results", "Where results are kept.")
@folder_option("reports", "Where reports are written.")
@click.option("--experiment", metavar="A,B,...", help="Only these experiments.  [all but trials of `tune`]")
@click.option("--target", metavar="X or NAME=X,...", help="Accuracy in percent whose cost is given.  [the data set's]")
@click.option("--reference", metavar="METHOD", help="What others are tested against.  [standalone]")
@click.option(
    "--moment",
    type=click.Choice([*(moment.name for moment in MOMENTS), "both"]),
    default="both",
    show_default=True,
    help="When networks are judged: after local training, the next download or fine-tuning.",
)
@click.option("--budget", metavar="A,B,...", help="Accuracy is given within these: 10MB, 2TFLOP.  [powers of ten]")
@click.option(
    "--style", type=click.Choice(["column", "page", "slide"]), help="Figures for a paper or a talk.  [the page's]"
)
@click.option("--devices", metavar="A,B,...", help="Seconds on these: names (see `list devices`) or .toml files.")
@click.option("--all-figures", is_flag=True, help="Draw all figures of each of more than 30 comparisons.")
@click.pass_obj
def report(
    argv: tuple[str, ...],
    results: Path,
    reports: Path,
    experiment: str | None,
    target: str | None,
    reference: str | None,
    moment: str,
    budget: str | None,
    style: str | None,
    devices: str | None,
    all_figures: bool,
) -> None:
    """Write tables, figures and a page from results that are there."""
    from benchmark.cli.arguments import budgets_of, devices_of, experiments_of, targets_of
    from benchmark.report.write import ReportOptions, write_report

    chosen = experiments_of(results, experiment)
    shown = None if moment == "both" else moment
    again = shlex.join([*PYTHON, *argv])
    options = ReportOptions(
        targets_of(target), reference, budgets_of(budget), shown, style, all_figures, plain(again), devices_of(devices)
    )
    check_writable(reports)
    for page in write_report(results, reports, chosen, options):
        click.echo(f"report: {page}")


@cli.command()
@folder_option("results", "Where results are kept.")
@click.option("--experiment", metavar="A,B,...", help="Only these experiments.  [all]")
@json_option
def verify(results: Path, experiment: str | None, as_json: bool) -> int:
    """Check that results are whole and fit together; exit code 1 if they do not."""
    from benchmark.cli.arguments import experiments_of
    from benchmark.storage.verify import verify as examine

    findings, runs = examine(results, experiments_of(results, experiment))
    if findings and (below := next(results.glob("*/*/*/*/*/run.json"), None)):
        meant = results / below.relative_to(results).parts[0]
        raise RequestError(f"{results} is no folder of results; did you mean {meant}?")
    if not runs:
        raise RequestError(f"there are no results in {results}; name a folder of results or of one experiment")
    if as_json:
        listed = [{"path": str(path), "problem": problem} for path, problem in findings]
        click.echo(json.dumps({"ok": not findings, "runs": runs, "findings": listed}, indent=1))
    else:
        for path, problem in findings:
            click.echo("".join(c if c.isprintable() else "?" for c in f"{path}: {problem}"))
        wrong = plural(len(findings), "problem") if findings else "no problems"
        click.echo(f"{plural(runs, 'run')}, {wrong}")
    return 1 if findings else 0


def _tool(name: str) -> Any:
    """Import a module of tools/, which only a checkout has. Raises RequestError elsewhere."""
    try:
        return import_module(f"tools.{name}")
    except ModuleNotFoundError as error:
        raise RequestError("this is for the repository's upkeep; run it in the root of a checkout") from error


def _limit(name: str, default: float, text: str) -> Callable:
    kind = FiniteRange(min=0)
    return click.option(f"--{name}", type=kind, default=default, show_default=True, metavar="X", help=text)


@cli.command()
@click.argument("baseline", type=click.Path(path_type=Path, exists=True))
@click.argument("current", type=click.Path(path_type=Path, exists=True))
@_limit("accuracy", 1.0, "Points of accuracy that may be lost; more if chance explains it.")
@_limit("bytes", 0.0, "Percent of bytes that may come on top.")
@_limit("flops", 0.0, "Percent of FLOPs that may come on top.")
@_limit("time", 50.0, "Percent of normalised time that may come on top.")
@click.option("--subset", is_flag=True, help="The current results may lack what the baseline has.")
@click.option("--all", "show_all", is_flag=True, help="Also print what has not changed.")
@json_option
def compare(
    baseline: Path,
    current: Path,
    accuracy: float,
    bytes: float,
    flops: float,
    time: float,
    subset: bool,
    show_all: bool,
    as_json: bool,
) -> int:
    """Report whether CURRENT is worse than BASELINE; exit code 1 if it is.

    Both are folders of results, or of one experiment in them. In a checkout both may be files of timings as `make perf`
    writes them: then --time and --subset alone count.
    """
    from benchmark.cli import tables
    from benchmark.report.compare import Limits, compare_results

    if baseline.is_dir() != current.is_dir():
        raise RequestError(f"of {baseline} and {current} one is a folder; give two folders of results, or two files")
    checks: Sequence[ResultCheck | TimingCheck]
    unlike: list[str] = []
    if baseline.is_dir():
        limits = Limits(accuracy, bytes / 100, flops / 100, time / 100)
        checks = compare_results(baseline, current, limits, subset, unlike.append)
        show = tables.show_checks
    else:
        checks = _tool("perf.timings").compare_timings(baseline, current, time / 100, subset)
        show = tables.show_timings
    regressed = [check for check in checks if check.verdict in ("regressed", "missing")]
    if as_json:
        found = [[check._asdict() for check in group] for group in (regressed, checks)]
        document = {"ok": not regressed, "unlike": unlike, "findings": found[0], "checks": found[1]}
        click.echo(json.dumps(document, indent=1))
    else:
        for line in unlike:
            click.echo(printable_line(line))
        shown = [check for check in checks if show_all or check.changed]
        if shown:
            show(shown)
        hidden = (
            "" if len(shown) == len(checks) else f"; {len(checks) - len(shown)} have not changed (--all shows them)"
        )
        click.echo(f"{len(regressed) or 'nothing'} regressed of {plural(len(checks), 'check')}{hidden}")
    return 1 if regressed else 0


@cli.command()
@click.argument("targets", metavar="TARGET...", nargs=-1, required=True)
@image_size_option
@folder_option("data", "Where data sets are kept as <name>.npz.")
@json_option
def check(targets: tuple[str, ...], image_size: int | None, data: Path, as_json: bool) -> int:
    """Test methods, line-ups and data sets by the suite that those here pass; exit code 1 if a check does not hold.

    A TARGET is a name in the catalogue of methods (with +key=value for other hyper-parameters), line-ups or data sets,
    looked up in this order; or an .npz file or a folder of images: a data set; or a .py file or the dotted name of a
    module: what it defines, a Method, LINE_UP or LINE_UPS, or SOURCE.
    """
    from benchmark.cli.tables import show_results
    from benchmark.conformance.targets import checks_document, resolve_targets

    with users_code():
        found = [target for text in targets for target in resolve_targets(text, data, image_size)]
    examined = []
    for target in found:
        examined.append((target, target.run_checks()))
        if not as_json:
            show_results(f"{target.kind} {target.name}", examined[-1][1])
    results = [result for _, some in examined for result in some]
    broken = [result for result in results if result.verdict == "broken"]
    if as_json:
        click.echo(json.dumps(checks_document(examined), indent=1))
    else:
        click.echo(f"{len(results)} checks, {len(broken) or 'nothing'} broken")
    return 1 if broken else 0


@cli.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
def partition() -> None:
    """Show how a data set is divided among clients, or write it for other harnesses."""


def _divided(command: Callable) -> Callable:
    """Give a command the options that say what is divided, and how."""
    for option in (
        folder_option("data", "Where data sets are kept as <name>.npz."),
        image_size_option,
        click.option("--seeds", "seed", type=click.IntRange(min=0), default=0, show_default=True, help="The seed."),
        click.option("--clients", type=COUNT, default=10, show_default=True, help="Number of clients."),
        click.option("--partition", "text", metavar="P", default="pathological", show_default=True, help="How."),
        click.option("--datasets", "dataset", metavar="X", required=True, help="The data set."),
    ):
        command = option(command)
    return command


@partition.command()
@_divided
@json_option
def show(as_json: bool, **options: Any) -> None:
    """Print how many samples of each class each client has to train and to test on."""
    from benchmark.cli.division import divide, division_document, show_division

    division = divide(**options)
    if as_json:
        click.echo(json.dumps(division_document(division), indent=1))
    else:
        show_division(division)


@partition.command()
@_divided
@click.option("--to", type=click.Path(path_type=Path), metavar="DIR", required=True, help="A new folder.")
def export(to: Path, **options: Any) -> None:
    """Write the split that runs with these options have, in the layout of HtFLlib and PFLlib.

    As they keep no validation samples, those of --validation are training samples there. `--datasets DIR --partition
    given` reads the folder back.
    """
    from benchmark.cli.division import divide, export_division

    click.echo(export_division(divide(**options), to))


@cli.command(name="list")
@click.argument("what", type=click.Choice(list(KINDS)), required=False)
@json_option
def list_(what: str | None, as_json: bool) -> None:
    """List the available methods, data sets, line-ups, partitions or presets; without a word, these kinds."""
    from benchmark.cli.listing import listing

    kinds: list[dict[str, Any]] = [{"name": kind, "description": text} for kind, text in KINDS.items()]
    entries = kinds if what is None else listing(what)
    if as_json:
        click.echo(json.dumps(entries, indent=1))
        return
    width = max(len(entry["name"]) for entry in entries)
    for entry in entries:
        click.echo(f"{entry['name']:{width}}  {entry['description']}")
        for field in entry.get("hyperparameters", ()):
            click.echo(f"{'':{width}}    {field['name']}={field['default']}")


@cli.command()
@folder_option("data", "Where data sets are kept as <name>.npz.")
def doctor(data: Path) -> int:
    """Report what this machine has, and what is missing."""
    from benchmark.cli.doctor import diagnose

    findings = diagnose(data)
    width = max(len(name) for name, _, _ in findings)
    for name, good, text in findings:
        click.echo(f"{'ok ' if good else 'NO '} {name:{width}}  {text}")
    return 0 if all(good for _, good, _ in findings) else 1


@cli.command()
@click.option("--check", "only_check", is_flag=True, help="Write nothing; exit code 1 if a page is out of date.")
@click.option("--keep-costs", is_flag=True, help="Take the costs as they are stored instead of measuring them.")
def document(only_check: bool, keep_costs: bool) -> int:
    """Write the generated parts of docs/methods and README in a checkout; measuring costs takes two minutes."""
    pages = _tool("docs.pages")
    root = pages.checkout()
    left = []
    for change in pages.page_changes(root, lambda name: click.echo(f"measuring {name}", err=True), keep_costs):
        if only_check or change.text is None:
            left.append(change)
            click.echo(f"{change.file.relative_to(root)}: {change.reason}")
        else:
            pages.write_change(change)
            click.echo(f"written: {change.file.relative_to(root)}")
    return 1 if left else 0
