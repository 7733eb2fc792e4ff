"""The summary of a run, computed from its rounds whenever it is read. This module imports neither torch nor methods."""

import re
from collections.abc import Mapping, Sequence
from math import ceil
from typing import Any

import numpy as np

from benchmark.storage.moments import LOCAL, MOMENTS, Moment

Record = Mapping[str, Any]

LEAST_AVERAGED = 5
"""Rounds that a headline averages at least; where fewer were evaluated it is the last one alone."""
TENTH = 10
"""The headline averages one in so many of the evaluated rounds, the last ones."""
BY_VALIDATION = "round with the best mean validation accuracy"
ACCURACIES = (
    "accuracy_mean",
    "accuracy_std_rounds",
    "accuracy_std_clients",
    "accuracy_worst_decile",
    "accuracy_weighted",
    "accuracy_oracle",
)
"""Numbers of a moment in a summary; null if no round was evaluated then, the spread over rounds also if one was."""
TOTALS = (
    "bytes_up",
    "bytes_down",
    "client_flops",
    "server_flops",
    "client_seconds",
    "server_seconds",
    "eval_seconds",
)
"""Costs that every round has."""
FINE_TUNING = ("finetune_flops", "finetune_seconds")
"""Costs of rounds that were evaluated after fine-tuning; null, never 0, if none was."""
MEASURED = ("gpu_seconds", "peak_memory_bytes")
"""Keys of a stored summary that no round has: they were measured over the whole run."""


def accuracies(rounds: Sequence[Record], moment: str = LOCAL.stored) -> np.ndarray:
    """Return the accuracy of each client in percent, per evaluated round: [evaluated rounds, N]."""
    scored = [r[moment] for r in rounds if moment in r]
    return np.array([100 * np.asarray(s["correct"]) / np.asarray(s["total"]) for s in scored])


def headline_window(evaluated: int) -> int:
    """Return how many of so many evaluated rounds a headline averages: the last tenth, rounded up, at least five.

    Where fewer than five were evaluated it is the last one, so the mean has no spread over rounds.
    """
    return max(LEAST_AVERAGED, ceil(evaluated / TENTH)) if evaluated >= LEAST_AVERAGED else min(1, evaluated)


def headline_rounds(rounds: Sequence[Record], last: int | None = None) -> tuple[list[int], str]:
    """Return (positions among the evaluated rounds of those that the headline averages, the rule in words).

    With validation data this is the round that is best on them, the earliest of several; otherwise the last ones.
    last: how many, if not as many as the headline's window
    """
    evaluated = [r for r in rounds if LOCAL.stored in r]
    if not evaluated:
        return [], "no round was evaluated"
    if all("validation" in r for r in evaluated):
        best = int(accuracies(evaluated, "validation").mean(1).argmax())
        return [best], BY_VALIDATION
    last = min(last or headline_window(len(evaluated)), len(evaluated))
    rule = "last evaluated round" if last == 1 else f"mean of the last {last} evaluated rounds"
    return list(range(len(evaluated) - last, len(evaluated))), rule


def rounds_averaged(rule: str) -> int | None:
    """Return how many rounds a stored headline averages by its words; None if they name no number.

    Earlier versions averaged a twentieth, so a stored summary is checked by the rule that it names.
    """
    found = re.fullmatch(r"(?:mean of the )?last (?:(\d{1,9}) )?evaluated rounds?", rule)
    return int(found[1] or 1) if found else None


def headline_clients(rounds: Sequence[Record], moment: Moment) -> np.ndarray:
    """Return the accuracy of each client over the headline's rounds in percent, [N]; empty if there is none."""
    scores = accuracies(_chosen(rounds, moment, headline_rounds(rounds)[0]), moment.stored)
    return scores.mean(0) if len(scores) else np.empty(0)


