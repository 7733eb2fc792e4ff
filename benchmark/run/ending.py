"""How the system ends a process. SIGTERM, with which clusters say that time is up, is an exception here. No torch."""

import signal

from benchmark.errors import Terminated

INTERRUPTED, TERMINATED = 128 + signal.SIGINT, 128 + signal.SIGTERM
"""The exit codes of a process that Ctrl-C or SIGTERM has ended, as shells have them."""


def raise_on_sigterm() -> None:
    """Make SIGTERM raise Terminated in this process, so that it gives back what it has claimed before it ends."""
    signal.signal(signal.SIGTERM, _terminate)


def _terminate(*_: object) -> None:
    raise Terminated
