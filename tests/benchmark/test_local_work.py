"""What else a client does than train as long as all others: statistics on the way, fine-tuning, warm-up."""

from dataclasses import dataclass, field
from itertools import pairwise

import pytest
import torch
from torch import nn

from benchmark.api import Batch, Client, Message, Method, Phase, RequestError
from benchmark.channel import same
from benchmark.cli.commands import main
from benchmark.compatibility import unsupported
from benchmark.conformance.toy import ALIKE, federate, make_task, toy_federation
from benchmark.plugins import registry
from methods.fedavg import FedAvg
from methods.fedl2g import FedL2G
from methods.fedproto import FedProto
from methods.fml import FML
from methods.standalone import Standalone


class Counted(nn.Module):
    """Counts how often it computes."""

    def __init__(self, module: nn.Module, calls: list) -> None:
        super().__init__()
        self.module, self.calls = module, calls

    def forward(self, x):
        self.calls.append(len(x))
        return self.module(x)


@dataclass(frozen=True)
class Watched(Method):
    """Sends the sums of its representations as its batches had them."""

    collects: bool
    calls: list = field(default_factory=list)
    sent: list = field(default_factory=list)

    def parts(self, model, task):
        parts = super().parts(model, task)
        return parts | {"extractor": Counted(parts["extractor"], self.calls)}

    def phases(self):
        return (Phase(collects=self.collects),)

    def statistics(self, client: Client, batch: Batch):
        representation = client.extractor(batch.x)
        assert not torch.is_grad_enabled()
        return {"sum": representation.sum(0), "n": torch.tensor(len(batch.y))}

    def upload(self, client: Client, statistics) -> Message:
        self.sent.append(statistics)
        return {}


def test_statistics_on_the_way_are_of_the_last_pass_and_compute_nothing_again():
    """Five samples in batches of three and two, in two epochs."""
    task = make_task((5,), line_up=ALIKE)
    federation = toy_federation(Watched(collects=True), task, rounds=1, batch_size=3, local_epochs=2)
    method = federation.method
    federation.engine.flops.of = lambda key, work: 0  # counting takes steps of its own
    federation.round(1)
    assert [n for n in method.calls if n < 4] == [3, 2] * 2  # the four test samples aside
    assert int(method.sent[0]["n"]) == 5


def test_statistics_on_the_way_are_of_the_weights_before_the_step():
    task = make_task((4,), line_up=ALIKE)
    federation = toy_federation(Watched(collects=True), task, rounds=1, batch_size=4)
    start = federation.client(0)
    x, _ = task.batch(task.clients[0].train)
    with torch.no_grad():
        expected = start.extractor(x).sum(0)
    federation.round(1)
    torch.testing.assert_close(federation.method.sent[0]["sum"], expected)


@pytest.mark.parametrize("steps, seen", [(1, 3), (2, 5), (3, 5)])
def test_with_steps_in_place_of_epochs_the_last_ones_collect_as_many_as_a_pass_has(steps, seen):
    """Passes of five samples, three and two: the last two steps of three have two and three."""
    method = Watched(collects=True)
    federation, _ = federate(method, make_task((5,), line_up=ALIKE), rounds=1, batch_size=3, local_steps=steps)
    assert int(federation.method.sent[-1]["n"]) == seen


def test_a_client_knows_its_class_counts_and_a_shared_step_does_not():
    task = make_task((6,), line_up=ALIKE, labels=[(0, 2)])
    client = toy_federation(Standalone(), task).client(0)
    labels = task.labels[task.clients[0].train].tolist()
    assert client.class_counts.tolist() == [labels.count(0), 0, labels.count(2)]
    with pytest.raises(RuntimeError, match="class counts"):
        _ = Client(client.info, {}, {}).class_counts


@pytest.mark.parametrize("method", [Standalone(), FedProto(), FML()], ids=lambda method: type(method).__name__)
def test_fine_tuning_for_a_rounds_work_is_the_next_round_of_all(method):
    """With the same download, batches and draws; so a round's third score is the first of the round after it."""
    _, records = federate(method, make_task(), rounds=3, finetune=1, momentum=0.9)
    for now, after in pairwise(records):
        assert now["post_finetune"] == after["post_local"]
        assert now["finetune_flops"] == sum(client["flops"] for client in after["clients"])


