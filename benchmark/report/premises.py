"""What differs between runs of before and of now besides their numbers: data, partition, method, code, environment.

Where something of it differs, a change of numbers says nothing of what else has changed.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from benchmark.report.stored_run import StoredRun
from benchmark.storage.conditions import CONDITIONS, condition, in_words

SHOWN_CHARACTERS = 12
"""Characters of a hash that tell it from others."""


PREMISES: Mapping[str, Callable[[StoredRun], Any]] = {
    "data": lambda run: run.run["dataset"]["hash"],
    "partition": lambda run: run.run["partition"]["hash"],
    "networks": lambda run: run.run["architectures"],
    "method": lambda run: run.version,
    **{name: lambda run, name=name: condition(run.run["environment"], name) for name in CONDITIONS},  # type: ignore[misc]
}
"""Name of what two runs should have in common -> what it is for one; None if it is not on record."""


def differing(pairs: Sequence[tuple[StoredRun, StoredRun]]) -> list[str]:
    """Return a line for each premise in which some runs of before and of now differ."""
    lines = []
    for name, of in PREMISES.items():
        values = [(of(before), of(now)) for before, now in pairs]
        differ = [(a, b) for a, b in values if a is not None and b is not None and a != b]
        if differ:
            shown = " -> ".join(map(_short, _differing_parts(*differ[0])))
            lines.append(
                f"{name} differ{'' if name in PLURALS else 's'} in {len(differ)} of {len(pairs)} runs: {shown}"
            )
    return lines


PLURALS = ("data", "networks", "packages", "threads")


def _differing_parts(a: Any, b: Any) -> Iterable[Any]:
    """Return two values, of two mappings only what differs."""
    if not isinstance(a, Mapping) or not isinstance(b, Mapping):
        return a, b
    names = [name for name in {**a, **b} if a.get(name) != b.get(name)]
    return [{name: side.get(name) for name in names} for side in (a, b)]


def _short(value: Any) -> str:
    words = ", ".join(dict.fromkeys(value)) if isinstance(value, list) else in_words(value)
    return words[:SHOWN_CHARACTERS] if len(words) >= 32 and words.isalnum() else words
