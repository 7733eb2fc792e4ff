"""The clock: what the rounds of a run would take on given devices and links.

A client waits a round trip and receives, computes, waits a round trip and sends; without bytes there is no waiting. A
round lasts as long as its slowest participant, and the server computes after it. Deadlines, lost uploads and asynchrony
would change what is learned, so no clock can say after the fact what they would save.
"""

from typing import NamedTuple

import numpy as np

from benchmark.devices.profile import Profile
from benchmark.devices.stored_work import StoredWork

BITS_PER_BYTE = 8


class Rates(NamedTuple):
    """Rates of participants' devices and links, numbers or arrays that broadcast with [..., R, P]; of the server one.

    down, up: bit/s; round_trip: s; flops, server_flops: FLOP/s
    """

    down: np.ndarray | float
    up: np.ndarray | float
    round_trip: np.ndarray | float
    flops: np.ndarray | float
    server_flops: float

    @classmethod
    def of(cls, profile: Profile) -> "Rates":
        """Return the rates of a profile, the same for all participants."""
        return cls(profile.down, profile.up, profile.round_trip, profile.flops, profile.server_flops)


def transfer_seconds(work: StoredWork, rates: Rates) -> np.ndarray:
    """Return the seconds in which each participant's bytes pass, without waiting: [..., R, P]."""
    return BITS_PER_BYTE * (work.bytes_down / rates.down + work.bytes_up / rates.up)


def other_seconds(work: StoredWork, rates: Rates) -> np.ndarray:
    """Return the seconds in which each participant waits for messages or computes: [..., R, P]."""
    messages = (work.bytes_down > 0).astype(int) + (work.bytes_up > 0)
    return messages * rates.round_trip + work.flops / rates.flops


def server_seconds(work: StoredWork, rates: Rates) -> np.ndarray:
    """Return the seconds of the server in each round: [R]."""
    return work.server_flops / rates.server_flops


def seconds_of_rounds(work: StoredWork, rates: Rates) -> np.ndarray:
    """Return the seconds of each round: [..., R]."""
    slowest = (transfer_seconds(work, rates) + other_seconds(work, rates)).max(axis=-1, initial=0)
    return slowest + server_seconds(work, rates)


def joules(work: StoredWork, profile: Profile) -> np.ndarray | None:
    """Return the energy of all participants' devices and links in each round: [R]; None if the profile has none."""
    if profile.joules_per_flop is None or profile.joules_per_byte is None:
        return None
    sent = work.bytes_down + work.bytes_up
    return (work.flops * profile.joules_per_flop + sent * profile.joules_per_byte).sum(axis=-1)
