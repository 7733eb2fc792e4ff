"""Options that several commands have."""

from collections.abc import Callable
from functools import cache
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

import click

from benchmark.errors import as_option

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

COUNT = click.IntRange(min=1, max=1_000_000)
PROCESSES = click.IntRange(min=1, max=10_000)
THREADS = click.IntRange(min=1, max=1024)
EXECUTOR = "Where processes are: on this machine, or on a Ray cluster, as many as it has room for, or --jobs."


class FiniteRange(click.FloatRange):
    """A range of finite numbers: click accepts nan, because it is neither below nor above a limit."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the number. Raises click's own error."""
        number: float = super().convert(value, param, ctx)
        if not isfinite(number):
            self.fail(f"{value} is not a finite number", param, ctx)
        return number


def folder_option(name: str, text: str) -> Callable:
    """Return an option for a folder, which is called as the option is."""
    return click.option(
        f"--{name}", type=click.Path(path_type=Path, file_okay=False), default=Path(name), show_default=True, help=text
    )


json_option = click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output.")
image_size_option = click.option(
    "--image-size",
    type=click.IntRange(1, 4096),
    metavar="N",
    help="Resize all pictures to N x N.  [their own size, or 32 if they have several]",
)


@cache
def _axes_and_settings() -> list[click.Parameter]:
    """Return options for the axes of the grid, then for the fields of the federation; they default to the preset."""
    from benchmark.cli.arguments import AXES, FEDERATION

    described = {name: (default, text) for name, (default, text) in AXES.items()}
    described |= {
        name: ("" if field.default is None else str(field.default), field.description)
        for name, field in FEDERATION.items()
    }
    return [
        _option(name, default, text, "A,B,..." if name in AXES else _values(FEDERATION[name]))
        for name, (default, text) in described.items()
    ]


def _values(field: "FieldInfo") -> str:
    """Return what stands for the value of a field in help: the words that it may be, if these are few."""
    return "|".join(get_args(field.annotation)) if get_origin(field.annotation) is Literal else "X"


def _option(name: str, default: str, text: str | None, metavar: str) -> click.Option:
    """Return an option that has a value; or none, if it is off unless it is given."""
    words = [as_option(name)]
    if default == "False":
        return click.Option(words, flag_value="true", help=text)
    return click.Option(words, metavar=metavar, help=f"{text}  [{default}]" if default else text)


class Grid(click.Command):
    """A command with the options of the grid after its first one; they are made only when needed."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Return all options."""
        first, *others = super().get_params(ctx)
        return [first, *_axes_and_settings(), *others]


_EXECUTION = [
    click.option("--preset", metavar="NAME", help="A named set of defaults; see `list presets`."),
    click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:1; several for --jobs."),
    click.option(
        "--engine",
        type=click.Choice(["auto", "eager", "graphs", "stacked"]),
        default="auto",
        show_default=True,
        help="How clients are trained: step by step, by CUDA graphs, or alike ones side by side.",
    ),
    click.option(
        "--jobs", type=PROCESSES, metavar="N", help="Do N runs at a time, each in its own process.  [one, in this]"
    ),
    click.option(
        "--threads", type=THREADS, metavar="N", help="Threads of each process.  [cores / jobs, or torch's choice]"
    ),
    click.option("--executor", type=click.Choice(["local", "ray"]), default="local", show_default=True, help=EXECUTOR),
    click.option(
        "--ray-address", metavar="A", help="The Ray cluster: auto or HOST:PORT.  [one that ends with the command]"
    ),
    image_size_option,
    folder_option("data", "Where data sets are kept as <name>.npz."),
    folder_option("results", "Where results are kept."),
    folder_option("reports", "Where reports are written."),
    click.option("--force", is_flag=True, help="Run again what is already there."),
    click.option("--inspect", is_flag=True, help="Store what methods show of their predictions, such as gate weights."),
    click.option(
        "--audit",
        type=click.Choice(["privacy", "privacy:small"]),
        help="Attack the messages of a few clients, and store what they give away.",
    ),
    click.option("--forecast", is_flag=True, help="Predict what each run costs before its first round, and record it."),
    click.option(
        "--checkpoint-every",
        type=FiniteRange(min=0, max=86_400),
        metavar="SECONDS",
        default=20.0,
        show_default=True,
        help="At most one checkpoint of a run in so many seconds; 0: one after every round.",
    ),
    click.option("--no-report", is_flag=True, help="Leave the report as it is."),
    click.option(
        "--dry-run", is_flag=True, help="Only say what each run would cost; results and report stay as they are."
    ),
    json_option,
]


def execution_options(command: Callable) -> Callable:
    """Give a command the options that say how and where the runs of a grid are executed."""
    for option in reversed(_EXECUTION):
        command = option(command)
    return command
