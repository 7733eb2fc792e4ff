"""One stored run, with what reports need of it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmark.config import TrainingConfig
from benchmark.devices.stored_work import StoredWork
from benchmark.errors import RequestError
from benchmark.privacy.tables import read_scores
from benchmark.storage.conditions import standstill
from benchmark.storage.files import read_arrays
from benchmark.storage.moments import LOCAL, MOMENTS, Moment
from benchmark.storage.run_folder import RunFolder
from benchmark.storage.schema import ENDED, Round, RunRecord
from benchmark.storage.summary import accuracies, headline_clients, participants_accuracy, summary_of
from benchmark.storage.verify import problems, read_checked, unlike_when_resumed

INSPECTION = "inspection.npz"
SCORES = "privacy.npz"
LONGEST_CLASS_NAME = 24
SOURCE_DIGITS = 8
"""Digits by which two sources of one method are told apart."""


@dataclass(frozen=True, eq=False)
class StoredRun:
    """One run as it was read, with what reports need of its rounds.

    label: the method's, in a comparison with its own training settings if they differ from most runs'
    curve: one row per round: costs up to and with it, training loss, and by name of each moment the mean accuracy in
        percent, NaN if networks were not evaluated then
    clients: moment -> [N] headline accuracy of each client in percent; empty if networks were not evaluated then
    participants: accuracy in percent of those alone that took part in the headline's rounds, after local training
    weights: round -> what is weighed -> per client, class -> mean weight; empty if the run was not inspected
    representations: the arrays of inspection.npz; empty if there is no such file
    summary: what its rounds say in all, computed from them; empty if the run has not ended
    remarks: what a reader should know of the run besides its numbers
    privacy: the arrays of privacy.npz; empty if messages were not attacked
    work: what the participants of its rounds computed and sent
    """

    run: RunRecord
    label: str
    summary: Mapping[str, Any]
    curve: pd.DataFrame
    clients: Mapping[Moment, np.ndarray]
    weights: Mapping[int, Mapping[str, Sequence[Mapping[str, float]]]]
    representations: Mapping[str, np.ndarray]
    remarks: Sequence[str]
    privacy: Mapping[str, np.ndarray] = field(default_factory=dict)
    participants: float | None = None
    work: StoredWork = field(default_factory=lambda: StoredWork.of([]))

    @classmethod
    def read(cls, folder: RunFolder) -> "StoredRun":
        """Read a run. Raises RequestError if its files do not fit together."""
        checked = read_checked(folder)
        if found := problems(checked):
            answer = "`verify` lists all problems; remove the folder and run again"
            raise RequestError(f"{folder.path}: {found[0]}; {answer}")
        left = checked.run["files"] if checked.run["status"] == "done" else {}
        arrays = _arrays(folder.path / INSPECTION) if INSPECTION in left else {}
        said = [*unlike_when_resumed(checked.run), *standstill([r["client_seconds"] for r in checked.rounds])]
        run = cls.of(checked.run, checked.rounds, arrays, said)
        return replace(run, privacy=read_scores(folder.path / SCORES)) if SCORES in left else run

    @classmethod
    def of(
        cls,
        run: RunRecord,
        rounds: Sequence[Round],
        representations: Mapping[str, np.ndarray] | None = None,
        said: Sequence[str] = (),
    ) -> "StoredRun":
        """Return a run with these rounds; said: its remarks."""
        return cls(
            run=run,
            label=run["specification"]["method"]["label"],
            summary=summary_of(run, rounds) if run["status"] in ENDED else {},
            curve=_curve(rounds),
            clients={moment: headline_clients(rounds, moment) for moment in MOMENTS},
            participants=participants_accuracy(rounds),
            weights={r["round"]: r["inspection"] for r in rounds if r.get("inspection")},
            representations=representations or {},
            remarks=said,
            work=StoredWork.of(rounds),
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

    @property
    def version(self) -> dict[str, Any]:
        """What a method is besides its label: its hyper-parameters, and the hash of its source if it is a user's."""
        method = self.run["specification"]["method"]
        return {**method["hyperparameters"], "source": str(method.get("source_hash"))[:SOURCE_DIGITS]}

    @property
    def floor(self) -> np.ndarray:
        """What each client has in percent by always answering its most frequent class: [N].

        There is no such line from above: a network trained on all clients' data together would need a client that sees
        all data, which no method of a federation may have.
        """
        counts = np.array(self.run["partition"]["counts"], dtype=float)
        return 100 * counts.max(1) / counts.sum(1)

    def total(self, cost: str) -> float:
        """Return what all rounds cost, in base units."""
        return float(self.curve[cost].iloc[-1])

    def means(self, moment: Moment) -> dict[int, float]:
        """Return round -> mean accuracy over clients in percent, of the rounds that were evaluated at a moment."""
        rounds, means = self.curve["round"].tolist(), self.curve[moment.name].tolist()
        return {t: mean for t, mean in zip(rounds, means, strict=True) if not math.isnan(mean)}

    def cost_to(self, target: float, moment: Moment = LOCAL) -> pd.Series | None:
        """Return the row of the curve at which the mean accuracy first reaches the target, or None."""
        reached = self.curve[self.curve[moment.name] >= target]
        return None if reached.empty else reached.iloc[0]

    def accuracy_within(self, cost: str, budget: float, moment: Moment = LOCAL) -> float | None:
        """Return the mean accuracy in the last evaluated round within the budget, or None if no such round is."""
        within = self.curve[self.curve[cost] <= budget][moment.name].dropna()
        return None if within.empty else float(within.iloc[-1])


def _curve(rounds: Sequence[Round]) -> pd.DataFrame:
    clients, server = (np.cumsum([float(r[name]) for r in rounds]) for name in ("client_flops", "server_flops"))
    costs = {
        "round": [r["round"] for r in rounds],
        "bytes": np.cumsum([float(r["bytes_up"] + r["bytes_down"]) for r in rounds]),
        "client_flops": clients,
        "server_flops": server,
        "flops": clients + server,
        "seconds": np.cumsum([r["client_seconds"] for r in rounds]),
        "server_seconds": np.cumsum([r["server_seconds"] for r in rounds]),
        "train_loss": [r["train_loss"] for r in rounds],
    }
    return pd.DataFrame(costs | {moment.name: _means(rounds, moment) for moment in MOMENTS})


def _means(rounds: Sequence[Round], moment: Moment) -> np.ndarray:
    """Return the mean accuracy over clients of each round in percent, NaN if networks were not evaluated then."""
    means, evaluated = np.full(len(rounds), np.nan), [moment.stored in r for r in rounds]
    if any(evaluated):
        means[evaluated] = accuracies(rounds, moment.stored).mean(1)
    return means


def _arrays(path: Path) -> dict[str, np.ndarray]:
    """Read the arrays of inspection.npz. Raises RequestError if it holds anything else."""
    try:
        read = read_arrays(path)
        found = {name: read[name] for name in ("points", "kind", "client", "label", "names")}
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
