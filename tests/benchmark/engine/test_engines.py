"""All engines train alike: equal to 1e-10 in float64, whatever the method, the batches and the optimiser."""

from dataclasses import dataclass, replace

import pytest
import torch

from benchmark.api import Method
from benchmark.cli.commands import main
from benchmark.config import FederationConfig
from benchmark.conformance.toy import ALIKE, CPU, make_task, tensors, toy_task
from benchmark.engine.anonymous_client import AnonymousClientInfo, Unsuited
from benchmark.engine.eager import EagerEngine
from benchmark.engine.graphs import STEPS_BEFORE_RECORDING, GraphEngine
from benchmark.engine.stacked import StackedEngine
from benchmark.federation import Federation
from benchmark.plugins import registry
from benchmark.run import engine_choice
from methods.fedproto import FedProto
from methods.fml import FML
from methods.standalone import Standalone

SHORT = {"fedgen": "fedgen+server_steps=2", "fedtgp": "fedtgp+server_epochs=2"}
"""The many steps of a server take time and make much of the last digit."""
METHODS = [SHORT.get(name, name) for name in registry.catalogue("methods")]
CAN_T_BE_STACKED = {"fedgen": "called random operation", "fedl2g": "Tensor.requires_grad_()"}
SETTINGS = {"momentum": 0.9, "weight_decay": 0.01, "local_epochs": 2, "participation": 0.7}


class Replayed(GraphEngine):
    """Where a GPU would replay a recording this does the step again, and holds it to the memory that it has known."""

    def record(self, step):
        for _ in range(2):
            step()
        known = []

        def replay():
            held = addresses(self, step)
            known[:] = known or held
            assert held == known
            return step()

        return replay


def addresses(engine, step):
    """Where what a recorded step reads and writes lies."""
    standing, _, optimiser, lasting = (cell.cell_contents for cell in named(step, "standing phase optimiser lasting"))
    modules = [tensor for part in standing.parts.values() for tensor in (*part.parameters(), *part.buffers())]
    momentum = [held for state in optimiser.state.values() for held in state.values() if torch.is_tensor(held)]
    return [tensor.data_ptr() for tensor in (*modules, *tensors(dict(standing.values)), *momentum, *lasting.batches)]


def named(function, names):
    cells = dict(zip(function.__code__.co_freevars, function.__closure__, strict=True))
    return [cells[name] for name in names.split()]


@pytest.fixture(autouse=True)
def double():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def run(engine, method, task, **config):
    """A federation after its rounds in float64, and its records."""
    task = replace(task, mean=task.mean.double(), std=task.std.double())
    config = {"clients": task.num_clients, "rounds": 2, "batch_size": 4, "lr": 0.05} | config
    federation = Federation(method, task, FederationConfig(**config), CPU, engine=engine)
    return federation, list(federation.run())


def distance(one, other):
    """The largest difference of any number that server and clients hold."""
    pairs = zip(tensors([one.states, one.server]), tensors([other.states, other.server]), strict=True)
    return max(float((a.double() - b.double()).abs().max()) for a, b in pairs if a.numel())


@pytest.mark.filterwarnings("ignore:There is a performance drop:UserWarning")
@pytest.mark.parametrize("engine", [StackedEngine, Replayed])
@pytest.mark.parametrize("name", METHODS)
def test_every_method_by_every_engine(name, engine, monkeypatch):
    """Clients of three architectures, two of each with as many samples, others with other remainders."""
    monkeypatch.setattr("benchmark.engine.graphs.STEPS_BEFORE_RECORDING", 1)
    method, _ = registry.method(name)
    task = toy_task(method, (7, 5, 9, 7, 6, 6))
    (plain, expected), (other, got) = (run(which, method, task, **SETTINGS) for which in (EagerEngine, engine))
    assert distance(plain, other) < 1e-10
    for of_plain, of_other in zip(expected, got, strict=True):
        for fact in ("client_flops", "bytes_up", "bytes_down", "participants", "post_local"):
            assert of_plain[fact] == of_other[fact]
        assert of_other["train_loss"] == pytest.approx(of_plain["train_loss"], rel=1e-9)
        assert all(turn["seconds"]["training"] > 0 for turn in of_other["clients"])
    reason = CAN_T_BE_STACKED.get(name.partition("+")[0]) if engine is StackedEngine else None
    assert (reason is None) == (other.engine.fell_back is None)
    assert reason is None or reason in other.engine.fell_back


