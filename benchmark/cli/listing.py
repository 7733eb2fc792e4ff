"""The entries that `list` prints."""

from typing import Any

from benchmark.plugins import registry
from benchmark.plugins.presets import preset


def listing(what: str) -> list[dict[str, Any]]:
    """Return name and description of every method, data set, line-up (models), partition or preset."""
    if what == "presets":
        return [
            {"name": name, "description": preset(name)["description"]}
            for name in registry.catalogue("benchmark.plugins.presets", ".toml")
        ]
    if what == "models":
        return [{"name": name, "description": registry.line_up(name).description} for name in registry.LINE_UP_MODULES]
    packages = {"methods": "methods", "datasets": "datasets.sources", "partitions": "datasets.partitions"}
    entries: list[dict[str, Any]] = [*registry.described_catalogue(packages[what])]
    if what == "partitions":
        entries += [entry | {"name": f"+{entry['name']}"} for entry in registry.described_catalogue("datasets.shifts")]
    if what == "methods":
        for entry in entries:
            defaults = registry.method_defaults(entry["name"])
            entry["hyperparameters"] = [{"name": k, "default": v} for k, v in defaults.items()]
    return entries
