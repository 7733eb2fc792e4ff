"""Divisions of a data set among clients, outside any run: shown as a table, and written for other harnesses."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click
import numpy as np

from benchmark.cli.arguments import with_image_size
from benchmark.data.client_folders import write_client_folders
from benchmark.partition import contents_hash, draw, shifted
from benchmark.plugins import registry
from benchmark.run.streams import users_code

if TYPE_CHECKING:
    from benchmark.data import Arrays
    from benchmark.partition import Division, Partition

SHOWN_CLASSES = 20
"""Most classes that the table has a column for."""


class Divided(NamedTuple):
    """A data set divided among clients as a run would; the seed is that of the draw."""

    dataset: str
    arrays: "Arrays"
    division: "Division"
    partition: "Partition"
    seed: int

    @property
    def images(self) -> np.ndarray:
        """Pooled images as their clients see them: [N, h, w, c]."""
        return shifted(self.arrays.images, self.partition, self.division.shifts)

    @property
    def splits(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """(training, test) indices of each client."""
        return [(np.concatenate([train, validation]), test) for train, validation, test in self.partition.splits]

    def counts(self, part: int) -> np.ndarray:
        """Samples of each class at each client: [clients, C]; part 0: to train on, 1: to test on."""
        labels, classes = self.arrays.labels, len(self.arrays.classes)
        return np.array([np.bincount(labels[own[part]], minlength=classes) for own in self.splits])


def divide(dataset: str, text: str, clients: int, seed: int, image_size: int | None, data: Path) -> Divided:
    """Divide a data set as a run with these options does. Raises RequestError."""
    with users_code():
        name, arrays, _ = registry.dataset(with_image_size(dataset, image_size), data)
    division = registry.partition(text, len(arrays.classes))
    partition = draw(
        division,
        dataset=name,
        labels=arrays.labels,
        owners=arrays.owners,
        held_out=arrays.held_out,
        clients=clients,
        validation=0.0,
        seed=seed,
    )
    return Divided(name, arrays, division, partition, seed)


def division_document(divided: Divided) -> dict[str, Any]:
    """Return what `partition show --json` prints.

    contents: a digest of which pictures each client trains and tests on, whatever their order in the data set, which is
    the same here and in a folder that was exported
    """
    arrays = divided.arrays
    return {
        "dataset": divided.dataset,
        "partition": divided.division.name,
        "seed": divided.seed,
        "data_hash": arrays.hash,
        "partition_hash": divided.partition.hash,
        "contents": contents_hash(divided.images, arrays.labels, divided.splits),
        "classes": list(arrays.classes),
        "train": divided.counts(0).tolist(),
        "test": divided.counts(1).tolist(),
    }


def show_division(divided: Divided) -> None:
    """Print the numbers of samples, and the hashes."""
    from benchmark.cli.tables import show_counts

    document = division_document(divided)
    show_counts(document["classes"], divided.counts(0), divided.counts(1), SHOWN_CLASSES)
    click.echo(f"data {document['data_hash']}, partition {document['partition_hash']}, contents {document['contents']}")


def export_division(divided: Divided, folder: Path) -> str:
    """Write the layout of HtFLlib, and return what was written in a line. Raises RequestError."""
    document = division_document(divided)
    facts = {
        "num_classes": len(document["classes"]),
        "non_iid": divided.division.plain != "iid",
        "balance": False,
        "partition": divided.division.name,
        "classes": document["classes"],
        **{key: document[key] for key in ("dataset", "seed", "data_hash", "partition_hash", "contents")},
    }
    write_client_folders(folder, divided.images, divided.arrays.labels, divided.splits, facts)
    train, test = (int(divided.counts(part).sum()) for part in (0, 1))
    written = f"{len(divided.splits)} clients, {train} training and {test} test samples"
    return f"{folder}: {written}, contents {document['contents']}"
