"""How far a federation is: what server and clients both know without a message."""

from typing import NamedTuple


class Progress(NamedTuple):
    """The round, from 1 on, and of how many."""

    round: int = 1
    rounds: int = 1

    @property
    def share(self) -> float:
        """round / rounds."""
        return self.round / self.rounds


FIRST = Progress()
"""The only round of a federation of one."""
