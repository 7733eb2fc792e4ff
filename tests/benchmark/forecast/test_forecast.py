"""What a run is predicted to cost is what it costs."""

import json
from collections import Counter
from dataclasses import dataclass, replace
from types import SimpleNamespace

import pytest
import torch

from benchmark.cli.commands import main
from benchmark.config import FederationConfig, MethodSpec, RunSpec
from benchmark.conformance.toy import ALIKE, CPU, make_task, toy_task
from benchmark.federation import Federation
from benchmark.forecast import calibration, prediction
from benchmark.forecast.prediction import UNKNOWN, errors, forecast, shape_flops, workload_of
from benchmark.forecast.shape_engine import ShapeOnlyEngine
from benchmark.forecast.sizes import rule
from benchmark.forecast.workload import Flops, Line, Turn, Workload, WorkShape, workload
from benchmark.method import Method
from benchmark.plugins import registry
from benchmark.problem import Run
from benchmark.run import dry_run, runner
from benchmark.storage.checkpoint import fingerprint
from benchmark.storage.run_folder import RunFolder
from benchmark.storage.verify import verify

LABELS = ((0, 1), (2,), (0, 2), (1, 2))
SIZES = (7, 5, 9, 10)
SHORTER = {"fedgen": "+server_steps=2", "fedtgp": "+server_epochs=1"}


@pytest.fixture(autouse=True)
def anew(monkeypatch):
    monkeypatch.setattr(calibration, "CALIBRATIONS", {})
    monkeypatch.setattr(calibration, "TIMED_SECONDS", 0.0)


def run_of(method, task, **federation):
    """A run of a toy task that is on no disk."""
    config = {"clients": task.num_clients, "rounds": 2, "batch_size": 4, "lr": 0.1} | federation
    spec = RunSpec(
        dataset="toy",
        data_hash="0",
        method=MethodSpec(name="toy", label="toy", hyperparameters={}),
        partition="uneven",
        models=task.line_up.name,
        federation=FederationConfig(**config),
        seed=task.seed,
    )
    return Run(spec, method, SimpleNamespace(task=lambda: task), None)


def measured(run):
    federation = Federation(run.method, run.problem.task(), run.spec.federation, CPU)
    records = list(federation.run())
    names = ("client_flops", "bytes_up", "bytes_down")
    return {name: sum(record[name] for record in records) for name in names}, federation


def told(run):
    return forecast(run, CPU)


@pytest.mark.parametrize(
    "collect, statistics", [("during", 2 * 3 * 6), ("after", 2 * 300 + 2 * 3 * 6)], ids=["during", "after"]
)
def test_worked_out_by_hand(collect, statistics):
    """Linear(50, 6) below Linear(6, 3): 2 x (300 + 18) forward and as many for the weights' gradients, 2 x 18 for the
    header's input. The three clients see 21 samples in a round, in batches of 4 + 3, 5 and 4 + 5. Statistics are
    sums over classes, and the extractor once more if they are taken after training.
    """
    method, _ = registry.method(f"fedproto+collect={collect}")
    run = run_of(method, make_task(line_up=ALIKE, labels=LABELS[:3]))
    row = 6 * 4 + 4
    found = told(run)
    assert found["client_flops"] == 2 * 21 * (2 * (300 + 18) * 2 + 2 * 18 + statistics)
    assert found["bytes_up"] == 2 * (2 + 1 + 2) * row
    assert found["bytes_down"] == 3 * 3 * row  # none in the first round, then all three classes for all three
    assert found["varying"] == []
    assert min(found["seconds"], found["client_seconds"], found["server_seconds"], found["eval_seconds"]) > 0
    assert found["seconds"] > found["client_seconds"]


