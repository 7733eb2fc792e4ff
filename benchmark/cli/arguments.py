"""Values of the command line's texts; a text that is no value raises a RequestError of one line."""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.config import FederationConfig
from benchmark.errors import RequestError, plain
from benchmark.plugins.presets import preset
from benchmark.plugins.registry import sized
from benchmark.storage.names import file_name

if TYPE_CHECKING:
    from benchmark.devices.profile import Profile
    from benchmark.run.plan import Request

MAIN_METHODS = ",".join(preset("demo")["methods"])
AXES = {
    "methods": (
        MAIN_METHODS,
        "Methods: names, .py files or dotted modules; +key=value for other hyper-parameters, or for an "
        "lr, momentum, weight_decay, optimizer, clip_norm or lr_decay of its own.",
    ),
    "datasets": (
        "",
        "Data sets: names, .npz or .py files, dotted modules, folders of images or of clients' files. Without it, the "
        "preset demo.",
    ),
    "partition": (
        "pathological",
        "How data are divided: pathological[:n], dirichlet:a, quantity:a, label-quantity:a:q, iid, natural[:n] (by "
        "owner) or given (by owner, in the data's own split), with +rotated or +recoloured after it if clients see "
        "images differently.",
    ),
    "models": (
        "cnn5",
        "Line-ups of local models: names, .py files or dotted modules (module:name of several); +adapter=pool, linear "
        "or none and +width=n bring all representations to one width.",
    ),
    "clients": ("10", FederationConfig.model_fields["clients"].description),
    "participation": ("1.0", FederationConfig.model_fields["participation"].description),
    "seeds": ("0", "Seeds; each gives partition, participants, batches and initial weights."),
}
FEDERATION = {name: field for name, field in FederationConfig.model_fields.items() if name not in AXES}


def experiments_of(results: Path, text: str | None) -> list[str]:
    """Return the experiments that were named. Raises RequestError if one does not exist."""
    chosen = [file_name("--experiment", name) for name in text.split(",")] if text else []
    for name in chosen:
        if not (results / name).is_dir():
            raise RequestError(f"there is no experiment {name!r} in {results}")
    return chosen


def request_of(
    preset_name: str | None,
    given: Mapping[str, str | None],
    experiment: str | None,
    argv: tuple[str, ...],
    image_size: int | None = None,
    **others: Any,
) -> "Request":
    """Return the request: given values take precedence over the preset, and that over defaults. Raises RequestError."""
    from benchmark.run.plan import Request

    defaults = preset(preset_name) if preset_name else {}
    values: dict[str, Any] = defaults | {name: value for name, value in given.items() if value is not None}
    axes = {name: _commas(name, values.get(name, default)) for name, (default, _) in AXES.items()}
    return Request(
        methods=axes["methods"],
        datasets=[with_image_size(text, image_size) for text in axes["datasets"]],
        partition=axes["partition"],
        models=axes["models"],
        clients=_numbers("clients", axes["clients"], int),
        participation=_numbers("participation", axes["participation"], float),
        seeds=_numbers("seeds", axes["seeds"], int),
        federation={name: values[name] for name in FEDERATION if name in values},
        experiment=file_name("--experiment", (preset_name or "default") if experiment is None else experiment),
        command=["python", "-m", "benchmark", *map(plain, argv)],
        **others,
    )


def seeds_of(option: str, text: str) -> list[int]:
    """Return the seeds of an option. Raises RequestError."""
    return _numbers(option, _commas(option, text), int)


def with_image_size(text: str, side: int | None) -> str:
    """Return a data set's text with the size of its pictures behind it, unless it has one or there is none."""
    return text if side is None or sized(text)[1] is not None else f"{text}+image-size={side}"


def shard_of(text: str | None) -> tuple[int, int]:
    """Return (i, n) of i/n; (1, 1), which is the whole grid, for None. Raises RequestError."""
    found = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text or "1/1")
    i, n = map(int, found.groups()) if found else (0, 0)
    if not 1 <= i <= n:
        raise RequestError(f"--shard is i/n with i from 1 to n, such as 2/8, not {text!r}")
    return i, n


def _commas(name: str, value: Any) -> list[str]:
    items = [str(item) for item in value] if isinstance(value, list) else [item.strip() for item in value.split(",")]
    if not all(items):
        raise RequestError(f"--{name} {value!r} has an empty name in it; separate names by single commas")
    return items


def _numbers(name: str, texts: Sequence[str], kind: Callable[[str], Any]) -> list[Any]:
    return [_number(name, text, kind) for text in texts]


def _number(name: str, text: str, kind: Callable[[str], Any]) -> Any:
    try:
        return kind(text)
    except ValueError:
        raise RequestError(f"--{name} should be {'whole ' if kind is int else ''}numbers, not {text!r}") from None


def targets_of(text: str | None) -> dict[str, float]:
    """Return accuracies by data set; '' has that of all others. Raises RequestError."""
    targets = {}
    for item in text.split(",") if text else ():
        name, _, value = item.rpartition("=")
        targets[name] = _number("target", value, float)
        if not 0 < targets[name] <= 100:
            raise RequestError(f"--target is above 0 and at most 100 percent, not {value}")
    return targets


def budgets_of(text: str | None) -> dict[str, list[float]]:
    """Return the budgets in bytes and in FLOPs. Raises RequestError."""
    budgets: dict[str, list[float]] = {"bytes": [], "flops": []}
    for item in text.split(",") if text else ():
        found = re.fullmatch(r"\s*([\d.]+)\s*([kMGTP]?)(B|FLOP)\s*", item)
        value = _number("budget", found[1], float) if found else 0
        if not found or not 0 < value < math.inf:
            raise RequestError(f"--budget is a number above 0 with a unit, such as 10MB or 2TFLOP, not {item!r}")
        budgets["bytes" if found[3] == "B" else "flops"].append(value * 1000 ** " kMGTP".index(found[2] or " "))
    return budgets


def devices_of(text: str | None) -> list["Profile"]:
    """Return the profiles that were named, in their order. Raises RequestError."""
    from benchmark.devices.profile import profile

    found = [profile(word.strip()) for word in text.split(",")] if text else []
    if len({each.name for each in found}) < len(found):
        raise RequestError(f"--devices {text} has two profiles of one name; leave one out, or rename its file")
    return found
