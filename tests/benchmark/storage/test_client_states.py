"""Clients' states in memory and on disk: the same to the bit, within a limit, and whole whatever happens."""

from threading import current_thread

import pytest
import torch

from benchmark.channel import FIRST, Rows, same
from benchmark.config import FederationConfig
from benchmark.conformance.toy import federate, make_task
from benchmark.errors import StorageError
from benchmark.federation import Federation
from benchmark.plugins import registry
from benchmark.storage import client_states, packed_state
from benchmark.storage.checkpoint import Checkpoint, fingerprint
from benchmark.storage.client_states import ClientStates
from benchmark.storage.files import BLOCK

CPU = torch.device("cpu")


def state(number):
    """A state of 4 KiB, one block, that no other number has."""
    return {"extractor": {"weight": torch.full((992,), float(number))}, "value": torch.full((32,), float(number))}


@pytest.fixture
def three():
    """A store of three clients that has room in memory for two."""
    store = ClientStates(CPU, limit=2 * 4096)
    yield store
    store.close()


def fill(store, folder):
    store.keep(folder)
    for k in range(3):
        store[k] = state(k)
    return store.stored()


def test_what_was_used_last_is_in_memory_and_the_rest_comes_back_equal(three, tmp_path, monkeypatch):
    fill(three, tmp_path)
    reads, read = [], client_states.read_state
    monkeypatch.setattr(
        client_states, "read_state", lambda path, *a, **k: reads.append(path.name) or read(path, *a, **k)
    )
    assert all(same(three[k], state(k)) for k in (2, 1))
    assert reads == []
    assert same(three[0], state(0))  # 2 goes: 1 was used after it
    assert same(three[1], state(1))
    assert reads == ["checkpoint.client-0.1.tensors"]
    assert same(three[2], state(2))
    assert len(reads) == 2
    assert (list(three), len(three), 3 in three) == ([0, 1, 2], 3, False)
    with pytest.raises(KeyError):
        three[3]


def test_what_is_expected_is_read_before_it_is_asked_for(three, tmp_path, monkeypatch):
    fill(three, tmp_path)
    readers, read = [], client_states.read_state
    monkeypatch.setattr(
        client_states, "read_state", lambda *a, **k: readers.append(current_thread().name) or read(*a, **k)
    )
    three.expect([0, 1])  # 1 is in memory
    assert same(three[0], state(0))
    assert [name.split("_")[0] for name in readers] == ["states in"]
    three.expect([2, 1])  # 0 and 2 are in memory
    three[1] = state(8)
    assert same(three[1], state(8))


def test_what_is_put_in_is_copied(three):
    value = state(0)
    three[0] = value
    value["extractor"]["weight"].zero_()
    assert same(three[0], state(0))


def test_without_a_folder_all_stay_in_memory_and_get_files_with_one(three, tmp_path):
    for k in range(3):
        three[k] = state(k)
    assert all(same(three[k], state(k)) for k in range(3))
    assert {k: held.version for k, held in fill(three, tmp_path).items()} == {0: 2, 1: 2, 2: 2}
    assert len(list(tmp_path.iterdir())) == 3  # no checkpoint names the earlier ones, so they are written over
    three.release_outdated()
    for k in range(3):
        three[k] = state(k)
    three.stored()  # written over the earlier ones
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == [f"checkpoint.client-{k}.{version}.tensors" for k in range(3) for version in (2, 3)]


def test_a_shorter_state_over_the_file_of_a_longer_one_leaves_nothing_of_it(three, tmp_path):
    fill(three, tmp_path)
    short = {"value": torch.ones(3)}
    for value in (state(7) | {"more": torch.ones(1000)}, state(8), short):  # the third is written over the first
        three[0] = value
        stored = three.stored()
        three.release_outdated()
    assert len(list(tmp_path.iterdir())) == 3 + 1
    again = ClientStates(CPU)
    again.restore(tmp_path, stored)
    assert same(again[0], short)
    assert (tmp_path / "checkpoint.client-0.4.tensors").stat().st_size == BLOCK


def test_a_replaced_state_stays_on_disk_until_no_checkpoint_needs_it(three, tmp_path):
    before = dict(fill(three, tmp_path))
    three[0] = state(7)
    three.stored()
    again = ClientStates(CPU)
    again.restore(tmp_path, before)
    assert same(dict(again), {k: state(k) for k in range(3)})
    again = ClientStates(CPU)
    again.restore(tmp_path, three.stored())
    assert same(dict(again), {0: state(7), 1: state(1), 2: state(2)})


def test_initial_states_are_kept_as_long_as_there_is_room(three, tmp_path):
    made = []

    def initial(k):
        return three.initial(k, lambda: made.append(k) or state(k))

    three[0] = state(0)
    for k in (1, 2, 1, 2):
        initial(k)
    assert made == [1, 2, 2]  # there is room for one beside client 0
    three[3] = state(3)
    initial(1)
    assert made == [1, 2, 2, 1]


