"""Results as data frames, grouped into comparisons."""

import json
import os
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

from benchmark.config import TrainingConfig
from benchmark.errors import RequestError, plural
from benchmark.report.statistics import intervals
from benchmark.storage.run_folder import RunFolder, run_folders
from benchmark.storage.schema import ENDED, Round, RunRecord
from benchmark.storage.summary import accuracies, headline_rounds, summary_of
from benchmark.storage.verify import problems, read_checked, remarks

COST_UNITS = {"bytes": ("MB", 1e6), "flops": ("TFLOP", 1e12), "seconds": ("s", 1.0)}
"""Column of a curve -> its unit, and how many base units that is."""

PARALLEL_FROM_RUNS = 40
"""Read runs with several processes from this many on."""
LONGEST_CLASS_NAME = 24
NAME_CHARACTERS = 100
"""Largest number of characters of a comparison's name."""


@dataclass(frozen=True, eq=False)
class StoredRun:
    """One run as it was read, with what reports need of its rounds.

    label: the method's, in a comparison with its own training settings if they differ from most runs'
    curve: one row per round: costs up to and with it, and the mean accuracy in percent, NaN if it was not evaluated
    clients: [N] headline accuracy of each client in percent; empty if no round was evaluated
    weights: round -> what is weighed -> per client, class -> mean weight; empty if the run was not inspected
    representations: the arrays of inspection.npz; empty if there is no such file
    summary: what its rounds say in all, computed from them; empty if the run has not ended
    remarks: what a reader should know of the run besides its numbers
    """

    run: RunRecord
    label: str
    summary: Mapping[str, Any]
    curve: pd.DataFrame
    clients: np.ndarray
    weights: Mapping[int, Mapping[str, Sequence[Mapping[str, float]]]]
    representations: Mapping[str, np.ndarray]
    remarks: Sequence[str]

    @classmethod
    def read(cls, folder: RunFolder) -> "StoredRun":
        """Read a run. Raises RequestError if its files do not fit together."""
        checked = read_checked(folder)
        if found := problems(checked):
            answer = "`verify` lists all problems; remove the folder and run again"
            raise RequestError(f"{folder.path}: {found[0]}; {answer}")
        rounds = checked.rounds
        chosen, _ = headline_rounds(rounds)
        return cls(
            run=checked.run,
            label=checked.run["specification"]["method"]["label"],
            summary=summary_of(checked.run, rounds) if checked.run["status"] in ENDED else {},
            curve=_curve(rounds),
            clients=accuracies(rounds)[chosen].mean(0) if chosen else np.empty(0),
            weights={r["round"]: r["inspection"] for r in rounds if r.get("inspection")},
            representations=_arrays(folder.path / "inspection.npz") if checked.run["status"] == "done" else {},
            remarks=[remark for remark in remarks(checked) if "went on" in remark],
        )

    @property
    def done(self) -> bool:
        """True if the run has finished, so that it counts."""
        return self.run["status"] == "done"

    @property
    def seed(self) -> int:
        """The run's seed."""
        return self.run["specification"]["seed"]

    @property
    def class_names(self) -> list[str]:
        """The names of the classes, cut to a readable length; their numbers for runs that were stored without names."""
        numbers = [str(c) for c in range(self.run["dataset"]["classes"])]
        stored = self.run["dataset"].get("class_names", numbers)
        names = stored if len(stored) == len(numbers) else numbers
        return [name if len(name) <= LONGEST_CLASS_NAME else name[: LONGEST_CLASS_NAME - 1] + "…" for name in names]

    @property
    def whole_setting(self) -> dict[str, Any]:
        """The specification without method and seed, flat."""
        spec = {name: value for name, value in self.run["specification"].items() if name not in ("method", "seed")}
        return spec | spec.pop("federation")

    @property
    def setting(self) -> dict[str, Any]:
        """What the runs of a comparison have in common: of the whole setting all but how clients train."""
        return {name: value for name, value in self.whole_setting.items() if name not in TrainingConfig.model_fields}

    @property
    def training(self) -> dict[str, Any]:
        """How clients train under this run's federation, whatever its method says of its own."""
        return {
            name: self.whole_setting.get(name, field.default) for name, field in TrainingConfig.model_fields.items()
        }

    def total(self, cost: str) -> float:
        """Return what all rounds cost, in base units."""
        return float(self.curve[cost].iloc[-1])

    def cost_to(self, target: float) -> pd.Series | None:
        """Return the row of the curve at which the mean accuracy first reaches the target, or None."""
        reached = self.curve[self.curve["accuracy"] >= target]
        return None if reached.empty else reached.iloc[0]

    def accuracy_within(self, cost: str, budget: float) -> float | None:
        """Return the mean accuracy in the last evaluated round within the budget, or None if no such round is."""
        within = self.curve[self.curve[cost] <= budget]["accuracy"].dropna()
        return None if within.empty else float(within.iloc[-1])


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

    @property
    def done(self) -> list[StoredRun]:
        """All runs of the methods whose runs are all done."""
        return [run for label in self.methods for run in self.of(label)]

    @property
    def not_done(self) -> list[StoredRun]:
        """Runs that are reported and never averaged."""
        return [run for run in self.runs if not run.done]

    @cached_property
    def methods(self) -> list[str]:
        """Labels of all methods, the best mean accuracy first, those without one last."""
        labels = {run.label for run in self.runs}
        means = {label: mean for label in labels if (mean := self.mean(label)) is not None}
        return sorted(labels, key=lambda label: (-means.get(label, -np.inf), label))

    @property
    def complete(self) -> list[str]:
        """Labels of the methods whose runs are all done, the best first."""
        return [label for label in self.methods if self.of(label)]

    @property
    def seeds(self) -> list[int]:
        """All seeds."""
        return sorted({run.seed for run in self.runs})

    def of(self, label: str) -> list[StoredRun]:
        """Return the runs of one method by seed; none if one of them is not done, as the rest is no fair sample."""
        runs = sorted((run for run in self.runs if run.label == label), key=lambda run: run.seed)
        return runs if all(run.done for run in runs) else []

    def values(self, label: str, name: str) -> list[float]:
        """Return one number of the summary for each run of a method, without the runs that lack it."""
        return [run.summary[name] for run in self.of(label) if run.summary[name] is not None]

    def mean(self, label: str) -> float | None:
        """Return the mean accuracy of a method over its seeds in percent, or None."""
        found = self.values(label, "accuracy_mean")
        return float(np.mean(found)) if found else None

    def series(self, label: str) -> pd.DataFrame:
        """Return a method's mean curve over its seeds, a row per evaluated round: costs, accuracy, interval low, high.

        The interval is that of 95 %; with one seed low and high are NaN.
        """
        runs = self.of(label)
        table = pd.concat([run.curve for run in runs]).dropna(subset="accuracy")
        by_round = table.groupby("round")
        means = by_round[[*COST_UNITS, "accuracy"]].mean()
        scores = by_round["accuracy"].agg(list)
        low, high = intervals(np.array(scores.to_list())) if len(scores) else (np.empty(0), np.empty(0))
        return means.assign(low=low, high=high).reset_index()

    def paired(self, label: str, reference: str) -> list[tuple[StoredRun, StoredRun]]:
        """Return pairs of the runs of two methods under the same seed."""
        others = {run.seed: run for run in self.of(reference)}
        return [(run, others[run.seed]) for run in self.of(label) if run.seed in others]

    @property
    def title(self) -> str:
        """The setting in words."""
        s, training = self.setting, self.training
        work = "one local epoch" if s["local_epochs"] == 1 else f"{s['local_epochs']} local epochs"
        if s.get("local_steps"):
            work = plural(s["local_steps"], "local step")
        words = [
            *(self.dataset, s["partition"], s["models"], f"N = {s['clients']}"),
            *(f"participation {100 * s['participation']:g} %", f"{s['rounds']} rounds", work),
            *(f"batch {s['batch_size']}", f"lr {training['lr']:g}"),
        ]
        usual = {name: field.default for name, field in TrainingConfig.model_fields.items() if name != "lr"}
        words += [f"{k.replace('_', ' ')} {training[k]}" for k, v in usual.items() if training[k] != v]
        words += [f"{k} {s[k]}" for k, v in (("augmentation", "none"), ("initial", "own")) if s.get(k, v) != v]
        return ", ".join(words)

    @property
    def selection(self) -> str:
        """The data, the moment and the rounds that an accuracy is of, in words."""
        rules = sorted({run.summary["headline"] for run in self.done})
        of_rounds = " or ".join(rules) or "no run is done"
        seeds = plural(len(self.seeds), "seed")
        return f"each on its own test data, after local training and before aggregation, {of_rounds}, n = {seeds}"


