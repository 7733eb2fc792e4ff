"""What this machine has for the benchmark, and what is missing."""

from pathlib import Path

from benchmark.errors import RequestError
from benchmark.measure.environment import environment, find_device, version
from benchmark.plugins import registry
from benchmark.storage.files import check_writable

NEEDED = (
    *("torch", "torchvision", "numpy", "pandas", "matplotlib", "seaborn", "scikit-learn"),
    *("pillow", "click", "pydantic", "rich", "jinja2", "tabulate"),
)


def diagnose(data: Path) -> list[tuple[str, bool, str]]:
    """(name, whether it is as it should be, what was found), one per thing that matters."""
    findings = [(name, version(name) is not None, version(name) or "not installed") for name in NEEDED]
    if all(good for _, good, _ in findings[:2]):
        findings += _machine()
    kept = [name for name in registry.catalogue("datasets.sources") if (data / f"{name}.npz").exists()]
    rest = [name for name in registry.catalogue("datasets.sources") if name not in kept]
    try:
        check_writable(data)
        found = f"{data}: has {', '.join(kept) or 'nothing'}; fetched when asked for: {', '.join(rest) or 'nothing'}"
        return [*findings, ("data", True, found)]
    except RequestError as error:
        return [*findings, ("data", False, str(error))]


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
