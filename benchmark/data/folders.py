"""Folders as data sets: of pictures, of files for each client, or of LEAF's files, whichever it is."""

from pathlib import Path

from benchmark.data.arrays import Arrays
from benchmark.data.client_folders import client_files, read_client_folders
from benchmark.data.image_folder import read_image_folder, unwrapped
from benchmark.data.leaf import leaf_files, read_leaf


def read_folder(folder: Path, side: int | None = None) -> Arrays:
    """Read a folder as a data set; side: the size of pictures, as `read_pictures` takes it. Raises RequestError."""
    root = unwrapped(folder)
    if files := client_files(root):
        return read_client_folders(root, files)
    if files := leaf_files(root):
        return read_leaf(root, files)
    return read_image_folder(folder, side)
