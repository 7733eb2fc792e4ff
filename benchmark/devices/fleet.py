"""Random fleets: clients whose devices and links differ, the same for all methods."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from benchmark.devices.clock import Rates, seconds_of_rounds
from benchmark.devices.profile import Profile
from benchmark.devices.stored_work import StoredWork

FLEET_DRAWS = 200
FLEET_SEED = 20_000
RATE_SIGMA = 0.762
"""Standard deviation of the logarithm of a rate: 997 phones train ResNet's step in 66, 166 and 465 ms at the tenth,
fiftieth and ninetieth percentile (FLHetBench, training_latency.json); ln(465 / 66) / (2 * 1.2816).
"""


class Fleets(NamedTuple):
    """Devices and links of each client in each draw, [draws, N] in bit/s, s and FLOP/s; and the server's rate."""

    down: np.ndarray
    up: np.ndarray
    round_trip: np.ndarray
    flops: np.ndarray
    server_flops: float


def draw_fleets(profiles: Sequence[Profile], clients: int, draws: int = FLEET_DRAWS) -> Fleets:
    """Draw fleets: each client has one of the profiles, as likely as any other, and a rate log-normal around its own.

    The server is the first profile's. Draws are always the same.
    """
    rng = np.random.default_rng(FLEET_SEED)
    chosen = rng.integers(len(profiles), size=(draws, clients))
    spread = np.exp(RATE_SIGMA * rng.standard_normal((draws, clients)))
    table = np.array([[p.down, p.up, p.round_trip, p.flops] for p in profiles])
    down, up, round_trip, flops = np.moveaxis(table[chosen], -1, 0)
    return Fleets(down, up, round_trip, flops * spread, profiles[0].server_flops)


def fleet_seconds(work: StoredWork, fleets: Fleets) -> np.ndarray:
    """Return the seconds of all rounds in each draw: [draws]."""
    found = np.empty(len(fleets.down))
    for draw in range(len(found)):  # one at a time: a run of many rounds with all draws would not fit in memory
        down, up, round_trip, flops = (of_draws[draw][work.clients] for of_draws in fleets[:4])
        found[draw] = seconds_of_rounds(work, Rates(down, up, round_trip, flops, fleets.server_flops)).sum()
    return found


def probability_before(seconds: np.ndarray, others: np.ndarray) -> float:
    """Return the share of draws in which one method needs fewer seconds than another; a tie counts half.

    Infinity: not reached. Both arrays in the same order of draws.
    """
    return float(np.mean((seconds < others) + 0.5 * (seconds == others)))
