"""Comparisons: stored runs that differ in method and seed alone."""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmark.config import DEFENCES, TrainingConfig
from benchmark.errors import plural
from benchmark.measure.cores import cores
from benchmark.plugins.listed import changed_defaults
from benchmark.report.levelling import not_levelled
from benchmark.report.statistics import intervals
from benchmark.report.stored_run import StoredRun
from benchmark.storage.moments import LOCAL, MOMENTS, Moment
from benchmark.storage.names import apart, clean_name
from benchmark.storage.run_folder import run_folders

COST_UNITS = {"bytes": ("MB", 1e6), "flops": ("TFLOP", 1e12), "seconds": ("s", 1.0)}
"""Column of a curve -> its unit, and how many base units that is. FLOPs are those of clients and server together."""

LEAST_SEEDS = 3
"""With fewer seeds a t-test has one degree of freedom or none, and tells next to nothing."""
PARALLEL_FROM_RUNS = 40
"""Read runs with several processes from this many on."""
SETTING_WORDS: Mapping[str, Callable[[Any], str]] = {
    "dataset": str,
    "partition": str,
    "models": str,
    "clients": lambda n: f"N = {n}",
    "participation": lambda share: f"participation {100 * share:g} %",
    "rounds": lambda n: plural(n, "round"),
    "local_epochs": lambda n: "one local epoch" if n == 1 else f"{n} local epochs",
    "local_steps": lambda n: plural(n, "local step") if n else "whole epochs",
    "batch_size": lambda n: f"batch {n}",
}
"""Name of a setting -> its value in words."""


