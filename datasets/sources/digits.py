"""Digits: 1,797 handwritten digits that ship inside scikit-learn, resized from 8x8 to 32x32.

E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI, 1998. Needs no network.
"""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from benchmark.api import Arrays, Source


def load(downloads: Path) -> Arrays:
    """Load the digits, resized bilinearly; the first 1,500 are the training part."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = torch.from_numpy(digits.images / 16 * 255)[:, None]  # [n, 1, 8, 8]
    x = F.interpolate(images, size=(32, 32), mode="bilinear").round().to(torch.uint8)[:, 0, :, :, None].numpy()
    y = digits.target.astype(np.int64)
    return Arrays(x[:1500], y[:1500], x[1500:], y[1500:], tuple(map(str, range(10))))


SOURCE = Source(
    load,
    target=90.0,
    fingerprint="dbe69b5a775bf813969172b180fe99fa",
    home="https://archive.ics.uci.edu/dataset/80",
    licence="CC BY 4.0",
)