@pytest.mark.filterwarnings("ignore:There is a performance drop:UserWarning")
@pytest.mark.parametrize("engine", [StackedEngine, Replayed])
@pytest.mark.parametrize(
    "setting",
    [
        {"clip_norm": 0.3},
        {"lr_decay": 0.5},
        {"optimizer": "adam", "momentum": 0},
        {"local_steps": 3, "local_epochs": 1},
    ],
)
def test_every_setting_by_every_engine(setting, engine, monkeypatch):
    """What an engine can't do in its way it leaves to the plain one: Adam in a stack, rates that change in a graph."""
    monkeypatch.setattr("benchmark.engine.graphs.STEPS_BEFORE_RECORDING", 1)
    task = toy_task(FML(), (7, 5, 9, 7, 6, 6))
    (plain, _), (other, _) = (run(which, FML(), task, **SETTINGS | setting) for which in (EagerEngine, engine))
    assert distance(plain, other) < 1e-10
    left = (engine is StackedEngine and "optimizer" in setting) or (engine is Replayed and "lr_decay" in setting)
    assert bool(other.engine.fell_back) == left


def test_plain_training_moves_by_more_than_that():
    """So the comparison above can fail."""
    (a, _), (b, _) = (run(EagerEngine, Standalone(), make_task(), lr=lr) for lr in (0.1, 0.1 + 1e-8))
    assert distance(a, b) > 1e-10


def test_clients_are_stacked_as_long_as_their_batches_are_alike(monkeypatch):
    """Batches of 4, 4 and 1 more; of 4 and 2; of 4, 4 and 1 more: three together, then two and one, in stacks."""
    stacks = []
    train = StackedEngine._train_stack

    def watched(self, stack, phase, names, steps):
        stacks.append((len(stack.loss), [len(own) for own in steps]))
        train(self, stack, phase, names, steps)

    monkeypatch.setattr(StackedEngine, "_train_stack", watched)
    task = make_task((9, 6, 9), line_up=ALIKE)
    (plain, _), (other, _) = (run(engine, Standalone(), task, rounds=1) for engine in (EagerEngine, StackedEngine))
    assert distance(plain, other) < 1e-10
    assert stacks == [(3, [1, 1, 1]), (2, [1, 1]), (1, [1])]


def test_seconds_of_a_stack_are_divided_by_steps():
    _, (record,) = run(StackedEngine, Standalone(), make_task((8, 4), line_up=ALIKE), rounds=1)
    long, short = (turn["seconds"]["training"] for turn in record["clients"])
    assert long == pytest.approx(2 * short)


@dataclass(frozen=True)
class Nosy(Method):
    """Its loss depends on the size of a client, so no step serves two."""

    def loss(self, client, batch):
        return super().loss(client, batch) * client.info.num_samples


@pytest.mark.parametrize("engine", [StackedEngine, Replayed])
def test_a_loss_that_looks_at_who_the_client_is_is_trained_plainly(engine, monkeypatch):
    monkeypatch.setattr("benchmark.engine.graphs.STEPS_BEFORE_RECORDING", 1)
    task = make_task((8, 4), line_up=ALIKE)
    (plain, _), (other, _) = (run(which, Nosy(), task) for which in (EagerEngine, engine))
    assert distance(plain, other) == 0
    assert other.engine.fell_back.endswith("a step of the method looks at the client's num_samples")


def test_anybody_can_t_be_asked():
    with pytest.raises(Unsuited, match="the client's id"):
        print(AnonymousClientInfo().id)


def test_augmentation_is_not_stacked():
    task = make_task((8, 4), shape=(2, 12, 12))
    federation, _ = run(StackedEngine, Standalone(), task, rounds=1, augmentation="lab")
    assert federation.engine.fell_back == "no stack: augmentation draws at random"


