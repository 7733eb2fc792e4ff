"""What networks fit, a part of docs/reproduction.md: loss on training samples beside accuracy on test samples."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from benchmark.report.frame import Comparison
from benchmark.report.sentences import listed
from benchmark.report.stored_run import StoredRun
from benchmark.storage.moments import LOCAL
from tools.docs.blocks import markdown_table
from tools.docs.cells import NONE_YET, Stored, long_cells, stretches
from tools.docs.claims import METHOD
from tools.docs.costs import REFERENCE

PLAIN = (REFERENCE, "lg-fedavg", METHOD)
"""Methods that minimise the cross-entropy of what they predict and nothing else, so that their losses are alike."""


class Fit(NamedTuple):
    """Training loss and accuracy in percent over the middle and over the last third of the rounds, mean over seeds."""

    losses: tuple[float, float]
    accuracies: tuple[float, float]

    @classmethod
    def of(cls, runs: Sequence[StoredRun]) -> "Fit":
        """Return that of runs of one method, after local training."""
        means = [run.curve.groupby(stretches(run.curve["round"].to_numpy(), 3)).mean() for run in runs]
        losses, accuracies = (np.mean([of[name] for of in means], axis=0) for name in ("train_loss", LOCAL.name))
        return cls((losses[1], losses[2]), (accuracies[1], accuracies[2]))

    def overfits_beside(self, other: "Fit") -> bool:
        """Return whether training samples are fitted better in the end than by another method, test samples worse."""
        return self.losses[1] < other.losses[1] and self.accuracies[1] < other.accuracies[1]


def overfitting(stored: Stored) -> str:
    """Return a row for each cell and comparable method, and a sentence for each cell."""
    rows, said = [], []
    for title, comparison in long_cells(stored):
        labels = sorted(label for label in comparison.complete if label.partition("+")[0] in PLAIN)
        rows += [_row(title, label, comparison.of(label)) for label in labels]
        worse = [f"`{label}`" for label in labels if _overfits(comparison, label)]
        said.append(f"- {title}: {listed(worse) if worse else 'none'}.")
    heads = ["cell", "method", "seeds", "loss, middle third", "loss, last third"]
    heads += ["accuracy, middle third", "accuracy, last third"]
    beside = f"In the last third less loss than {REFERENCE}, and less accuracy, have, under the same seeds:"
    return "\n\n".join([markdown_table(heads, rows, left=2), beside, "\n".join(said)]) if rows else NONE_YET


def _row(title: str, label: str, runs: Sequence[StoredRun]) -> list[str]:
    fit = Fit.of(runs)
    losses, accuracies = (f"{value:.3f}" for value in fit.losses), (f"{value:.2f}" for value in fit.accuracies)
    return [title, f"`{label}`", str(len(runs)), *losses, *accuracies]


def _overfits(comparison: Comparison, label: str) -> bool:
    """Return whether a method fits training samples better than Standalone, test samples worse, on equal seeds."""
    if not (pairs := comparison.paired(label, REFERENCE)):
        return False
    ours, alone = (Fit.of(runs) for runs in zip(*pairs, strict=True))
    return ours.overfits_beside(alone)
