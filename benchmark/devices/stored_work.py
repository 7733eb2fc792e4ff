"""What the participants of a run's rounds computed and sent: all that a clock needs of a stored run."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from benchmark.storage.schema import ClientRound, Round


@dataclass(frozen=True, eq=False)
class StoredWork:
    """The work of R rounds with at most P participants each; where a round has fewer, the rest is 0.

    clients: [R, P] who took part, 0 where nobody did
    flops, bytes_down, bytes_up, seconds: [R, P] of each participant; seconds as measured, those of messages included
    server_flops, server_seconds: [R]
    """

    clients: np.ndarray
    flops: np.ndarray
    bytes_down: np.ndarray
    bytes_up: np.ndarray
    seconds: np.ndarray
    server_flops: np.ndarray
    server_seconds: np.ndarray

    @classmethod
    def of(cls, rounds: Sequence[Round]) -> "StoredWork":
        """Return the work of stored rounds."""
        return cls(
            clients=_table(rounds, lambda client: client["id"]).astype(int),
            flops=_table(rounds, lambda client: client["flops"]),
            bytes_down=_table(rounds, lambda client: sum(client["bytes_down"].values())),
            bytes_up=_table(rounds, lambda client: sum(client["bytes_up"].values())),
            seconds=_table(rounds, lambda client: sum(client["seconds"].values())),
            server_flops=np.array([record["server_flops"] for record in rounds], float),
            server_seconds=np.array([record["server_seconds"] for record in rounds], float),
        )

    def first(self, rounds: int) -> "StoredWork":
        """Return the work of the first rounds alone."""
        return StoredWork(**{name: getattr(self, name)[:rounds] for name in self.__dataclass_fields__})

    @classmethod
    def joined(cls, works: Sequence["StoredWork"]) -> "StoredWork":
        """Return the work of several runs, one after the other."""
        most = max(work.flops.shape[1] for work in works)

        def widened(array: np.ndarray) -> np.ndarray:
            return np.pad(array, ((0, 0), (0, most - array.shape[1]))) if array.ndim == 2 else array

        names = cls.__dataclass_fields__
        return cls(**{name: np.concatenate([widened(getattr(work, name)) for work in works]) for name in names})

    def timed(self, machine_rate: float) -> "StoredWork":
        """Return the same work with its measured seconds in place of its FLOPs, for a second opinion.

        machine_rate: FLOP/s of a matrix product on the machine that measured them. A second there counts as that many
        FLOPs, so what a method loses to small kernels, memory and overhead is part of it.
        """
        return replace(self, flops=self.seconds * machine_rate, server_flops=self.server_seconds * machine_rate)


def _table(rounds: Sequence[Round], value: Callable[[ClientRound], float]) -> np.ndarray:
    """Return a number of each participant of each round: [R, P], padded with 0."""
    table = np.zeros((len(rounds), max((len(record["clients"]) for record in rounds), default=0)))
    for row, record in zip(table, rounds, strict=True):
        row[: len(record["clients"])] = [value(client) for client in record["clients"]]
    return table
