"""What the runs of a comparison would take on other devices and links: tables, one for each profile and of fleets."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from benchmark.devices.break_even import break_even_factor, energy_ratio
from benchmark.devices.clock import Rates, joules, seconds_of_rounds
from benchmark.devices.profile import Profile
from benchmark.devices.stored_work import StoredWork
from benchmark.report.cells import NOTHING, Cell, Column, Table
from benchmark.report.frame import Comparison
from benchmark.report.notes import noted_table

NOT_REACHED = Cell("not reached")
CLOCK_RULE = (
    "A client waits a round trip and receives, computes, waits a round trip and sends; a round lasts as long as its "
    "slowest participant, then the server computes. Nothing was run again."
)


class Seconds(NamedTuple):
    """A method's mean seconds to the target over seeds, by FLOPs and by measured seconds; infinite if not reached.

    by_seconds: NaN if the machine that measured them did not measure its own speed
    """

    by_flops: float
    by_seconds: float


SPEED = "matrix_product_flops_per_second"


@dataclass(frozen=True, eq=False)
class DeviceComparison:
    """A comparison with a target, and the workloads of its runs up to the target."""

    comparison: Comparison
    target: float

    @cached_property
    def workloads(self) -> dict[str, list[StoredWork]]:
        """Label -> the work of each seed up to the target; of the methods that reached it under every seed."""
        found = {label: [*self.to_target(label).values()] for label in self.comparison.complete}
        return {label: [work for work in works if work] for label, works in found.items() if all(works)}

    @cached_property
    def timed(self) -> dict[str, list[StoredWork]]:
        """The same work, with its measured seconds in place of its FLOPs; of machines that measured their speed."""
        speeds: dict[str, list[Any]] = {
            label: [run.run["environment"].get(SPEED) for run in self.comparison.of(label)] for label in self.workloads
        }
        return {
            label: [work.timed(speed) for work, speed in zip(works, speeds[label], strict=True)]
            for label, works in self.workloads.items()
            if all(isinstance(speed, int | float) and speed > 0 for speed in speeds[label])
        }

    def to_target(self, label: str) -> dict[int, StoredWork | None]:
        """Return seed -> the work of a method up to the target, None if it has not reached it."""
        found: dict[int, StoredWork | None] = {}
        for run in self.comparison.of(label):
            row = run.cost_to(self.target, self.comparison.moment)
            found[run.seed] = None if row is None else run.work.first(int(row["round"]))
        return found

    def seconds(self, profile: Profile) -> dict[str, Seconds]:
        """Return label -> seconds to the target on a profile, of all methods that are done."""
        at, found = Rates.of(profile), {}
        for label in self.comparison.complete:
            by_flops = mean_seconds(self.workloads[label], at) if label in self.workloads else np.inf
            by_seconds = mean_seconds(self.timed[label], at) if label in self.timed else np.nan
            found[label] = Seconds(by_flops, by_seconds if np.isfinite(by_flops) else np.inf)
        return found


def mean_seconds(works: Sequence[StoredWork], rates: Rates) -> float:
    """Return the seconds of all rounds, mean over runs."""
    return float(np.mean([seconds_of_rounds(work, rates).sum() for work in works]))


def other_orders(label: str, seconds: Mapping[str, Seconds]) -> list[str]:
    """Return the methods that the second clock does not put on the same side of this one as the first."""
    own = seconds[label]

    def sides(a: float, b: float) -> tuple[bool, bool]:
        return a < b, a > b

    return [
        other
        for other, its in seconds.items()
        if sides(own.by_flops, its.by_flops) != sides(own.by_seconds, its.by_seconds)
    ]


def profile_table(found: DeviceComparison, profile: Profile) -> Table:
    """Make the table of seconds to the target on a profile, a row per method."""
    seconds = found.seconds(profile)
    instant = Rates.of(profile)._replace(down=np.inf, up=np.inf, round_trip=0.0)
    rows = []
    for label in found.comparison.methods:
        works = found.workloads.get(label)
        if works is None:
            rows.append([Cell(label, label), *[NOT_REACHED] * 2, *[Cell(NOTHING)] * 3])
            continue
        own, alone = seconds[label], mean_seconds(works, instant)
        share = 100 * (1 - alone / own.by_flops)
        clocks = [seconds_cell(own.by_flops), seconds_cell(own.by_seconds), _order(label, seconds)]
        rows.append([Cell(label, label), *clocks, Cell(f"{share:.0f}", share), _energy(works, profile)])
    columns = [
        Column("Method"),
        Column(f"Seconds to {found.target:g} %", "low", "by FLOPs, mean over seeds"),
        Column("By measured seconds", "low", "the second clock"),
        Column("Order", None, "robust, or the methods that the second clock puts on its other side"),
        Column("On the link [%]", "low", "of the seconds, what an instant link would save"),
        Column("Energy [kJ]", "low", "of all clients' devices and links"),
    ]
    if profile.joules_per_flop is None:
        columns, rows = columns[:-1], [row[:-1] for row in rows]
    title = f"Seconds to {found.target:g} % on {profile.name}"
    return noted_table(found.comparison, f"devices-{profile.name}", title, _profile_caption(profile), columns, rows)


def seconds_cell(value: float) -> Cell:
    """Make a cell of seconds, or of another cost; infinity: not reached, NaN: not known."""
    if np.isnan(value):
        return Cell(NOTHING)
    return Cell(f"{value:,.0f}" if value >= 100 else f"{value:.3g}", value) if np.isfinite(value) else NOT_REACHED


def _order(label: str, seconds: Mapping[str, Seconds]) -> Cell:
    if any(np.isnan(each.by_seconds) for each in seconds.values()):
        return Cell(NOTHING)
    differing = other_orders(label, seconds)
    return Cell(f"open: {', '.join(differing)}" if differing else "robust")


def _energy(works: Sequence[StoredWork], profile: Profile) -> Cell:
    found = [float(energy.sum()) / 1e3 for work in works if (energy := joules(work, profile)) is not None]
    return seconds_cell(float(np.mean(found))) if found else Cell(NOTHING)


def _profile_caption(profile: Profile) -> str:
    sources: dict[str, list[str]] = {}
    for name, source in profile.sources.items():
        sources.setdefault(source, []).append(name.replace("_", " "))
    said = "; ".join(f"{', '.join(names)}: {source}" for source, names in sources.items())
    return (
        f"{profile.name}, {profile.description}: {profile.down / 1e6:g} Mbit/s down, {profile.up / 1e6:g} Mbit/s up, "
        f"{1e3 * profile.round_trip:g} ms round trip, {profile.flops / 1e9:g} GFLOP/s, server "
        f"{profile.server_flops / 1e9:,g} GFLOP/s ({said}). {CLOCK_RULE} The second clock takes measured seconds, "
        "times the measuring machine's FLOP/s in a matrix product, for FLOPs; an order is robust only where both agree."
    )


def break_even_table(found: DeviceComparison, profiles: Sequence[Profile], reference: str) -> Table | None:
    """Make the table of break-even points beside the reference, a row per other method; None without the reference."""
    if not found.comparison.of(reference):
        return None
    rows = []
    for label in (label for label in found.comparison.methods if label != reference):
        cells = [_break_even(found, label, reference, profile) for profile in profiles]
        rows.append([Cell(label, label), *cells, _ratio(found, label, reference)])
    columns = [Column("Method"), *(Column(f"{p.name} [Mbit/s]", "low", "bandwidth up") for p in profiles)]
    columns.append(Column("J per byte / J per FLOP", "high", f"break-even of energy with {reference}"))
    text = (
        f"Bandwidth up, with that down in the profile's proportion, above which a method reaches {found.target:g} % "
        f"before {reference}, in closed form; never: at no bandwidth, any: at each. Energy: what a byte may cost, in "
        f"units of a FLOP, for a method to need less than {reference}; – if it sends no more."
    )
    return noted_table(found.comparison, "break-even", f"Break-even with {reference}", text, columns, rows)


def _pairs(found: DeviceComparison, label: str, reference: str) -> list[tuple[StoredWork, StoredWork]]:
    """Return the work of both methods under each seed that both have."""
    own, others = found.to_target(label), found.to_target(reference)
    return [(work, other) for seed, work in own.items() if work and (other := others.get(seed))]


def _break_even(found: DeviceComparison, label: str, reference: str, profile: Profile) -> Cell:
    if label not in found.workloads:
        return NOT_REACHED if label in found.comparison.complete else Cell(NOTHING)
    if reference not in found.workloads:
        return Cell("any", 0.0)
    if not (pairs := _pairs(found, label, reference)):
        return Cell(NOTHING)
    limit = sum(float(seconds_of_rounds(other, Rates.of(profile)).sum()) for _, other in pairs)
    factor = break_even_factor(StoredWork.joined([work for work, _ in pairs]), Rates.of(profile), limit)
    if factor is None:
        return Cell("never")
    return Cell("any", 0.0) if factor == 0 else Cell(f"{factor * profile.up / 1e6:.4g}", factor * profile.up / 1e6)


def _ratio(found: DeviceComparison, label: str, reference: str) -> Cell:
    pairs = _pairs(found, label, reference) if {label, reference} <= found.workloads.keys() else []
    if not pairs:
        return Cell(NOTHING)
    own, others = (StoredWork.joined(works) for works in zip(*pairs, strict=True))
    ratio = energy_ratio(own, others)
    if ratio is None:
        return Cell(NOTHING)
    return Cell(f"{ratio:,.0f}", ratio) if ratio else Cell("never", 0.0)