@pytest.mark.parametrize("name", registry.catalogue("methods"))
def test_what_every_method_costs_is_known_before(name):
    """With batches that have a remainder, clients that miss rounds and do not have as many classes."""
    method, _ = registry.method(name + SHORTER.get(name, ""))
    run = run_of(method, toy_task(method, SIZES, labels=LABELS), participation=0.5, rounds=5, eval_every=2)
    found, (costs, _) = told(run), measured(run)
    exact = name != "fedkd"  # takes weights apart and puts them together, in ranks that are not known before
    assert found["client_flops"] == pytest.approx(costs["client_flops"], rel=1e-12 if exact else 0.05)
    assert bool(found["varying"]) == (name == "fedkd")  # it sends as many singular vectors as hold so much energy
    if name == "fedl2g":  # it sends rows for the classes of a single batch, and one of ten need not have all
        assert found["bytes_up"] == pytest.approx(costs["bytes_up"], rel=0.2)
    elif name != "fedkd":
        assert (found["bytes_up"], found["bytes_down"]) == (costs["bytes_up"], costs["bytes_down"])


@pytest.mark.parametrize("work", [{"local_epochs": 3}, {"local_steps": 7}, {"local_steps": 1, "finetune": 2}], ids=str)
@pytest.mark.parametrize("name", ["fd", "fedproto"])
def test_statistics_of_the_last_of_several_passes_are_foreseen(name, work):
    method, _ = registry.method(name)
    run = run_of(method, toy_task(method, SIZES, labels=LABELS), **work)
    found, (costs, _) = told(run), measured(run)
    assert found["client_flops"] == costs["client_flops"]
    assert found["seconds"] > 0


def test_a_forecast_changes_nothing_of_the_run():
    method, _ = registry.method("fedgen+server_steps=2")  # draws in training and on the server
    run = run_of(method, make_task())
    before = torch.get_rng_state()
    hashes = []
    for _ in range(2):
        federation = measured(run)[1]
        hashes.append(fingerprint(federation.server, federation.states))
        told(run)
    assert hashes[0] == hashes[1]
    assert torch.equal(torch.get_rng_state(), before)


def test_a_rehearsal_that_diverges_leaves_flops_alone():
    """Noise of 1e20 and more blows networks up in the second round; the run will say so."""
    method, _ = registry.method("lg-fedavg")
    noise = {"message_layout": "fixed", "message_clip": 1e20, "dp_epsilon": 1.0}
    found = told(run_of(method, toy_task(method, SIZES, labels=LABELS), rounds=9, **noise))
    assert found["seconds"] is None and found["client_flops"] > 0


def test_runs_that_differ_in_seed_have_one_rehearsal(monkeypatch):
    rounds = []
    original = Federation.round
    monkeypatch.setattr(Federation, "round", lambda self, t: (rounds.append(t), original(self, t))[1])
    first = run_of(Method(), make_task())
    told(first)
    assert rounds == [1, 2, 3, 4]
    told(replace(first, spec=first.spec.model_copy(update={"seed": 1})))
    told(run_of(Method(), make_task(), rounds=9))
    task = make_task()
    told(run_of(Method(), replace(task, clients=[replace(data, test=data.test[:3]) for data in task.clients])))
    assert len(rounds) == 4
    told(run_of(Method(), make_task(), momentum=0.9))
    assert len(rounds) == 8


def test_who_does_what_when():
    """Client 2's nine samples are 4 + 5, in two epochs twice."""
    task = make_task(line_up=ALIKE)
    config = FederationConfig(clients=3, rounds=4, batch_size=4, local_epochs=2, participation=0.34, eval_every=3)
    engine = ShapeOnlyEngine(Method(), task, config, CPU)
    work = workload(Method(), task, config, engine)
    assert work.steps[2] == Counter({WorkShape("linear", 0, (4,)): 2, WorkShape("linear", 0, (5,)): 2})
    assert [len(ids) for ids in work.participants] == [1] * 4
    fixed = Workload(task, config, [[2], [0], [2], [0]], work.steps, [1], ())
    assert fixed.shapes[WorkShape("linear", 0, (4,))] == 2 * 2 + 2 * 2  # 7 samples are 4 + 3
    assert fixed.common_batch == 4
    assert [*fixed.evaluated] == [({0, 1, 2}, {0, 2}), ({0}, {0, 2})]  # after the third round and the last


def test_turns_tell_what_messages_depend_on():
    task = make_task((40, 40, 40), line_up=ALIKE, labels=LABELS[:3])
    config = FederationConfig(clients=3, rounds=4)
    work = Workload(task, config, [[0], [0, 1], [1], [0]], (), [1], ())
    assert [turn[1:] for turn in work.turns()] == [
        ("first", 2, 0, 0, 0),
        ("stayed", 2, 2, 0, 2),
        ("back", 1, 2, 2, 0),
        ("stayed", 1, 3, 2, 1),
        ("back", 2, 3, 1, 2),
    ]


