"""What runs would take in random fleets: tables of seconds, and of who is first."""

from collections.abc import Mapping, Sequence

import numpy as np

from benchmark.devices.fleet import FLEET_DRAWS, draw_fleets, fleet_seconds, probability_before
from benchmark.devices.profile import Profile
from benchmark.report.cells import NOTHING, Cell, Column, Table
from benchmark.report.devices import CLOCK_RULE, NOT_REACHED, DeviceComparison, seconds_cell
from benchmark.report.notes import noted_table

BAND = (10, 90)
"""Percentiles of the band over fleets."""


def fleet_tables(found: DeviceComparison, profiles: Sequence[Profile]) -> list[Table]:
    """Make the tables of random fleets: seconds of each method, and how often each is before each other.

    They are of the seeds that all methods have; without any there are no tables.
    """
    works = {label: found.to_target(label) for label in found.comparison.complete}
    seeds = sorted(set.intersection(*map(set, works.values())))
    if not seeds:
        return []
    fleets = draw_fleets(profiles, found.comparison.setting["clients"])
    never = np.full(FLEET_DRAWS, np.inf)
    drawn: dict[str, np.ndarray] = {}
    for label, of_seed in works.items():
        found_seconds = [never if (work := of_seed[seed]) is None else fleet_seconds(work, fleets) for seed in seeds]
        drawn[label] = np.concatenate([never[:0], *found_seconds])
    return [_fleet_table(found, profiles, drawn), _order_table(found, drawn)]


def _fleet_table(found: DeviceComparison, profiles: Sequence[Profile], drawn: Mapping[str, np.ndarray]) -> Table:
    rows = []
    for label in found.comparison.methods:
        seconds = drawn.get(label)
        if seconds is None:
            rows.append([Cell(label, label), *[Cell(NOTHING)] * 3])
            continue
        low, middle, high = np.percentile(seconds, (BAND[0], 50, BAND[1]), method="higher")
        reached = 100 * float(np.isfinite(seconds).mean())
        band = Cell(f"{seconds_cell(low).text} to {seconds_cell(high).text}") if np.isfinite(low) else NOT_REACHED
        rows.append([Cell(label, label), seconds_cell(middle), band, Cell(f"{reached:.0f}", reached)])
    columns = [
        Column("Method"),
        Column(f"Median seconds to {found.target:g} %", "low"),
        Column(f"{BAND[0]} to {BAND[1]} % of draws"),
        Column("Reached [%]", "high", "of draws and seeds"),
    ]
    text = (
        f"{FLEET_DRAWS} random fleets, the same for all methods: a client has {' or '.join(p.name for p in profiles)} "
        "with the same probability, and a rate log-normal around its own, as wide as 997 phones' (FLHetBench: 66, 166 "
        f"and 465 ms at the tenth, fiftieth and ninetieth percentile). {CLOCK_RULE}"
    )
    return noted_table(found.comparison, "fleets", "Seconds in random fleets", text, columns, rows)


def _order_table(found: DeviceComparison, drawn: Mapping[str, np.ndarray]) -> Table:
    labels = [label for label in found.comparison.methods if label in drawn]
    rows = []
    for label in labels:
        shares = [probability_before(drawn[label], drawn[other]) for other in labels]
        cells = [
            Cell(NOTHING) if other == label else Cell(f"{share:.2f}", share)
            for other, share in zip(labels, shares, strict=True)
        ]
        rows.append([Cell(label, label), *cells])
    columns = [Column("Method"), *(Column(f"before {other}") for other in labels)]
    text = "Share of those fleets, and seeds, in which the row's method reaches the target first; a tie counts half."
    return noted_table(found.comparison, "fleet-order", "Who is first in random fleets", text, columns, rows)