def test_a_shape_is_recorded_once_it_has_come_often():
    """In a round batches of 4 come twice, and one of 2 once, a remainder. The former are recorded in round 5."""
    made = []

    class Counted(Replayed):
        def train(self, participants, t):
            self.round = t.round
            return super().train(participants, t)

        def record(self, step):
            made.append(self.round)
            return super().record(step)

    run(Counted, Standalone(), make_task((10,), line_up=ALIKE), rounds=9)
    assert made == [STEPS_BEFORE_RECORDING // 2 + 1]


def test_values_of_another_shape_are_recorded_anew(monkeypatch):
    """What a method holds may change from round to round; a recording reads what it was made for."""
    monkeypatch.setattr("benchmark.engine.graphs.STEPS_BEFORE_RECORDING", 1)

    class Growing(FedProto):
        def receive(self, state, message, client):
            return state | message | {"history": torch.zeros(client.progress.round)}

    federation, _ = run(Replayed, Growing(), make_task((10,), line_up=ALIKE))
    plain, _ = run(EagerEngine, Growing(), make_task((10,), line_up=ALIKE))
    assert len(federation.engine._standing) == 2
    assert distance(plain, federation) == 0


def test_what_can_t_be_recorded_leaves_no_trace(monkeypatch):
    monkeypatch.setattr("benchmark.engine.graphs.STEPS_BEFORE_RECORDING", 1)

    class Refused(GraphEngine):
        def record(self, step):
            step()
            tried.append(step)
            raise RuntimeError(f"operation {len(tried)} not permitted when stream is capturing")

    tried = []
    task = make_task((10, 10), line_up=ALIKE)
    (plain, _), (other, _) = (run(which, FML(), task, momentum=0.9) for which in (EagerEngine, Refused))
    assert distance(plain, other) == 0
    assert other.engine.fell_back == "no graph: operation 1 not permitted when stream is capturing"
    assert len(tried) == 1


def test_a_cpu_gets_the_plain_engine_and_a_gpu_the_fastest_for_long_runs(monkeypatch):
    task, config = make_task((8,), line_up=ALIKE), FederationConfig(clients=1, rounds=100)
    monkeypatch.setattr(
        engine_choice, "round_seconds", lambda engine, *_: {GraphEngine: 1, StackedEngine: 2}.get(engine, 3)
    )
    gpu = torch.device("cuda")
    assert engine_choice.choose(task, config, CPU) == "eager"
    assert engine_choice.choose(task, config, gpu) == "graphs"
    assert engine_choice.choose(task, config.model_copy(update={"rounds": 99}), gpu) == "eager"
    monkeypatch.setattr(engine_choice, "round_seconds", lambda engine, *_: 9 if engine is GraphEngine else 10)
    assert engine_choice.choose(task, config, gpu) == "eager"  # a tenth may be noise


def test_a_trial_repeats_its_participants_and_leaves_out_what_fails():
    torch.set_default_dtype(torch.float32)
    task, config = make_task((8,) * 4, line_up=ALIKE), FederationConfig(clients=4, rounds=100, participation=0.5)
    ids = []

    class Watched(StackedEngine):
        def train(self, participants, t):
            participants = list(participants)
            ids.append([participant.id for participant in participants])
            return super().train(participants, t)

    assert 0 < engine_choice.round_seconds(Watched, task, config, CPU) < 10
    assert len(ids) == engine_choice.TRIALS
    assert len({*map(tuple, ids)}) == 1

    class Failing(EagerEngine):
        def train(self, participants, t):
            raise torch.OutOfMemoryError

    assert engine_choice.round_seconds(Failing, task, config, CPU) == float("inf")


def test_graphs_need_a_gpu(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["run", "--device", "cpu", "--engine", "graphs"]) == 2
    assert capsys.readouterr().err == "error: --engine graphs needs a GPU; eager and stacked work on a CPU\n"


def test_bf16_computes_steps_in_bf16_and_keeps_weights_in_full():
    torch.set_default_dtype(torch.float32)
    seen = []

    class Watched(Standalone):
        def predict(self, client, x):
            scores = super().predict(client, x)
            seen.append((client.header.training, scores.dtype))
            return scores

    config = FederationConfig(clients=3, rounds=1, batch_size=4, lr=0.1, precision="bf16")
    federation = Federation(Watched(), make_task(), config, CPU)
    federation.round(1)
    assert set(seen) == {(True, torch.bfloat16), (False, torch.float32)}
    assert {tensor.dtype for tensor in tensors(federation.states)} == {torch.float32, torch.int64}


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU: CUDA graphs are not recorded here")
@pytest.mark.parametrize("name", METHODS)
def test_graphs_on_a_gpu(name, monkeypatch):
    """Steps recorded for real, in the order of magnitude of what single precision can tell apart."""
    torch.set_default_dtype(torch.float32)
    monkeypatch.setattr("benchmark.engine.graphs.STEPS_BEFORE_RECORDING", 1)
    method, _ = registry.method(name)
    task, gpu = toy_task(method, (8, 8, 9)), torch.device("cuda")
    config = FederationConfig(clients=3, rounds=3, batch_size=4, lr=0.1, momentum=0.9)
    plain, graphs = (Federation(method, task, config, gpu, engine=engine) for engine in (EagerEngine, GraphEngine))
    for t in (1, 2, 3):
        plain.round(t), graphs.round(t)
    assert graphs.engine.fell_back is None
    assert graphs.engine._recordings
    assert distance(plain, graphs) < 1e-3
