"""The folder of one run. This module imports neither torch nor methods.

results/<experiment>/<dataset>/<method label>/<key>/
    run.json        specification, environment, hashes, status, summary
    rounds.jsonl    one line per round
    <name>.npz      an artefact of an observer, such as inspection.npz
    checkpoint.*    while the run is not finished: the states to resume from
    claim           while a process works on the run
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from benchmark.errors import RequestError
from benchmark.storage.files import MOST_FILE_BYTES, TEMPORARY, append, claim, read_whole, remove, storing, write_whole
from benchmark.storage.schema import BEFORE, FINAL, ROUND, RUN, SCHEMA, Round, RunRecord
from benchmark.storage.strict_json import loads

RUN_FILE = "run.json"
"""The file of a run that says what it is."""
MANIFEST = "checkpoint.json"
"""The file of a run that says where to resume."""
MOST_RECORD_BYTES = 2**26
"""Bytes of a run.json, or another file of facts: with more it is none."""
CLAIM = "claim"
"""The file of a run that a process holds while it works on the run."""

Facts = Mapping[str, Any]


@dataclass(frozen=True)
class RunFolder:
    """One run on disk. Methods that write raise StorageError, methods that read RequestError."""

    path: Path

    @classmethod
    def of(cls, results: Path, experiment: str, dataset: str, label: str, key: str) -> "RunFolder":
        """Return the folder of the run with this key."""
        return cls(results / experiment / dataset / label / key)

    @property
    def rounds_file(self) -> Path:
        """The file with a line for each round."""
        return self.path / "rounds.jsonl"

    @property
    def exists(self) -> bool:
        """Return whether the run has begun."""
        return (self.path / RUN_FILE).exists()

    @property
    def final(self) -> bool:
        """Return whether the run has ended in a way that it would end in again."""
        return self.exists and self.read()["status"] in FINAL

    def claim(self) -> AbstractContextManager[bool]:
        """Claim the run for this process within the block; yield False if another process holds it."""
        with storing(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
        return claim(self.path / CLAIM)

    def start(self, run: Facts) -> None:
        """Begin anew: remove the files of an earlier attempt.

        Whenever the process is cut off, this order leaves a run that is complete or one that has to begin anew.
        """
        with storing(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
        remove([self.path / MANIFEST])
        self.write(run)
        remove(self.path.glob("*.npz"))
        write_whole(self.rounds_file, lambda file: None)
        remove(self._debris())

    def go_on(self, run: Facts, rounds: int | None = None, record: str | None = None) -> list[Round]:
        """Resume a run after so many rounds, or after all that are whole; return these rounds.

        Lines beyond them are removed: they were cut off, or their rounds are run again. Raises RequestError if rounds
        are missing, or are not those of a record (see `record_of`).
        """
        path = self.rounds_file
        try:
            lines = read_whole(path, MOST_FILE_BYTES).splitlines(keepends=True)
        except OSError as error:
            raise RequestError(f"{path} is missing") from error
        lines = [line for line in lines if line.endswith(b"\n")][:rounds]
        kept = [_round(path, line) for line in lines]
        if len(kept) < (rounds or 0):
            raise RequestError(f"{path} has {len(kept)} rounds of {rounds}")
        if record is not None and record_of(run, hashlib.sha256(b"".join(lines)).hexdigest()) != record:
            raise RequestError(f"{path} has other rounds than when the checkpoint was made")
        write_whole(path, lambda file: file.writelines(lines))
        self.write(run)
        return kept

    def keep(self, name: str, arrays: Mapping[str, np.ndarray]) -> None:
        """Keep an artefact as <name>.npz."""
        write_whole(self.path / f"{name}.npz", lambda file: np.savez_compressed(file, **arrays))  # type: ignore[arg-type]

    def finish(self, run: Facts) -> None:
        """Write how the run ended, and size and hash of each file beside run.json."""
        found = [*self.path.glob("rounds.jsonl"), *self.path.glob("*.npz")]
        paths = sorted(path for path in found if path.is_file() and not path.is_symlink())
        self.write({**run, "files": {p.name: {"bytes": p.stat().st_size, "sha256": sha256_of(p)} for p in paths}})

    @property
    def tidy(self) -> bool:
        """Return whether the folder is free of files that only an unfinished run needs or a killed process has left."""
        return not self._debris() and not (self.path / CLAIM).exists()

    def tidy_up(self) -> None:
        """Remove such files if the run has ended for good."""
        if self.final:
            remove(self._debris())

    def _debris(self) -> list[Path]:
        """Return such files, the manifest first: without it the other files of a checkpoint mean nothing."""
        found = (path for pattern in (MANIFEST, "checkpoint.*", f"*{TEMPORARY}") for path in self.path.glob(pattern))
        return [*dict.fromkeys(path for path in found if path.is_symlink() or not path.is_dir())]

    def write(self, run: Facts) -> None:
        """Write run.json, completely or not at all."""
        whole = RUN.validate_python({"schema": SCHEMA, **run, "digest": ""})
        whole["digest"] = digest(whole)
        text = json.dumps(whole, indent=1, allow_nan=False) + "\n"
        write_whole(self.path / RUN_FILE, lambda file: file.write(text.encode()))

    def append(self, record: Facts) -> None:
        """Add one round; it is on the disk when this returns."""
        append(self.rounds_file, line_of(record))

    def mend(self, rounds: Iterable[Facts], sha256: str) -> None:
        """Write all rounds anew if their file, which has this hash, was changed or removed while the run went on."""
        path = self.rounds_file
        with suppress(OSError):
            if sha256_of(path) == sha256:
                return
        write_whole(path, lambda file: file.writelines(map(line_of, rounds)))

    def read(self) -> RunRecord:
        """Read run.json; one of an earlier schema is returned in the current one, but with its own number."""
        path = self.path / RUN_FILE
        try:
            content = loads(read_whole(path, MOST_RECORD_BYTES))
            schema = content["schema"]
        except OSError as error:
            raise RequestError(f"{path} can't be read ({error.strerror})") from error
        except (ValueError, KeyError, TypeError) as error:
            raise RequestError(f"{path} is damaged; remove its folder and run again") from error
        if type(schema) is not int or schema not in (SCHEMA, *BEFORE):  # 3.0 is no schema
            known = " and ".join(map(str, (*BEFORE, SCHEMA)))
            raise RequestError(f"{path} has schema {schema!r:.20}, this version reads {known}")
        try:
            run = RUN.validate_python({**BEFORE.get(schema, {}), **content})
        except ValidationError as error:
            raise RequestError(f"{path}: {_complaint(error)}; remove its folder and run again") from error
        if run["digest"] != digest(content):
            raise RequestError(f"{path} does not fit its digest: it was changed; remove its folder and run again")
        return run

    def check(self) -> None:
        """Raise RequestError if run.json can't be read, or another file is not as the run has written it."""
        for name, facts in self.read()["files"].items():
            try:
                as_written = sha256_of(self.path / name) == facts["sha256"]
            except OSError:
                as_written = False
            if not as_written:
                raise RequestError(f"{self.path / name} is not as it was written; remove its folder and run again")

    def rounds(self) -> list[Round]:
        """Read all rounds."""
        path = self.rounds_file
        try:
            lines = read_whole(path, MOST_FILE_BYTES).splitlines()
        except OSError as error:
            raise RequestError(f"{path} can't be read ({error.strerror})") from error
        return [_round(path, line) for line in lines]


