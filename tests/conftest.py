"""The conformance suite's toy problem, messages of a few numbers, data in files, and stored runs, for tests."""

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmark.channel import Rows
from benchmark.config import FederationConfig, MethodSpec, RunSpec
from benchmark.measure.memory import gc_frozen
from benchmark.plugins.listed import changed_defaults, method_defaults
from benchmark.run import runner
from benchmark.storage.run_folder import RunFolder
from benchmark.storage.summary import summarise

torch.set_num_threads(1)  # toy networks are faster on one, above all on a busy machine


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest tests first, so that none is left alone at the end when several processes share them."""
    items.sort(key=lambda item: item.path.name != "test_ray.py")


@pytest.fixture(scope="session", autouse=True)
def _small_runs_are_fast() -> Iterator[None]:
    """They spent two fifths of their time looking for garbage among imports and measuring the machine."""
    with gc_frozen(), pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(runner, "matrix_product_rate", lambda *_, **__: 1e11)
        yield


def rows(values: Sequence[Sequence[float]], present: Sequence[bool]) -> Rows:
    """A table of one row a class."""
    return Rows(torch.tensor(values), torch.tensor(present))


@pytest.fixture(name="rows")
def _rows() -> Callable[..., Rows]:
    return rows


def logits(*probabilities: float) -> torch.Tensor:
    """One sample's, [1, n], of which the softmax is this."""
    return torch.tensor([probabilities]).log()


@pytest.fixture(name="logits")
def _logits() -> Callable[..., torch.Tensor]:
    return logits


@pytest.fixture
def real_data() -> Callable[[str], Path]:
    """The folder with the real <name>.npz, from MHPFL_DATA or ./data; skips where it is not there."""

    def folder(name: str) -> Path:
        place = Path(os.environ.get("MHPFL_DATA", "data"))
        if not (place / f"{name}.npz").exists():
            pytest.skip(f"{place}/{name}.npz is not there; set MHPFL_DATA to a folder that has it")
        return place

    return folder


def write_data(folder: Path) -> None:
    """tiny.npz, a data set of 3 classes and 60 pictures of 16x16."""
    rng = np.random.default_rng(0)
    y = np.arange(60) % 3
    x = (rng.integers(0, 100, (60, 16, 16)) + 50 * y[:, None, None]).astype(np.uint8)
    folder.mkdir(exist_ok=True)
    np.savez(folder / "tiny.npz", x_train=x[:48], y_train=y[:48], x_test=x[48:], y_test=y[48:])


@pytest.fixture(name="write_data", scope="session")
def _write_data() -> Callable[[Path], None]:
    return write_data