def test_fine_tuning_leaves_the_run_as_it_is():
    task = make_task(line_up=ALIKE)
    (plain, a), (tuned, b) = (federate(FedAvg(), task, finetune=n, participation=0.6) for n in (0, 3))
    assert same(plain.server, tuned.server)
    for one, other in zip(a, b, strict=True):
        assert {name: one[name] for name in ("client_flops", "bytes_up", "post_local", "post_download")} == {
            name: other[name] for name in ("client_flops", "bytes_up", "post_local", "post_download")
        }
        assert "post_finetune" not in one
        assert other["finetune_flops"] > 0 < other["finetune_seconds"]


def test_only_evaluated_rounds_are_fine_tuned():
    _, records = federate(Standalone(), make_task(), rounds=3, eval_every=2, finetune=1)
    assert ["post_finetune" in record for record in records] == [False, True, True]


def test_networks_stand_still_while_guides_warm_up():
    task = make_task()
    federation = toy_federation(FedL2G(warm_up=1), task, rounds=2)
    before = {k: federation.engine.initial_state(k) for k in range(3)}
    federation.round(1)
    for k, state in before.items():
        for key, _ in federation.client(k).extractor.named_parameters():
            assert same(federation.states[k]["extractor"][key], state["extractor"][key])
        assert not same(federation.states[k]["guide"], federation.states[k]["received"])
    federation.round(2)
    assert not any(same(federation.states[k]["extractor"], state["extractor"]) for k, state in before.items())


@dataclass(frozen=True)
class Late(Method):
    """Begins in the second round."""

    def phases(self):
        return (Phase(first_round=2),)


def test_a_method_that_does_nothing_in_the_first_round_is_refused():
    with pytest.raises(RequestError, match="none of its phases takes place in round 1; let one begin there"):
        unsupported(Late(), make_task())


def test_the_same_weight_for_every_client():
    """The memes of clients with 4 and 12 samples: their mean, and a quarter of the way from the second to the first."""
    task = make_task((4, 12), line_up=ALIKE)
    for weighting, share in (("uniform", 0.5), ("samples", 0.75)):
        federation, _ = federate(FML(weighting=weighting), task, rounds=1)
        first, second = (federation.states[k]["meme"] for k in (0, 1))
        for name, mean in federation.server["meme"].items():
            torch.testing.assert_close(mean, torch.lerp(first[name], second[name], share))


@pytest.mark.parametrize("name", ["fml", "fedkd", "fedapen", "fedl2g", "fedtgp", "fedgh", "standalone"])
def test_fields_that_came_later_leave_keys_as_they_were(name):
    later = {"weighting", "warm_up", "collect", "epochs"}
    assert not later & registry.method(name)[1].hyperparameters.keys()


def test_a_default_that_has_moved_is_part_of_the_key():
    assert registry.method("fedproto")[1].hyperparameters["collect"] == "during"
    assert "collect" not in registry.method("fedproto+collect=after")[1].hyperparameters


@pytest.mark.parametrize(
    "words, said",
    [
        (["--finetune", "-1"], "--finetune should be greater than or equal to 0, not '-1'"),
        (["--finetune", "1.5"], "--finetune should be a valid integer"),
        (["--methods", "fedproto+collect=before"], "collect of fedproto should be 'during' or 'after', not 'before'"),
        (["--methods", "fml+weighting=plain"], "weighting of fml should be 'samples' or 'uniform', not 'plain'"),
        (["--methods", "fedl2g+warm_up=-1"], "warm_up of fedl2g should be greater than or equal to 0, not '-1'"),
        (["--methods", "standalone+epochs=0"], "epochs of standalone should be greater than or equal to 1, not '0'"),
    ],
)
def test_bad_values_are_one_line(words, said, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["run", "--datasets", "digits", *words]) == 2
    shown = capsys.readouterr().err
    assert shown.startswith(f"error: {said}") and shown.count("\n") == 1
    assert not [*tmp_path.iterdir()]