def line_of(record: Facts) -> bytes:
    """Return a round as a line of rounds.jsonl."""
    return json.dumps(ROUND.validate_python(record), separators=(",", ":"), allow_nan=False).encode() + b"\n"


def record_of(run: Facts, rounds_sha256: str) -> str:
    """Return a hash of what a run has stored: which run it is, when it began, and its rounds so far."""
    return hashlib.sha256(f"{run['key']} {run['started']} {rounds_sha256}".encode()).hexdigest()


def digest(run: Facts) -> str:
    """Return the SHA-256 of a run.json, or a checkpoint.json, without its digest."""
    content = {name: value for name, value in run.items() if name != "digest"}
    return hashlib.sha256(json.dumps(content, sort_keys=True, allow_nan=False).encode()).hexdigest()


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file of a run. Raises OSError, also for what is no regular file."""
    return hashlib.sha256(read_whole(path, MOST_FILE_BYTES)).hexdigest()


def _round(path: Path, line: bytes) -> Round:
    try:
        return ROUND.validate_json(line)
    except ValidationError as error:
        raise RequestError(f"{path} is damaged: {_complaint(error)}; remove its folder and run again") from error


def _complaint(error: ValidationError) -> str:
    """Return the first problem and its place, without the value in the file, which may come from anywhere."""
    first = error.errors(include_input=False, include_url=False)[0]
    where = ".".join(str(step) for step in first["loc"] if str(step).isidentifier())
    return (f"{where}: {first['msg']}" if where else first["msg"])[:200]


def run_folders(results: Path, experiments: Sequence[str] = (), begun: bool = True) -> Iterator[RunFolder]:
    """Yield the runs of some experiments, or of all, in the order of their paths.

    begun: True for folders with a run.json only; otherwise every folder at that depth that holds more than a claim
    Raises RequestError for a folder that can't be read: what is in it must not be taken for absent.
    """
    for name in sorted(set(experiments)) or sorted(path.name for path in _entries(results)):
        paths = [results / name]
        for _ in ("data set", "method", "run"):
            paths = sorted(entry for path in paths for entry in _entries(path))
        for path in paths:
            names = {entry.name for entry in _entries(path)}
            if RUN_FILE in names if begun else names - {CLAIM}:
                yield RunFolder(path)


def _entries(path: Path) -> list[Path]:
    """Return what is in a folder; nothing if it is none, or was removed just now. Raises RequestError."""
    try:
        return [*path.iterdir()]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise RequestError(f"{path} can't be read ({error.strerror})") from error