@dataclass(frozen=True, eq=False)
class Comparison:
    """Runs that differ in method and seed alone."""

    name: str
    """Unique among the comparisons of a report, and fit for a file's name."""
    dataset: str
    setting: Mapping[str, Any]
    training: Mapping[str, Any]
    """How clients train in most of its runs; labels name what is different."""
    target: float | None
    """Accuracy in percent whose cost is given."""
    runs: Sequence[StoredRun]
    moments: Sequence[Moment] = (LOCAL,)
    """The moments that are shown. The first is the primary one: by its accuracies methods are ordered and compared."""
    heading: str = ""
    """What sets it apart from the others of a report, in words."""

    @property
    def moment(self) -> Moment:
        """The primary moment."""
        return self.moments[0]

    @property
    def stored_moments(self) -> list[Moment]:
        """The moments at which networks of any run were evaluated, whether they are shown or not."""
        return [moment for moment in MOMENTS if any(len(run.clients[moment]) for run in self.runs)]

    @property
    def done(self) -> list[StoredRun]:
        """All runs of the methods whose runs are all done."""
        return [run for label in self.methods for run in self.of(label)]

    @property
    def not_done(self) -> list[StoredRun]:
        """Runs that are reported and never averaged."""
        return [run for run in self.runs if not run.done]

    @cached_property
    def unlevelled(self) -> dict[str, str]:
        """Label -> why the method's runs count as not levelled, in words; of all methods with a curve."""
        found = {}
        for label in sorted({run.label for run in self.runs}):
            curves = [run.means(self.moment) for run in self.of(label)]
            rounds = sorted(set.intersection(*map(set, curves))) if curves else []
            scores = np.array([[curve[t] for t in rounds] for curve in curves])
            if rounds and (why := not_levelled(np.array(rounds), scores)):
                found[label] = why
        return found

    @property
    def ranked(self) -> bool:
        """Whether methods are ordered by accuracy: not before the curves of all have levelled."""
        return not self.unlevelled

    @cached_property
    def methods(self) -> list[str]:
        """Labels of all methods, the best mean accuracy first, those without one last; by name if there is no rank."""
        labels = sorted({run.label for run in self.runs})
        means = {label: mean for label in labels if (mean := self.mean(label)) is not None}
        if not self.ranked:
            return sorted(labels, key=lambda label: label not in means)
        return sorted(labels, key=lambda label: -means.get(label, -np.inf))

    @property
    def complete(self) -> list[str]:
        """Labels of the methods whose runs are all done, in the order of methods."""
        return [label for label in self.methods if self.of(label)]

    @property
    def seeds(self) -> list[int]:
        """All seeds."""
        return sorted({run.seed for run in self.runs})

    @property
    def first_run(self) -> StoredRun:
        """A run of the first seed, for what is shown of one federation alone and is the same for all methods."""
        return next(run for run in self.runs if run.seed == self.seeds[0])

    @property
    def floors(self) -> list[np.ndarray]:
        """What each client has in percent by its most frequent class: [N] for each seed, as partitions differ."""
        return [*{run.seed: run.floor for run in self.runs}.values()]

    def of(self, label: str) -> list[StoredRun]:
        """Return the runs of one method by seed; none if one of them is not done, as the rest is no fair sample."""
        runs = sorted((run for run in self.runs if run.label == label), key=lambda run: run.seed)
        return runs if all(run.done for run in runs) else []

    def ends(self, label: str) -> list[str]:
        """Return the status of each run of a method that is not done."""
        return [run.run["status"] for run in self.runs if run.label == label and not run.done]

    def values(self, label: str, name: str) -> list[float]:
        """Return one number of the summary for each run of a method, without the runs that lack it."""
        return [run.summary[name] for run in self.of(label) if run.summary[name] is not None]

    def scores(self, label: str) -> list[float]:
        """Return the accuracy of each run of a method in percent at the primary moment, without runs that lack it."""
        return self.values(label, self.moment.key("accuracy_mean"))

    def mean(self, label: str) -> float | None:
        """Return the mean accuracy of a method over its seeds in percent at the primary moment, or None."""
        found = self.scores(label)
        return float(np.mean(found)) if found else None

    def mean_total(self, label: str, cost: str) -> float:
        """Return what a run of a method costs in all, in base units: mean over its seeds."""
        return float(np.mean([run.total(cost) for run in self.of(label)]))

    @cached_property
    def _series(self) -> dict[str, pd.DataFrame]:
        """Label -> mean curve, of those that were asked for: most figures ask for all."""
        return {}

    def series(self, label: str) -> pd.DataFrame:
        """Return a method's mean curve over its seeds, a row per evaluated round: costs, accuracy, interval low, high.

        The accuracy is that of the primary moment. The interval is that of 95 %, as far as accuracies go; with fewer
        than three seeds low and high are NaN, as an interval of two is wider than what any figure shows.
        """
        if label not in self._series:
            self._series[label] = self._mean_curve(label)
        return self._series[label]

    def _mean_curve(self, label: str) -> pd.DataFrame:
        runs = self.of(label)
        curves = pd.concat([run.curve for run in runs]).rename(columns={self.moment.name: "accuracy"})
        table = curves.dropna(subset="accuracy")
        by_round = table.groupby("round")
        means = by_round[[*COST_UNITS, "accuracy"]].mean()
        scores = by_round["accuracy"].agg(list)
        low, high = intervals(np.array(scores.to_list())) if len(scores) else (np.empty(0), np.empty(0))
        if len(runs) < LEAST_SEEDS:
            low, high = np.full_like(low, np.nan), np.full_like(high, np.nan)
        return means.assign(low=low.clip(0, 100), high=high.clip(0, 100)).reset_index()

    def paired(self, label: str, reference: str) -> list[tuple[StoredRun, StoredRun]]:
        """Return pairs of the runs of two methods under the same seed."""
        others = {run.seed: run for run in self.of(reference)}
        return [(run, others[run.seed]) for run in self.of(label) if run.seed in others]

    @property
    def title(self) -> str:
        """The setting in words."""
        s, training = self.setting, self.training
        work = "local_steps" if s.get("local_steps") else "local_epochs"
        shown = ("partition", "models", "clients", "participation", "rounds", work, "batch_size")
        words = [self.dataset, *(setting_words(name, s[name]) for name in shown), f"lr {training['lr']:g}"]
        usual = {name: field.default for name, field in TrainingConfig.model_fields.items() if name != "lr"}
        words += [f"{k.replace('_', ' ')} {training[k]}" for k, v in usual.items() if training[k] != v]
        words += [f"{k} {s[k]}" for k, v in (("augmentation", "none"), ("initial", "own")) if s.get(k, v) != v]
        words += [f"{k.replace('_', ' ')} {s[k]}" for k in DEFENCES if k in s]
        return ", ".join(words)

    @property
    def selection(self) -> str:
        """The data, the primary moment and the rounds that an accuracy is of, in words."""
        return self.selection_at(self.moment)

    def selection_at(self, *moments: Moment) -> str:
        """Return the data, the moments and the rounds that accuracies are of, in words."""
        rules = sorted({run.summary["headline"] for run in self.done})
        of_rounds = " or ".join(rules) or "no run is done"
        words = " and ".join(moment.words for moment in moments)
        return f"each on its own test data, {words}, {of_rounds}, n = {plural(len(self.seeds), 'seed')}"


