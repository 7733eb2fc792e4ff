"""What is stored of a run, and what is computed from it. No torch, no method.

results/<experiment>/<dataset>/<method label>/<key>/
    run.json        specification, environment, hashes, status, summary
    rounds.jsonl    one line per round
"""

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.errors import RequestError
from benchmark.files import write_whole

SCHEMA = 1
REQUIRED = ("status", "reason", "key", "specification", "dataset", "summary")
HEADLINE_SHARE = 0.05
"""The headline is the mean over this share of the evaluated rounds, the last ones; at least one."""

ACCURACIES = (
    "accuracy_mean",
    "accuracy_std_clients",
    "accuracy_worst_decile",
    "accuracy_weighted",
    "accuracy_oracle",
    "accuracy_mean_post_download",
)
"""Keys of a summary that are null where no round was evaluated."""

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
        write_whole(self.path / "run.json", lambda file: file.write(text.encode()))

    def append(self, record: Record) -> None:
        """Add one round, flushed."""
        with (self.path / "rounds.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(record, separators=(",", ":"), allow_nan=False) + "\n")

    def read(self) -> dict[str, Any]:
        """run.json. Raises RequestError where it is none of this schema."""
        path = self.path / "run.json"
        try:
            run = json.loads(path.read_text(encoding="utf-8"))
            schema, missing = run["schema"], [key for key in REQUIRED if key not in run]
        except (ValueError, KeyError, TypeError) as error:
            raise RequestError(f"{path} is damaged; remove its folder and run again") from error
        if schema != SCHEMA:
            raise RequestError(f"{path} has schema {schema}, this version reads {SCHEMA}")
        if missing:
            raise RequestError(f"{path} has no {missing[0]}; remove its folder and run again")
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
    summary: dict[str, Any] = {"rounds_done": len(rounds), "headline": rule, **dict.fromkeys(ACCURACIES)}
    if chosen:
        clients = local[chosen].mean(0)  # [N]
        worst = np.sort(clients)[: ceil(0.1 * len(clients))]
        evaluated = [r["post_local"] for r in rounds if "post_local" in r]
        pooled = [100 * sum(evaluated[i]["correct"]) / sum(evaluated[i]["total"]) for i in chosen]
        spread = clients.std(ddof=1) if len(clients) > 1 else 0.0
        oracle, after = local.mean(1).max(), download[chosen].mean()
        values = (clients.mean(), spread, worst.mean(), np.mean(pooled), oracle, after)
        summary |= {name: float(value) for name, value in zip(ACCURACIES, values, strict=True)}
    summary["accuracy_mean_by_predictor"] = _by_predictor(rounds, chosen)
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
