"""Comparisons in memory, of the classes that reports are made of: for simulations, and for what no run has yet."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd
import pytest

from benchmark.config import TrainingConfig
from benchmark.report.frame import Comparison
from benchmark.report.stored_run import StoredRun
from benchmark.storage.moments import LOCAL, MOMENTS

SETTING = {
    "dataset": "digits",
    "partition": "iid",
    "models": "cnn5",
    "clients": 10,
    "participation": 1.0,
    "rounds": 45,
    "local_epochs": 1,
    "batch_size": 64,
}
TRAINING = {name: field.default for name, field in TrainingConfig.model_fields.items()}


def _curve(means: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame({"round": np.arange(1, len(means) + 1), LOCAL.name: means})


LEVEL_CURVE = _curve(np.full(45, 70.0))


def comparison_of(
    scores: Mapping[str, np.ndarray], curves: Mapping[str, np.ndarray] | None = None, **setting: object
) -> Comparison:
    """A comparison of methods with these accuracies in percent, after local training: label -> [seeds, clients].

    curves: label -> mean accuracies in all rounds, [seeds, rounds]; level ones if there are none
    """
    runs = []
    for label, of_seeds in scores.items():
        for seed, clients in enumerate(of_seeds):
            curve = LEVEL_CURVE if curves is None else _curve(curves[label][seed])
            summary = {moment.key("accuracy_mean"): None for moment in MOMENTS}
            summary |= {"accuracy_mean": float(clients.mean()), "headline": "mean of the last 5 evaluated rounds"}
            runs.append(_run(label, seed, clients, curve, summary))
    return Comparison("simulated", "digits", SETTING | setting, TRAINING, None, runs)


def _run(label: str, seed: int, clients: np.ndarray, curve: pd.DataFrame, summary: Mapping[str, object]) -> StoredRun:
    record = {"status": "done", "specification": {"seed": seed}, "partition": {"counts": [[3, 1]]}}
    at = {moment: clients if moment == LOCAL else np.empty(0) for moment in MOMENTS}
    return StoredRun(record, label, summary, curve, at, {}, {}, ())  # type: ignore[arg-type]


@pytest.fixture(name="comparison_of", scope="session")
def _comparison_of() -> Callable[..., Comparison]:
    return comparison_of


def texts_of(table: object) -> dict[str, dict[str, str]]:
    """Row name -> column -> text, of all rows."""
    titles = [column.title for column in table.columns]  # type: ignore[attr-defined]
    rows: Sequence[Sequence] = table.lines  # type: ignore[attr-defined]
    return {row[0].text: dict(zip(titles, (cell.text for cell in row), strict=True)) for row in rows}


@pytest.fixture(name="texts_of", scope="session")
def _texts_of() -> Callable[..., dict[str, dict[str, str]]]:
    return texts_of
