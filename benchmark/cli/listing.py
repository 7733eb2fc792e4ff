"""What there is, for `list`."""

from typing import Any

from benchmark.plugins import registry


def listing(what: str) -> list[dict[str, Any]]:
    """Name and description of every method, data set, line-up (models), partition or preset."""
    if what == "presets":
        return [
            {"name": name, "description": registry.preset(name)["description"]}
            for name in registry.names("benchmark.plugins.presets", ".toml")
        ]
    if what == "models":
        return [{"name": name, "description": registry.line_up(name).description} for name in registry.LINE_UPS]
    packages = {"methods": "methods", "datasets": "datasets.sources", "partitions": "datasets.partitions"}
    entries: list[dict[str, Any]] = [*registry.described(packages[what])]
    if what == "partitions":
        entries += [entry | {"name": f"+{entry['name']}"} for entry in registry.described("datasets.shifts")]
    if what == "methods":
        for entry in entries:
            defaults = registry.method_defaults(entry["name"])
            entry["hyperparameters"] = [{"name": k, "default": v} for k, v in defaults.items()]
    return entries
