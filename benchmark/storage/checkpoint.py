"""Checkpoints: the states of server and clients after a completed round, so that an interrupted run can resume.

    checkpoint.json            the round, and which files belong to it, with their checksums
    checkpoint.<holder>.<version>.tensors

Files of states hold tensors only. Only states that have changed are written anew, while the round goes on, so a
checkpoint costs as much as the states of participants since the last one. checkpoint.json gets its name last: whenever
the process is cut off, the files that it names are whole. Generators have no state to keep: every seed is a function of
the round.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Annotated

import torch
from pydantic import Field, TypeAdapter, with_config
from typing_extensions import TypedDict

from benchmark.channel import State
from benchmark.storage.client_states import ClientStates, file_of
from benchmark.storage.files import read_whole, remove, write_whole
from benchmark.storage.packed_state import (
    Layout,
    StoredState,
    bytes_of,
    on_cpu,
    pack,
    read_state,
    tensors_of,
    unpack,
    write_state,
)
from benchmark.storage.run_folder import MANIFEST, digest
from benchmark.storage.schema import STRICT, Text
from benchmark.storage.strict_json import loads

MOST_MANIFEST_BYTES = 2**28
Number = Annotated[int, Field(ge=0)]
Entry = tuple[Number, Number, Number]
"""The file of a holder (the server or a client): its version, its checksum, the number of its layout."""


@with_config(STRICT)
class Manifest(TypedDict):
    """The content of checkpoint.json; a layout that many clients have in common is in it once.

    record: what the run had stored by then, by which the checkpoint belongs to it and to no other
    digest: SHA-256 of everything else
    """

    record: Text
    rounds_done: Annotated[int, Field(ge=1)]
    peak_memory_bytes: int | None
    layouts: list[Layout]
    server: Entry
    clients: dict[int, Entry]
    digest: Text


ADAPTER: TypeAdapter[Manifest] = TypeAdapter(Manifest)


@dataclass(frozen=True)
class Checkpoint:
    """The checkpoint in one run's folder."""

    folder: Path

    def save(
        self,
        rounds_done: int,
        server: State,
        states: ClientStates,
        peak_memory_bytes: int | None,
        record: str = "",
    ) -> None:
        """Store the states of server and clients after so many rounds. Raises StorageError."""
        t, held = rounds_done, pack(server)
        of_server = StoredState(t, write_state(self.folder / file_of("server", t), on_cpu(held)), held.layout)
        states.keep(self.folder)
        numbers: dict[Layout, int] = {}

        def entry(stored: StoredState) -> Entry:
            return stored.version, stored.checksum, numbers.setdefault(stored.layout, len(numbers))

        manifest = Manifest(
            record=record,
            rounds_done=t,
            peak_memory_bytes=peak_memory_bytes,
            server=entry(of_server),
            clients={k: entry(stored) for k, stored in states.stored().items()},
            layouts=list(numbers),
            digest="",
        )
        plain = json.loads(json.dumps(manifest))
        text = json.dumps({**plain, "digest": digest(plain)})
        write_whole(self._path, lambda file: file.write(text.encode()))
        states.release_outdated()
        servers = self.folder.glob(file_of("server", "*"))
        remove(path for path in servers if path.name != file_of("server", t))

    def manifest(self) -> Manifest | None:
        """Return the content of checkpoint.json, or None if it is missing or damaged."""
        try:
            content = loads(read_whole(self._path, MOST_MANIFEST_BYTES))
            manifest = ADAPTER.validate_json(json.dumps(content))
            return manifest if digest(content) == manifest["digest"] else None
        except (OSError, ValueError, LookupError, TypeError):
            return None

    def whole(self, manifest: Manifest) -> bool:
        """Return whether every file of the checkpoint is there and undamaged."""
        try:
            for name, stored in _files(manifest):
                read_state(self.folder / name, stored)
        except (OSError, ValueError, LookupError):  # a layout that is not there
            return False
        return True

    def restore(self, manifest: Manifest, states: ClientStates, device: torch.device) -> State:
        """Restore the clients' states into `states`; return the server's state, on the device. The files must be whole.

        Files that the manifest does not name are removed.
        """
        name, server = _server(manifest)
        states.restore(self.folder, {k: _stored(manifest, held) for k, held in manifest["clients"].items()})
        named = {name for name, _ in _files(manifest)}
        remove(path for path in self.folder.glob("checkpoint.*.tensors") if path.name not in named)
        return unpack(server.layout, read_state(self.folder / name, server).to(device)).state

    @property
    def _path(self) -> Path:
        return self.folder / MANIFEST


def _stored(manifest: Manifest, entry: Entry) -> StoredState:
    version, checksum, layout = entry
    return StoredState(version, checksum, manifest["layouts"][layout])


def _server(manifest: Manifest) -> tuple[str, StoredState]:
    stored = _stored(manifest, manifest["server"])
    return file_of("server", stored.version), stored


def _files(manifest: Manifest) -> Iterable[tuple[str, StoredState]]:
    """Yield the name and the facts of every file."""
    clients = ((k, _stored(manifest, entry)) for k, entry in manifest["clients"].items())
    return chain([_server(manifest)], ((file_of(f"client-{k}", stored.version), stored) for k, stored in clients))


def fingerprint(server: State, states: Mapping[int, State]) -> str:
    """Return the SHA-256 of all states of server and clients: equal if two runs ended equal to the bit."""
    whole = hashlib.sha256()
    for holder, state in chain([("server", server)], ((k, states[k]) for k in sorted(states))):
        for name, value in state.items():
            for key, tensor in tensors_of(value).items():
                whole.update(f"{holder}/{name}{key and '/'}{key} {tensor.dtype} {tuple(tensor.shape)}".encode())
                whole.update(bytes_of(tensor.cpu()))
    return whole.hexdigest()
