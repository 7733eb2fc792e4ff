"""What the runs of a comparison would take on other devices: its part of a report."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmark.devices.envelope import envelope
from benchmark.devices.profile import Profile
from benchmark.report.cells import Table
from benchmark.report.charts import look_of
from benchmark.report.device_figures import device_figures
from benchmark.report.devices import DeviceComparison, break_even_table, profile_table
from benchmark.report.document import Part
from benchmark.report.fleets import fleet_tables
from benchmark.report.formats import write_table
from benchmark.report.frame import Comparison
from benchmark.report.looks import Style


def write_devices(
    comparison: Comparison,
    profiles: Sequence[Profile],
    reference: str,
    style: Style,
    commands: Sequence[str],
    folder: Path,
) -> Part:
    """Write tables and figures for these profiles, nothing if there are none; tables need a target."""
    if not profiles:
        return Part([], [])
    found = None if comparison.target is None else DeviceComparison(comparison, comparison.target)
    tables = _tables(found, profiles, reference) if found and comparison.complete else []
    written = [(write_table(table, comparison.name, commands, folder / "tables"), table) for table in tables]
    figures = device_figures(comparison, found, profiles, style, folder / "figures")
    charts = {"devices": device_data(found, profiles[0], style)} if found and found.workloads else None
    return Part(written, figures, charts=charts)


def device_data(found: DeviceComparison, profile: Profile, style: Style) -> dict[str, Any]:
    """Return what the page computes seconds from, for any bandwidth and rate around a profile."""
    methods = []
    for label in found.comparison.complete:
        runs = [envelope(work, profile) for work in found.workloads.get(label, ())]
        seeds = [{"alone": [run.fixed, run.flops, run.bits], "rounds": run.rounds} for run in runs]
        methods.append(look_of(label, style) | {"seeds": seeds})
    words = f"{profile.down / profile.up:.3g} bit/s down for each up, {1e3 * profile.round_trip:g} ms there and back."
    numbers = {"name": profile.name, "up": profile.up, "flops": profile.flops, "words": words}
    return {"target": found.target, "profile": numbers, "methods": methods}


def _tables(found: DeviceComparison, profiles: Sequence[Profile], reference: str) -> list[Table]:
    even = break_even_table(found, profiles, reference)
    tables = [*(profile_table(found, profile) for profile in profiles), *([even] if even else [])]
    return tables + fleet_tables(found, profiles)
