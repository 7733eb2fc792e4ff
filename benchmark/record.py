"""What is stored of a run, and what is computed from it. No torch, no method.

results/<experiment>/<dataset>/<method label>/<key>/
    run.json        specification, environment, hashes, status, summary
    rounds.jsonl    one line per round
"""

import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.errors import RequestError

SCHEMA = 1
HEADLINE_SHARE = 0.05
"""The headline is the mean over this share of the evaluated rounds, the last ones; at least one."""

Record = Mapping[str, Any]


@dataclass(frozen=True)
class RunFolder:
    """One run on disk."""

    path: Path

    @classmethod
    def of(cls, results: Path, experiment: str, dataset: str, label: str, key: str) -> "RunFolder":
        """Where the run with this key is kept."""
        return cls(results / experiment / dataset / label / key)

    @property
    def done(self) -> bool:
        """Whether the run is there and finished."""
        return (self.path / "run.json").exists() and self.read()["status"] == "done"

    def start(self, run: Record) -> None:
        """Begin anew: what an earlier attempt left is thrown away."""
        shutil.rmtree(self.path, ignore_errors=True)
        self.path.mkdir(parents=True)
        (self.path / "rounds.jsonl").touch()
        self.write(run)

    def write(self, run: Record) -> None:
        """Write run.json, whole or not at all."""
        text = json.dumps({"schema": SCHEMA, **run}, indent=1, allow_nan=False) + "\n"
        with tempfile.NamedTemporaryFile("w", dir=self.path, suffix=".tmp", delete=False, encoding="utf-8") as file:
            file.write(text)
        Path(file.name).chmod(0o644)
        Path(file.name).replace(self.path / "run.json")

    def append(self, record: Record) -> None:
        """Add one round, flushed."""
        with (self.path / "rounds.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(record, separators=(",", ":"), allow_nan=False) + "\n")

    def read(self) -> dict[str, Any]:
        """run.json. Raises RequestError where it is none of this schema."""
        path = self.path / "run.json"
        try:
            run = json.loads(path.read_text(encoding="utf-8"))
            if run["schema"] != SCHEMA:
                raise RequestError(f"{path} has schema {run['schema']}, this version reads {SCHEMA}")
        except (ValueError, KeyError, TypeError) as error:
            if isinstance(error, RequestError):
                raise
            raise RequestError(f"{path} is damaged; remove its folder and run again") from error
        return run

    def rounds(self) -> list[dict[str, Any]]:
        """All rounds. Raises RequestError where a line is damaged."""
        path = self.path / "rounds.jsonl"
        try:
            return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        except (OSError, ValueError) as error:
            raise RequestError(f"{path} is missing or damaged; remove its folder and run again") from error


def run_folders(results: Path, experiments: Sequence[str] = ()) -> Iterator[RunFolder]:
    """The runs of some experiments, or of all, in the order of their paths."""
    for name in sorted(set(experiments)) or sorted(d.name for d in results.glob("*") if d.is_dir()):
        for path in sorted((results / name).glob("*/*/*/run.json")):
            yield RunFolder(path.parent)


def check_writable(folder: Path) -> None:
    """Write and remove a file in the folder, or in the nearest of its parents that exists. Raises RequestError."""
    existing = next(parent for parent in [folder.absolute(), *folder.absolute().parents] if parent.exists())
    try:
        with tempfile.TemporaryFile(dir=existing):
            pass
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else error
        raise RequestError(f"{folder} can't be written ({reason}); choose a folder that can") from error


def accuracies(rounds: Sequence[Record], moment: str = "post_local") -> np.ndarray:
    """Accuracy of each client in percent, per evaluated round: [evaluated rounds, N]."""
    scored = [r[moment] for r in rounds if moment in r]
    return np.array([100 * np.asarray(s["correct"]) / np.asarray(s["total"]) for s in scored])


def headline_rounds(rounds: Sequence[Record]) -> tuple[list[int], str]:
    """(positions among the evaluated rounds that the headline averages, the rule in words).

    With validation data it is the round that is best on them, the earliest of several; otherwise the last ones.
    """
    evaluated = [r for r in rounds if "post_local" in r]
    if not evaluated:
        return [], "no round was evaluated"
    if all("validation" in r for r in evaluated):
        best = int(accuracies(evaluated, "validation").mean(1).argmax())
        return [best], "round with the best mean validation accuracy"
    last = ceil(HEADLINE_SHARE * len(evaluated))
    rule = "last evaluated round" if last == 1 else f"mean of the last {last} evaluated rounds"
    return list(range(len(evaluated) - last, len(evaluated))), rule


def summarise(rounds: Sequence[Record]) -> dict[str, Any]:
    """What the rounds say in all: accuracies in percent, totals of bytes, FLOPs and seconds."""
    chosen, rule = headline_rounds(rounds)
    local, download = accuracies(rounds), accuracies(rounds, "post_download")
    summary: dict[str, Any] = {"rounds_done": len(rounds), "headline": rule}
    if chosen:
        clients = local[chosen].mean(0)  # [N]
        worst = np.sort(clients)[: ceil(0.1 * len(clients))]
        evaluated = [r["post_local"] for r in rounds if "post_local" in r]
        pooled = [100 * sum(evaluated[i]["correct"]) / sum(evaluated[i]["total"]) for i in chosen]
        summary |= {
            "accuracy_mean": float(clients.mean()),
            "accuracy_std_clients": float(clients.std(ddof=1)) if len(clients) > 1 else 0.0,
            "accuracy_worst_decile": float(worst.mean()),
            "accuracy_weighted": float(np.mean(pooled)),
            "accuracy_oracle": float(local.mean(1).max()),
            "accuracy_mean_post_download": float(download[chosen].mean()),
            "accuracy_mean_by_predictor": _by_predictor(rounds, chosen),
        }
    totals = (
        "bytes_up",
        "bytes_down",
        "client_flops",
        "server_flops",
        "client_seconds",
        "server_seconds",
        "eval_seconds",
    )
    summary |= {name: sum(r[name] for r in rounds) for name in totals}
    summary["bytes_by_name"] = {direction: _bytes_by_name(rounds, f"bytes_{direction}") for direction in ("up", "down")}
    return summary


def _by_predictor(rounds: Sequence[Record], chosen: list[int]) -> dict[str, float]:
    """Mean post-local accuracy of the predictors beside the headline one."""
    evaluated = [r["predictors"] for r in rounds if "predictors" in r]
    return {
        name: float(accuracies([r[name] for r in evaluated])[chosen].mean())
        for name in (evaluated[0] if evaluated else ())
    }


def _bytes_by_name(rounds: Sequence[Record], direction: str) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for record in rounds:
        for client in record["clients"]:
            for name, size in client[direction].items():
                sizes[name] = sizes.get(name, 0) + size
    return sizes