def read_experiment(
    results: Path, experiment: str, targets: Mapping[str, float], few: int = PARALLEL_FROM_RUNS
) -> list[Comparison]:
    """Read the comparisons of one experiment; targets are accuracies by data set, '' for all others.

    few: fewer runs than that are read in this process, which is faster if runs are short
    """
    groups: dict[str, list[StoredRun]] = {}
    for run in on_all_cores(StoredRun.read, list(run_folders(results, [experiment])), few):
        groups.setdefault(json.dumps(run.setting, sort_keys=True), []).append(run)
    names = names_of([runs[0].setting for runs in groups.values()])
    comparisons = []
    for name, runs in zip(names, groups.values(), strict=True):
        dataset = runs[0].run["dataset"]
        target = targets.get(dataset["name"], targets.get("", dataset["target_accuracy"]))
        labelled, training = _labelled(runs)
        comparisons.append(Comparison(name, dataset["name"], runs[0].setting, training, target, labelled))
    return sorted(comparisons, key=lambda comparison: _natural(comparison.name))


def _labelled(runs: Sequence[StoredRun]) -> tuple[list[StoredRun], dict[str, Any]]:
    """Name in each label the training settings of a federation that differ from those of most runs; and the latter."""
    counts = Counter(json.dumps(run.training) for run in runs)
    usual: dict[str, Any] = json.loads(min(counts, key=lambda training: (-counts[training], training)))
    labelled = []
    for run in runs:
        own = run.run["specification"]["method"].get("training") or {}
        differs = {k: v for k, v in run.training.items() if v != usual[k] and k not in own}
        words = [f"{key}={differs[key]}" for key in sorted(differs)]
        labelled.append(replace(run, label="+".join([run.label, *words])))
    return labelled, usual


