"""Checks that stored results are whole and fit together, within each run and among those of a comparison.

This module imports no torch.
"""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from benchmark.config import FederationConfig, RunSpec
from benchmark.errors import RequestError, tell
from benchmark.storage.conditions import changed, standstill, unlike
from benchmark.storage.files import TEMPORARY, is_claimed
from benchmark.storage.names import folded
from benchmark.storage.run_folder import CLAIM, RunFolder, run_folders, sha256_of
from benchmark.storage.schema import ENDED, FINAL, Round, RunRecord
from benchmark.storage.summary import rounds_averaged, summarise

READ_AGAIN = 3
"""Times that a run is read again which seems damaged and may be written just now."""
ENVIRONMENT = ("python", "packages", "cpu", "threads", "device", "git", "dirty")
"""Facts that every run records of its environment."""


class Finding(NamedTuple):
    """A problem, and the file or folder that has it."""

    path: Path
    problem: str


class Checked(NamedTuple):
    """A run that could be read; it has rounds only if it has ended."""

    folder: RunFolder
    run: RunRecord
    rounds: Sequence[Round]


class Met(NamedTuple):
    """Facts that a run has to have in common with others: little enough to keep of every run.

    participants: of each round; tests: test samples of each client, None if no round was evaluated
    """

    path: Path
    run: RunRecord
    participants: Sequence[list[int]]
    tests: list[int] | None


def verify(results: Path, experiments: Sequence[str] = ()) -> tuple[list[Finding], int]:
    """Return (every problem of the results of some experiments, or of all; the number of runs).

    results: the folder of all, or of one experiment. Conditions that differ among the runs of a comparison are no
    problem, and are told.
    """
    findings: list[Finding] = []
    met: list[Met] = []
    if not experiments and any(results.glob("*/*/*/run.json")):
        results, experiments = results.parent, [results.name]
    folders = [*run_folders(results, experiments, begun=False)]
    for folder in folders:
        if not folder.exists and is_claimed(folder.path / CLAIM):  # it begins just now
            continue
        try:
            checked, found = _settled(folder)
        except RequestError as error:
            findings.append(Finding(folder.path, str(error)))
            continue
        findings += [Finding(folder.path, problem) for problem in [*found, *_remarks(checked)]]
        if found:
            continue
        for remark in standstill([r["client_seconds"] for r in checked.rounds]):
            tell(f"{folder.path}: {remark}")
        tests = next((r["post_local"]["total"] for r in checked.rounds if "post_local" in r), None)
        met.append(Met(folder.path, checked.run, [r["participants"] for r in checked.rounds], tests))
    for runs in _comparisons(met).values():
        findings += _among(runs)
        if words := unlike((m.run["specification"]["method"]["label"], m.run["environment"]) for m in runs):
            tell(f"{runs[0].path.parents[1]}: {len(runs)} runs were not all made alike: {'; '.join(words)}")
    return findings, len(folders)


def _settled(folder: RunFolder) -> tuple[Checked, list[str]]:
    """Read a run and its problems, again if a process has written to its folder meanwhile. Raises RequestError."""
    for _ in range(READ_AGAIN):
        with suppress(RequestError):
            checked = read_checked(folder)
            found = problems(checked)
            if not found or folder.read()["digest"] == checked.run["digest"]:
                return checked, found
    checked = read_checked(folder)
    return checked, problems(checked)


def read_checked(folder: RunFolder) -> Checked:
    """Read a run; without rounds if it has not ended, because another process may still write them.

    Raises RequestError if a file is damaged or missing.
    """
    run = folder.read()
    return Checked(folder, run, folder.rounds() if run["status"] in ENDED else ())


def problems(checked: Checked) -> list[str]:
    """Return the problems within one run: its numbers can't be relied on."""
    folder, run, rounds = checked
    try:
        spec = RunSpec(**run["specification"])
    except (ValidationError, TypeError) as error:
        return [f"its specification is not valid: {type(error).__name__}"]
    if spec.model_dump(mode="json", exclude_none=True) != run["specification"]:
        return ["its specification is not as it was written"]
    found = [*_naming(folder.path, run, spec), *_facts(run, spec)]
    if run["status"] in ENDED:
        found += [*_files(folder.path, run), *_counting(rounds, run, spec.federation)]
        if not found:  # a summary of rounds that do not fit together would only repeat it
            found += _summary(run, rounds)
    return found


def unlike_when_resumed(run: RunRecord) -> list[str]:
    """Say after which rounds a run went on under other conditions."""
    return [
        f"it went on after round {again['rounds_done']} with other {name}: its numbers can't be reproduced"
        for again in run["resumed"]
        for name in changed(run["environment"], again["environment"])
    ]


def _remarks(checked: Checked) -> list[str]:
    """Return facts of a run that a reader should know, and files that do not belong in its folder; its numbers hold."""
    folder, run, _ = checked
    found = unlike_when_resumed(run)
    if run["finished"] is not None and run["finished"] < run["started"]:
        found.append("it finished before it started: a clock was set back")
    if run["status"] in FINAL:
        for name in _left_over(folder, run):
            what = (
                "is left of an interrupted write" if name.endswith(TEMPORARY) else "does not belong to a finished run"
            )
            found.append(f"{name} {what}")
    return found