def turn(architecture="a", since="stayed", own=1, known=0, others=0, returning=0):
    return Turn(architecture, since, own, known, others, returning)


def test_sizes_follow_the_simplest_rule():
    constant = rule([(turn(own=1), 8), (turn(own=2), 8)])
    assert (constant.size(turn(own=3)), constant.exact) == (8, True)
    rows = rule([(turn(own=1, known=2), 20), (turn(own=1, known=0), 0), (turn(own=2, known=3), 30)])
    assert (rows.size(turn(known=10)), rows.exact) == (100, True)
    placed = rule([(turn("a"), 4), (turn("b", own=2), 6), (turn("a", own=3), 4)])
    assert (placed.size(turn("b", own=9)), placed.exact) == (6, True)
    first = rule([(turn(since="first"), 7), (turn(), 0), (turn(since="back"), 7)])
    assert [first.size(turn(since=since)) for since in ("first", "stayed", "back")] == [7, 0, 7]
    learned = rule([(turn(), 10), (turn(), 14)])
    assert (learned.size(turn()), learned.exact) == (12, False)


def test_flops_that_lie_on_no_line_are_counted_one_by_one():
    asked = []

    def count(shape):
        asked.append(shape.sizes[0])
        return 5 + 7 * shape.sizes[0] if shape.phase == 0 else shape.sizes[0] ** 2

    flops = Flops.counting(count, [WorkShape("a", 0, (64,)), WorkShape("a", 1, (64,))])
    assert asked == [2, 3, 64] * 2
    assert flops.of(WorkShape("a", 0, (37,)), count) == 5 + 7 * 37
    assert flops.of(WorkShape("a", 1, (37,)), count) == flops.of(WorkShape("a", 1, (37,)), count) == 37**2
    assert asked[6:] == [37]


def test_a_line_goes_through_its_ends():
    assert Line.through({2: 5.0, 64: 67.0})(10) == 13.0
    assert Line.through({4: 2.0})(10) == 5.0
    assert Line.through({2: 5.0, 64: 4.0})(1000) == 4.0


@dataclass(frozen=True)
class Stubborn(Method):
    """Standalone that can't aggregate."""

    def aggregate(self, server, inbox):
        raise ValueError("no")


@dataclass(frozen=True)
class Peeking(Method):
    """Standalone that looks at a value, which the meta device does not have."""

    def receive(self, state, message, client):
        return state if float(state["header"]["weight"].sum()) < 1e9 else {}


def test_what_can_t_be_told_is_absent():
    run = run_of(Stubborn(), make_task())
    assert told(run) == UNKNOWN | {"client_flops": shape_flops(run)}
    peeking = run_of(Peeking(), make_task())
    with pytest.raises(RuntimeError, match="meta"):
        shape_flops(peeking)
    assert told(peeking)["client_flops"] == shape_flops(run)


def test_more_clients_hold_and_send_more():
    """The rehearsal has two clients; five take part in time, two at a time."""
    method, _ = registry.method("lg-fedavg")
    run = run_of(method, make_task((7,) * 5, line_up=ALIKE), participation=0.4, rounds=50)
    work = workload_of(run)
    found = replace(calibration.calibration(run, work, CPU), memory=1000)
    model, header = 4 * (50 * 6 + 6 + 6 * 3 + 3), 4 * (6 * 3 + 3)
    assert (found.state["linear"], found.sent["linear"]) == (model, header)
    assert prediction.memory_needed(work, found) == 1000 + 3 * model


def test_errors_are_relative_and_absent_where_nothing_was_measured():
    predicted = UNKNOWN | {"client_flops": 150, "bytes_up": 0, "seconds": 3.0}
    found = errors(predicted, {"client_flops": 100, "bytes_up": 0, "bytes_down": 4, "seconds": None})
    assert found["client_flops"] == 0.5
    assert {name for name, value in found.items() if value is None} == found.keys() - {"client_flops"}
    assert errors(None, {}) is None


