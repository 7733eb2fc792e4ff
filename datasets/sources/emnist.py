"""EMNIST: 131,600 handwritten digits and letters of 28x28 in 47 classes. G. Cohen et al., 2017, arXiv 1702.05373.

Its split "balanced": as many of each class, and one class for a letter whose small and capital forms look alike.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmark.api import Arrays, Source, from_torchvision


def load(downloads: Path) -> Arrays:
    """Download the images, and transpose them: the files have them column by column, and torchvision leaves them so."""
    lying = from_torchvision("EMNIST", downloads, split="balanced")
    return replace(lying, x_train=upright(lying.x_train), x_test=upright(lying.x_test))


def upright(images: np.ndarray) -> np.ndarray:
    """Transpose images [n, w, h, c] to [n, h, w, c]."""
    return np.ascontiguousarray(images.swapaxes(1, 2))


SOURCE = Source(
    load,
    home="https://www.nist.gov/itl/products-and-services/emnist-dataset",
    licence="none stated; derived from NIST's Special Database 19",
)
