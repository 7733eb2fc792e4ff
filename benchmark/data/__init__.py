"""Data sets: read from whatever they are in, checked, hashed, and kept as one .npz per name."""

from benchmark.data.arrays import Arrays, checked
from benchmark.data.image_folder import read_image_folder
from benchmark.data.npz import read_npz
from benchmark.data.sources import Source, checked_source, from_torchvision, load_dataset, own_dataset

__all__ = [
    "Arrays",
    "Source",
    "checked",
    "checked_source",
    "from_torchvision",
    "load_dataset",
    "own_dataset",
    "read_image_folder",
    "read_npz",
]
