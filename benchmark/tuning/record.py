"""What a tuning leaves beside the runs of its trials: tuning.json, which says which runs are trials of what.

results/<experiment>-trials/
    tuning.json                             the trials of each method, in order
    <dataset>/<method label>/<key>/         the runs of the trials

Which trial is best follows from the rounds of these runs, and is computed whenever it is read. This module imports
neither torch nor methods.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import AfterValidator, Field, TypeAdapter, with_config
from typing_extensions import TypedDict  # Python 3.11's own lacks facts that pydantic needs

from benchmark.errors import RequestError
from benchmark.storage.files import claim, read_whole, storing, write_whole
from benchmark.storage.names import file_name
from benchmark.storage.run_folder import MOST_RECORD_BYTES, RunFolder
from benchmark.storage.schema import ENDED, STRICT, Text, Whole
from benchmark.storage.strict_json import loads
from benchmark.storage.summary import accuracies, headline_window
from benchmark.storage.verify import problems, read_checked
from benchmark.tuning.choice import Trial, best

TUNING_SCHEMA = 1
FILE = "tuning.json"
FolderName = Annotated[str, AfterValidator(partial(file_name, "a part of"))]
"""The name of a folder below that of the experiment, and no way out of it."""


@with_config(STRICT)
class TrialRecord(TypedDict):
    """One trial: the method's label with its settings, and the key of its run under each tuning seed."""

    label: FolderName
    keys: list[FolderName]


@with_config(STRICT)
class TuningRecord(TypedDict):
    """The trials of one method on one comparison; the first is the default.

    method: the label of the default; setting: the specification of its runs without method and seed
    """

    method: FolderName
    setting: dict[Text, Any]
    seeds: list[Whole]
    trials: Annotated[list[TrialRecord], Field(min_length=1)]


@with_config(STRICT)
class TuningFile(TypedDict):
    """tuning.json."""

    schema: Literal[1]
    tunings: list[TuningRecord]


TUNING_FILE: TypeAdapter[TuningFile] = TypeAdapter(TuningFile)


@dataclass(frozen=True)
class Tuning:
    """The tuning of one method on one comparison, with what its trials have come to."""

    method: str
    setting: Mapping[str, Any]
    """The specification of its trials without method and seed, flat."""
    seeds: Sequence[int]
    trials: Sequence[Trial]

    @property
    def missing(self) -> int:
        """Number of trials that have not ended yet."""
        return sum(trial.status == "missing" for trial in self.trials)

    @property
    def chosen(self) -> Trial:
        """The trial that is best on validation samples."""
        return best(self.trials)


def trials_experiment(experiment: str) -> str:
    """Return the name of the experiment that has the trials of a tuning."""
    return f"{experiment}-trials"


def has_trials(folder: Path) -> bool:
    """Return whether the runs of an experiment are trials, so that nothing may be chosen by their test accuracies."""
    return (folder / FILE).exists()


def store_tunings(results: Path, experiment: str, records: Sequence[TuningRecord]) -> None:
    """Add tunings to those of an experiment, in place of earlier ones of the same method on the same comparison.

    Raises RequestError if what is there is damaged, and StorageError.
    """
    folder = results / trials_experiment(experiment)
    with storing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with claim(folder / f"{FILE}.claim", patient=True):
        before = _records(folder)
        new = {_of_what(record) for record in records}
        kept = [record for record in before if _of_what(record) not in new]
        content = TUNING_FILE.validate_python({"schema": TUNING_SCHEMA, "tunings": [*kept, *records]})
        text = json.dumps(content, indent=1, allow_nan=False) + "\n"
        if content["tunings"] != before:
            write_whole(folder / FILE, lambda file: file.write(text.encode()))


def read_tunings(results: Path, experiment: str) -> list[Tuning]:
    """Return all tunings of an experiment, none if there are none. Raises RequestError if a file is damaged."""
    folder = results / trials_experiment(experiment)
    return [_tuning(folder, record) for record in _records(folder)]


def _records(folder: Path) -> list[TuningRecord]:
    path = folder / FILE
    try:
        content = loads(read_whole(path, MOST_RECORD_BYTES))
        return TUNING_FILE.validate_python(content)["tunings"]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise RequestError(f"{path} can't be read ({error.strerror})") from error
    except ValueError as error:  # ValidationError is one
        raise RequestError(f"{path} is damaged, or of a later version; remove it and tune again") from error


def flat_setting(setting: Mapping[str, Any]) -> dict[str, Any]:
    """Return a specification without the level of its federation."""
    return {name: value for name, value in setting.items() if name != "federation"} | setting.get("federation", {})


def without_validation(setting: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the trials of a comparison have in common with its other runs, from a flat specification."""
    return {name: value for name, value in setting.items() if name != "validation"}


def _of_what(record: TuningRecord) -> tuple[str, str]:
    return record["method"], json.dumps(without_validation(flat_setting(record["setting"])), sort_keys=True)


def _tuning(folder: Path, record: TuningRecord) -> Tuning:
    below = folder / file_name(f"the data set in {folder / FILE}", str(record["setting"].get("dataset")))
    folders = {t["label"]: [RunFolder(below / t["label"] / key) for key in t["keys"]] for t in record["trials"]}
    read = {label: _trial(label, of_label) for label, of_label in folders.items()}  # a trial may stand there twice
    trials = [read[trial["label"]] for trial in record["trials"]]
    return Tuning(record["method"], flat_setting(record["setting"]), record["seeds"], trials)


def _trial(label: str, folders: Sequence[RunFolder]) -> Trial:
    """Read the runs of one trial. Raises RequestError if the files of one do not fit together."""
    validation, test, flops, status = [], [], 0.0, "done"
    for folder in folders:
        checked = read_checked(folder) if folder.exists else None
        if checked is None or checked.run["status"] not in ENDED:
            return Trial(label, "missing", None, None, flops)
        if found := problems(checked):
            raise RequestError(f"{folder.path}: {found[0]}; remove the folder and tune again")
        flops += sum(r["client_flops"] for r in checked.rounds)
        if checked.run["status"] != "done":
            status = checked.run["status"]
            continue
        validation.append(_mean(accuracies(checked.rounds, "validation")))
        test.append(_mean(accuracies(checked.rounds)))
    if status != "done":
        return Trial(label, status, None, None, flops)
    return Trial(label, status, float(np.mean(validation)), float(np.mean(test)), flops)


def _mean(scores: np.ndarray) -> float:
    """Return the mean of accuracies [evaluated rounds, N] over clients and the rounds of a headline."""
    return float(scores.mean(1)[-headline_window(len(scores)) :].mean())