def test_what_can_not_be_written_is_told(three, tmp_path):
    three.keep(tmp_path / "missing")
    three[0] = state(0)
    with pytest.raises(StorageError, match=r"client-0\.1\.tensors can't be written"):
        three.stored()


@pytest.mark.parametrize("name", ["fedmoe", "fedproto", "fedkd"])
def test_a_run_with_hardly_any_memory_for_states_is_the_same_run(name, tmp_path):
    """One state in memory and all others on disk, over several rounds with a checkpoint after each."""
    method, task = registry.method(name)[0], make_task((6, 7, 5, 8, 6, 7))
    if name == "fedkd":
        task = make_task((6, 7, 5, 8, 6, 7), line_up=registry.line_up("cnn1"), shape=(1, 16, 16))
    config = {"clients": 6, "participation": 0.5, "rounds": 4, "batch_size": 4, "lr": 0.1}
    whole, records = federate(method, task, **config)
    short = Federation(method, task, FederationConfig(**config), CPU, state_bytes=0)
    for t in (1, 2, 3, 4):
        record = short.round(t)
        Checkpoint(tmp_path).save(record["round"], short.server, short.states, None)
        assert record["post_download"] == records[t - 1]["post_download"]
    assert fingerprint(short.server, short.states) == fingerprint(whole.server, whole.states)
    short.states.close()


@pytest.mark.parametrize("name, read", [("fedmoe", [0, 1, 2, 3, 4]), ("standalone", [1, 4])])
def test_an_evaluation_reads_ahead_what_it_asks_for(name, read, tmp_path, monkeypatch):
    """All clients where there is a download, otherwise those that have changed since they were evaluated."""
    method, task = registry.method(name)[0], make_task((6,) * 6)
    config = FederationConfig(clients=6, rounds=3, eval_every=3, batch_size=4)
    federation = Federation(method, task, config, CPU, state_bytes=0)
    federation.states.keep(tmp_path)
    record = federation.round(1)
    federation.evaluation.add_scores(record, federation.server, FIRST)
    federation.states.stored()
    for k in (1, 4):
        federation.evaluation.forget(k)
    reads = []

    def recorded(path, *given, **more):
        reads.append((int(path.name.split("-")[1].split(".")[0]), current_thread().name.split("_")[0]))
        return packed_state.read_state(path, *given, **more)

    monkeypatch.setattr(client_states, "read_state", recorded)
    federation.evaluation.add_scores(record, federation.server, FIRST)
    assert [entry for entry in reads if entry[0] != 5] == [(k, "states in") for k in read]  # 5 was in memory
    federation.states.close()


def test_what_clients_hold_shares_no_memory():
    """Neither with each other, nor with the server, the modules that are trained, or initial states."""
    task = make_task((6,) * 4)
    for name in ("fedmoe", "fml", "fedproto", "fedkd", "fedapen"):
        method = registry.method(name)[0]
        if method.unsupported(task):
            continue
        federation, _ = federate(method, task, participation=0.5)
        holders = [federation.server, *federation.states.values()]
        resident = federation.engine._resident.values()
        holders += [{n: dict(part.state_dict()) for n, part in parts.items()} for parts in resident]
        places = [{t.data_ptr() for _, t in tensors_of(holder) if t.numel()} for holder in holders]
        assert sum(map(len, places)) == len(set().union(*places))


def tensors_of(value):
    if isinstance(value, torch.Tensor):
        return [("", value)]
    if isinstance(value, Rows):
        return [("", t) for t in value]
    return [found for inner in value.values() for found in tensors_of(inner)]


def test_the_limit_follows_what_is_available(monkeypatch):
    monkeypatch.setattr(client_states, "_available", lambda: iter([4 * 2**30, 2**30]))
    assert client_states.default_limit(CPU) == 2**28
    monkeypatch.setattr(client_states, "_available", lambda: iter([2**40]))
    assert client_states.default_limit(CPU) == client_states.MOST_STATE_BYTES
    monkeypatch.undo()
    assert 0 < client_states.default_limit(CPU) <= client_states.MOST_STATE_BYTES


def test_states_of_a_gpu_are_written_when_the_round_is_over_or_memory_runs_out(tmp_path):
    """None waits for the GPU between participants; what must leave its memory has been written before."""
    states = ClientStates(torch.device("cuda"), limit=2 * BLOCK)  # two of them; the tensors of this test are on the CPU
    states.keep(tmp_path)
    for client in range(2):
        states[client] = {"value": torch.full((125,), float(client))}
    states._writer.submit(int).result()
    assert not list(tmp_path.iterdir())
    states[2] = {"value": torch.full((125,), 2.0)}
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.client-0.1.tensors"]
    assert len(states.stored()) == len(list(tmp_path.iterdir())) == 3
    states.close()
