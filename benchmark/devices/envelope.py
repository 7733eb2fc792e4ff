"""A workload as few numbers, from which a page computes seconds at any bandwidth and rate by itself."""

from typing import NamedTuple

import numpy as np

from benchmark.devices.clock import BITS_PER_BYTE
from benchmark.devices.profile import Profile
from benchmark.devices.stored_work import StoredWork


class Envelope(NamedTuple):
    """Seconds at a rate r and a bandwidth up b, with that down, the round trip and the server of a profile.

    They are fixed + flops / r + bits / b, and for each further round the largest of several such sums.

    rounds: of each round in which it depends on r and b who is the slowest, (fixed, FLOPs, bits) of those who may be
    """

    fixed: float
    flops: float
    bits: float
    rounds: list[list[tuple[float, float, float]]]

    def seconds(self, rate: float, up: float) -> float:
        """Return the seconds of all rounds."""
        slowest = sum(max(c + f / rate + b / up for c, f, b in terms) for terms in self.rounds)
        return self.fixed + self.flops / rate + self.bits / up + slowest


def envelope(work: StoredWork, profile: Profile) -> Envelope:
    """Return a workload's envelope: in most rounds one participant is the slowest wherever, and these are summed."""
    bits = BITS_PER_BYTE * (work.bytes_down * (profile.up / profile.down) + work.bytes_up)
    waiting = ((work.bytes_down > 0).astype(int) + (work.bytes_up > 0)) * profile.round_trip
    each = [_slowest(terms) for terms in np.stack([waiting, work.flops, bits], axis=-1)]
    alone = np.array([terms[0] for terms in each if len(terms) == 1]).reshape(-1, 3).sum(axis=0).tolist()
    server = float(work.server_flops.sum()) / profile.server_flops
    return Envelope(alone[0] + server, alone[1], alone[2], [terms for terms in each if len(terms) > 1])


def _slowest(terms: np.ndarray) -> list[tuple[float, float, float]]:
    """Return the participants that no other exceeds in everything, each once. terms: [P, 3]."""
    distinct = np.unique(terms, axis=0)
    exceeded = [bool(np.any(np.all(distinct >= own, axis=1) & np.any(distinct > own, axis=1))) for own in distinct]
    return [tuple(own) for own, by_other in zip(distinct.tolist(), exceeded, strict=True) if not by_other]
