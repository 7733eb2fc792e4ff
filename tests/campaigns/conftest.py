"""Campaigns: how many inputs or faults are tried, and the table of what became of them at the end.

In the suite each takes some seconds; `make fuzz` and `make faults` are the full forms.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

OUTCOMES = ("tried", "worked", "answered", "lost", "wrong")
"""worked: as if nothing had been; answered: refused, in one line; lost: results that had been stored are gone;
wrong: a traceback, a hang, or numbers that are not what they should be.
"""


def size(name: str, small: int) -> int:
    """How many there are: MHPFL_INPUTS and MHPFL_FAULTS say it for the full forms."""
    return int(os.environ.get(name, small))


@pytest.fixture
def tally(record_property) -> Iterator[Callable[[str, str], None]]:
    """Count the outcome of one input or fault of a kind; travels with the test's report to the table."""
    counts: Counter[str] = Counter()
    yield lambda kind, outcome: counts.update([f"{kind}|{outcome}"])
    record_property("campaign", dict(counts))


def pytest_terminal_summary(terminalreporter) -> None:
    """Print the table: a row for each kind."""
    counts: Counter[str] = Counter()
    for reports in terminalreporter.stats.values():
        for report in reports:
            for name, found in getattr(report, "user_properties", ()):
                counts.update(found if name == "campaign" and getattr(report, "when", "") == "teardown" else {})
    kinds = sorted({key.partition("|")[0] for key in counts})
    if not kinds:
        return
    terminalreporter.section("campaigns")
    rows = [[kind, *(counts[f"{kind}|{outcome}"] for outcome in OUTCOMES)] for kind in kinds]
    for row in rows:
        row[1] = sum(row[2:])
    rows.append(["all", *(sum(row[i] for row in rows) for i in range(1, len(OUTCOMES) + 1))])
    terminalreporter.write_line(f"| {'kind':34} | {' | '.join(f'{name:>8}' for name in OUTCOMES)} |")
    terminalreporter.write_line(f"|:{'-' * 34}-|{'|'.join('-' * 9 + ':' for _ in OUTCOMES)}|")
    for kind, *numbers in rows:
        terminalreporter.write_line(f"| {kind:34} | {' | '.join(f'{n:8}' for n in numbers)} |")
