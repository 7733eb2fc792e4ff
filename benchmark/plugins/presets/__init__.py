"""Named experiments: each file is a set of defaults for `run`, overridden by options. The defaults of `demo` are those
of the command line.
"""

import tomllib
from pathlib import Path
from typing import Any

from benchmark.errors import unknown


def preset(name: str) -> dict[str, Any]:
    """The options of a preset. Raises RequestError."""
    known = {file.stem.replace("_", "-"): file for file in Path(__file__).parent.glob("*.toml")}
    if name not in known:
        raise unknown("preset", name, known)
    return tomllib.loads(known[name].read_text(encoding="utf-8"))
