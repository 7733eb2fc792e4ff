"""What results/reference is made of, the headline first: `make reference` runs what is missing of it.

`make reference ARGS=--dry-run` says what is left and how long it takes. Runs that are interrupted go on.
"""

import os
import sys

from benchmark.cli.commands import main
from benchmark.plugins.presets import preset
from benchmark.plugins.registry import catalogue

MISSION = ",".join(preset("demo")["methods"])
ALIKE = preset("catalogue-alike")["methods"]
OTHERS = ",".join(sorted({*catalogue("methods")} - {*MISSION.split(","), *ALIKE}))
REFERENCE = ("--experiment", "reference")
CIFAR10 = ("--datasets", "cifar10")
FRESH = ("--seeds", "3,4,5")

GRIDS: tuple[tuple[str, ...], ...] = (
    *(
        ("run", "--preset", f"levelled-{clients}", "--datasets", dataset, *REFERENCE)
        for clients in ("n10", "n100", "n50")
        for dataset in ("cifar10", "cifar100")
    ),
    *(
        ("run", "--preset", f"levelled-{n}", "--methods", OTHERS, *CIFAR10, "--seeds", "0", *REFERENCE)
        for n in ("n10", "n100")
    ),
    *(
        (
            "tune",
            "--preset",
            f"levelled-{n}",
            "--methods",
            MISSION,
            *CIFAR10,
            "--seeds",
            "3,4,5",
            "--experiment",
            f"tuned-{n}",
        )
        for n in ("n10", "n100")
    ),
    ("run", "--preset", "lab-short-n10", "--experiment", "lab-short"),
)
"""Command lines without what is said of machines: processes, folders, devices."""


def run_all(more: list[str]) -> int:
    """Run every grid with a process per core, as a guest on the machine; return the largest exit code."""
    os.nice(19)
    jobs = ["--jobs", str(os.cpu_count() or 1)]
    codes = []
    for words in GRIDS:
        print(f"python -m benchmark {' '.join(words)}", file=sys.stderr, flush=True)
        codes.append(main([*words, *jobs, "--no-report", *more]))
        if codes[-1] == 130:  # interrupted
            break
    return max(codes)


if __name__ == "__main__":
    sys.exit(run_all(sys.argv[1:]))
