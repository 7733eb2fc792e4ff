"""What the stored results on CIFAR are made of, as commands: what answers most for an hour of a core comes first.

`make reference` runs what is missing, and goes on where it was interrupted. `make reference ARGS=--dry-run` says what
is left and how long it takes; other words of ARGS are options of `run`.
"""

import argparse
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from benchmark.errors import Terminated
from benchmark.measure.cores import cores
from benchmark.plugins.presets import preset
from benchmark.run.ending import INTERRUPTED, TERMINATED, raise_on_sigterm

MISSION: list[str] = preset("demo")["methods"]
OTHERS = [name for name in preset("catalogue")["methods"] if name not in MISSION]
FIVE = ("--methods", ",".join(MISSION))
FIVE_AND_FEDKD = ("--methods", ",".join([*MISSION, "fedkd"]))
GATE = (
    "--methods",
    "fedmoe+gate=static,fedmoe+federate=false,fedmoe+gate_lr=0.001,fedmoe+gate_lr=0.0001,standalone+epochs=2",
)
"""What tells FedMoE's gate, its averaging and its FLOPs apart: controls, and slower gates."""
CIFAR10 = ("--datasets", "cifar10")
CIFAR100 = ("--datasets", "cifar100")
HERE = ("--inspect", "--experiment", "reference")
"""The gate's weights are stored wherever FedMoE runs, because a run that has ended can't be inspected any more."""
OTHERS_ONCE = ("--methods", ",".join(["standalone", *OTHERS]), "--seeds", "0", "--experiment", "catalogue")
"""Apart from `reference`: a comparison in which a method has one seed of 40 rounds has too few to be ranked."""
FRESH = ("--seeds", "3,4,5")
TUNED_N10 = ("tune", "--preset", "levelled-n10", *FIVE, *CIFAR10, *FRESH, "--inspect", "--experiment", "tuned-n10")
FIRST_TRIALS = ("--trials", "4", "--tuning-seeds", "100")
"""The beginning of the whole tuning, whose trials are the first of it: an answer after a quarter of the runs."""
ONE_CHANGE_HERE = ("--methods", "standalone,fedmoe", "--seeds", "0", "--inspect", "--experiment", "one-change")
ONE_CHANGE = (
    ("--augmentation", "lab"),
    ("--local-epochs", "2", "--rounds", "20"),
    ("--batch-size", "512"),
    ("--lr", "0.03"),
    ("--lr", "0.001"),
    ("--lr", "0.1", "--momentum", "0"),
    ("--weight-decay", "0.001"),
    ("--clip-norm", "50"),
    ("--initial", "shared"),
)
"""One thing at a time that the lab's code does otherwise than `levelled`, and other rates.

All make forty passes over the data, but batches of 512 an eighth of the steps, and two epochs a round half of the
averagings and evaluations. What they are compared with, `levelled-n10` as it is, is in results/reference.
"""
AUDITED = ("--audit", "privacy")
FEW_RECORDS = (
    *("--clients", "120", "--participation", "0.1"),
    *("--rounds", "5", "--eval-every", "5", "--local-epochs", "5"),
)
"""400 records for each client, and networks that have hardly been trained: what attacks like best."""
FEW_OF_A_CLASS = ("pathological:5", "iid")
"""Partitions by which such a client has 80 records of a class, or 40."""

GRIDS: tuple[tuple[str, ...], ...] = (
    ("run", "--preset", "levelled-n10", *FIVE, *CIFAR10, *HERE),
    ("run", "--preset", "levelled-n100", *FIVE, *CIFAR10, *HERE),
    ("run", "--preset", "levelled-n100", *GATE, *CIFAR10, *HERE),
    ("tune", "--preset", "mnist5k", *FRESH, "--inspect", "--experiment", "tuned-mnist5k"),
    (*TUNED_N10, *FIRST_TRIALS),
    *(("run", "--preset", "levelled-n10", *CIFAR10, *change, *ONE_CHANGE_HERE) for change in ONE_CHANGE),
    ("run", "--preset", "lab-short-n10", "--inspect", "--experiment", "lab-short"),
    ("run", "--preset", "levelled-n10", *FIVE_AND_FEDKD, *CIFAR100, *HERE),
    ("run", "--preset", "levelled-n10", *GATE, *CIFAR10, *HERE),
    ("run", "--preset", "levelled-n10", *GATE, *CIFAR100, *HERE),
    TUNED_N10,
    ("run", "--preset", "levelled-n100", *FIVE, *CIFAR100, *HERE),
    ("run", "--preset", "levelled-n50", *FIVE, *HERE),
    ("run", "--preset", "levelled-n100", *HERE),  # of these two the controls, which are all that is left
    ("run", "--preset", "levelled-n50", *HERE),
    ("run", "--preset", "levelled-n10", *CIFAR10, *OTHERS_ONCE),
    ("run", "--preset", "levelled-n100", *CIFAR10, *OTHERS_ONCE),
    ("tune", "--preset", "levelled-n100", *FIVE, *CIFAR10, *FRESH, "--inspect", "--experiment", "tuned-n100"),
    ("run", "--preset", "privacy", *AUDITED),
    *(("run", "--preset", "privacy", "--partition", partition, *FEW_RECORDS, *AUDITED) for partition in FEW_OF_A_CLASS),
    ("run", "--preset", "privacy", "--methods", "fedavg", "--models", "cnn1", *AUDITED, "--experiment", "privacy"),
)
"""Command lines without what is said of machines: processes, folders, devices."""


