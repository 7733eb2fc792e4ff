"""Comparison of results with a baseline, to find what has become worse; for continuous integration. No torch.

Runs are paired by data set, method label, setting and seed. Bytes and FLOPs are facts, and the worst pair counts;
accuracy has noise, which is estimated from the paired differences; seconds depend on the machine, so they count as
multiples of what its matrix product would have taken for the same FLOPs, and the median counts.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np

from benchmark.errors import RequestError, tell
from benchmark.report.frame import names_of
from benchmark.report.premises import differing
from benchmark.report.statistics import paired_t
from benchmark.report.stored_run import StoredRun
from benchmark.storage.moments import LOCAL
from benchmark.storage.run_folder import run_folders

MOST_NOISE = 10
"""Chance may explain a drop of at most this many times the limit; a larger one is a regression, however uneven."""


@dataclass(frozen=True)
class Limits:
    """Largest changes that are no regression yet: points of accuracy, and shares of bytes, FLOPs, normalised time."""

    accuracy: float = 1.0
    bytes: float = 0.0
    flops: float = 0.0
    time: float = 0.5


class ResultCheck(NamedTuple):
    """One number of one method, before and now.

    comparison: the data set, and what differs if there are several settings of it
    change: points of accuracy, or a share of the baseline; limit: how much was allowed, noise included
    verdict: ok, better, or regressed
    """

    comparison: str
    method: str
    what: str
    baseline: float | str
    current: float | str
    change: float | None
    limit: float | None
    verdict: str

    @property
    def unit(self) -> str:
        """The unit of baseline and current."""
        return UNITS.get(self.what, "")

    @property
    def changed(self) -> bool:
        """Whether there is anything to tell. Seconds never repeat themselves: theirs count beyond the limit alone."""
        return self.verdict != "ok" or (self.what != "time" and self.baseline != self.current)


UNITS = {"accuracy": "%", "bytes": "B", "FLOPs": "FLOP", "server FLOPs": "FLOP", "time": "×"}
"""What is checked -> its unit. Time is in multiples of what the machine's matrix product takes for the same FLOPs."""
Pair = tuple[StoredRun, StoredRun]


def compare_results(
    baseline: Path, current: Path, limits: Limits, subset: bool = False, say: Callable[[str], object] = tell
) -> list[ResultCheck]:
    """Return all checks, by data set, setting and method. subset: leave out runs of the baseline that are missing now.

    say: is told, in a line each, what differs besides numbers. Raises RequestError if a folder has no results, damaged
    ones, or none that can be compared with the other's.
    """
    before, now = _runs(baseline), _runs(current)
    if not before.keys() & now.keys():
        raise RequestError(f"{baseline} and {current} have no run in common: method, data set, setting and seed differ")
    groups: dict[tuple[str, str], list[tuple[StoredRun, StoredRun | None]]] = {}
    for (setting, label, seed), run in before.items():
        other = now.get((setting, label, seed))
        if run.done and (other or not subset):
            groups.setdefault((setting, label), []).append((run, other))
    if not groups:
        raise RequestError(f"no run in {baseline} that could be compared is done")
    for line in differing([(run, other) for pairs in groups.values() for run, other in pairs if other]):
        say(line)
    settings = list(dict.fromkeys(setting for setting, _ in groups))
    names = dict(zip(settings, names_of([json.loads(setting) for setting in settings]), strict=True))
    return [
        ResultCheck(names[setting], label, *numbers)
        for (setting, label), pairs in groups.items()
        for numbers in _check_numbers(pairs, limits)
    ]


