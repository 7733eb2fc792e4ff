"""What is kept of an unfinished run comes back equal to the bit, or not at all."""

import json
import pickle

import pytest
import torch

from benchmark.channel import Rows, same
from benchmark.storage.checkpoint import Checkpoint, fingerprint
from benchmark.storage.client_states import ClientStates

CPU = torch.device("cpu")
STATE = {
    "extractor": {"z.weight": torch.randn(2, 3), "a.bias": torch.arange(3), "flag": torch.tensor(True)},
    "nothing": {},
    "scale": torch.tensor(0.1, dtype=torch.bfloat16),
    "prototypes": Rows(torch.randn(3, 2), torch.tensor([True, False, True])),
}


@pytest.fixture
def states():
    found = ClientStates(CPU)
    yield found
    found.close()


def saved_states(states, participants=(0, 1)):
    for k in participants:
        states[k] = STATE


def saved(folder, states, t=1, participants=(0, 1)):
    saved_states(states, participants)
    Checkpoint(folder).save(t, STATE, states, 5)
    return Checkpoint(folder)


def test_a_state_comes_back_as_it_was(tmp_path, states):
    checkpoint = saved(tmp_path, states)
    before = fingerprint(STATE, states)
    again = ClientStates(CPU)
    manifest = checkpoint.manifest()
    assert (manifest["rounds_done"], manifest["peak_memory_bytes"]) == (1, 5)
    assert checkpoint.whole(manifest)
    server = checkpoint.restore(manifest, again, CPU)
    assert same(server, STATE)
    assert same(again, {0: STATE, 1: STATE})
    assert list(server["extractor"]) == list(STATE["extractor"])  # and in its order
    assert fingerprint(server, again) == before
    again.close()


def test_a_fingerprint_tells_states_apart():
    other = STATE | {"scale": torch.tensor(0.2, dtype=torch.bfloat16)}
    held = ({0: STATE}, {1: STATE}, {0: other}, {0: STATE, 1: STATE})
    assert len({fingerprint(STATE, states) for states in held}) == 4


def test_only_who_has_changed_is_written_anew(tmp_path, states):
    saved(tmp_path, states, t=1, participants=(0, 1))
    first = (tmp_path / "checkpoint.client-0.1.tensors").stat().st_mtime_ns
    saved(tmp_path, states, t=2, participants=(1, 2))
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == [
        "checkpoint.client-0.1.tensors",
        "checkpoint.client-1.1.tensors",  # to be written over in the next round
        "checkpoint.client-1.2.tensors",
        "checkpoint.client-2.1.tensors",
        "checkpoint.json",
        "checkpoint.server.2.tensors",
    ]
    assert (tmp_path / names[0]).stat().st_mtime_ns == first


def test_checkpoints_that_are_rounds_apart_leave_one_file_of_the_server_and_a_spare_one_of_a_client(tmp_path, states):
    """Between them states change, some of them are written for lack of memory, and none of that piles up."""
    states.keep(tmp_path)
    for t in (1, 5, 12, 30):
        for _ in range(3):
            saved_states(states)
            states.stored()  # as if memory had no room
        Checkpoint(tmp_path).save(t, STATE, states, None)
        servers = [path.name for path in tmp_path.glob("checkpoint.server.*")]
        assert servers == [f"checkpoint.server.{t}.tensors"]
        assert len([*tmp_path.glob("checkpoint.client-*")]) <= 2 * len(states)
        assert Checkpoint(tmp_path).whole(Checkpoint(tmp_path).manifest())


def test_files_that_the_last_checkpoint_does_not_name_are_written_over_at_once(tmp_path):
    """One state in memory, so that each is written when the next one comes; rounds go on without a checkpoint."""
    states = ClientStates(CPU, limit=0)
    states.write_early = False
    states.keep(tmp_path)
    for _ in range(20):
        saved_states(states)
    assert len([*tmp_path.iterdir()]) <= 2 * len(states)
    states.close()


@pytest.mark.parametrize("damage", ["flip", "cut", "missing", "pickle"])
def test_a_damaged_file_is_not_taken(tmp_path, states, damage):
    checkpoint = saved(tmp_path, states)
    path = tmp_path / "checkpoint.client-1.1.tensors"
    content = bytearray(path.read_bytes())
    match damage:
        case "flip":
            content[-1] ^= 1
        case "cut":
            content = content[:-1]
        case "pickle":
            content = pickle.dumps(STATE)
    path.write_bytes(content)
    if damage == "missing":
        path.unlink()
    assert not checkpoint.whole(checkpoint.manifest())


@pytest.mark.parametrize("content", ["", "{", "[]", '{"rounds_done": 1}'])
def test_a_damaged_manifest_is_none(tmp_path, content):
    (tmp_path / "checkpoint.json").write_text(content)
    assert Checkpoint(tmp_path).manifest() is None


def test_a_manifest_can_name_no_file_elsewhere(tmp_path, states):
    checkpoint = saved(tmp_path, states)
    manifest = json.loads((tmp_path / "checkpoint.json").read_text())
    manifest["server"][0] = "../1"
    (tmp_path / "checkpoint.json").write_text(json.dumps(manifest))
    assert checkpoint.manifest() is None
