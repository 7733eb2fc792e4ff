"""The environment of a run: versions, device, code."""

import contextlib
import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.errors import RequestError

if TYPE_CHECKING:
    import torch

PACKAGES = ("torch", "torchvision", "numpy", "scikit-learn")


def environment(device: "torch.device") -> dict[str, Any]:
    """Return versions, hardware, threads, and the revision of this code."""
    import torch

    return {
        "python": platform.python_version(),
        "system": platform.platform(),
        "packages": {name: version(name) for name in PACKAGES},
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "device": str(device),
        "device_name": torch.cuda.get_device_name(device) if device.type == "cuda" else None,
        **(_gpu_software() if device.type == "cuda" else {}),
        **_revision(),
    }


def answers(device: "torch.device") -> bool:
    """Return whether a device still computes; after some errors CUDA refuses whatever else this process asks of it."""
    import torch

    try:
        return torch.ones(1, device=device).item() == 1.0
    except RuntimeError:
        return False


def _gpu_software() -> dict[str, Any]:
    """Return versions of CUDA and cuDNN that torch was built with, and of the driver; None for what can't be told."""
    import torch

    words = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    driver = None
    with contextlib.suppress(OSError, subprocess.SubprocessError, IndexError):
        told = subprocess.run(words, capture_output=True, text=True, check=True, timeout=10).stdout
        driver = told.splitlines()[0].strip()
    return {"cuda": torch.version.cuda, "cudnn": torch.backends.cudnn.version(), "driver": driver}


def version(package: str) -> str | None:
    """Return the version of a package, None if it is not installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _cpu() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _revision() -> dict[str, Any]:
    """Return the git revision of this code, and whether files differ from it; None for both outside of a checkout."""

    def git(*words: str) -> str:
        package = Path(__file__).resolve().parents[1]
        ran = subprocess.run(["git", *words], cwd=package, capture_output=True, text=True, check=True, timeout=10)
        return ran.stdout

    try:
        return {
            "git": git("rev-parse", "HEAD").strip(),
            "dirty": bool(git("status", "--porcelain", ".", "../methods", "../datasets")),
        }
    except (OSError, subprocess.SubprocessError):
        return {"git": None, "dirty": None}


def find_device(name: str) -> "torch.device":
    """Return the device that auto, cpu, cuda or cuda:1 names. Raises RequestError if the machine has none such."""
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == "auto":
        return torch.device("cuda" if count else "cpu")
    there = ["cpu", *(["cuda"] if count else []), *(f"cuda:{i}" for i in range(count))]
    if name not in there:
        raise RequestError(f"there is no device {name!r} here; there are: auto, {', '.join(there)}")
    return torch.device(name)