class Left(NamedTuple):
    """What is left of some runs: how many of how many, for how long, and how many of these can't be predicted."""

    to_do: int
    of: int
    hours: float
    unpredicted: int

    def line(self, what: str) -> str:
        """Return it as a line of a table."""
        return f"{self.to_do:4} of {self.of:3} runs left, {self.hours:6.1f} h: {what}"


def run_or_forecast(argv: Sequence[str]) -> int:
    """Run all grids, or say what is left; return 0, 1 if one of them failed, 130 if interrupted, 143 if terminated."""
    try:
        parser = argparse.ArgumentParser(
            "python -m tools.reference", description=__doc__, epilog="Other options are those of `run`."
        )
        parser.add_argument("--jobs", type=int, default=cores(), metavar="N", help="runs at a time  [one per core]")
        parser.add_argument("--dry-run", action="store_true", help="only say what is left, and how long it takes")
        given, more = parser.parse_known_args(argv)
        os.nice(19)  # a guest on the machine
        options = ("--jobs", str(given.jobs), "--no-report", *more)
        return forecast_all(options, given.jobs) if given.dry_run else run_all(options)
    except KeyboardInterrupt:
        return INTERRUPTED
    except Terminated:
        return TERMINATED


def run_all(options: Sequence[str]) -> int:
    """Run every grid, also after one has failed; return the exit code."""
    codes = []
    for words in GRIDS:
        print(f"python -m benchmark {shlex.join([*words, *options])}", file=sys.stderr, flush=True)
        code, _ = ended([*words, *options])
        if code in (INTERRUPTED, TERMINATED):
            return code
        codes.append(code)
    return int(any(codes))


def forecast_all(options: Sequence[str], jobs: int) -> int:
    """Print what is left of every grid, and of all of them; return the exit code.

    Runs that `tune` has yet to choose count as left, also once they are there: a dry run doesn't know them.
    """
    counted: set[tuple[str, ...]] = set()
    found, codes = [], []
    for words in GRIDS:
        code, printed = ended([*words, *options, "--dry-run", "--json"], subprocess.PIPE)
        if code in (INTERRUPTED, TERMINATED):
            return code
        codes.append(code)
        if code:
            print(f"no forecast: {shlex.join(words)}", flush=True)
        else:
            found.append(left_of(json.loads(printed), counted, jobs))
            print(found[-1].line(shlex.join(words)), flush=True)
    total = Left(*map(sum, zip(Left(0, 0, 0.0, 0), *found, strict=True)))
    print(total.line(f"in all, {jobs} at a time; {total.unpredicted} of them can't be predicted"))
    return int(any(codes))


def left_of(document: Mapping[str, Any], counted: set[tuple[str, ...]], jobs: int) -> Left:
    """Return what is left of a grid, from what its dry run prints; add its runs to those that are counted already.

    A run that an earlier grid has is left out.
    """
    from benchmark.run.dry_run import together

    named = {(document["experiment"], run["dataset"], run["method"], run["key"]): run for run in document["runs"]}
    new = {name: run for name, run in named.items() if name not in counted}
    counted.update(new)
    seconds = [run["prediction"]["seconds"] for run in new.values() if run["status"] != "already there"]
    predicted = [each for each in seconds if each is not None]
    return Left(len(seconds), len(new), together(predicted, jobs) / 3600, len(seconds) - len(predicted))


def ended(words: Sequence[str], output: int | None = None) -> tuple[int, str]:
    """Run one command of the program to its end; return its exit code and what it has written to a pipe.

    Ctrl-C reaches the command, too: it is given the time to end its processes. SIGTERM is passed on to it.
    """
    with subprocess.Popen([sys.executable, "-m", "benchmark", *words], stdout=output, text=True) as process:
        try:
            printed, _ = process.communicate()
        except KeyboardInterrupt:
            process.wait()
            return INTERRUPTED, ""
        except Terminated:
            process.terminate()
            process.wait()
            return TERMINATED, ""
    return process.returncode, printed or ""


if __name__ == "__main__":
    raise_on_sigterm()
    sys.exit(run_or_forecast(sys.argv[1:]))