def participants_accuracy(rounds: Sequence[Record]) -> float | None:
    """Return the accuracy in percent, after local training, of those that took part in the headline's rounds.

    Some papers report that: each averaged round counts its own participants alone. None if there is no headline, or if
    nobody took part in any of its rounds.
    """
    chosen = _chosen(rounds, LOCAL, headline_rounds(rounds)[0])
    who = [r["participants"] for r in chosen]
    means = [row[present].mean() for row, present in zip(accuracies(chosen), who, strict=True) if present]
    return float(np.mean(means)) if means else None


def summarise(rounds: Sequence[Record], last: int | None = None) -> dict[str, Any]:
    """Return the summary of the rounds: accuracies in percent at each moment, totals of bytes, FLOPs and seconds.

    last: how many rounds the headline averages, if not as many as its window
    """
    chosen, rule = headline_rounds(rounds, last)
    summary: dict[str, Any] = {"rounds_done": len(rounds), "headline": rule, "headline_rounds": len(chosen)}
    for moment in MOMENTS:
        summary |= _accuracies(rounds, moment, chosen)
        summary[moment.key("accuracy_mean_by_predictor")] = _by_predictor(rounds, moment, chosen)
    summary |= {name: sum(r[name] for r in rounds) for name in TOTALS}
    for name in FINE_TUNING:
        spent = [r[name] for r in rounds if name in r]
        summary[name] = sum(spent) if spent else None
    summary["bytes_by_name"] = {direction: _bytes_by_name(rounds, f"bytes_{direction}") for direction in ("up", "down")}
    return summary


def summary_of(run: Record, rounds: Sequence[Record]) -> dict[str, Any]:
    """Return the summary of a run that has ended; run.json gives it only what was measured over the whole run."""
    stored = run["summary"] or {}
    return summarise(rounds) | {name: stored.get(name) for name in MEASURED}


def _chosen(rounds: Sequence[Record], moment: Moment, chosen: Sequence[int]) -> list[Record]:
    """Return the rounds that the headline averages, if networks were evaluated at the moment in all of them."""
    evaluated = [r for r in rounds if LOCAL.stored in r]
    found = [evaluated[i] for i in chosen]
    return found if all(moment.stored in r for r in found) else []


def _accuracies(rounds: Sequence[Record], moment: Moment, chosen: Sequence[int]) -> dict[str, float | None]:
    """Return the numbers of a moment by their names in the summary."""
    names = [moment.key(name) for name in ACCURACIES]
    averaged = _chosen(rounds, moment, chosen)
    if not averaged:
        return dict.fromkeys(names)
    scores = accuracies(averaged, moment.stored)  # [averaged rounds, N]
    clients = scores.mean(0)
    pooled = [100 * sum(r[moment.stored]["correct"]) / sum(r[moment.stored]["total"]) for r in averaged]
    over_rounds = scores.mean(1).std(ddof=1) if len(averaged) > 1 else None
    over_clients = clients.std(ddof=1) if len(clients) > 1 else 0.0
    oracle = accuracies(rounds, moment.stored).mean(1).max()
    values = (clients.mean(), over_rounds, over_clients, worst_tenth(clients), np.mean(pooled), oracle)
    return {name: None if value is None else float(value) for name, value in zip(names, values, strict=True)}


def worst_tenth(clients: np.ndarray) -> float:
    """Return the mean of the lowest tenth of the clients' values [N], rounded up."""
    return float(np.sort(clients)[: ceil(0.1 * len(clients))].mean())


def _by_predictor(rounds: Sequence[Record], moment: Moment, chosen: Sequence[int]) -> dict[str, float]:
    """Return the mean accuracy of each predictor besides the headline one."""
    averaged = [r["predictors"] for r in _chosen(rounds, moment, chosen) if "predictors" in r]
    return {
        name: float(accuracies([by_name[name] for by_name in averaged], moment.stored).mean())
        for name, by_moment in (averaged[0].items() if averaged else ())
        if moment.stored in by_moment
    }


def _bytes_by_name(rounds: Sequence[Record], direction: str) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for record in rounds:
        for client in record["clients"]:
            for name, size in client[direction].items():
                sizes[name] = sizes.get(name, 0) + size
    return sizes
