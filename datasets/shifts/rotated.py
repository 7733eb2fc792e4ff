"""rotated: client k's images are turned anticlockwise by (k mod 4) x 90 degrees.

The rotated clients of Ghosh et al., "An Efficient Framework for Clustered Federated Learning", NeurIPS 2020, arXiv
2006.04088.
"""

import numpy as np

from benchmark.api import RequestError


def shift(images: np.ndarray, client: int) -> np.ndarray:
    """Return the images as client k has them. Raises RequestError if they are not square."""
    _, height, width, _ = images.shape
    if height != width:
        raise RequestError(f"rotated needs square images, these have {height} x {width} pixels; use another shift")
    return np.rot90(images, client % 4, axes=(1, 2))
