"""What a machine without a GPU can tell of one: devices and waiting by fake tensors, recordings by a fake CUDA."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from benchmark.api import Method
from benchmark.config import FederationConfig
from benchmark.conformance.toy import ALIKE, make_task
from benchmark.engine.eager import memory_format
from benchmark.engine.graphs import GraphEngine, Recorder
from benchmark.federation import Federation
from benchmark.measure import environment, memory
from benchmark.plugins import registry

GPU = torch.device("cuda")
SCRIPT = "fake_gpu_rounds.py"


@pytest.fixture(scope="module")
def rounds():
    """Name -> what two rounds of it on a fake GPU came to."""
    names, script = [*registry.catalogue("methods"), "reading", "elsewhere"], Path(__file__).with_name(SCRIPT)
    words = [sys.executable, "-W", "ignore", script, *names]
    ran = subprocess.run(words, capture_output=True, text=True, check=True, env=environ())
    return {line["name"]: line for line in map(json.loads, ran.stdout.splitlines())}


def environ():
    return os.environ | {"PYTHONPATH": str(Path(__file__).parents[3]), "OMP_NUM_THREADS": "1"}


@pytest.mark.parametrize("name", registry.catalogue("methods"))
def test_two_rounds_of_every_method(name, rounds):
    """No tensor of another device, and no value read within a step; who has FedKD's student is known to the server."""
    assert rounds[name].get("error") is None
    assert rounds[name]["devices"] == (["cpu", "cuda"] if name == "fedkd" else ["cuda"])


def test_a_step_that_reads_a_value_would_wait_and_is_found(rounds):
    assert rounds["reading"]["cause"] == "DataDependentOutputException"
    assert "training, phase 0" in rounds["reading"]["error"]


def test_a_part_on_another_device_is_found(rounds):
    assert "device" in rounds["elsewhere"]["error"]


class FakeCuda:
    """torch.cuda as far as a recording uses it: streams in a stack, a pool that a failed recording leaves in use."""

    def __init__(self, fails: bool) -> None:
        self.fails, self.streams, self.pools, self.modes, self.healed = fails, ["first"], 0, ["default"], 0
        self.CUDAGraph = lambda: SimpleNamespace(replay=lambda: None)
        self.default_generators = [SimpleNamespace(clone_state=lambda: "state", graphsafe_set_state=self.heal)]

    def heal(self, state):
        self.healed += 1

    def current_stream(self):
        return SimpleNamespace(wait_stream=lambda other: None, name=self.streams[-1])

    def current_device(self):
        return 0

    def Stream(self):
        return SimpleNamespace(wait_stream=lambda other: None, name="aside")

    def graph_pool_handle(self):
        self.pools += 1
        return self.pools

    def get_sync_debug_mode(self):
        return self.modes[-1]

    def set_sync_debug_mode(self, mode):
        self.modes.append(mode)

    def device(self, device):
        return self.Within(self, None)

    def stream(self, stream):
        return self.Within(self, stream.name)

    def graph(self, graph, pool, stream):
        return self.Recording(self)

    class Within:
        def __init__(self, cuda, name):
            self.cuda, self.name = cuda, name

        def __enter__(self):
            self.before = [*self.cuda.streams]
            self.cuda.streams += [self.name] if self.name else []

        def __exit__(self, *error):
            self.cuda.streams = self.before

    class Recording:
        """Its end raises, and leaves its stream on, as torch 2.11's does."""

        def __init__(self, cuda):
            self.cuda = cuda

        def __enter__(self):
            self.cuda.streams.append("recording")

        def __exit__(self, *error):
            if self.cuda.fails:
                raise RuntimeError("capture failed in the middle")
            self.cuda.streams.pop()


