"""Scores of earlier attacks: what of them is still read beside those of today. This module imports no torch."""

import numpy as np

from benchmark.privacy.findings import AUDITOR, SERVER, RawScores
from benchmark.privacy.tables import ATTACK, Columns, rows_of, version_of

STILL_READ = 2
"""The earliest attacks of which something is read."""
MADE_OTHERWISE = ("labels", "identity")
"""Tables of version 2 that are not read: guessed networks knew a client's classes, gains were those of all clients."""
OF_LEVELS = ("membership", "duplicates")
"""Tables of version 2 of which an auditor's rows are not read: they told what private state had learned by heart."""


def as_of_today(arrays: RawScores) -> RawScores:
    """Return what of these scores stands beside those of today; that is all that today's attacks have found."""
    if version_of(arrays) == ATTACK:
        return arrays
    kept = {name: of for name, of in arrays.items() if name.partition(".")[0] not in (*MADE_OTHERWISE, *OF_LEVELS)}
    for table in OF_LEVELS:
        columns = rows_of(arrays, table)
        if columns:
            kept |= {f"{table}.{name}": of for name, of in _of_a_server(columns).items()}
    return kept


def _of_a_server(columns: Columns) -> Columns:
    """Return the rows that are not an auditor's; all, as a server's, where nothing was private and both are one."""
    level = columns["level"]
    if SERVER not in level:
        return columns | {"level": np.where(level == AUDITOR, SERVER, level)}
    return {name: of[level != AUDITOR] for name, of in columns.items()}
