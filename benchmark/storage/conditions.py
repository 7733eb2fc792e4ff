"""Conditions of a run, on which its numbers may depend though they are no part of its specification. No torch."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import median
from typing import Any

EnvironmentFacts = Mapping[str, Any]


def _packages(environment: EnvironmentFacts) -> Any:
    return {**environment["packages"], "python": environment["python"]}


def _device(environment: EnvironmentFacts) -> Any:
    kind = environment["device"].partition(":")[0]  # one of several alike
    return f"{kind} {environment['cpu'] if kind == 'cpu' else environment['device_name']}"


OF_METHOD = "method's code"
"""The one condition in which methods differ by nature."""
CONDITIONS: Mapping[str, Callable[[EnvironmentFacts], Any]] = {
    "code": lambda environment: environment["code"]["harness"],
    OF_METHOD: lambda environment: environment["code"]["method"],
    "packages": _packages,
    "device": _device,
    "threads": lambda environment: environment["threads"],
    "engine": lambda environment: environment["engine"],
}
"""Name of a condition -> what it was, from an environment; a KeyError if it is not on record."""


def condition(environment: EnvironmentFacts, name: str) -> Any:
    """Return what a condition was, None if it is not on record."""
    try:
        return CONDITIONS[name](environment)
    except (KeyError, TypeError, AttributeError):
        return None


def changed(before: EnvironmentFacts, after: EnvironmentFacts) -> list[str]:
    """Return the names of the conditions that are on record in both environments and differ."""
    pairs = {name: (condition(before, name), condition(after, name)) for name in CONDITIONS}
    return [name for name, (a, b) in pairs.items() if a is not None and b is not None and a != b]


def unlike(runs: Iterable[tuple[str, EnvironmentFacts]]) -> list[str]:
    """Return in words where the conditions of a comparison's runs differ, from (method label, environment) of each."""
    by_label: dict[str, list[EnvironmentFacts]] = {}
    for label, environment in runs:
        by_label.setdefault(label, []).append(environment)
    everything = [environment for environments in by_label.values() for environment in environments]
    found = _mixtures(everything, [name for name in CONDITIONS if name != OF_METHOD])
    for label, environments in sorted(by_label.items()):
        found += [f"{label}: {words}" for words in _mixtures(environments, [OF_METHOD])]
    return found


STANDSTILL = 3
"""All rounds together take so many times as long as if each took the median, at least, if the machine stood still."""
STANDSTILL_SECONDS = 60.0
"""What a standstill takes at least: the first round of any process is a little longer."""


def standstill(seconds: Sequence[float]) -> list[str]:
    """Say that a run's machine stood still, or was busy, in a few of its rounds, from the seconds [R] of each.

    [] if it was not. Clocks run on while a machine is suspended, or its cores are given to others.
    """
    usual = median(seconds) * len(seconds) if seconds else 0.0
    if not 0 < STANDSTILL * usual <= sum(seconds) or sum(seconds) - usual < STANDSTILL_SECONDS:
        return []
    times = f"{sum(seconds) / usual:.0f} times as long as if each had taken the median"
    return [f"its rounds took {times}: the machine stood still or was busy, so its seconds say nothing"]


def _mixtures(environments: Sequence[EnvironmentFacts], names: Iterable[str]) -> list[str]:
    """Return in words, for each condition that differs among some runs, how many runs had which."""
    found = []
    for name in names:
        values = [condition(environment, name) for environment in environments]
        counts = Counter(json.dumps(value, sort_keys=True) for value in values if value is not None)
        if len(counts) > 1:
            listed = [f"{in_words(json.loads(value))} ({number})" for value, number in sorted(counts.items())]
            found.append(f"{name} {', '.join(listed)}")
    return found


def in_words(value: Any) -> str:
    """Return what a condition was, in words."""
    if isinstance(value, Mapping):
        return " ".join(f"{name} {other}" for name, other in value.items())
    return str(value)
