"""What clients hold between rounds: those used last in memory, within a limit, and all of them in files.

Without a folder everything stays in memory. With one, a state is written while training goes on, as soon as a client
has it; the files are those that a checkpoint names, so what does not fit into memory costs no file more. A GPU's states
are written at the end of the round, for reading them earlier would have training wait.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import torch

from benchmark.channel import State
from benchmark.files import bring_to_disk
from benchmark.stored import Stored, read, taken_apart, tensors_of, write

MOST_BYTES = 2**30
SHARE = 0.25
"""Of the memory that is available states take this share, and never more than MOST_BYTES: other processes want some,
and the system keeps in memory what it can of the files."""
UNWRITTEN = 4
"""States that may wait to be written."""


class ClientStates(Mapping[int, State]):
    """Client id -> its state, for clients that have taken part.

    What is put in belongs to the store: nobody changes it any more. A state that was on disk comes back equal to the
    bit, on the device.
    """

    def __init__(self, device: torch.device, limit: int | None = None) -> None:
        """Empty. limit: bytes in memory beside what is in use; None: by what is available on the device."""
        self._device = device
        self._limit = default_limit(device) if limit is None else limit
        self._versions: dict[int, int] = {}
        self._held: OrderedDict[int, State] = OrderedDict()  # the least recently used first
        self._initial: dict[int, State] = {}
        self._bytes = 0
        self._due: set[int] = set()  # to be written, and in memory until then
        self._stored: dict[int, Stored] = {}
        self._writes: OrderedDict[int, Future[Stored]] = OrderedDict()
        self._on_their_way: set[int] = set()  # written, and not yet known to have reached the disk
        self._outdated: list[Path] = []  # files that the last checkpoint may name
        self._spare: list[Path] = []  # files that no checkpoint names, to be written over
        self._folder: Path | None = None
        self._writer = ThreadPoolExecutor(1, "states")

    def __len__(self) -> int:
        """How many clients have a state."""
        return len(self._versions)

    def __iter__(self) -> Iterator[int]:
        """Their ids, in the order in which they first took part."""
        return iter(self._versions)

    def __contains__(self, client: object) -> bool:
        """Whether a client has a state; nothing is read."""
        return client in self._versions

    def __getitem__(self, client: int) -> State:
        """A client's state; what is read takes the place of what was used least recently."""
        if client in self._held:
            self._held.move_to_end(client)
            return self._held[client]
        if client not in self._versions:
            raise KeyError(client)
        state = read(self._path(client), self._stored[client], self._device, check=False)
        self._hold(client, state)
        return state

    def __setitem__(self, client: int, state: State) -> None:
        """Keep a client's new state. Raises StorageError, also where an earlier one could not be written."""
        self._forget_initial(client)
        if client in self._held:
            self._bytes -= nbytes(self._held.pop(client))
        if client in self._writes:
            self._finish(client)
        if self._stored.pop(client, None):
            self._outdated.append(self._path(client))
        self._versions[client] = self._versions.get(client, 0) + 1
        if self._folder:
            self._due.add(client)
        self._hold(client, state)
        if self._device.type != "cuda":
            self._write_due()

    def initial(self, client: int, make: Callable[[], State]) -> State:
        """The state of a client that has not taken part: made, and kept as long as nothing else wants the memory."""
        if client not in self._initial:
            state = make()
            if self._bytes + nbytes(state) > self._limit:
                return state
            self._initial[client] = state
            self._bytes += nbytes(state)
        return self._initial[client]

    @property
    def bytes(self) -> int:
        """Bytes of the states that are in memory."""
        return self._bytes

    def keep(self, folder: Path) -> None:
        """From now on states are written to this folder; those that are in memory alone are written now."""
        if self._folder == folder:
            return
        self._folder, self._stored, self._spare = folder, {}, []
        self._due.update(self._held)
        self._write_due()
        self._shrink()

    def stored(self) -> Mapping[int, Stored]:
        """Every client's file, once all are on the disk. Raises StorageError."""
        self._write_due()
        while self._writes:
            self._finish(next(iter(self._writes)))
        bring_to_disk(map(self._path, sorted(self._on_their_way)))
        self._on_their_way.clear()
        return {client: self._stored[client] for client in self._versions}

    def restore(self, folder: Path, stored: Mapping[int, Stored]) -> None:
        """Where there are no states yet: those that these files hold, each read when it is first asked for."""
        self._folder, self._stored = folder, dict(stored)
        self._versions = {client: held.version for client, held in stored.items()}

    def release_outdated(self) -> None:
        """The files of states that were replaced may be written over; no checkpoint may need them any more."""
        self._spare += self._outdated
        self._outdated = []

    def close(self) -> None:
        """Write no more; what is being written is finished."""
        self._writer.shutdown(cancel_futures=True)

    def _hold(self, client: int, state: State) -> None:
        self._held[client] = state
        self._bytes += nbytes(state)
        self._shrink()

    def _shrink(self) -> None:
        """Let go of initial states, then of those used least recently, until the others fit; one always does."""
        while self._bytes > self._limit and self._initial:
            self._forget_initial(next(reversed(self._initial)))
        while self._bytes > self._limit and self._folder and len(self._held) > 1:
            client = next(iter(self._held))
            if client in self._due:
                self._write(client)
            if client in self._writes:
                self._finish(client)
            self._bytes -= nbytes(self._held.pop(client))

    def _forget_initial(self, client: int) -> None:
        if state := self._initial.pop(client, None):
            self._bytes -= nbytes(state)

    def _write_due(self) -> None:
        for client in sorted(self._due):
            self._write(client)

    def _write(self, client: int) -> None:
        self._due.remove(client)
        while len(self._writes) >= UNWRITTEN:
            self._finish(next(iter(self._writes)))
        layout, tensors = taken_apart(self._held[client])  # here: a GPU's tensors are read by one thread alone
        path, version, over = self._path(client), self._versions[client], self._spare.pop() if self._spare else None
        self._writes[client] = self._writer.submit(lambda: Stored(version, write(path, tensors, over), layout))

    def _finish(self, client: int) -> None:
        self._stored[client] = self._writes.pop(client).result()
        self._on_their_way.add(client)

    def _path(self, client: int) -> Path:
        assert self._folder is not None
        return self._folder / file_of(f"client-{client}", self._versions[client])


def file_of(holder: str, version: int) -> str:
    """The name of the file with a version of what a holder has."""
    return f"checkpoint.{holder}.{version}.tensors"


def nbytes(state: State) -> int:
    """Bytes of a state in memory."""
    return sum(tensor.nbytes for value in state.values() for tensor in tensors_of(value).values())


def default_limit(device: torch.device) -> int:
    """Bytes that states may take in the device's memory."""
    if device.type == "cuda":
        return int(SHARE * torch.cuda.mem_get_info(device)[0])
    return min([MOST_BYTES, *(int(SHARE * free) for free in _available())])


def _available() -> Iterator[int]:
    """Bytes that the system says are available, and those that the control group has left, as far as they are told."""
    with suppress(OSError):
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                yield int(line.split()[1]) * 1024
    with suppress(OSError, ValueError):  # "max", where there is no limit
        group = Path("/sys/fs/cgroup")
        yield int((group / "memory.max").read_text()) - int((group / "memory.current").read_text())
