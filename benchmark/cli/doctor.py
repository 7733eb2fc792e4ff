"""Findings of `doctor`: what this machine has for the benchmark, and what is missing."""

import re
import tomllib
from importlib import metadata
from pathlib import Path

from benchmark.errors import RequestError
from benchmark.measure.environment import environment, find_device, version
from benchmark.plugins import listed
from benchmark.storage.files import check_writable

DISTRIBUTION = "mhpfl-benchmark"
FOR_MACHINE = {"torch", "torchvision"}
"""Packages without which the machine can't be looked at."""


def diagnose(data: Path) -> list[tuple[str, bool, str]]:
    """Return (name, True if it is as it should be, what was found), one per thing that matters."""
    findings = [(name, version(name) is not None, version(name) or "not installed") for name in needed_packages()]
    if all(good for name, good, _ in findings if name in FOR_MACHINE):
        findings += _machine()
    kept = [name for name in listed.catalogue("datasets.sources") if (data / f"{name}.npz").exists()]
    rest = [name for name in listed.catalogue("datasets.sources") if name not in kept]
    try:
        check_writable(data)
        found = f"{data}: has {', '.join(kept) or 'nothing'}; fetched when asked for: {', '.join(rest) or 'nothing'}"
        return [*findings, ("data", True, found)]
    except RequestError as error:
        return [*findings, ("data", False, str(error))]


def needed_packages() -> list[str]:
    """Return the names of the packages that the benchmark requires at run time, without those of extras."""
    try:
        required = metadata.requires(DISTRIBUTION) or []
    except metadata.PackageNotFoundError:  # a checkout that is not installed
        pyproject = Path(__file__).parents[2] / "pyproject.toml"
        required = tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]["dependencies"]
    return [re.split(r"[^\w.-]", text)[0] for text in required if "extra ==" not in text]


def _machine() -> list[tuple[str, bool, str]]:
    from benchmark.measure.clock import matrix_product_rate

    device = find_device("auto")
    found = environment(device)
    code = f"git {found['git'][:10]}{', with changes' if found['dirty'] else ''}" if found["git"] else "not a checkout"
    return [
        ("python", True, found["python"]),
        ("code", True, code),
        ("cpu", True, f"{found['cpu']}, {found['cores']} cores, {found['threads']} threads"),
        ("device", True, f"{device} {found['device_name'] or ''}".strip()),
        ("sgemm", True, f"{matrix_product_rate(device) / 1e9:.0f} GFLOP/s in single precision"),
    ]
