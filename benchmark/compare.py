"""Whether results have become worse: for continuous integration. No torch.

Runs are paired by data set, method label, setting and seed. Bytes and FLOPs are facts; accuracy has noise, which the
paired differences tell; seconds depend on the machine, so they count as multiples of what its matrix product would
have taken for the same FLOPs.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmark.errors import RequestError
from benchmark.record import RunFolder
from benchmark.report.frame import StoredRun
from benchmark.report.statistics import paired_t


@dataclass(frozen=True)
class Limits:
    """What is no regression yet: points of accuracy, and shares of bytes, FLOPs and normalised time."""

    accuracy: float = 1.0
    bytes: float = 0.0
    flops: float = 0.0
    time: float = 0.5


class Check(NamedTuple):
    """One number of one method, before and now.

    change: points of accuracy, or a share of the baseline; limit: how much was allowed, noise included
    verdict: ok, better, or regressed
    """

    dataset: str
    method: str
    setting: str
    what: str
    baseline: float | str
    current: float | str
    change: float | None
    limit: float | None
    verdict: str


Pair = tuple[StoredRun, StoredRun]


def compare(baseline: Path, current: Path, limits: Limits, subset: bool = False) -> list[Check]:
    """All checks, by data set and method. subset: runs of the baseline that are not there now are left out.

    Raises RequestError where a folder has no results, damaged ones, or none that the other has.
    """
    before, now = _runs(baseline), _runs(current)
    common = [identity for identity in before if identity in now]
    if not common:
        raise RequestError(f"{baseline} and {current} have no run in common: method, data set, setting and seed differ")
    checks: list[Check] = []
    groups: dict[tuple[str, str, str], list[tuple[StoredRun, StoredRun | None]]] = {}
    for (dataset, label, setting, _), run in before.items():
        other = now.get((dataset, label, setting, run.seed))
        if run.done and (other or not subset):
            groups.setdefault((dataset, label, setting), []).append((run, other))
    for (dataset, label, setting), pairs in groups.items():
        for finding in _ended(pairs, limits):
            checks.append(Check(dataset, label, setting, *finding))
    return checks


def _runs(folder: Path) -> dict[tuple[str, str, str, int], StoredRun]:
    """What a run is, whatever its hyper-parameters: data set, label, setting in words, seed."""
    found: dict[tuple[str, str, str, int], StoredRun] = {}
    for path in sorted(folder.rglob("run.json")):
        run = StoredRun.read(RunFolder(path.parent))
        setting = {name: value for name, value in run.setting.items() if name not in ("data_hash", "dataset")}
        identity = (run.run["dataset"]["name"], run.label, json.dumps(setting, sort_keys=True), run.seed)
        if identity in found:
            raise RequestError(
                f"{folder} has {run.label} with seed {run.seed} twice; name the folder of one experiment"
            )
        found[identity] = run
    if not found:
        raise RequestError(f"there are no results in {folder}; name a folder of results or of one experiment")
    return found


Finding = tuple[str, float | str, float | str, float | None, float | None, str]


def _ended(pairs: Sequence[tuple[StoredRun, StoredRun | None]], limits: Limits) -> list[Finding]:
    """The checks of one method; the numbers only where all its runs are done on both sides."""
    both = [(run, other) for run, other in pairs if other and other.done]
    if len(both) < len(pairs):
        ends = [f"seed {run.seed}: {other.run['status'] if other else 'missing'}" for run, other in pairs]
        return [("status", "done", ", ".join(end for end in ends if not end.endswith("done")), None, None, "regressed")]
    return [
        ("status", "done", "done", None, None, "ok"),
        _accuracy(both, limits.accuracy),
        _share("bytes", both, lambda run: run.summary["bytes_up"] + run.summary["bytes_down"], limits.bytes),
        _share("FLOPs", both, lambda run: run.summary["client_flops"], limits.flops),
        *(
            [_share("time", both, _normalised_time, limits.time)]
            if all(_has_time(run) for pair in both for run in pair)
            else []
        ),
    ]


def _accuracy(pairs: Sequence[Pair], limit: float) -> Finding:
    """A drop is one where it is beyond the limit and beyond what chance explains: over seeds, or over clients."""
    before = [run.summary["accuracy_mean"] for run, _ in pairs]
    now = [other.summary["accuracy_mean"] for _, other in pairs]
    if None in before or None in now:
        return ("accuracy", "–", "–", None, limit, "ok" if before == now else "regressed")
    interval = paired_t(now, before) or paired_t(pairs[0][1].clients, pairs[0][0].clients)
    noise = (interval.high - interval.low) / 2 if interval else 0.0
    change, allowed = float(np.mean(now) - np.mean(before)), max(limit, noise)
    verdict = "regressed" if change < -allowed else "better" if change > allowed else "ok"
    return ("accuracy", float(np.mean(before)), float(np.mean(now)), change, allowed, verdict)


def _share(what: str, pairs: Sequence[Pair], of: Callable[[StoredRun], float], limit: float) -> Finding:
    before, now = (float(np.median([of(pair[side]) for pair in pairs])) for side in (0, 1))
    change = (now - before) / before if before else (0.0 if now == before else float(np.sign(now)))
    verdict = "regressed" if change > limit + 1e-12 else "better" if change < -limit - 1e-12 else "ok"
    return (what, before, now, change, limit, verdict)


def _has_time(run: StoredRun) -> bool:
    speed: Any = run.run["environment"].get("matrix_product_flops_per_second")
    return isinstance(speed, int | float) and speed > 0 and run.summary["client_flops"] > 0


def _normalised_time(run: StoredRun) -> float:
    """Seconds of training per second that the machine's matrix product would take for the same FLOPs."""
    speed: Any = run.run["environment"]["matrix_product_flops_per_second"]
    return run.summary["client_seconds"] * speed / run.summary["client_flops"]
