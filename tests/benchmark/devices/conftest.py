"""Two clients, two rounds, in numbers that are easy to work with; and a profile."""

from collections.abc import Callable
from pathlib import Path

import pytest

from benchmark.devices.profile import Profile
from benchmark.devices.stored_work import StoredWork


def participant(id: int, flops: int, down: int, up: int, seconds: float = 1.0) -> dict:
    return {
        "id": id,
        "flops": flops,
        "bytes_down": {"a": down - down // 2, "b": down // 2} if down else {},
        "bytes_up": {"a": up} if up else {},
        "seconds": {"training": 0.75 * seconds, "messages": 0.25 * seconds},
    }


def work_of(*rounds: list[tuple], server_flops: int = 0) -> StoredWork:
    """A workload; each participant is (id, FLOPs, bytes down, bytes up), with seconds if they matter."""
    return StoredWork.of(
        [
            {"clients": [participant(*each) for each in of_round], "server_flops": server_flops, "server_seconds": 0.5}
            for of_round in rounds
        ]
    )


@pytest.fixture(name="work_of")
def _work_of() -> Callable[..., StoredWork]:
    return work_of


@pytest.fixture
def two_by_two() -> StoredWork:
    """Round 1: client 0 computes, client 1 sends more. Round 2: client 1 alone, and nothing goes down."""
    first = [(0, 8_000, 1_000, 500), (1, 1_000, 4_000, 2_000)]
    return work_of(first, [(1, 6_000, 0, 250, 3.0)], server_flops=400)


@pytest.fixture
def slow() -> Profile:
    """8,000 bit/s down and 4,000 up, half a second there and back, 1,000 FLOP/s; the server has 200."""
    sources = dict.fromkeys(("down", "up", "round_trip", "flops", "server_flops"), "made up")
    numbers = {"down": 8_000.0, "up": 4_000.0, "round_trip": 0.5, "flops": 1_000.0, "server_flops": 200.0}
    return Profile(name="slow", description="slow", sources=sources, **numbers)


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """A profile's file."""
    file = tmp_path / "mine.toml"
    file.write_text(
        'description = "mine"\ndown = 5e6\nup = 1e6\nround_trip = 0.028\nflops = 50e9\nserver_flops = 1e12\n'
        'joules_per_flop = 1e-10\njoules_per_byte = 1e-6\n[sources]\ndown = "a"\nup = "a"\nround_trip = "a"\n'
        'flops = "a"\nserver_flops = "a"\njoules_per_flop = "a"\njoules_per_byte = "a"\n'
    )
    return file
