"""Comparison of timings of `make perf` with a baseline, to find what has become slower. No torch.

A timing is what a benchmark of tests/perf/timings took in units of a kernel that ran in turns with it, so it holds on
other machines too, as far as they do both kinds of work equally well. There are two kinds of files: those that
pytest-benchmark writes of one run, and baselines, which also have the spread of several runs.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, NamedTuple

from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from benchmark.errors import RequestError
from benchmark.fields import NonNegative, Positive


class Timing(BaseModel):
    """One benchmark's result.

    normalised: time in units of the kernel's; spread: how far repeated runs lay apart, as a share of their median
    """

    group: str
    normalised: Positive
    spread: NonNegative = 0.0


class Baseline(BaseModel):
    """A stored baseline: benchmark -> its timing, and where they were measured."""

    timings: Annotated[dict[str, Timing], Field(min_length=1)]
    measured: dict[str, str | int]


class Normalised(BaseModel):
    """The entry that a benchmark of ours adds to its result."""

    normalised: Positive


class TimedBenchmark(BaseModel):
    """One benchmark of a run."""

    name: str
    group: str
    extra_info: Normalised


class TimingRun(BaseModel):
    """The file that pytest-benchmark writes, as far as it is read."""

    benchmarks: Annotated[list[TimedBenchmark], Field(min_length=1)]

    @property
    def timings(self) -> dict[str, Timing]:
        """Benchmark -> its timing."""
        return {b.name: Timing(group=b.group, normalised=b.extra_info.normalised) for b in self.benchmarks}


TIMINGS_FILE: TypeAdapter[Baseline | TimingRun] = TypeAdapter(Baseline | TimingRun)


class TimingCheck(NamedTuple):
    """One benchmark, before and now.

    baseline, current: normalised times, None if there is none; change: a share of the baseline; limit: how much was
    allowed, the baseline's spread included; verdict: ok, better, regressed, missing, or new
    """

    group: str
    name: str
    baseline: float | None
    current: float | None
    change: float | None
    limit: float | None
    verdict: str

    @property
    def changed(self) -> bool:
        """Whether it is beyond the limit; timings never repeat themselves."""
        return self.verdict != "ok"


def compare_timings(baseline: Path, current: Path, limit: float, subset: bool = False) -> list[TimingCheck]:
    """Compare every benchmark of either file, in the baseline's order, then those that are new.

    limit: the share of normalised time that may come on top of the baseline and its spread; subset: benchmarks that
    have no current timing are left out. Raises RequestError if a file has no timings, or the two have none in
    common.
    """
    before, now = read_timings(baseline), read_timings(current)
    if not before.keys() & now.keys():
        raise RequestError(f"{baseline} and {current} have no timing in common; name two files of `make perf`")
    known = [name for name in before if name in now or not subset]
    new = [
        TimingCheck(timing.group, name, None, timing.normalised, None, None, "new")
        for name, timing in now.items()
        if name not in before
    ]
    return [_timing_check(name, before[name], now.get(name), limit) for name in known] + new


def read_timings(path: Path) -> Mapping[str, Timing]:
    """Read benchmark -> its timing, from a baseline or from a run. Raises RequestError."""
    try:
        return TIMINGS_FILE.validate_json(path.read_bytes()).timings
    except (OSError, ValidationError) as error:
        raise RequestError(f"{path} has no timings, or damaged ones; `make perf` makes a file that has") from error


def _timing_check(name: str, before: Timing, now: Timing | None, limit: float) -> TimingCheck:
    if now is None:
        return TimingCheck(before.group, name, before.normalised, None, None, None, "missing")
    change, allowed = now.normalised / before.normalised - 1, limit + before.spread
    verdict = "regressed" if change > allowed else "better" if change < -allowed else "ok"
    return TimingCheck(before.group, name, before.normalised, now.normalised, change, allowed, verdict)
