"""What is kept of an unfinished run comes back equal to the bit, or not at all."""

import json
import pickle

import pytest
import torch

from benchmark.channel import Rows
from benchmark.conformance.toy import same
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


def saved(folder, states, t=1, participants=(0, 1)):
    for k in participants:
        states[k] = STATE
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
