"""Arrays that observers left in a run's folder. This module imports no torch."""

from io import BytesIO
from pathlib import Path

import numpy as np

from benchmark.storage.files import read_whole

MOST_ARTEFACT_BYTES = 2**30


def read_artefact(path: Path) -> dict[str, np.ndarray]:
    """Return the arrays of an artefact, which is a regular file of a usual size. Raises whatever is wrong with it."""
    with np.load(BytesIO(read_whole(path, MOST_ARTEFACT_BYTES)), allow_pickle=False) as file:
        return {name: file[name] for name in file.files}
