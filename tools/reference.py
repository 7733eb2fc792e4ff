"""What results/reference is made of, the headline first: `make reference` runs what is missing of it.

`make reference ARGS=--dry-run` says what is left and how long it takes. Runs that are interrupted go on.
"""

import os
import shlex
import subprocess
import sys

from benchmark.plugins.presets import preset

INTERRUPTED = 130

MISSION: list[str] = preset("demo")["methods"]
OTHERS = [name for name in preset("catalogue")["methods"] if name not in MISSION]
HERE = ("--experiment", "reference")
CIFAR10 = ("--datasets", "cifar10")
CIFAR100 = ("--datasets", "cifar100")
AUDITED = ("--audit", "privacy")
ONE_CHANGE_FOLDER = ("--seeds", "0", "--experiment", "one-change")
FRESH = ("--seeds", "3,4,5")
FEW_RECORDS = (
    *("--clients", "120", "--participation", "0.1"),
    *("--rounds", "5", "--eval-every", "5", "--local-epochs", "5"),
)
"""400 records for each client, and networks that have hardly been trained: what attacks like best."""
FEW_OF_A_CLASS = ("pathological:5", "iid")
"""Partitions by which such a client has 80 records of a class, or 40."""
MISSION_ONLY = ("--methods", ",".join(MISSION))
ONE_CHANGE = (
    (),
    ("--augmentation", "lab"),
    ("--local-epochs", "5", "--rounds", "8"),
    ("--batch-size", "512"),
    ("--lr", "0.1", "--momentum", "0"),
    ("--weight-decay", "0.001", "--clip-norm", "50"),
    ("--initial", "shared"),
)
"""What the lab's code does otherwise than `levelled`, one thing at a time: as many passes over the data."""

GRIDS: tuple[tuple[str, ...], ...] = (
    ("run", "--preset", "levelled-n10", *CIFAR10, *AUDITED, *HERE),
    ("run", "--preset", "levelled-n100", *MISSION_ONLY, *CIFAR10, "--seeds", "1", *AUDITED, *HERE),
    ("run", "--preset", "levelled-n10", *CIFAR100, *HERE),
    *(
        ("run", "--preset", f"levelled-{clients}", *dataset, *HERE)
        for clients in ("n100", "n50")
        for dataset in (CIFAR10, CIFAR100)
    ),
    *(
        ("run", "--preset", f"levelled-{clients}", "--methods", ",".join(OTHERS), *CIFAR10, "--seeds", "0", *HERE)
        for clients in ("n10", "n100")
    ),
    *(
        ("tune", "--preset", f"levelled-{clients}", *MISSION_ONLY, *CIFAR10, *FRESH, "--experiment", f"tuned-{clients}")
        for clients in ("n10", "n100")
    ),
    ("run", "--preset", "lab-short-n10", "--experiment", "lab-short"),
    *(
        ("run", "--preset", "levelled-n10", "--methods", "standalone,fedmoe", *CIFAR10, *change, *ONE_CHANGE_FOLDER)
        for change in ONE_CHANGE
    ),
    ("run", "--preset", "levelled-n10", "--methods", "fd", *CIFAR10, *AUDITED, *HERE),
    ("run", "--preset", "privacy", *AUDITED),
    *(("run", "--preset", "privacy", "--partition", partition, *FEW_RECORDS, *AUDITED) for partition in FEW_OF_A_CLASS),
    ("run", "--preset", "privacy", "--methods", "fedavg", "--models", "cnn1", *AUDITED, "--experiment", "privacy"),
)
"""Command lines without what is said of machines: processes, folders, devices."""


def run_all(more: list[str]) -> int:
    """Run every grid with a process per core, as a guest on the machine; return the largest exit code."""
    os.nice(19)
    codes = []
    for words in GRIDS:
        command = ["-m", "benchmark", *words, "--jobs", str(os.cpu_count() or 1), "--no-report", *more]
        print(f"python {shlex.join(command)}", file=sys.stderr, flush=True)
        codes.append(subprocess.run([sys.executable, *command]).returncode)
        if codes[-1] == INTERRUPTED:
            break
    return max(codes)


if __name__ == "__main__":
    sys.exit(run_all(sys.argv[1:]))
