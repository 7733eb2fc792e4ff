"""What this machine has for the benchmark, and what is missing."""

import importlib.util
from importlib import metadata
from pathlib import Path

import torch

from benchmark import registry
from benchmark.cost import matrix_product_rate
from benchmark.environment import environment, find_device

NEEDED = (
    "torch",
    "torchvision",
    "numpy",
    "pandas",
    "matplotlib",
    "seaborn",
    "scikit-learn",
    "pydantic",
    "click",
    "rich",
)


def examine(data: Path) -> list[tuple[str, bool, str]]:
    """(name, whether it is as it should be, what was found), one per thing that matters."""
    device = find_device("auto")
    found = environment(device)
    code = f"git {found['git'][:10]}{', with changes' if found['dirty'] else ''}" if found["git"] else "not a checkout"
    names = registry.names("datasets.sources")
    kept = [name for name in names if (data / f"{name}.npz").exists()]
    rest = [name for name in names if name not in kept and name != "digits"]
    memory = torch.cuda.get_device_properties(device).total_memory if device.type == "cuda" else None
    return [
        ("python", True, found["python"]),
        *((name, importlib.util.find_spec(_module(name)) is not None, _version(name)) for name in NEEDED),
        ("code", True, code),
        ("cpu", True, f"{found['cpu']}, {found['cores']} cores, {found['threads']} threads"),
        ("device", True, str(device) + (f", {found['device_name']}, {memory / 2**30:.0f} GiB" if memory else "")),
        ("sgemm", True, f"{matrix_product_rate(device) / 1e9:.0f} GFLOP/s in single precision"),
        ("data", True, f"{data}: {', '.join(kept) or 'nothing yet'}; to be fetched when asked for: {', '.join(rest)}"),
    ]


def _module(package: str) -> str:
    return "sklearn" if package == "scikit-learn" else package


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"