def _left_over(folder: RunFolder, run: RunRecord) -> list[str]:
    """Return the names of files that do not belong to a finished run, unless a process still tidies up."""

    def found() -> set[str]:
        return {path.name for path in folder.path.iterdir()} - {"run.json", CLAIM} - run["files"].keys()

    there = found()
    if there and is_claimed(folder.path / CLAIM):
        return []
    return sorted(there & found()) if there else []  # it may have ended just now


def _comparisons(runs: Sequence[Met]) -> dict[str, list[Met]]:
    """Return the runs by experiment and all of the specification but method and seed."""
    groups: dict[str, list[Met]] = {}
    for met in runs:
        setting = {name: value for name, value in met.run["specification"].items() if name not in ("method", "seed")}
        groups.setdefault(json.dumps([str(met.path.parents[2]), setting], sort_keys=True), []).append(met)
    return groups


def _naming(path: Path, run: RunRecord, spec: RunSpec) -> Iterator[str]:
    """Yield a problem if the folder, the key or the data set is not that of the specification."""
    if run["key"] != spec.key:
        yield f"its key is {run['key']!r}, that of its specification is {spec.key}"
    lies_in, names = (path.parents[1].name, path.parent.name, path.name), (spec.dataset, spec.method.label, run["key"])
    if [*map(folded, lies_in)] != [*map(folded, names)]:  # a file system may have changed case or form
        yield f"it lies in another run's folder: it is {f'{spec.dataset}/{spec.method.label}/{spec.key}'!r}"
    if (run["dataset"]["name"], run["dataset"]["hash"]) != (spec.dataset, spec.data_hash):
        yield "its data set is another than its specification's"


def _facts(run: RunRecord, spec: RunSpec) -> Iterator[str]:
    """Yield the problems of what run.json says besides the numbers."""
    clients, classes = spec.federation.clients, run["dataset"]["classes"]
    counts = run["partition"]["counts"]
    if len(counts) != clients or any(len(row) != classes for row in counts):
        yield f"its partition is not of {clients} clients and {classes} classes"
    if sum(map(sum, counts)) > run["dataset"]["samples"]:
        yield "its partition holds more samples than its data set"
    if len(run["architectures"]) != clients:
        yield f"it names {len(run['architectures'])} architectures for {clients} clients"
    if missing := [name for name in ENVIRONMENT if name not in run["environment"]]:
        yield f"its environment lacks {', '.join(missing)}"
    if not run["command"]:
        yield "the command that made it is missing"
    if (run["reason"] is None) == (run["status"] in ("failed", "diverged", "skipped")):
        yield f"its status is {run['status']} and its reason is {'missing' if run['reason'] is None else 'given'}"


def _files(path: Path, run: RunRecord) -> Iterator[str]:
    """Yield problems of the files beside run.json, which must be as the run wrote them, and of facts about them."""
    for name in sorted(run["files"]):
        try:
            if sha256_of(path / name) != run["files"][name]["sha256"]:
                yield f"{name} is not as it was written"
        except FileNotFoundError:
            yield f"{name} is missing"
        except OSError as error:
            yield f"{name} can't be read ({error.strerror})"
    if "rounds.jsonl" not in run["files"]:
        yield "it names no rounds.jsonl"
    if "inspection.npz" in run["files"] and not run["inspected"]:
        yield "it has representations that it was not asked for"
    if (run["weights_hash"] is None) == (run["status"] == "done"):
        yield f"it is {run['status']}, and its weights_hash is {'missing' if run['status'] == 'done' else 'given'}"
    if run["finished"] is None:
        yield f"it is {run['status']} and has no time of finishing"


def _counting(rounds: Sequence[Round], run: RunRecord, config: FederationConfig) -> Iterator[str]:
    """Yield a problem if a round is missing, or the numbers of one do not add up."""
    if [r["round"] for r in rounds] != list(range(1, len(rounds) + 1)):
        yield "its rounds are not numbered one by one"
    if len(rounds) != config.rounds and (run["status"] == "done" or len(rounds) > config.rounds):
        yield f"it has {len(rounds)} rounds of {config.rounds}"
    totals = [r["post_local"]["total"] for r in rounds if "post_local" in r]
    if any(total != totals[0] for total in totals):
        yield "its test samples change from round to round"
    predictors = [r["predictors"].keys() for r in rounds if "predictors" in r]
    inspections = [r["inspection"].keys() for r in rounds if "inspection" in r]
    if any(names != group[0] for group in (predictors, inspections) for names in group):
        yield "its predictors, or the experts in its inspection, change from round to round"
    for r in rounds:
        for problem in _round(r, config):
            yield f"round {r['round']}: {problem}"


