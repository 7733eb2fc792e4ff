"""A display that records what it is asked to show, for tests of pools."""

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest


@dataclass
class RecordingProgress:
    """Progress of one run, as a list of calls."""

    records: list

    def go_on(self, rounds_done):
        self.records.append(("goes on", rounds_done))

    def round(self, number, accuracy):
        self.records.append(number)

    def finish(self, status):
        self.records.append(status)

    def leave(self, why):
        self.records.append(why)


@dataclass
class RecordingDisplay:
    """A display that records all calls, and calls when_waiting when only runs of other processes are left."""

    when_waiting: Callable[[], object] = lambda: None
    records: dict[str, list] = field(default_factory=dict)
    waited: list[int] = field(default_factory=list)

    def start(self, title, rounds):
        self.records.setdefault(title, []).append(rounds)
        return RecordingProgress(self.records[title])

    def wait(self, runs):
        self.waited.append(runs)
        self.when_waiting()

    def say(self, line):
        self.records.setdefault("said", []).append(line)


@pytest.fixture(name="RecordingDisplay", scope="session")
def _recording_display() -> type[RecordingDisplay]:
    return RecordingDisplay
