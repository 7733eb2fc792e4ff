"""Requests of a tuning: one for all trials, and one per comparison for what was chosen. A trial is an ordinary run."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any, NamedTuple

from benchmark.config import FederationConfig, MethodSpec, RunSpec, TrainingConfig, federation_config
from benchmark.errors import RequestError, plural
from benchmark.plugins import registry
from benchmark.problem import Run
from benchmark.run.plan import Request, plan
from benchmark.storage.names import file_name
from benchmark.tuning.record import (
    Tuning,
    TuningRecord,
    flat_setting,
    read_tunings,
    trials_experiment,
    without_validation,
)
from benchmark.tuning.space import trials

MUST_AGREE = (
    *("dataset", "data_hash", "partition", "models", "models_hash", "clients", "participation"),
    *TrainingConfig.model_fields,
)
"""What a comparison must have in common with the one that a method was tuned on, most telling first."""


@dataclass(frozen=True)
class TrialGrid:
    """The trials of a tuning as a grid of runs.

    request: for the runs of all trials; labels: those of each method's trials in order, by the method's own label
    """

    request: Request
    labels: Mapping[str, Sequence[str]]

    @classmethod
    def of(cls, request: Request, number: int, seeds: Sequence[int], validation: float) -> "TrialGrid":
        """Make so many trials of each method of a request, with a share of training samples held out for the choice.

        Raises RequestError.
        """
        if common := sorted({*seeds} & {*request.seeds}):
            raise RequestError(
                f"--tuning-seeds and --seeds both have {common[0]}; a choice is judged on seeds that it was not made on"
            )
        lr = federation_config(dict(request.federation)).lr
        texts: dict[str, str] = {}
        labels = {}
        for method in request.methods:
            labelled = [(registry.method(text)[1].label, text) for text in _trial_texts(method, lr, number)]
            texts |= labelled
            labels[labelled[0][0]] = [label for label, _ in labelled]
        federation = {**request.federation, "validation": validation}
        experiment = file_name("--experiment", trials_experiment(request.experiment))
        grid = replace(
            request, methods=[*texts.values()], seeds=seeds, federation=federation, experiment=experiment, shard=(1, 1)
        )
        return cls(grid, labels)

    def records(self, runs: Sequence[Run]) -> list[TuningRecord]:
        """Return what tuning.json says of these runs, the request's: for each comparison, for each method."""
        settings: dict[str, dict[str, Any]] = {}
        keys: dict[str, dict[tuple[str, int], str]] = {}
        for spec in (run.spec for run in runs):
            setting = _shared(spec)
            words = json.dumps(setting)
            settings[words] = setting
            keys.setdefault(words, {})[spec.method.label, spec.seed] = spec.key
        seeds = [*self.request.seeds]
        return [
            {
                "method": method,
                "setting": setting,
                "seeds": seeds,
                "trials": [{"label": label, "keys": [keys[words][label, seed] for seed in seeds]} for label in labels],
            }
            for words, setting in settings.items()
            for method, labels in self.labels.items()
        ]


def _trial_texts(text: str, lr: float, number: int) -> list[str]:
    """Return a method's trials as `--methods` takes them; lr: the federation's learning rate."""
    method, spec = registry.method(text)
    found = trials(method, _given(spec), (spec.training or {}).get("lr", lr), number)
    return ["+".join([text, *(f"{name}={value}" for name, value in settings.items())]) for settings in found]


def _given(spec: MethodSpec) -> list[str]:
    """Return the names of the settings that a method was given, which its label has."""
    return [setting.partition("=")[0] for setting in spec.label.split("+")[1:]]


class Chosen(NamedTuple):
    """A request for one comparison with the methods as they were chosen, and the tunings that chose."""

    request: Request
    tunings: Sequence[Tuning]


def chosen(request: Request, experiment: str, with_defaults: bool = False) -> list[Chosen]:
    """Return the request with its methods as they were chosen in an experiment, for each of its comparisons.

    with_defaults: each method stands there as it was given, too. Raises RequestError.
    """
    tunings = read_tunings(request.results, experiment)
    if not tunings:
        raise RequestError(
            f"there is no tuning {experiment!r} in {request.results}; `tune --experiment {experiment}` makes it"
        )
    return [_chosen(comparison, tunings, experiment, with_defaults) for comparison in _comparisons(request)]