def read_experiment(
    results: Path,
    experiment: str,
    targets: Mapping[str, float],
    few: int = PARALLEL_FROM_RUNS,
    moment: Moment | None = None,
) -> list[Comparison]:
    """Read the comparisons of one experiment; targets are accuracies by data set, '' for all others.

    moment: the one that is shown; None: all that are stored, with local training as the primary one
    few: fewer runs than that are read in this process, which is faster if runs are short
    """
    groups: dict[str, list[StoredRun]] = {}
    for run in on_all_cores(StoredRun.read, list(run_folders(results, [experiment])), few):
        groups.setdefault(json.dumps(run.setting, sort_keys=True), []).append(run)
    settings = [runs[0].setting for runs in groups.values()]
    comparisons = []
    for name, heading, runs in zip(names_of(settings), headings_of(settings), groups.values(), strict=True):
        dataset = runs[0].run["dataset"]
        target = targets.get(dataset["name"], targets.get("", dataset["target_accuracy"]))
        labelled, training = _labelled(runs)
        comparison = Comparison(name, dataset["name"], runs[0].setting, training, target, labelled)
        shown = [moment] if moment else comparison.stored_moments or [LOCAL]
        comparisons.append(replace(comparison, moments=shown, heading=heading))
    return sorted(comparisons, key=lambda comparison: _natural(comparison.name))


def _labelled(runs: Sequence[StoredRun]) -> tuple[list[StoredRun], dict[str, Any]]:
    """Name in each label what a run did that its method's name no longer says, and return how most runs train.

    That is the defaults that the method had when it was stored, and the training settings that differ from most runs'.
    """
    counts = Counter(json.dumps(run.training) for run in runs)
    usual: dict[str, Any] = json.loads(min(counts, key=lambda training: (-counts[training], training)))
    labelled = []
    for run in runs:
        method = run.run["specification"]["method"]
        own = method.get("training") or {}
        earlier = {} if method.get("source_hash") else changed_defaults(method["name"])
        had = [f"{k}={v}" for k, v in earlier.items() if k not in method["hyperparameters"]]
        differs = {k: v for k, v in run.training.items() if v != usual[k] and k not in own}
        words = [*had, *(f"{key}={differs[key]}" for key in sorted(differs))]
        labelled.append(replace(run, label="+".join([run.label, *(w for w in words if w not in run.label.split("+"))])))
    return told_apart(labelled), usual


def told_apart(runs: Sequence[StoredRun]) -> list[StoredRun]:
    """Name in the labels of runs that share one what their methods differ in: they are two methods, not two seeds."""
    versions: dict[str, list[Mapping[str, Any]]] = {}
    for run in runs:
        if run.version not in (met := versions.setdefault(run.label, [])):
            met.append(run.version)
    found = []
    for run in runs:
        others = versions[run.label]
        differs = [k for k in run.version if any(other.get(k) != run.version[k] for other in others)]
        found.append(replace(run, label="+".join([run.label, *(f"{k}={run.version[k]}" for k in sorted(differs))])))
    return found


def _natural(name: str) -> list[tuple[bool, float, str]]:
    """Return a sort key for a name that orders the numbers in it by size."""
    pieces = re.split(r"(\d+(?:\.\d+)?)", name)
    return [(i % 2 == 1, float(piece) if i % 2 else 0.0, piece) for i, piece in enumerate(pieces)]


def on_all_cores(work: Callable[[Any], Any], items: Sequence[Any], few: int) -> list[Any]:
    """Return work(item) of every item, in order; with a process per core unless there are fewer than `few` items."""
    processes = min(cores(), len(items))
    if len(items) < few or processes < 2:
        return [work(item) for item in items]
    # Not forked: a fork of a process whose threads have worked (torch's, scikit-learn's) can hang.
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        return list(pool.map(work, items, chunksize=max(1, len(items) // (8 * processes))))


def colour_order(comparisons: Iterable[Comparison]) -> list[str]:
    """Return all labels of a report in one order, so that a method keeps its colour from figure to figure."""
    return sorted({run.label for comparison in comparisons for run in comparison.runs})


def names_of(settings: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return a unique name per setting: the data set, and whatever differs among the settings of that data set."""
    names: list[str] = []
    for setting in settings:
        words = "-".join([setting["dataset"], *(f"{key}={setting[key]}" for key in _differing(setting, settings))])
        names.append(clean_name(words))
    return apart(names)


def headings_of(settings: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return for each setting, in words, the data set and whatever differs among the settings of that data set."""
    return [
        ", ".join([s["dataset"], *(setting_words(key, s[key]) for key in _differing(s, settings))]) for s in settings
    ]


def setting_words(name: str, value: Any) -> str:
    """Return the value of a setting in words."""
    return SETTING_WORDS.get(name, lambda value: f"{name.replace('_', ' ')} {value}")(value)


def _differing(setting: Mapping[str, Any], settings: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the names of what differs among the settings of this one's data set."""
    same_data = [other for other in settings if other["dataset"] == setting["dataset"]]
    return [name for name in setting if len({json.dumps(other.get(name)) for other in same_data}) > 1]