def _runs(folder: Path) -> dict[tuple[str, str, int], StoredRun]:
    """Return (setting, label, seed) -> run of a folder; hyper-parameters and the data's hash do not count.

    Raises RequestError if there are no runs, or two with the same key.
    """
    found: dict[tuple[str, str, int], StoredRun] = {}
    for run in map(StoredRun.read, (*run_folders(folder), *run_folders(folder.parent, [folder.name]))):
        setting = {name: value for name, value in run.whole_setting.items() if name != "data_hash"}
        identity = (json.dumps(setting, sort_keys=True), run.label, run.seed)
        if identity in found:
            raise RequestError(
                f"{folder} has {run.label} with seed {run.seed} twice; name the folder of one experiment, with one "
                "version of each method"
            )
        found[identity] = run
    if not found:
        raise RequestError(f"there are no results in {folder}; name a folder of results or of one experiment")
    return found


CheckNumbers = tuple[str, float | str, float | str, float | None, float | None, str]
"""The fields of a ResultCheck from `what` on."""


def _check_numbers(pairs: Sequence[tuple[StoredRun, StoredRun | None]], limits: Limits) -> list[CheckNumbers]:
    """Return the checks of one method; those of numbers only if all its runs are done on both sides."""
    both = [(run, other) for run, other in pairs if other and other.done]
    if len(both) < len(pairs):
        ends = [f"seed {run.seed}: {other.run['status'] if other else 'missing'}" for run, other in pairs]
        return [("status", "done", ", ".join(end for end in ends if not end.endswith("done")), None, None, "regressed")]
    timed = all(_has_time(run) for pair in both for run in pair)
    return [
        ("status", "done", "done", None, None, "ok"),
        _accuracy(both, limits.accuracy),
        _share("bytes", both, lambda run: run.summary["bytes_up"] + run.summary["bytes_down"], limits.bytes, max),
        _share("FLOPs", both, lambda run: run.summary["client_flops"], limits.flops, max),
        _share("server FLOPs", both, lambda run: run.summary["server_flops"], limits.flops, max),
        *([_share("time", both, _normalised_time, limits.time, median)] if timed else []),
    ]


def _accuracy(pairs: Sequence[Pair], limit: float) -> CheckNumbers:
    """Check accuracies: a drop is a regression if it is beyond the limit and beyond what chance explains.

    Chance has to explain it both over seeds and over clients: a loss that all seeds share equally is not chance, nor is
    one that all clients of a single seed share.
    """
    before, now = (np.concatenate([pair[side].clients[LOCAL] for pair in pairs]) for side in (0, 1))
    if not len(before) or not len(now):
        return ("accuracy", "–", "–", None, limit, "ok" if len(before) == len(now) else "regressed")
    means = [[run.clients[LOCAL].mean() for run in pair] for pair in pairs]
    intervals = [paired_t(now, before), paired_t([m for _, m in means], [m for m, _ in means])]
    noise = min([(found.high - found.low) / 2 for found in intervals if found], default=0.0)
    change, allowed = float(np.mean(now - before)), max(limit, min(noise, MOST_NOISE * limit))
    verdict = "regressed" if change < -allowed else "better" if change > allowed else "ok"
    return ("accuracy", float(before.mean()), float(now.mean()), change, allowed, verdict)


def _share(
    what: str,
    pairs: Sequence[Pair],
    of: Callable[[StoredRun], float],
    limit: float,
    over_pairs: Callable[[Iterable[float]], float],
) -> CheckNumbers:
    values = [(of(before), of(now)) for before, now in pairs]
    change = over_pairs([(now - before) / before if before else float(now > 0) for before, now in values])
    verdict = "regressed" if change > limit + 1e-12 else "better" if change < -limit - 1e-12 else "ok"
    total_before, total_now = (float(np.mean([value[side] for value in values])) for side in (0, 1))
    return (what, total_before, total_now, change, limit, verdict)


def _has_time(run: StoredRun) -> bool:
    speed: Any = run.run["environment"].get("matrix_product_flops_per_second")
    return isinstance(speed, int | float) and speed > 0 and run.summary["client_flops"] > 0


def _normalised_time(run: StoredRun) -> float:
    """Return the seconds of training divided by those that the machine's matrix product takes for as many FLOPs."""
    speed: Any = run.run["environment"]["matrix_product_flops_per_second"]
    return run.summary["client_seconds"] * speed / run.summary["client_flops"]
