"""States of clients between rounds: those used last are in memory, within a limit, and the others in files.

Without a folder everything stays in memory. With one, the files are those that a checkpoint names, so a state that does
not fit into memory costs no additional file. A state is written when memory has no room for it or when a checkpoint
needs it; in a round that ends with a checkpoint (write_early) as soon as the client has it, while the next one trains.
States that are needed soon are read while training goes on, too.
"""

from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import torch
from torch import Tensor

from benchmark.channel import State
from benchmark.storage.files import remove
from benchmark.storage.packed_state import PackedState, StoredState, on_cpu, pack, read_state, unpack, write_state

MOST_STATE_BYTES = 2**30
MEMORY_SHARE = 0.25
"""The share of the available memory that states take, up to MOST_STATE_BYTES: other processes need some."""
MOST_PENDING_WRITES = 8
"""Most states that wait to be written; each is in memory until then."""
STATES_READ_AHEAD = 8
"""Most states that are read before they are needed."""


class ClientStates(Mapping[int, State]):
    """Client id -> its state, for clients that have taken part.

    A state that is put in is copied; one that is returned belongs to the store and must not be changed. A state that
    was on disk is equal to the bit, on the device. Iteration is in the order in which clients first took part.

    limit: most bytes of states in memory, though one always stays; None: a share of what is available on the device
    write_early: True to write a state as soon as a client has it, because the round ends with a checkpoint
    """

    def __init__(self, device: torch.device, limit: int | None = None) -> None:
        self.write_early = True
        self._device = device
        self._limit = default_limit(device) if limit is None else limit
        self._versions: dict[int, int] = {}
        self._held: OrderedDict[int, PackedState] = OrderedDict()  # least recently used first: it is dropped next
        self._initial: dict[int, PackedState] = {}  # made from the seed, so they are dropped first and never written
        self._bytes = 0
        self._unwritten: set[int] = set()  # in memory and in no file yet; never dropped before they are written
        self._stored: dict[int, StoredState] = {}
        self._writes: OrderedDict[int, Future[StoredState]] = OrderedDict()
        self._expected: deque[int] = deque()  # the next clients, in this order
        self._reads: dict[int, Future[Tensor]] = {}  # begun ahead of their use
        self._outdated: list[Path] = []  # the last checkpoint may name these files: they stay until the next one
        self._named: dict[int, int] = {}  # client -> its version in the last checkpoint
        self._spare: list[Path] = []  # no checkpoint names these: overwriting them takes half as long as new files
        self._folder: Path | None = None
        self._writer, self._reader = (ThreadPoolExecutor(1, f"states {what}") for what in ("out", "in"))

    def __len__(self) -> int:
        return len(self._versions)

    def __iter__(self) -> Iterator[int]:
        return iter(self._versions)

    def __contains__(self, client: object) -> bool:
        """Return whether a client has a state; unlike Mapping's own test this reads no file."""
        return client in self._versions

    def __getitem__(self, client: int) -> State:
        """Return a client's state; a state that is read replaces those used least recently."""
        if client in self._held:
            self._held.move_to_end(client)
            return self._held[client].state
        if client not in self._versions:
            raise KeyError(client)
        content = self._reads.pop(client).result() if client in self._reads else self._read(client)
        self._read_ahead()
        held = unpack(self._stored[client].layout, content.to(self._device))
        self._hold(client, held)
        return held.state

    def __setitem__(self, client: int, state: State) -> None:
        """Keep a copy of a client's new state. Raises StorageError, also if an earlier state could not be written."""
        self._forget_initial(client)
        if client in self._held:
            self._bytes -= self._held.pop(client).content.nbytes
        self._reads.pop(client, None)
        if client in self._writes:  # only a finished write has a file that the next lines can retire
            self._finish(client)
        if replaced := self._stored.pop(client, None):
            named = self._named.get(client) == replaced.version
            (self._outdated if named else self._spare).append(self._path(client))
        self._versions[client] = self._versions.get(client, 0) + 1
        if self._folder:
            self._unwritten.add(client)
        self._hold(client, pack(state))
        if self.write_early and self._device.type != "cuda":  # a copy from a GPU now would make training wait
            self._write_all()

    def expect(self, clients: Iterable[int]) -> None:
        """Announce the clients whose states are needed next, in this order: a few of those on disk are read ahead."""
        self._expected, self._reads = deque(clients), {}
        self._read_ahead()

    def initial(self, client: int, make: Callable[[], State]) -> State:
        """Make the state of a client that has not taken part; keep it as long as nothing else needs the memory."""
        if client not in self._initial:
            made = pack(make())
            if self._bytes + made.content.nbytes > self._limit:
                return made.state
            self._initial[client] = made
            self._bytes += made.content.nbytes
        return self._initial[client].state

    @property
    def bytes(self) -> int:
        """Return the bytes of the states that are in memory."""
        return self._bytes

    def keep(self, folder: Path) -> None:
        """Use this folder, and no other, for files from now on; states that are in memory count as not written."""
        if self._folder == folder:
            return
        assert self._folder is None, "states on disk are not moved"
        self._folder = folder
        self._unwritten.update(self._held)
        if self.write_early:
            self._write_all()
        self._shrink()

    def stored(self) -> Mapping[int, StoredState]:
        """Write what is not written yet; return every client's file once all are on the disk. Raises StorageError."""
        self._write_all()
        while self._writes:
            self._finish(next(iter(self._writes)))
        self._named = {client: held.version for client, held in self._stored.items()}
        return {client: self._stored[client] for client in self._versions}

    def restore(self, folder: Path, stored: Mapping[int, StoredState]) -> None:
        """Take over the states in these files, each read when it is first needed; there must be no states yet."""
        self._folder, self._stored = folder, dict(stored)
        self._versions = {client: held.version for client, held in stored.items()}
        self._named = dict(self._versions)

    def release_outdated(self) -> None:
        """Release files of replaced states to be overwritten: the checkpoint that named them has a successor."""
        self._spare += self._outdated
        self._outdated = []
        most = len(self._versions)  # a spare file for each client is all that the next checkpoint can use
        remove(self._spare[most:])
        del self._spare[most:]

    def close(self) -> None:
        """Finish the reads and writes that have begun, and begin no others."""
        for thread in (self._writer, self._reader):
            thread.shutdown(cancel_futures=True)

    def _hold(self, client: int, held: PackedState) -> None:
        self._held[client] = held
        self._bytes += held.content.nbytes
        self._shrink()

    def _shrink(self) -> None:
        """Drop initial states, then those used least recently, until the rest fits; the last one always stays."""
        while self._bytes > self._limit and self._initial:
            self._forget_initial(next(reversed(self._initial)))
        while self._bytes > self._limit and self._folder and len(self._held) > 1:
            client = next(iter(self._held))
            if client in self._unwritten:
                self._write(client)
            if client in self._writes:  # until it is on the disk it could not be read again
                self._finish(client)
            self._bytes -= self._held.pop(client).content.nbytes

    def _forget_initial(self, client: int) -> None:
        if made := self._initial.pop(client, None):
            self._bytes -= made.content.nbytes

    def _read(self, client: int) -> Tensor:
        # No checksum is compared: this process has written the file, or checked it when the run resumed.
        return read_state(self._path(client), self._stored[client], check=False)

    def _read_ahead(self) -> None:
        while self._expected and len(self._reads) < STATES_READ_AHEAD:
            client = self._expected.popleft()
            if client in self._stored and client not in self._held:
                self._reads[client] = self._reader.submit(self._read, client)

    def _write_all(self) -> None:
        for client in sorted(self._unwritten):
            self._write(client)

    def _write(self, client: int) -> None:
        self._unwritten.remove(client)
        while len(self._writes) >= MOST_PENDING_WRITES:
            self._finish(next(iter(self._writes)))
        held = self._held[client]
        content = on_cpu(held)  # in this thread: a copy in another could run before the GPU has computed it
        path, version, over = self._path(client), self._versions[client], self._spare.pop() if self._spare else None
        self._writes[client] = self._writer.submit(
            lambda: StoredState(version, write_state(path, content, over), held.layout)
        )

    def _finish(self, client: int) -> None:
        self._stored[client] = self._writes.pop(client).result()

    def _path(self, client: int) -> Path:
        assert self._folder is not None
        return self._folder / file_of(f"client-{client}", self._versions[client])


def file_of(holder: str, version: int | str) -> str:
    """Return the name of the file with this version of a holder's state."""
    return f"checkpoint.{holder}.{version}.tensors"


def default_limit(device: torch.device) -> int:
    """Return the bytes that states may take in the device's memory."""
    if device.type == "cuda":
        return int(MEMORY_SHARE * torch.cuda.mem_get_info(device)[0])
    return min([MOST_STATE_BYTES, *(int(MEMORY_SHARE * free) for free in _available())])


def _available() -> Iterator[int]:
    """Yield the bytes that are available to the system and to the control group, as far as the system reports them."""
    with suppress(OSError):
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                yield int(line.split()[1]) * 1024
    with suppress(OSError, ValueError):  # "max" if there is no limit
        group = Path("/sys/fs/cgroup")
        yield int((group / "memory.max").read_text()) - int((group / "memory.current").read_text())
