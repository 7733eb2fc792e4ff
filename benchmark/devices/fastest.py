"""The fastest of several methods over a grid of bandwidths and of devices' rates."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from benchmark.devices.clock import Rates, seconds_of_rounds
from benchmark.devices.profile import Profile
from benchmark.devices.stored_work import StoredWork

GRID_POINTS = 33
LINK_DECADES = (-2.5, 1.5)
RATE_DECADES = (-2.0, 2.0)
"""The grid's ends beside the profile's bandwidths and rate, in powers of ten."""


class SpeedMap(NamedTuple):
    """Seconds of each method over a grid around a profile.

    up: [n] bit/s, down in the profile's proportion; flops: [m] FLOP/s; seconds: [methods, n, m], infinite where a
    method has not reached the target
    """

    up: np.ndarray
    flops: np.ndarray
    seconds: np.ndarray

    @property
    def fastest(self) -> np.ndarray:
        """The index of the fastest method in each cell: [n, m], -1 where none reaches the target."""
        return np.where(np.isfinite(self.seconds).any(axis=0), self.seconds.argmin(axis=0), -1)


def speed_map(methods: Sequence[Sequence[StoredWork] | None], profile: Profile) -> SpeedMap:
    """Return the mean seconds over seeds of the work up to the target; None is for a method that has not reached it.

    The round trip and the server are the profile's.
    """
    factors = np.logspace(*LINK_DECADES, GRID_POINTS)
    flops = profile.flops * np.logspace(*RATE_DECADES, GRID_POINTS)
    seconds = np.full((len(methods), GRID_POINTS, GRID_POINTS), np.inf)
    for of_method, runs in zip(seconds, methods, strict=True):
        if runs is not None:
            for row, factor in zip(of_method, factors, strict=True):  # a row at a time: its arrays fit in the cache
                row[:] = np.mean([_seconds(work, profile, factor, flops) for work in runs], axis=0)
    return SpeedMap(profile.up * factors, flops, seconds)


def _seconds(work: StoredWork, profile: Profile, factor: float, flops: np.ndarray) -> np.ndarray:
    """Return the seconds of all rounds at each rate: [m]."""
    at = Rates.of(profile)._replace(
        down=profile.down * factor, up=profile.up * factor, flops=flops[:, np.newaxis, np.newaxis]
    )
    return seconds_of_rounds(work, at).sum(axis=-1)
