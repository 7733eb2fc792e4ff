"""Every method trains behind every defence, or is refused before anything runs."""

import numpy as np
import pytest
import torch

from benchmark.cli.commands import main
from benchmark.config import FederationConfig
from benchmark.conformance.toy import CPU, federate, toy_task
from benchmark.federation import Federation
from benchmark.plugins import registry
from benchmark.privacy.sums import refusal
from benchmark.storage.checkpoint import fingerprint

NOISE = {"message_layout": "fixed", "message_clip": 1.0, "dp_epsilon": 8.0}
SINGLE = {"fd", "fedgh", "fedssa", "fedtgp", "fedkd"}
"""Methods whose server looks at messages one by one: it keeps, trains on or decodes them, or keeps who sent a row."""
NAMES = sorted(registry.catalogue("methods"))


def brief(name):
    _, spec = registry.method(name)
    fields = [f for f in ("server_epochs", "server_steps") if spec.hyperparameters.get(f, 0) > 2]
    return registry.method("+".join([name, *(f"{field}=2" for field in fields)]))[0]


def config(**settings):
    return FederationConfig(clients=3, batch_size=4, rounds=2, **settings)


@pytest.mark.parametrize("name", NAMES)
def test_training_stays_finite_behind_layout_noise_and_few_bits(name):
    method = brief(name)
    federation, records = federate(method, toy_task(method), **NOISE, message_bits=8)
    for state in (federation.server, *(federation.states[k] for k in range(3))):
        tensors = [t for value in state.values() if isinstance(value, dict) for t in value.values()]
        assert all(tensor.isfinite().all() for tensor in tensors if tensor.is_floating_point())
    assert len(records) == 2


@pytest.mark.parametrize("name", NAMES)
def test_secure_aggregation_is_refused_where_single_messages_are_needed(name):
    method = brief(name)
    reason = refusal(method, toy_task(method), config(secure_aggregation=True), CPU)
    assert (reason is not None) == (name in SINGLE)
    assert reason is None or "needs single messages" in reason


def test_messages_whose_size_depends_on_data_can_not_be_hidden_by_noise():
    method = registry.method("fedkd")[0]
    task = toy_task(method, (40, 40, 40))
    assert "the size of its messages depends on data" in refusal(method, task, config(**NOISE), CPU)


@pytest.mark.parametrize("name", ["fml", "fedproto", "fedgen+server_steps=2"])
def test_secure_aggregation_changes_bytes_alone(name):
    method = registry.method(name)[0]
    task = toy_task(method)
    plain, secret = (Federation(method, task, config(secure_aggregation=on), CPU) for on in (False, True))
    records = [list(federation.run()) for federation in (plain, secret)]
    assert fingerprint(plain.server, plain.states) == fingerprint(secret.server, secret.states)
    assert [r["client_flops"] for r in records[0]] == [r["client_flops"] for r in records[1]]
    assert records[1][0]["bytes_up"] > records[0][0]["bytes_up"]
    assert "keys and shares" in records[1][0]["clients"][0]["bytes_up"]


def test_a_federation_that_resumes_has_the_same_noise():
    method = registry.method("fedproto")[0]
    task = toy_task(method)
    whole = Federation(method, task, config(**NOISE), CPU)
    list(whole.run())
    first = Federation(method, task, config(**NOISE), CPU)
    first.round(1)
    second = Federation(method, task, config(**NOISE), CPU)
    second.server = first.server
    for k in range(3):
        second.states[k] = first.states[k]
    torch.manual_seed(5)
    second.round(2)
    assert fingerprint(whole.server, whole.states) == fingerprint(second.server, second.states)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng, y = np.random.default_rng(0), np.arange(120) % 3
    x = (rng.integers(0, 100, (120, 16, 16)) + 50 * y[:, None, None]).astype(np.uint8)
    np.savez(tmp_path / "tiny.npz", x_train=x[:96], y_train=y[:96], x_test=x[96:], y_test=y[96:])
    return tmp_path


RUN = "run --datasets ./tiny.npz --clients 3 --partition iid --rounds 1 --batch-size 8 --no-report --device cpu"


def test_a_refusal_is_one_line_and_nothing_is_stored(folder, capsys):
    assert main([*RUN.split(), "--methods", "fml,fd", "--secure-aggregation"]) == 2
    assert capsys.readouterr().err == (
        "error: fd can't be defended so: its server needs single messages, and with --secure-aggregation it sees sums "
        "alone; leave out one of both\n"
    )
    assert not [*folder.glob("results/*/*/*/*/run.json")]


def test_an_epsilon_that_promises_nothing_is_one_line(folder, capsys):
    noise = ["--dp-epsilon", "1000000", "--message-clip", "1", "--message-layout", "fixed"]
    assert main([*RUN.split(), "--methods", "fml", *noise]) == 2
    assert "promises nothing; ask for a smaller one" in capsys.readouterr().err