def _natural(name: str) -> list[tuple[bool, float, str]]:
    """Return a sort key for a name that orders the numbers in it by size."""
    pieces = re.split(r"(\d+(?:\.\d+)?)", name)
    return [(i % 2 == 1, float(piece) if i % 2 else 0.0, piece) for i, piece in enumerate(pieces)]


def on_all_cores(work: Callable[[Any], Any], items: Sequence[Any], few: int) -> list[Any]:
    """Return work(item) of every item, in order; with a process per core unless there are fewer than `few` items."""
    processes = min(os.cpu_count() or 1, len(items))
    if len(items) < few or processes < 2:
        return [work(item) for item in items]
    # Not forked: a fork of a process whose threads have worked (torch's, scikit-learn's) can hang.
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        return list(pool.map(work, items, chunksize=max(1, len(items) // (8 * processes))))


def colour_order(comparisons: Iterable[Comparison]) -> list[str]:
    """Return all labels of a report in one order, so that a method keeps its colour from figure to figure."""
    return sorted({run.label for comparison in comparisons for run in comparison.runs})


def _curve(rounds: Sequence[Round]) -> pd.DataFrame:
    table = pd.DataFrame(
        {
            "round": [r["round"] for r in rounds],
            "bytes": np.cumsum([float(r["bytes_up"] + r["bytes_down"]) for r in rounds]),
            "flops": np.cumsum([float(r["client_flops"]) for r in rounds]),
            "seconds": np.cumsum([r["client_seconds"] for r in rounds]),
            "accuracy": np.nan,
        }
    )
    evaluated = ["post_local" in r for r in rounds]
    table.loc[evaluated, "accuracy"] = accuracies(rounds).mean(1) if any(evaluated) else []
    return table


def _arrays(path: Path) -> dict[str, np.ndarray]:
    """Read the arrays of inspection.npz; none if it does not exist. Raises RequestError if it holds anything else."""
    if not path.exists():
        return {}
    try:
        with np.load(path, allow_pickle=False) as file:
            found = {name: file[name] for name in ("points", "kind", "client", "label", "names")}
        rows, kinds = len(found["points"]), set(found["kind"].tolist())
        if found["points"].ndim != 2 or any(found[name].shape != (rows,) for name in ("kind", "client", "label")):
            raise ValueError("its arrays do not fit together")
        if [found[name].dtype.kind for name in ("points", "kind", "client", "label", "names")] != list("fiiiU"):
            raise ValueError("its arrays are of other types")
        if not kinds <= set(range(len(found["names"]))) or not np.isfinite(found["points"]).all():
            raise ValueError("its numbers can't be")
    except Exception as error:  # zipfile, zlib and NumPy may raise anything on a foreign file
        raise RequestError(f"{path} is damaged; remove its folder and run again") from error
    return found


def clean_name(words: str) -> str:
    """Reduce words to what file names, links and headings may have: letters, digits and . = + - _ alone."""
    words = re.sub(r"(?<=\d):(?=\d)", "_", words)  # 0.3:0.5 is two numbers
    return re.sub(r"\.{2,}", ".", re.sub(r"[^\w.=+-]", "", words, flags=re.ASCII))[:NAME_CHARACTERS]


def names_of(settings: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return a unique name per setting: the data set, and whatever differs among the settings of that data set."""
    names: list[str] = []
    for setting in settings:
        same_data = [other for other in settings if other["dataset"] == setting["dataset"]]
        differs = [k for k in setting if len({json.dumps(other.get(k)) for other in same_data}) > 1]
        words = "-".join([setting["dataset"], *(f"{key}={setting[key]}" for key in differs)])
        name = clean_name(words)
        names.append(name if name not in names else f"{name}-{len(names) + 1}")
    return names
