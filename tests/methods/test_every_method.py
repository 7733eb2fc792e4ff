"""What holds for every method, without naming one."""

import copy
import importlib

import pytest
import torch

from benchmark import registry
from benchmark.channel import Channel, Rows
from benchmark.checkpoint import Checkpoint, fingerprint
from benchmark.federation import Federation
from benchmark.models.cnn import LINE_UPS

NAMES = sorted(registry.names("methods"))


@pytest.fixture(params=NAMES)
def name(request):
    return request.param


@pytest.fixture
def method(name):
    return registry.method(name)[0]


def test_file_defines_one_method_named_as_the_file(name):
    module = importlib.import_module("methods." + name.replace("-", "_"))
    assert registry.method_class(module).__name__.lower() == name.replace("-", "")


def test_docstring_says_who_holds_what_and_where_it_is_from(name):
    text = importlib.import_module("methods." + name.replace("-", "_")).__doc__
    for needed in ("arXiv", "Client k holds", "trained", "travels", "One round", "Departures from the paper"):
        assert needed in text


def test_every_trained_part_changes_and_no_other(method, make_task, federate, same):
    task = make_task()
    federation, _ = federate(method, task, rounds=1)
    server = method.server_init(task)
    for k, after in federation.states.items():
        before = method.receive(
            federation.engine.initial_state(k), method.download(server, task.infos[k]), task.infos[k]
        )
        parts = federation.engine.load(k, after).parts
        trained = {part for phase in method.phases() for part in (parts if phase.trains is None else phase.trains)}
        for part, module in parts.items():
            for key, _ in module.named_parameters():
                moved = not same(after[part][key], before[part][key])
                dead = key.endswith("bias")  # a bias in front of batch norm has no gradient
                assert moved == (part in trained) or (part in trained and dead), f"{part}.{key} of client {k}"


def test_same_seed_twice_is_equal_to_the_bit(method, make_task, federate, same):
    timeless = ("seconds", "client_seconds", "server_seconds", "eval_seconds", "clients")
    (a, records_a), (b, records_b) = (federate(method, make_task()) for _ in range(2))
    assert same(a.states, b.states)
    assert same(a.server, b.server)
    for x, y in zip(records_a, records_b, strict=True):
        assert {k: v for k, v in x.items() if k not in timeless} == {k: v for k, v in y.items() if k not in timeless}


def test_another_seed_is_another_run(method, make_task, federate, same):
    assert not same(federate(method, make_task())[0].states, federate(method, make_task(seed=1))[0].states)


def test_aggregate_leaves_its_inputs_alone(method, make_task, federate, same, monkeypatch):
    calls, original = [], type(method).aggregate

    def aggregate(self, server, inbox):
        before = copy.deepcopy((server, dict(inbox.messages)))
        after = original(self, server, inbox)
        calls.append(same(before, (server, dict(inbox.messages))))
        return after

    monkeypatch.setattr(type(method), "aggregate", aggregate)
    federate(method, make_task())
    assert calls == [True] * 4  # twice a round: once counted, once timed


def test_bytes_recorded_are_bytes_of_what_was_sent(method, make_task, federate, monkeypatch):
    def size(value):
        if isinstance(value, Rows):
            return sum(4 + value.values.shape[1] * 4 for present in value.present.tolist() if present)
        if isinstance(value, dict):
            return sum(size(tensor) for tensor in value.values())
        return value.numel() * {torch.float32: 4, torch.int64: 8}[value.dtype]

    def watched(original, sent):
        def carry(channel, client, message):
            sent.append((client, {name: size(value) for name, value in message.items()}))
            return original(channel, client, message)

        return carry

    carried: dict[str, list] = {"up": [], "down": []}
    for direction, sent in carried.items():
        monkeypatch.setattr(Channel, direction, watched(getattr(Channel, direction), sent))
    _, records = federate(method, make_task(), rounds=3)
    for direction, sent in carried.items():
        assert [(c["id"], c[f"bytes_{direction}"]) for r in records for c in r["clients"]] == sent
        assert [r[f"bytes_{direction}"] for r in records] == [
            sum(sum(sizes.values()) for _, sizes in sent[3 * t : 3 * t + 3]) for t in range(3)
        ]


def test_nothing_that_is_held_is_shared(method, make_task, federate):
    """No tensor of one client shares memory with the server's or another client's."""
    federation, _ = federate(method, make_task())

    def addresses(value):
        if isinstance(value, torch.Tensor):
            return {value.untyped_storage().data_ptr()}
        return set().union(*(addresses(v) for v in (value.values() if isinstance(value, dict) else value)), set())

    owned = [addresses(federation.server), *(addresses(state) for state in federation.states.values())]
    assert sum(len(held) for held in owned) == len(set().union(*owned))


@pytest.mark.parametrize(
    "train_sizes, labels, config",
    [
        ((1, 8, 6), None, {}),
        ((8, 6, 7), [(0,), (1, 2), (0, 2)], {}),
        ((8, 6, 7), None, {"participation": 0.1}),
        ((5, 9, 13), None, {"batch_size": 4}),
        ((6, 6, 6), None, {"momentum": 0.9, "weight_decay": 0.01, "local_epochs": 2}),
        ((6, 6, 6), None, {"augmentation": "lab"}),
    ],
    ids=["one sample", "missing classes", "one participant", "remainder of one", "momentum", "augmentation"],
)
def test_odd_clients_work(method, make_task, federate, train_sizes, labels, config):
    _, records = federate(method, make_task(train_sizes, labels=labels, shape=(2, 12, 12)), **config)
    assert all(torch.isfinite(torch.tensor(r["train_loss"])) for r in records)
    assert all(r["post_local"]["total"] == [4, 4, 4] for r in records)


@pytest.mark.parametrize("line_up", LINE_UPS, ids=lambda line_up: line_up.name)
def test_works_on_the_papers_networks(method, make_task, federate, line_up):
    task = make_task((4, 4), line_up=line_up, shape=(1, 16, 16))
    _, records = federate(method, task, rounds=1)
    assert records[0]["client_flops"] > 0


def test_works_on_torchvision_networks_with_batch_norm(method, make_task, federate):
    task = make_task((4,) * 4, line_up=registry.line_up("vision4"), shape=(3, 16, 16))
    _, records = federate(method, task, rounds=1, lr=0.01)
    assert records[0]["client_flops"] > 0


@pytest.mark.parametrize("config", [{}, {"participation": 0.4, "momentum": 0.5}], ids=["all", "one of three"])
def test_gone_on_from_a_checkpoint_equals_never_interrupted(method, make_task, federate, same, tmp_path, config):
    whole, records = federate(method, make_task(), rounds=3, **config)
    task, checkpoint = make_task(), Checkpoint(tmp_path)
    first, again = (Federation(method, task, whole.config, torch.device("cpu")) for _ in range(2))
    for record in first.run():
        if record["round"] == 3:
            break
        checkpoint.save(first, record, None)
    checkpoint.restore(again, checkpoint.manifest())
    (last,) = again.run(2)
    assert same(whole.states, again.states)
    assert same(whole.server, again.server)
    assert fingerprint(whole) == fingerprint(again)
    assert last["post_download"] == records[2]["post_download"]
    assert last["train_loss"] == records[2]["train_loss"]