@pytest.mark.parametrize("fails", [False, True])
def test_a_recording_leaves_stream_and_modes_as_they_were(monkeypatch, fails):
    cuda, steps = FakeCuda(fails), []
    for name in (name for name in dir(cuda) if hasattr(torch.cuda, name) and not name.startswith("_")):
        monkeypatch.setattr(torch.cuda, name, getattr(cuda, name))

    def step():
        steps.append((cuda.streams[-1], cuda.modes[-1]))
        return torch.zeros(()), {}

    recorder = Recorder(GPU)
    if fails:
        with pytest.raises(RuntimeError, match="in the middle"):
            recorder.record(step)
        recorder.heal()
        assert cuda.healed == 1
        assert recorder._pool is None
    else:
        assert recorder.record(step)()[1] == {}
    # a plain step, one that may not wait, and the one that is recorded
    assert steps == [("aside", "default"), ("aside", "error"), ("recording", "default")]
    assert (cuda.streams, cuda.modes[-1]) == (["first"], "default")


def test_one_stream_and_one_pool_serve_all_recordings(monkeypatch):
    cuda = FakeCuda(fails=False)
    for name in (name for name in dir(cuda) if hasattr(torch.cuda, name) and not name.startswith("_")):
        monkeypatch.setattr(torch.cuda, name, getattr(cuda, name))
    recorder = Recorder(GPU)
    streams = []
    for _ in range(3):
        recorder.record(lambda: (torch.zeros(()), {}))
        streams.append(recorder._stream)
    assert cuda.pools == 1
    assert len({id(stream) for stream in streams}) == 1


def test_recording_is_off_the_clock(monkeypatch):
    """What a recording takes is no second of training: here a second of a clock that only recordings move."""
    monkeypatch.setattr("benchmark.engine.graphs.STEPS_BEFORE_RECORDING", 0)
    now = [0.0]
    monkeypatch.setattr("benchmark.measure.clock.time.perf_counter", lambda: now[0])

    class Slow(GraphEngine):
        def record(self, step):
            now[0] += 1
            return step

    config = FederationConfig(clients=1, rounds=1, batch_size=4)
    federation = Federation(Method(), make_task((8,), line_up=ALIKE), config, torch.device("cpu"), engine=Slow)
    record = federation.round(1)
    assert len(federation.engine._recordings) == 1
    assert record["client_seconds"] == 0


def test_memory_is_measured_on_a_gpu_that_nothing_has_used_yet(monkeypatch):
    """CUDA refuses to reset its statistics before it is initialised."""
    called = []
    monkeypatch.setattr(torch.cuda, "init", lambda: called.append("init"))
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda device: called.append("reset"))
    memory.PeakMemory(GPU)
    assert called == ["init", "reset"]


def test_a_gpus_software_is_on_record(monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "card")
    monkeypatch.setattr(environment.subprocess, "run", lambda *_, **__: SimpleNamespace(stdout="580.1\n580.1\n"))
    found = environment.environment(GPU)
    assert (found["device_name"], found["driver"]) == ("card", "580.1")
    assert {"cuda", "cudnn"} <= found.keys()
    monkeypatch.setattr(environment.subprocess, "run", lambda *_, **__: (_ for _ in ()).throw(FileNotFoundError))
    assert environment.environment(GPU)["driver"] is None


def test_images_lie_as_a_gpus_kernels_want_them():
    last, first = torch.channels_last, torch.contiguous_format
    expected = {("cpu", "fp32"): last, ("cuda", "fp32"): first, ("cuda", "tf32"): last, ("cuda", "bf16"): last}
    for (device, precision), order in expected.items():
        assert memory_format(torch.device(device), precision) == order


def test_training_pins_the_precision_of_products_and_puts_it_back():
    seen = []

    class Watched(Method):
        def loss(self, client, batch):
            seen.append((torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32))
            return super().loss(client, batch)

    before = torch.backends.cuda.matmul.allow_tf32
    for precision in ("fp32", "tf32"):
        config = FederationConfig(clients=1, rounds=1, batch_size=4, precision=precision)
        Federation(Watched(), make_task((4,), line_up=ALIKE), config, torch.device("cpu")).round(1)
    assert set(seen[: len(seen) // 2]) == {(False, False)}
    assert set(seen[len(seen) // 2 :]) == {(True, True)}
    assert torch.backends.cuda.matmul.allow_tf32 == before
