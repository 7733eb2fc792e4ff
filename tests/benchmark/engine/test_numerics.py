"""The table of docs/numerics.md, each row tried at a small size."""

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from benchmark.config import FederationConfig
from benchmark.conformance.toy import ALIKE, make_task, tensors
from benchmark.engine.eager import EagerEngine
from benchmark.engine.stacked import StackedEngine
from benchmark.federation import Federation
from benchmark.storage.checkpoint import Checkpoint, fingerprint
from methods.fedavg import FedAvg
from methods.fml import FML

ROOT = Path(__file__).parents[3]
ROWS = dict(
    re.findall(r"^\| `([\w ]+)` \|.*\| ([\d.e-]+) \|$", (ROOT / "docs" / "numerics.md").read_text(), re.MULTILINE)
)
SIZES = (40, 40, 24)
SHAPE = (3, 16, 16)


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
    torch.set_default_dtype(torch.float32)


def federation(engine=EagerEngine, **more):
    """Three clients under FML, which trains two networks; in torch's default type."""
    task = make_task(SIZES, line_up=ALIKE, shape=SHAPE)
    kind = torch.get_default_dtype()
    task = replace(task, mean=task.mean.to(kind), std=task.std.to(kind))
    config = FederationConfig(clients=len(SIZES), rounds=3, batch_size=8, lr=0.05, momentum=0.9)
    return Federation(FML(), task, config, torch.device("cpu"), engine=engine, **more)


def trained(made=None, **how):
    made = made or federation(**how)
    list(made.run())
    return made


def difference(one, other):
    """The largest difference of any tensor, relative to its largest number."""
    pairs = zip(tensors([one.server, one.states]), tensors([other.server, other.states]), strict=True)
    return max(float((a.double() - b.double()).abs().max() / a.double().abs().max()) for a, b in pairs if a.any())


def nothing(_):
    return trained(), trained()


PROGRAM = """
import importlib.util, sys, torch
spec = importlib.util.spec_from_file_location("numerics", sys.argv[1])
found = importlib.util.module_from_spec(spec)
spec.loader.exec_module(found)
torch.set_num_threads(1)
made = found.trained()
print(found.fingerprint(made.server, made.states))
"""


def in_processes(number):
    """Fingerprints of a training in so many fresh processes side by side."""
    words = [sys.executable, "-c", PROGRAM, __file__]
    started = [subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(number)]
    return [process.communicate(timeout=120)[0].strip() for process in started]


def several_processes(_):
    here = trained()
    assert in_processes(2) == [fingerprint(here.server, here.states)] * 2
    return here, here


def resumed(folder):
    whole, first, again = trained(), federation(), federation()
    Checkpoint(folder).save(first.round(1)["round"], first.server, first.states, None)
    checkpoint = Checkpoint(folder)
    again.server = checkpoint.restore(checkpoint.manifest(), again.states, again.device)
    list(again.run(1))
    return whole, again


def other_methods_before(_):
    first = trained()
    list(Federation(FedAvg(), first.task, first.config, first.device).run())
    return first, trained()


def states_on_disk(folder):
    small = federation(state_bytes=0)
    small.states.keep(folder)
    return trained(), trained(small)


def two_threads(_):
    one = trained()
    torch.set_num_threads(2)
    return one, trained()


def stacked(_):
    return trained(), trained(engine=StackedEngine)


def stacked_in_float64(_):
    torch.set_default_dtype(torch.float64)
    return stacked(_)


def float64(_):
    """The same initial weights: torch draws others in another type."""
    single = federation()
    starts = {k: single.state(k) for k in range(len(SIZES))}
    torch.set_default_dtype(torch.float64)
    double = federation()
    double.server = in_double(single.server)
    for k, state in starts.items():
        double.states[k] = in_double(state)
    torch.set_default_dtype(torch.float32)
    trained(single)
    torch.set_default_dtype(torch.float64)
    return single, trained(double)


def in_double(state):
    return {name: {key: tensor.double() for key, tensor in part.items()} for name, part in state.items()}


CASES = {
    case.__name__.replace("_", " "): case
    for case in (
        nothing,
        several_processes,
        resumed,
        other_methods_before,
        states_on_disk,
        two_threads,
        stacked,
        stacked_in_float64,
        float64,
    )
}


def test_the_table_has_a_row_for_each_case():
    assert ROWS.keys() == CASES.keys()


@pytest.mark.filterwarnings("ignore:There is a performance drop:UserWarning")
@pytest.mark.parametrize("row", CASES)
def test_rows_of_the_table(tmp_path, row):
    found = difference(*CASES[row](tmp_path))
    assert found <= float(ROWS[row])


def test_what_is_allowed_is_less_than_a_difference_that_matters():
    """A rate that is other by a thousandth is told from rounding."""
    other = federation()
    other = Federation(FML(), other.task, other.config.model_copy(update={"lr": 0.0505}), other.device)
    assert difference(trained(), trained(other)) > max(float(allowed) for allowed in ROWS.values())
