"""One run on disk. No torch, no method.

results/<experiment>/<dataset>/<method label>/<key>/
    run.json        specification, environment, hashes, status, summary
    rounds.jsonl    one line per round
    <name>.npz      what an observer has left, such as inspection.npz
    checkpoint.*    while it is not finished: where to go on
    claim           while a process works on it
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from benchmark.errors import RequestError
from benchmark.storage.files import TEMPORARY, claim, flush, remove, storing, write_whole
from benchmark.storage.schema import BEFORE, FINAL, ROUND, RUN, SCHEMA, Round, RunRecord

MANIFEST = "checkpoint.json"
"""The file of a run that says where to go on."""


CLAIM = "claim"
"""The file of a run that a process holds while it works on it."""


Facts = Mapping[str, Any]


@dataclass(frozen=True)
class RunFolder:
    """One run on disk. What writes raises StorageError, what reads RequestError."""

    path: Path

    @classmethod
    def of(cls, results: Path, experiment: str, dataset: str, label: str, key: str) -> "RunFolder":
        """Where the run with this key is kept."""
        return cls(results / experiment / dataset / label / key)

    @property
    def exists(self) -> bool:
        """Whether the run has begun."""
        return (self.path / "run.json").exists()

    @property
    def final(self) -> bool:
        """Whether the run is there and would end as it did if it were run again."""
        return self.exists and self.read()["status"] in FINAL

    def claim(self) -> AbstractContextManager[bool]:
        """Whether the run is this process's alone within the block."""
        with storing(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
        return claim(self.path / CLAIM)

    def start(self, run: Facts) -> None:
        """Begin anew: what an earlier attempt left is thrown away.

        In an order that leaves a run that is whole, or one that has to begin anew, wherever it is cut off.
        """
        with storing(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
        remove([self.path / MANIFEST])
        self.write(run)
        remove(self.path.glob("*.npz"))
        write_whole(self.path / "rounds.jsonl", lambda file: None)
        remove(self._debris())

    def go_on(self, run: Facts, rounds: int | None = None) -> list[Round]:
        """Take up a run after so many rounds, or after all that are whole; these rounds.

        A line beyond them was cut off, or is run again. Raises RequestError where they are not all there.
        """
        path = self.path / "rounds.jsonl"
        try:
            lines = path.read_bytes().splitlines(keepends=True)
        except OSError as error:
            raise RequestError(f"{path} is missing") from error
        lines = [line for line in lines if line.endswith(b"\n")][:rounds]
        kept = [_round(path, line) for line in lines]
        if len(kept) < (rounds or 0):
            raise RequestError(f"{path} has {len(kept)} rounds of {rounds}")
        write_whole(path, lambda file: file.writelines(lines))
        self.write(run)
        return kept

    def keep(self, name: str, arrays: Mapping[str, np.ndarray]) -> None:
        """Keep an artefact as <name>.npz."""
        write_whole(self.path / f"{name}.npz", lambda file: np.savez_compressed(file, **arrays))  # type: ignore[arg-type]

    def finish(self, run: Facts) -> None:
        """Write how the run ended, with size and hash of each file beside run.json."""
        paths = sorted([*self.path.glob("rounds.jsonl"), *self.path.glob("*.npz")])
        self.write({**run, "files": {p.name: {"bytes": p.stat().st_size, "sha256": sha256_of(p)} for p in paths}})

    @property
    def tidy(self) -> bool:
        """Whether there is nothing that only an unfinished run needs, or that a killed process has left."""
        return not self._debris() and not (self.path / CLAIM).exists()

    def tidy_up(self) -> None:
        """Remove such files, where the run has ended for good."""
        if self.final:
            remove(self._debris())

    def _debris(self) -> list[Path]:
        """The manifest first: without it the other files of a checkpoint mean nothing."""
        paths = {
            path: None for pattern in (MANIFEST, "checkpoint.*", f"*{TEMPORARY}") for path in self.path.glob(pattern)
        }
        return [*paths]

    def write(self, run: Facts) -> None:
        """Write run.json, whole or not at all."""
        whole = RUN.validate_python({"schema": SCHEMA, **run, "digest": ""})
        whole["digest"] = digest(whole)
        text = json.dumps(whole, indent=1, allow_nan=False) + "\n"
        write_whole(self.path / "run.json", lambda file: file.write(text.encode()))

    def append(self, record: Facts) -> None:
        """Add one round; it is on the disk when this returns."""
        path = self.path / "rounds.jsonl"
        line = json.dumps(ROUND.validate_python(record), separators=(",", ":"), allow_nan=False) + "\n"
        with storing(path), path.open("a", encoding="utf-8") as file:
            file.write(line)
            flush(file)

    def read(self) -> RunRecord:
        """run.json; one of an earlier schema as if it were of this, but for its number."""
        path = self.path / "run.json"
        try:
            content = json.loads(path.read_bytes(), parse_constant=_refuse)
            json.dumps(content, ensure_ascii=False).encode()  # half a surrogate pair is no text
            schema = content["schema"]
        except OSError as error:
            raise RequestError(f"{path} can't be read ({error.strerror})") from error
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise RequestError(f"{path} is damaged; remove its folder and run again") from error
        if schema not in (SCHEMA, *BEFORE):
            known = " and ".join(map(str, (*BEFORE, SCHEMA)))
            raise RequestError(f"{path} has schema {schema!r:.20}, this version reads {known}")
        try:
            run = RUN.validate_python({**BEFORE.get(schema, {}), **content})
        except ValidationError as error:
            raise RequestError(f"{path}: {_complaint(error)}; remove its folder and run again") from error
        if run["digest"] != digest(content):
            raise RequestError(f"{path} does not fit its digest: it was changed; remove its folder and run again")
        return run

    def rounds(self) -> list[Round]:
        """All rounds."""
        path = self.path / "rounds.jsonl"
        try:
            lines = path.read_bytes().splitlines()
        except OSError as error:
            raise RequestError(f"{path} can't be read ({error.strerror})") from error
        return [_round(path, line) for line in lines]


def digest(run: Facts) -> str:
    """SHA-256 of a run.json without its digest."""
    content = {name: value for name, value in run.items() if name != "digest"}
    return hashlib.sha256(json.dumps(content, sort_keys=True, allow_nan=False).encode()).hexdigest()


def _refuse(constant: str) -> None:
    raise ValueError(f"JSON has no {constant}")


def sha256_of(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _round(path: Path, line: bytes) -> Round:
    try:
        return ROUND.validate_json(line)
    except ValidationError as error:
        raise RequestError(f"{path} is damaged: {_complaint(error)}; remove its folder and run again") from error


def _complaint(error: ValidationError) -> str:
    """The first thing that is wrong, and where; never what a stranger has written there."""
    first = error.errors(include_input=False, include_url=False)[0]
    where = ".".join(str(step) for step in first["loc"] if str(step).isidentifier()) or "it"
    return f"{where}: {first['msg']}"[:200]


def run_folders(results: Path, experiments: Sequence[str] = (), begun: bool = True) -> Iterator[RunFolder]:
    """The runs of some experiments, or of all, in the order of their paths.

    begun: only folders with a run.json; otherwise every folder at that depth with anything in it but a claim
    """
    for name in sorted(set(experiments)) or sorted(d.name for d in results.glob("*") if d.is_dir()):
        found = (results / name).glob("*/*/*/run.json" if begun else "*/*/*/*")
        yield from map(RunFolder, sorted({path.parent for path in found if path.name != CLAIM}))
