"""Where an interrupted run goes on: what server and clients held after its last completed round. Tensors only.

    checkpoint.json            the round, and the files that belong to it with their checksums
    checkpoint.<holder>.<round>.safetensors

Only who has changed is written anew, so a round costs what its participants hold. checkpoint.json gets its name last:
wherever the process is cut off, the files it names are whole. Generators have no state to keep: every seed is a
function of the round.
"""

import hashlib
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import torch
from pydantic import Field, TypeAdapter, with_config
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor
from typing_extensions import TypedDict

from benchmark.channel import Rows, State, Value
from benchmark.federation import Federation
from benchmark.files import remove, write_whole
from benchmark.record import MANIFEST
from benchmark.schema import STRICT

Layout = list[str] | Literal["tensor", "rows"]
"""What a name stands for: weights with these keys, in their order, or a value of that kind."""


@with_config(STRICT)
class Held(TypedDict):
    """One holder's file, its checksum, and what each name of the state stands for."""

    file: Annotated[str, Field(pattern=r"^checkpoint\.(server|client-\d+)\.\d+\.safetensors$")]
    crc32: int
    layout: dict[str, Layout]


@with_config(STRICT)
class Manifest(TypedDict):
    """checkpoint.json."""

    rounds_done: Annotated[int, Field(ge=1)]
    peak_memory_bytes: int | None
    server: Held
    clients: dict[int, Held]


ADAPTER: TypeAdapter[Manifest] = TypeAdapter(Manifest)


@dataclass(frozen=True)
class Checkpoint:
    """The checkpoint in one run's folder."""

    folder: Path

    def save(self, federation: Federation, record: Mapping, peak_memory_bytes: int | None) -> None:
        """Keep what the federation holds after the round of this record. Raises StorageError."""
        t = record["round"]
        before = self.manifest()
        clients = {k: held for k, held in (before["clients"] if before else {}).items() if k in federation.states}
        for k in {*record["participants"]} | (federation.states.keys() - clients.keys()):
            clients[k] = self._write(f"client-{k}", t, federation.states[k])
        server = self._write("server", t, federation.server)
        manifest = Manifest(rounds_done=t, peak_memory_bytes=peak_memory_bytes, server=server, clients=clients)
        write_whole(self._path, lambda file: file.write(json.dumps(manifest).encode()))
        named = {held["file"] for held in (server, *clients.values())}
        remove(path for path in self.folder.glob("checkpoint.*.safetensors") if path.name not in named)

    def manifest(self) -> Manifest | None:
        """What checkpoint.json says, or None where there is none that is whole."""
        try:
            return ADAPTER.validate_json(self._path.read_bytes())
        except (OSError, ValueError):
            return None

    def whole(self, manifest: Manifest) -> bool:
        """Whether every file that belongs to it is there and can be read."""
        try:
            for held in (manifest["server"], *manifest["clients"].values()):
                self._read(held, torch.device("cpu"))
        except (OSError, ValueError, KeyError, SafetensorError):
            return False
        return True

    def restore(self, federation: Federation, manifest: Manifest) -> None:
        """Give a new federation what it held, from files that are whole."""
        federation.server = self._read(manifest["server"], federation.device)
        federation.states = {k: self._read(held, federation.device) for k, held in manifest["clients"].items()}

    @property
    def _path(self) -> Path:
        return self.folder / MANIFEST

    def _write(self, holder: str, t: int, state: State) -> Held:
        content = save({key: tensor for name, value in state.items() for key, tensor in _tensors(name, value).items()})
        file = f"checkpoint.{holder}.{t}.safetensors"
        write_whole(self.folder / file, lambda out: out.write(content))
        return Held(file=file, crc32=zlib.crc32(content), layout={name: _layout(v) for name, v in state.items()})

    def _read(self, held: Held, device: torch.device) -> State:
        content = (self.folder / held["file"]).read_bytes()
        if zlib.crc32(content) != held["crc32"]:
            raise ValueError(f"{held['file']} is damaged")
        tensors = {key: tensor.to(device, copy=True) for key, tensor in load(content).items()}
        return {name: _value(name, layout, tensors) for name, layout in held["layout"].items()}


def fingerprint(federation: Federation) -> str:
    """SHA-256 of all that server and clients hold: equal where two runs ended equal to the bit."""
    whole = hashlib.sha256()
    for holder, state in [("server", federation.server), *sorted(federation.states.items())]:
        for name, value in state.items():
            for key, tensor in _tensors(name, value).items():
                whole.update(f"{holder}/{key} {tensor.dtype} {tuple(tensor.shape)}".encode())
                whole.update(tensor.cpu().reshape(-1).view(torch.uint8).numpy().data)
    return whole.hexdigest()


def _layout(value: Value) -> Layout:
    match value:
        case Rows():
            return "rows"
        case Tensor():
            return "tensor"
        case _:
            return list(value)


def _tensors(name: str, value: Value) -> dict[str, Tensor]:
    """A value's tensors, by the names that they have in the file."""
    match value:
        case Rows():
            return {f"{name}/{field}": tensor for field, tensor in value._asdict().items()}
        case Tensor():
            return {name: value}
        case _:
            return {f"{name}/{key}": tensor for key, tensor in value.items()}


def _value(name: str, layout: Layout, tensors: Mapping[str, Tensor]) -> Value:
    match layout:
        case "rows":
            return Rows(*(tensors[f"{name}/{field}"] for field in Rows._fields))
        case "tensor":
            return tensors[name]
        case _:
            return {key: tensors[f"{name}/{key}"] for key in layout}