def test_the_longest_runs_go_first_onto_the_workers():
    assert dry_run.together([3, 3, 5, 3, 4], 2) == 10  # 5 + 3 and 4 + 3, then the last
    assert dry_run.together([3, 4], 1) == 7
    assert dry_run.together([], 4) == 0


@pytest.fixture
def here(tmp_path, monkeypatch, write_data):
    monkeypatch.chdir(tmp_path)
    write_data(tmp_path)
    return tmp_path


WORDS = ["run", "--datasets", "tiny.npz", "--rounds", "2", "--clients", "4", "--partition", "iid", "--batch-size", "8"]
WORDS += ["--models", "cnn1", "--participation", "0.5", "--methods", "lg-fedavg,standalone", "--checkpoint-every", "0"]


def test_a_dry_run_writes_nothing_and_a_run_keeps_what_it_told(here, capsys):
    assert main([*WORDS, "--dry-run", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [*here.iterdir()] == [here / "tiny.npz"]
    assert document["experiment"] == "default"
    assert [run["status"] for run in document["runs"]] == ["new", "new"]
    assert document["total"]["runs"] == 2

    assert main([*WORDS, "--no-report", "--methods", "lg-fedavg", "--forecast"]) == 0
    (path,) = (here / "results").glob("default/tiny/lg-fedavg/*")
    run = RunFolder(path).read()
    first = document["runs"][0]
    assert first["key"] == run["key"]
    for name in ("client_flops", "bytes_up", "bytes_down"):
        assert run["prediction"][name] == first["prediction"][name] == run["summary"][name] > 0
        assert run["prediction_error"][name] == 0
    assert run["prediction"]["peak_memory_bytes"] > 0
    assert run["prediction_error"]["seconds"] is not None
    assert run["schema"] == 4
    assert verify(here / "results") == ([], 1)

    capsys.readouterr()
    assert main([*WORDS, "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert "already there" in out and "1 to run" in out
    assert main([*WORDS, "--dry-run", "--json"]) == 0
    there = json.loads(capsys.readouterr().out)["runs"][0]
    assert there["status"] == "already there" and there["prediction"] == run["prediction"]
    assert main([*WORDS, "--dry-run", "--force", "--json", "--jobs", "2"]) == 0
    assert [run["status"] for run in json.loads(capsys.readouterr().out)["runs"]] == ["again", "new"]
    assert main([*WORDS, "--dry-run", "--shard", "3/3"]) == 0
    assert capsys.readouterr().out.startswith("0 to run")


def statuses(capsys, *words):
    assert main([*WORDS, "--dry-run", "--json", *words]) == 0
    return [run["status"] for run in json.loads(capsys.readouterr().out)["runs"]]


def test_what_goes_on_keeps_the_prediction_of_its_start(here, monkeypatch, capsys):
    def stopped(self, rounds_done=0):
        yield self.round(rounds_done + 1)
        raise KeyboardInterrupt

    made = UNKNOWN | {"bytes_up": 12}
    with monkeypatch.context() as patch:
        patch.setattr(runner, "forecast", lambda run, device, engine: made)
        patch.setattr(Federation, "run", stopped)
        assert main([*WORDS, "--no-report", "--forecast"]) == 130
    capsys.readouterr()
    (path,) = (here / "results").glob("default/tiny/lg-fedavg/*")
    assert [statuses(capsys, *words)[0] for words in ((), ("--force",))] == ["goes on", "goes on"]
    RunFolder(path).write(RunFolder(path).read() | {"status": "failed", "reason": "it was killed"})
    assert [statuses(capsys, *words)[0] for words in ((), ("--force",))] == ["goes on", "again"]
    assert main([*WORDS, "--no-report"]) == 0
    run = RunFolder(path).read()
    assert run["prediction"] == made
    assert run["prediction_error"]["bytes_up"] == (12 - run["summary"]["bytes_up"]) / run["summary"]["bytes_up"]
    assert len(run["resumed"]) == 1 and run["prediction_error"]["seconds"] is None


def test_results_of_the_schema_before_have_no_prediction():
    path = next((runner.Path(__file__).parents[3] / "results" / "baseline").glob("*/*/*/run.json"))
    assert json.loads(path.read_text())["schema"] == 2
    assert RunFolder(path.parent).read()["prediction"] is None
