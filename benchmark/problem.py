"""Runs and the problems they work on: a data set divided among clients with networks, under one method."""

import warnings
from dataclasses import dataclass

import numpy as np
import torch

from benchmark.config import RunSpec
from benchmark.data import Arrays
from benchmark.method import Method
from benchmark.models.line_up import LineUp
from benchmark.partition import Partition, Shift, shifted
from benchmark.storage.run_folder import RunFolder
from benchmark.task import ClientData, Task


@dataclass(frozen=True)
class Run:
    """One run of the grid, checked and ready."""

    spec: RunSpec
    method: Method
    problem: "Problem"
    folder: RunFolder

    @property
    def rounds(self) -> int:
        """Number of rounds."""
        return self.spec.federation.rounds


@dataclass(frozen=True, eq=False)
class Problem:
    """A task before its arrays become tensors, shared by the runs that differ in method alone."""

    dataset: "Dataset"
    line_up: LineUp
    partition: Partition
    seed: int
    shifts: tuple[Shift, ...] = ()

    def task(self) -> Task:
        """Make the task, on the CPU, its images as their clients have them."""
        return Task(
            images=_tensor(shifted(self.dataset.images, self.partition, self.shifts)),
            labels=_tensor(self.dataset.labels),
            mean=_tensor(self.dataset.mean).float(),
            std=_tensor(self.dataset.std).float(),
            num_classes=len(self.dataset.classes),
            clients=tuple(ClientData(*map(_tensor, splits)) for splits in self.partition.splits),
            line_up=self.line_up,
            seed=self.seed,
        )


@dataclass(frozen=True, eq=False)
class Dataset:
    """A data set, read once and shared by all runs on it; its arrays may be memory that several processes share."""

    name: str
    images: np.ndarray
    labels: np.ndarray
    mean: np.ndarray
    std: np.ndarray
    classes: tuple[str, ...]
    hash: str
    target: float | None
    owners: np.ndarray | None = None
    held_out: np.ndarray | None = None

    @classmethod
    def of(cls, name: str, arrays: Arrays, target: float | None) -> "Dataset":
        """Pool training and test samples; the arrays can be dropped afterwards."""
        mean, std = arrays.statistics
        facts = (mean, std, arrays.classes, arrays.hash, target, arrays.owners, arrays.held_out)
        return cls(name, arrays.images, arrays.labels, *facts)


def _tensor(array: np.ndarray) -> torch.Tensor:
    """Return the same memory as a tensor; it can't be written to if processes share it, and nothing here writes."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(array)
