"""Comparisons in memory, of the classes that reports are made of: for simulations, and for what no run has yet."""

from collections.abc import Callable, Collection, Mapping, Sequence

import numpy as np
import pandas as pd
import pytest

from benchmark.config import TrainingConfig
from benchmark.report.frame import Comparison
from benchmark.report.stored_run import StoredRun
from benchmark.storage.moments import LOCAL, MOMENTS, Moment

DOWNLOAD = MOMENTS[1]

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


def _curve(means: np.ndarray, price: tuple[float, float] = (0.0, 0.0)) -> pd.DataFrame:
    rounds = np.arange(1, len(means) + 1)
    costs = dict(zip(("bytes", "flops"), (rounds / len(means) * total for total in price), strict=True))
    return pd.DataFrame({"round": rounds, LOCAL.name: means, "seconds": rounds / 2, **costs})


def comparison_of(
    scores: Mapping[str, np.ndarray],
    curves: Mapping[str, np.ndarray] | None = None,
    downloaded: Mapping[str, np.ndarray] | None = None,
    prices: Mapping[str, tuple[float, float]] | None = None,
    failed: Collection[tuple[str, int]] = (),
    **setting: object,
) -> Comparison:
    """A comparison of methods with these accuracies in percent, after local training: label -> [seeds, clients].

    curves: label -> mean accuracies in all rounds, [seeds, rounds]; level ones if there are none
    downloaded: the accuracies after the next download, if networks were evaluated then
    prices: label -> bytes and FLOPs of a run; failed: label and seed of runs that failed
    """
    runs = []
    for label, of_seeds in scores.items():
        for seed, clients in enumerate(of_seeds):
            means = np.full(45, 70.0) if curves is None else curves[label][seed]
            curve = _curve(means, (prices or {}).get(label, (0.0, 0.0)))
            at = {LOCAL: clients} | ({DOWNLOAD: downloaded[label][seed]} if downloaded else {})
            summary = {moment.key("accuracy_mean"): None for moment in MOMENTS}
            summary |= {moment.key("accuracy_mean"): float(found.mean()) for moment, found in at.items()}
            summary |= {"headline": "mean of the last 5 evaluated rounds"}
            status = "failed" if (label, seed) in failed else "done"
            runs.append(_run(label, seed, at, curve, summary, status))
    moments = (LOCAL, DOWNLOAD) if downloaded else (LOCAL,)
    return Comparison("simulated", "digits", SETTING | setting, TRAINING, None, runs, moments, "simulated")


def _run(
    label: str,
    seed: int,
    clients: Mapping[Moment, np.ndarray],
    curve: pd.DataFrame,
    summary: Mapping[str, object],
    status: str,
) -> StoredRun:
    record = {"status": status, "specification": {"seed": seed}, "partition": {"counts": [[3, 1]]}, "environment": {}}
    at = {moment: clients.get(moment, np.empty(0)) for moment in MOMENTS}
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
