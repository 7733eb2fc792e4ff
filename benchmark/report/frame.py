"""Results as data frames, grouped into comparisons."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmark.record import RunFolder, accuracies, headline_rounds, run_folders


@dataclass(frozen=True)
class StoredRun:
    """One run as it was read: run.json and, where it is done, the rounds."""

    run: Mapping[str, Any]
    rounds: Sequence[Mapping[str, Any]]

    @classmethod
    def read(cls, folder: RunFolder) -> "StoredRun":
        """Read a run; another process may still write the rounds of one that is not done."""
        run = folder.read()
        return cls(run, folder.rounds() if run["status"] == "done" else ())

    @property
    def label(self) -> str:
        """The method's label."""
        return self.run["specification"]["method"]["label"]

    @property
    def seed(self) -> int:
        """The run's seed."""
        return self.run["specification"]["seed"]

    @property
    def setting(self) -> dict[str, Any]:
        """All of the specification but method and seed, flat: what the runs of a comparison have in common."""
        spec = {name: value for name, value in self.run["specification"].items() if name not in ("method", "seed")}
        return spec | spec.pop("federation")

    @cached_property
    def curve(self) -> pd.DataFrame:
        """One row per round: what it cost up to there, and the mean accuracy in percent where it was evaluated."""
        table = pd.DataFrame(
            {
                "round": [r["round"] for r in self.rounds],
                "bytes": np.cumsum([r["bytes_up"] + r["bytes_down"] for r in self.rounds]),
                "flops": np.cumsum([r["client_flops"] for r in self.rounds]),
                "seconds": np.cumsum([r["client_seconds"] for r in self.rounds]),
                "accuracy": np.nan,
            }
        )
        evaluated = ["post_local" in r for r in self.rounds]
        table.loc[evaluated, "accuracy"] = accuracies(self.rounds).mean(1) if any(evaluated) else []
        return table.assign(method=self.label, seed=self.seed)

    @cached_property
    def clients(self) -> pd.DataFrame:
        """One row per client: its headline accuracy in percent."""
        chosen, _ = headline_rounds(self.rounds)
        accuracy = accuracies(self.rounds)[chosen].mean(0)
        return pd.DataFrame({"client": range(len(accuracy)), "accuracy": accuracy}).assign(
            method=self.label, seed=self.seed
        )

    def cost_to(self, target: float) -> pd.Series | None:
        """The row of the curve at which the mean accuracy first reaches the target, or None."""
        reached = self.curve[self.curve["accuracy"] >= target]
        return None if reached.empty else reached.iloc[0]


@dataclass(frozen=True)
class Comparison:
    """Runs that differ in method and seed alone."""

    name: str
    """Unique among the comparisons of a report, and fit for a file's name."""
    dataset: str
    setting: Mapping[str, Any]
    target: float | None
    """Accuracy in percent whose cost is given."""
    runs: Sequence[StoredRun]

    @property
    def done(self) -> list[StoredRun]:
        """The runs that count."""
        return [run for run in self.runs if run.run["status"] == "done"]

    @property
    def not_done(self) -> list[StoredRun]:
        """The others, which are told of and never averaged."""
        return [run for run in self.runs if run.run["status"] != "done"]

    @cached_property
    def methods(self) -> list[str]:
        """Labels of all methods, the best mean accuracy first, those without a finished run last."""
        means: dict[str, list[float]] = {run.label: [] for run in self.runs}
        for run in self.done:
            means[run.label].append(run.run["summary"]["accuracy_mean"])
        return sorted(means, key=lambda label: (-np.mean(means[label]) if means[label] else np.inf, label))

    def of(self, label: str) -> list[StoredRun]:
        """The finished runs of one method."""
        return [run for run in self.done if run.label == label]

    @property
    def title(self) -> str:
        """The setting in words."""
        s = self.setting
        epochs = "one local epoch" if s["local_epochs"] == 1 else f"{s['local_epochs']} local epochs"
        return (
            f"{self.dataset}, {s['partition']}, {s['models']}, N = {s['clients']}, "
            f"participation {100 * s['participation']:g} %, {s['rounds']} rounds, {epochs}, "
            f"batch {s['batch_size']}, lr {s['lr']:g}"
        )


def read_experiment(results: Path, experiment: str, targets: Mapping[str, float]) -> list[Comparison]:
    """The comparisons of one experiment; targets are accuracies by data set, '' for all others."""
    stored = [StoredRun.read(folder) for folder in run_folders(results, [experiment])]
    groups: dict[str, list[StoredRun]] = {}
    for run in stored:
        groups.setdefault(json.dumps(run.setting, sort_keys=True), []).append(run)
    names = _names([runs[0].setting for runs in groups.values()])
    comparisons = []
    for name, runs in zip(names, groups.values(), strict=True):
        dataset = runs[0].run["dataset"]
        target = targets.get(dataset["name"], targets.get("", dataset["target_accuracy"]))
        comparisons.append(Comparison(name, dataset["name"], runs[0].setting, target, runs))
    return comparisons


def _names(settings: Sequence[Mapping[str, Any]]) -> list[str]:
    """The data set's name, and after it whatever differs among the settings of that data set."""
    names = []
    for setting in settings:
        same_data = [other for other in settings if other["dataset"] == setting["dataset"]]
        differs = [k for k in setting if len({json.dumps(other[k]) for other in same_data}) > 1]
        names.append("-".join([setting["dataset"], *(f"{key}={setting[key]}" for key in differs)]).replace(":", ""))
    return names


def colour_order(comparisons: Iterable[Comparison]) -> list[str]:
    """All labels of a report in one order, so that a method keeps its colour from figure to figure."""
    return sorted({run.label for comparison in comparisons for run in comparison.runs})