def store(
    results: Path,
    label: str,
    correct: Sequence[Sequence[int]],
    *,
    seed: int = 0,
    status: str = "done",
    reason: str | None = None,
    sent: tuple[int, int] = (10**6, 10**6),
    flops: int = 2 * 10**12,
    dataset: str = "digits",
    experiment: str = "exp",
    predictors: dict | None = None,
    partition: str = "pathological:2",
    target: float | None = 70.0,
    rounds: Sequence[dict] | None = None,
    on_validation: Sequence[Sequence[int]] | None = None,
    hyperparameters: dict | None = None,
    of_round: dict | Callable[[dict], dict] | None = None,
    inspection: Mapping[str, np.ndarray] | None = None,
    **federation: object,
) -> RunFolder:
    """One run as `run` leaves it: clients with 10 test samples each; correct[t] is what they get right in round t.

    on_validation[t] is what they get right of as many validation samples, if there are some. of_round is what every
    round has besides or instead, or says so of a round's record. inspection: arrays of inspection.npz
    """
    clients = len(correct[0]) if correct else 2
    config = {"clients": clients, "rounds": max(1, len(correct))} | federation
    name = label.partition("+")[0]
    now = {field: method_defaults(name)[field] for field in changed_defaults(name)}
    spec = RunSpec(
        dataset=dataset,
        data_hash="d" * 16,
        method=MethodSpec(
            name=name,
            label=label,
            hyperparameters=hyperparameters or {"variant": label} | now,
        ),
        partition=partition,
        models="cnn5",
        federation=FederationConfig(**config),
        seed=seed,
    )
    up, down = (round(total / clients) for total in sent)
    if rounds is None:
        rounds = [
            {
                "round": t + 1,
                "participants": list(range(clients)),
                "train_loss": 1.0,
                "bytes_up": up * clients,
                "bytes_down": down * clients,
                "client_flops": flops // clients * clients,
                "client_seconds": 0.5,
                "clients": [
                    {
                        "id": k,
                        "steps": 1,
                        "train_loss": 1.0,
                        "flops": flops // clients,
                        "seconds": {"training": 0.5 / clients},
                        "bytes_up": {"expert": up} if up else {},
                        "bytes_down": {"expert": down} if down else {},
                    }
                    for k in range(clients)
                ],
                "server_flops": 0,
                "server_seconds": 0.1,
                "eval_seconds": 0.2,
                "post_local": {"correct": list(right), "total": [10] * clients},
                "post_download": {"correct": list(right), "total": [10] * clients},
                "predictors": predictors or {},
            }
            for t, right in enumerate(correct)
        ]
    for record, right in zip(rounds, on_validation or (), strict=False):
        record["validation"] = {"correct": list(right), "total": [10] * clients}
    rounds = [record | (of_round(record) if callable(of_round) else of_round or {}) for record in rounds]
    folder = RunFolder.of(results, experiment, dataset, label, spec.key)
    facts = {
        "status": status,
        "reason": reason,
        "traceback": None,
        "key": spec.key,
        "specification": spec.model_dump(mode="json", exclude_none=True),
        "dataset": {
            "name": dataset,
            "hash": "d" * 16,
            "classes": 4,
            "samples": 50 * clients,
            "target_accuracy": target,
        },
        "partition": {
            "hash": f"{seed:016x}",
            "counts": [[25 * (c // 2 == k % 2) for c in range(4)] for k in range(clients)],
        },
        "architectures": ["CNN-1"] * clients,
        "environment": {
            "python": "3.11",
            "packages": {"torch": "2.9.0"},
            "cpu": "a CPU",
            "threads": 2,
            "device": "cpu",
            "git": "0" * 40,
            "dirty": False,
            "matrix_product_flops_per_second": 1e11,
        },
        "command": ["python", "-m", "benchmark", "run", "--seeds", str(seed)],
        "inspected": inspection is not None,
        "started": "2026-01-01T00:00:00.000+00:00",
        "resumed": [],
        "finished": "2026-01-01T01:00:00.000+00:00",
        "summary": None,
        "weights_hash": "0" * 64 if status == "done" else None,
        "prediction": None,
        "prediction_error": None,
        "files": {},
    }
    folder.start(facts)
    for record in rounds:
        folder.append(record)
    if inspection is not None:
        np.savez(folder.path / "inspection.npz", **inspection)
    summary = summarise(rounds) | {"peak_memory_bytes": 3 * 2**20, "gpu_seconds": None}
    folder.finish(facts | {"summary": summary})
    return folder


@pytest.fixture(name="store", scope="session")
def _store() -> Callable[..., RunFolder]:
    return store


TIMES = {"seconds", "client_seconds", "server_seconds", "eval_seconds", "started", "finished"}
PLACES = {"environment", "resumed", "command", "peak_memory_bytes", "files", "digest", "prediction", "prediction_error"}


def timeless(value: object) -> object:
    """Without what may differ between two runs of one specification."""
    if isinstance(value, dict):
        return {name: timeless(v) for name, v in value.items() if name not in TIMES | PLACES}
    return [timeless(v) for v in value] if isinstance(value, list) else value


def contents(results: Path) -> dict[str, list]:
    """All files below a folder, as far as they are to be equal."""
    found = {}
    for path in sorted(p for p in results.rglob("*") if p.is_file()):
        lines = path.read_text().splitlines() if path.suffix == ".jsonl" else [path.read_text()]
        found[str(path.relative_to(results))] = [timeless(json.loads(line)) for line in lines]
    return found


@pytest.fixture(name="contents", scope="session")
def _contents() -> Callable[[Path], dict[str, list]]:
    return contents


@pytest.fixture(scope="session")
def stored_once() -> Callable[..., RunFolder]:
    """The same for runs that several tests read."""
    return store