def _comparisons(request: Request) -> Iterator[Request]:
    axes = ("datasets", "partition", "models", "clients", "participation")
    for values in product(*(getattr(request, axis) for axis in axes)):
        one: dict[str, Any] = {axis: [value] for axis, value in zip(axes, values, strict=True)}
        yield replace(request, **one)


def _chosen(request: Request, tunings: Sequence[Tuning], experiment: str, with_defaults: bool) -> Chosen:
    first = plan(replace(request, seeds=request.seeds[:1], shard=(1, 1)))[0]
    setting = flat_setting(_shared(first.spec))
    found = [_fitting(tunings, registry.method(text)[1].label, setting, experiment) for text in request.methods]
    for tuning in found:
        _check_usable(tuning, request.seeds, experiment)
    texts = [_as_chosen(text, tuning) for text, tuning in zip(request.methods, found, strict=True)]
    pairs = zip(request.methods if with_defaults else texts, texts, strict=True)
    labelled = {registry.method(text)[1].label: text for pair in pairs for text in pair}  # the default may be chosen
    return Chosen(replace(request, methods=[*labelled.values()]), found)


def _shared(spec: RunSpec) -> dict[str, Any]:
    """Return a specification without method and seed, as results have it."""
    return spec.model_dump(mode="json", exclude={"method", "seed"}, exclude_none=True)


def _check_usable(tuning: Tuning, seeds: Sequence[int], experiment: str) -> None:
    """Raise RequestError if not all trials have ended, or if the runs would be on seeds of theirs."""
    if tuning.missing:
        left = f"{tuning.missing} of {plural(len(tuning.trials), 'trial')} of {tuning.method}"
        raise RequestError(f"{left} in {experiment!r} have not ended; the command that began them goes on")
    if common := sorted({*tuning.seeds} & {*seeds}):
        raise RequestError(f"{tuning.method} was tuned on seed {common[0]}; give --seeds that it was not tuned on")


def _as_chosen(text: str, tuning: Tuning) -> str:
    """Return a method as `--methods` takes it, by the same name or path, with the settings that were chosen."""
    return "+".join([text.split("+")[0], *tuning.chosen.label.split("+")[1:]])


def _fitting(tunings: Sequence[Tuning], method: str, setting: Mapping[str, Any], experiment: str) -> Tuning:
    """Return the tuning of a method on this setting, or on one that differs in nothing that matters.

    Raises RequestError if there is none, or if there are several.
    """
    of_method = [tuning for tuning in tunings if tuning.method == method]
    if not of_method:
        known = ", ".join(sorted({tuning.method for tuning in tunings}))
        raise RequestError(f"{method} was not tuned in {experiment!r}, which has {known}")
    differences = [_differences(tuning.setting, setting) for tuning in of_method]
    agree = [tuning for tuning, found in zip(of_method, differences, strict=True) if not found]
    same = [tuning for tuning in agree if without_validation(tuning.setting) == without_validation(setting)]
    if not agree:
        words = ", ".join(sorted(differences, key=len)[0])
        raise RequestError(f"{method} was tuned in {experiment!r} on another comparison: {words}")
    if len(same or agree) > 1:
        raise RequestError(
            f"{method} was tuned {len(agree)} times in {experiment!r} on this comparison, with other rounds or local "
            "work, and none of them with those here; give the rounds and the local work of one of them"
        )
    return (same or agree)[0]


def _differences(tuned_on: Mapping[str, Any], setting: Mapping[str, Any]) -> list[str]:
    """Return in words where two settings differ that must agree."""
    usual = {name: field.default for name, field in FederationConfig.model_fields.items()}
    pairs = {name: (tuned_on.get(name, usual.get(name)), setting.get(name, usual.get(name))) for name in MUST_AGREE}
    found = [f"{name.replace('_', ' ')} {a}, here {b}" for name, (a, b) in pairs.items() if a != b]
    return found[:1] if pairs["dataset"][0] != pairs["dataset"][1] else found
