"""The entries that `list` prints."""

from typing import Any

from benchmark.devices.profile import Profile, known_profiles, profile
from benchmark.plugins import listed, registry
from benchmark.plugins.presets import preset


def listing(what: str) -> list[dict[str, Any]]:
    """Return name and description of every method, data set, line-up (models), partition, preset or device."""
    if what == "devices":
        return [entry_of(profile(name)) for name in known_profiles()]
    if what == "presets":
        return [
            {"name": name, "description": preset(name)["description"]}
            for name in listed.catalogue("benchmark.plugins.presets", ".toml")
        ]
    if what == "models":
        return [{"name": name, "description": registry.line_up(name).description} for name in registry.LINE_UP_MODULES]
    packages = {"methods": "methods", "datasets": "datasets.sources", "partitions": "datasets.partitions"}
    entries: list[dict[str, Any]] = [*listed.described_catalogue(packages[what])]
    if what == "partitions":
        entries += [entry | {"name": f"+{entry['name']}"} for entry in listed.described_catalogue("datasets.shifts")]
    if what == "methods":
        for entry in entries:
            defaults = listed.method_defaults(entry["name"])
            entry["hyperparameters"] = [{"name": k, "default": v} for k, v in defaults.items()]
    return entries


def entry_of(device: Profile) -> dict[str, Any]:
    """Return the entry of a profile: all of its numbers, and what it is in words."""
    numbers = (
        f"{device.down / 1e6:g} / {device.up / 1e6:g} Mbit/s down / up, {1e3 * device.round_trip:g} ms, "
        f"{device.flops / 1e9:g} GFLOP/s"
    )
    return device.model_dump() | {"description": f"{device.description}: {numbers}."}
