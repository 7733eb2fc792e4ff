"""Checks of data sets: those by name, files, folders and user-defined ones."""

from dataclasses import dataclass, replace
from functools import cached_property
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.conformance.suite import Broken, Check, where
from benchmark.conformance.toy import federate
from benchmark.data import Arrays
from benchmark.method import Method
from benchmark.models.line_up import LineUp
from benchmark.partition import Partition, draw
from benchmark.plugins import registry
from benchmark.problem import Dataset, Problem

CHECK_CLIENTS = 2
CHECK_SAMPLES = 64
"""Largest number of a data set's samples that are trained and tested on."""


@dataclass(frozen=True, eq=False)
class Named:
    """A data set as it is named on the command line; its arrays are read at first use."""

    text: str
    folder: Path
    """The folder in which data sets are kept as <name>.npz."""

    @cached_property
    def arrays(self) -> Arrays:
        """The arrays. Raises RequestError if they can't be read."""
        return registry.dataset(self.text, self.folder)[1]

    @property
    def iid(self) -> str:
        """An even partition."""
        return "iid"

    @property
    def pathological(self) -> str:
        """A partition in which each of two clients lacks about half of the classes."""
        return f"pathological:{ceil(len(self.arrays.classes) / CHECK_CLIENTS)}"


def layout(data: Named) -> None:
    """The arrays can be read, and are uint8 [n, h, w, c] with labels int64 [n] from 0 to C-1."""
    arrays = data.arrays
    for split in ("train", "test"):
        x, y = getattr(arrays, f"x_{split}"), getattr(arrays, f"y_{split}")
        if x.dtype != np.uint8 or x.ndim != 4 or 0 in x.shape[1:]:
            raise Broken(f"x_{split} is {x.dtype} {list(x.shape)}, not uint8 [n, h, w, c]")
        if y.dtype != np.int64 or y.shape != x.shape[:1]:
            raise Broken(f"y_{split} is {y.dtype} {list(y.shape)} for {len(x)} images, not int64 [{len(x)}]")
        if len(y) and not 0 <= y.min() <= y.max() < len(arrays.classes):
            raise Broken(f"y_{split} runs from {y.min()} to {y.max()}, and there are {len(arrays.classes)} classes")
    if arrays.x_train.shape[1:] != arrays.x_test.shape[1:]:
        raise Broken(f"x_train is {list(arrays.x_train.shape)} and x_test {list(arrays.x_test.shape)}")


def splits(data: Named) -> None:
    """There are training and test images."""
    for split in ("train", "test"):
        if not len(getattr(data.arrays, f"x_{split}")):
            raise Broken(f"x_{split} is empty")


def classes(data: Named) -> None:
    """There are at least two classes, with images."""
    if (found := len(np.unique(data.arrays.labels))) < 2:
        of_classes = "1 class" if found == 1 else f"{found} classes"
        raise Broken(f"its images are of {of_classes}; there is nothing to tell apart")


def partitions(data: Named) -> None:
    """It can be divided among two clients, evenly and by class, unless a class has fewer samples than there are."""
    rarest = np.bincount(data.arrays.labels).min()
    for partition in (data.iid, data.pathological) if rarest >= CHECK_CLIENTS else (data.iid,):
        with where(f"as {partition} with {CHECK_CLIENTS} clients"):
            _divided(data, data.arrays, partition)


def trains(data: Named) -> None:
    """Two clients train a round on a few of its samples, on the smallest line-up that takes its images."""
    few = _few(data.arrays)
    dataset = Dataset.of(data.text, few, target=None)
    problem = Problem(dataset, _smallest_line_up(few), _divided(data, few, data.iid), seed=0)
    federate(Method(), problem.task(), rounds=1, batch_size=16, lr=0.01)


def _divided(data: Named, arrays: Arrays, partition: str) -> Partition:
    division = registry.partition(partition, len(arrays.classes))
    return draw(division, dataset=data.text, labels=arrays.labels, clients=CHECK_CLIENTS, validation=0.0, seed=0)


def _few(arrays: Arrays) -> Arrays:
    """Return at most CHECK_SAMPLES samples, three quarters of them for training, evenly spaced in each part."""
    found: dict[str, Any] = {}
    for split, most in (("train", CHECK_SAMPLES * 3 // 4), ("test", CHECK_SAMPLES // 4)):
        n = len(getattr(arrays, f"y_{split}"))
        chosen = np.linspace(0, n - 1, min(n, most)).astype(int)
        found |= {f"{key}_{split}": getattr(arrays, f"{key}_{split}")[chosen] for key in "xy"}
    return replace(arrays, **found, owners_train=None, owners_test=None)


def _smallest_line_up(arrays: Arrays) -> LineUp:
    """Return the first line-up with the fewest networks in the catalogue that takes images of this size."""
    side = min(arrays.x_train.shape[1:3])
    line_ups = [registry.line_up(name) for name in registry.LINE_UP_MODULES]
    if not (able := [line_up for line_up in line_ups if line_up.min_size <= side]):
        least = min(line_up.min_size for line_up in line_ups)
        raise Broken(f"its images have {side} pixels a side, and no line-up takes fewer than {least}")
    return min(able, key=lambda line_up: len(line_up.networks))


CHECKS = (
    Check.of(layout),
    *(Check.of(run, "layout") for run in (splits, classes)),
    Check.of(partitions, "layout", "splits", "classes"),
    Check.of(trains, "partitions"),
)
"""The suite, in order."""
