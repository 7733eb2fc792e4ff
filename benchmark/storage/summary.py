"""The summary of a run, computed from its rounds whenever it is read. This module imports neither torch nor methods."""

from collections.abc import Mapping, Sequence
from math import ceil
from typing import Any

import numpy as np

Record = Mapping[str, Any]

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
"""Keys of a summary that are null if no round was evaluated."""
MEASURED = ("gpu_seconds", "peak_memory_bytes")
"""Keys of a stored summary that no round has: they were measured over the whole run."""


def accuracies(rounds: Sequence[Record], moment: str = "post_local") -> np.ndarray:
    """Return the accuracy of each client in percent, per evaluated round: [evaluated rounds, N]."""
    scored = [r[moment] for r in rounds if moment in r]
    return np.array([100 * np.asarray(s["correct"]) / np.asarray(s["total"]) for s in scored])


def headline_rounds(rounds: Sequence[Record]) -> tuple[list[int], str]:
    """Return (positions among the evaluated rounds of those that the headline averages, the rule in words).

    With validation data this is the round that is best on them, the earliest of several; otherwise the last ones.
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
    """Return the summary of the rounds: accuracies in percent, totals of bytes, FLOPs and seconds."""
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


def summary_of(run: Record, rounds: Sequence[Record]) -> dict[str, Any]:
    """Return the summary of a run that has ended; run.json gives it only what was measured over the whole run."""
    stored = run["summary"] or {}
    return summarise(rounds) | {name: stored.get(name) for name in MEASURED}


def _by_predictor(rounds: Sequence[Record], chosen: list[int]) -> dict[str, float]:
    """Return the mean post-local accuracy of each predictor besides the headline one."""
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