def _round(r: Round, config: FederationConfig) -> Iterator[str]:
    ids = r["participants"]
    if len(ids) != config.participants or sorted({*ids}) != ids or not all(k < config.clients for k in ids):
        yield "its participants are not what the specification asks for"
    if [turn["id"] for turn in r["clients"]] != ids:
        yield "its clients are not its participants"
    parts: dict[str, float] = {
        "bytes_up": sum(sum(turn["bytes_up"].values()) for turn in r["clients"]),
        "bytes_down": sum(sum(turn["bytes_down"].values()) for turn in r["clients"]),
        "client_flops": sum(turn["flops"] for turn in r["clients"]),
        "client_seconds": sum(sum(turn["seconds"].values()) for turn in r["clients"]),
    }
    record: Mapping[str, Any] = r
    for name, total in parts.items():
        if not math.isclose(record[name], total, rel_tol=1e-9, abs_tol=1e-9):
            yield f"{name} is {record[name]}, its clients' sum is {total}"
    due = r["round"] % config.eval_every == 0 or r["round"] == config.rounds
    of_all = {"post_local", "post_download"}  # of every predictor; the others are of the headline's alone
    moments = {*of_all, *["validation"] * (config.validation > 0), *["post_finetune"] * (config.finetune > 0)}
    due_moments = moments | {"predictors"} if due else set()
    if due_moments != record.keys() & (of_all | {"validation", "post_finetune", "predictors"}):
        yield "it is evaluated" + (" only in part" if due else ", which is not due")
    scores = [record[moment] for moment in sorted(moments) if moment in record]
    for by_moment in r.get("predictors", {}).values():
        if by_moment.keys() != of_all:
            yield "a predictor has scores of other moments"
        scores += by_moment.values()
    if any(len(weights) != config.clients for weights in r.get("inspection", {}).values()):
        yield f"its inspection is not of {config.clients} clients"
    for s in scores:
        if not len(s["correct"]) == len(s["total"]) == config.clients:
            yield f"its scores are not of {config.clients} clients"
        elif any(correct > total for correct, total in zip(s["correct"], s["total"], strict=True)):
            yield "more predictions are correct than there are samples"


def _summary(run: RunRecord, rounds: Sequence[Round]) -> Iterator[str]:
    """Yield each number of the stored summary that the rounds do not give, by the headline's rule that it names."""
    stored: Mapping[str, Any] = run["summary"] or {}
    for name, value in summarise(rounds, rounds_averaged(stored.get("headline", ""))).items():
        if name in stored and not _alike(stored[name], value):
            yield f"its summary says {name} = {stored[name]}, its rounds give {value}"


def _alike(a: Any, b: Any) -> bool:
    if isinstance(a, float) and isinstance(b, float | int):
        return math.isclose(a, b, rel_tol=1e-9)
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_alike(a[key], b[key]) for key in a)
    return a == b


def _among(runs: Sequence[Met]) -> Iterator[Finding]:
    """Yield a finding for each run of a comparison that does not fit to those before it, in one pass over them."""
    firsts: dict[int, Met] = {}
    seen: dict[tuple[str, Any], Met] = {}
    for b in runs:
        seed = b.run["specification"]["seed"]
        for problem in _unpaired(a, b) if (a := firsts.setdefault(seed, b)) is not b else ():
            yield Finding(b.path, f"{problem} {a.path}")
        for kind, value, problem in _own(b):
            first = seen.setdefault((kind, value), b)
            if first is not b and (first.run["specification"]["seed"] == seed) == (kind == "label"):
                yield Finding(b.path, f"{problem} {first.path}")


def _own(met: Met) -> Iterator[tuple[str, Any, str]]:
    """Yield (kind, value, problem of a later run with that value) of what one run alone can have.

    Two runs of one seed differ in their methods. Two seeds draw two partitions, and no two runs take the same seconds
    to the last digit.
    """
    spec = met.run["specification"]
    yield "label", (spec["method"]["label"], spec["seed"]), "one seed twice: it has method and seed in common with"
    yield "partition", met.run["partition"]["hash"], "two seeds, one partition: it has the same as"
    if rounds := met.run["files"].get("rounds.jsonl"):
        yield "rounds", rounds["sha256"], "two seeds, one run: its rounds are those of"


def _unpaired(a: Met, b: Met) -> Iterator[str]:
    """Yield differences of two methods under one seed: partition, networks, participants, test samples are the same."""
    if a.run["partition"] != b.run["partition"]:
        yield "its partition differs from that of"
    known = a.run["dataset"].keys() & b.run["dataset"].keys()  # earlier versions did not store the names of classes
    if any(a.run["dataset"][name] != b.run["dataset"][name] for name in known):  # type: ignore[literal-required]
        yield "its data set differs from that of"
    if a.run["architectures"] != b.run["architectures"]:
        yield "its architectures differ from those of"
    if any(x != y for x, y in zip(a.participants, b.participants, strict=False)):  # one may have diverged early
        yield "its participants differ from those of"
    if a.tests and b.tests and a.tests != b.tests:
        yield "its test samples differ from those of"
