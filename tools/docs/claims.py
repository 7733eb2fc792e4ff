"""What the papers claim, answered by stored differences: a part of docs/reproduction.md."""

from typing import NamedTuple

from benchmark.report.cells import NOTHING
from benchmark.report.differences import Difference, differences
from benchmark.report.frame import Comparison
from benchmark.storage.moments import DOWNLOAD, LOCAL
from tools.docs.blocks import markdown_table
from tools.docs.cells import (
    MAIN_RESULTS,
    NOT_RUN,
    Stored,
    cell_title,
    gain_text,
    if_precise,
    judged,
    of_cell,
    published_cells,
)
from tools.docs.costs import REFERENCE

METHOD = "fedmoe"


class Claim(NamedTuple):
    """A question that the difference between two methods answers; points: how large it is in the one published cell."""

    question: str
    method: str
    other: str
    cell: tuple[str, int] | None = None
    points: float | None = None


CLAIMS = (
    Claim("Is FedMoE better than training alone?", METHOD, REFERENCE),
    Claim("Is it better than training alone twice as long, for about its FLOPs?", METHOD, f"{REFERENCE}+epochs=2"),
    Claim("Does averaging its small extractor help?", METHOD, f"{METHOD}+federate=false"),
    Claim("Is its gate better than equal weights?", METHOD, f"{METHOD}+gate=static"),
    Claim("Is a gate better that learns at a tenth of the rate?", f"{METHOD}+gate_lr=0.001", METHOD),
    Claim("Is the slowest gate tried better than equal weights?", f"{METHOD}+gate_lr=0.0001", f"{METHOD}+gate=static"),
    Claim("Are equal weights better than training alone?", f"{METHOD}+gate=static", REFERENCE),
    Claim("Is FedMoE better than FML?", METHOD, "fml"),
    Claim("Is it better than FedKD by the 22.16 points published?", METHOD, "fedkd", ("cifar100", 10), 22.16),
    Claim("Is FML, printed as failing, better than training alone?", "fml", REFERENCE),
    Claim("Is FedKD, printed 16 to 19 points below training alone, better than it?", "fedkd", REFERENCE),
)


def claims(stored: Stored) -> str:
    """Return a row for each claim and cell whose two methods were run in results/reference.

    A claim without such a cell has a row that says so.
    """
    heads = ["question", "cell", "after local training", "after the next download", "FLOPs", "sent, GB"]
    rows: list[list[str]] = []
    for claim in CLAIMS:
        cells = [claim.cell] if claim.cell else published_cells()
        answering = [(cell, comparison) for cell in cells if (comparison := _answering(claim, *cell, stored))]
        found = [_row(claim, *cell, comparison) for cell, comparison in answering]
        rows += found or [[claim.question, NOTHING, NOT_RUN, NOT_RUN, NOTHING, NOTHING]]
    return markdown_table(heads, rows, left=2)


def _answering(claim: Claim, dataset: str, clients: int, stored: Stored) -> Comparison | None:
    """Return the comparison of a cell if it has both methods of a claim."""
    comparison = of_cell(stored.get(MAIN_RESULTS, ()), dataset, clients)
    return comparison if comparison and {claim.method, claim.other} <= {*comparison.complete} else None


def _row(claim: Claim, dataset: str, clients: int, comparison: Comparison) -> list[str]:
    """Return the answer at each moment, the method's FLOPs beside the other's, and what the two send."""
    answers, both = [], (claim.method, claim.other)
    for moment in (LOCAL, DOWNLOAD):
        ours = differences(comparison, claim.other, moment).get(claim.method)
        if ours is None:
            answers.append(NOTHING)
            continue
        reason, note = judged(comparison, moment, ours, *both, size=claim.points is not None)
        answers.append(f"{gain_text(ours)}: {reason or told(ours, claim.points) + note}")
    computed, alone = (comparison.mean_total(label, "flops") for label in both)
    sent = " / ".join(f"{comparison.mean_total(label, 'bytes') / 1e9:.3g}" for label in both)
    return [claim.question, cell_title(dataset, clients), *answers, f"{computed / alone:.2f} ×", sent]


def told(ours: Difference, points: float | None = None) -> str:
    """Return what a difference of three seeds says: whether it is above 0, or as large as it has to be, if it has to.

    As in reports, it is told from 0 if its p-value, corrected for the number of methods, is below 0.05.
    """
    if points is not None and ours.test:
        if ours.test.low <= points <= ours.test.high:
            return if_precise(ours.test, "yes")
        return "by more" if ours.mean > points else "by less"
    return ("yes" if ours.mean > 0 else "no") if ours.marked else "not told apart"
