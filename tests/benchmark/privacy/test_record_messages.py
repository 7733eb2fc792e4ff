"""The message of one record, worked out apart from the harness, for each kind of value that travels."""

import pytest
import torch
import torch.nn.functional as F

from benchmark.channel import FIRST, Rows, copied
from benchmark.config import FederationConfig
from benchmark.conformance.toy import ALIKE, CPU, make_task
from benchmark.engine.eager import EagerEngine
from benchmark.plugins import registry
from benchmark.privacy.record_messages import RecordMessages, sketch_size
from benchmark.privacy.vectors import Sketch, flattened


def messages_of(name):
    """Client 0's, in the state after its first download; and that state, the task, the engine."""
    method, task = registry.method(name)[0], make_task(line_up=ALIKE)
    engine = EagerEngine(method, task, FederationConfig(clients=3, batch_size=4), CPU)
    server = copied(method.server_init(task))
    state = copied(method.receive(engine.initial_state(0), method.download(server, task.infos[0]), task.infos[0]))
    return RecordMessages(engine, 0, state, FIRST, server), state, task, engine


def gradient(state, task, index, names):
    """Of the cross-entropy of record `index` with respect to these parts' weights, as one vector."""
    model = task.local_model(0)
    parts = {"extractor": model.extractor, "header": model.header}
    for name, part in parts.items():
        part.load_state_dict(state[name])
    x, y = task.batch(torch.tensor([index]))
    F.cross_entropy(parts["header"](parts["extractor"](x)), y).backward()
    return torch.cat([torch.zeros(0), *(p.grad.flatten() for name in names for p in parts[name].parameters())]), parts


@pytest.mark.parametrize(("name", "names"), [("lg-fedavg", ["header"]), ("fedavg", ["extractor", "header"])])
def test_of_weights_it_is_minus_the_gradient(name, names):
    messages, state, task, _ = messages_of(name)
    expected, _ = gradient(state, task, 3, names)
    torch.testing.assert_close(messages.of(torch.tensor([3]))[0], -expected, atol=1e-6, rtol=1e-4)


def test_of_class_means_it_is_the_records_own_row():
    messages, state, task, _ = messages_of("fedproto")
    _, parts = gradient(state, task, 3, [])
    x, y = task.batch(torch.tensor([3]))
    expected = torch.zeros(3, 6)
    expected[int(y)] = parts["extractor"](x)[0]
    torch.testing.assert_close(messages.of(torch.tensor([3]))[0], expected.flatten(), atol=1e-6, rtol=1e-4)


def test_of_counts_it_is_a_one():
    messages, _, task, _ = messages_of("fedproto+weighting=samples")
    found = messages.of(torch.tensor([3]))[0]
    assert found[-3:].tolist() == F.one_hot(task.labels[3], 3).tolist()


@pytest.mark.parametrize("name", ["fedmoe", "fml", "lg-fedavg", "pfedes"])
def test_records_that_go_through_a_network_together_have_the_messages_of_each_alone(name, monkeypatch):
    messages, *_ = messages_of(name)
    together = messages.of(torch.arange(5))
    monkeypatch.setattr("torch.vmap", lambda *_, **__: pytest.fail("one that has failed is not tried again"))
    monkeypatch.setattr(messages, "_maps", False)
    torch.testing.assert_close(together, messages.of(torch.arange(5)), atol=1e-6, rtol=1e-4)


def test_a_loss_that_draws_at_random_takes_one_record_after_another():
    messages, *_ = messages_of("fedgen")
    found = messages.of(torch.arange(2))
    assert found.shape[0] == 2 and found.norm() > 0


def test_the_weights_are_afterwards_what_they_were():
    messages, _, _, _ = messages_of("fml")
    first, again = (messages.of(torch.tensor([3, 4])) for _ in range(2))
    assert torch.equal(first, again)


def test_a_compressed_update_is_put_together_first():
    """FedKD's factors say nothing one by one; decoded, a record's update is minus its gradient, at full energy."""
    messages, _, _, _ = messages_of("fedkd+energy_start=1+energy_end=1")
    others, _, _, _ = messages_of("fml+alpha=1+beta=1")
    found, like = messages.of(torch.tensor([3]))[0], others.of(torch.tensor([3]))[0]
    assert found.shape == like.shape and found.norm() > 0


def test_a_real_message_counts_where_it_has_sent_something():
    messages, *_ = messages_of("fedproto")
    sent = {"prototypes": Rows(torch.ones(3, 6), torch.tensor([True, False, True]))}
    assert messages.difference(sent).view(3, 6).sum(1).tolist() == [6, 0, 6]


def test_a_method_that_sends_nothing_has_no_numbers():
    assert flattened({}).values.numel() == 0


def test_a_sketch_keeps_inner_products():
    torch.manual_seed(0)
    a, b = torch.randn(2, 40_000)
    sketch = Sketch(40_000, 4096, CPU)
    both = a + 0.5 * b
    assert sketch.of(a) @ sketch.of(both) == pytest.approx(float(a @ both), rel=0.1)
    assert len(sketch.of(a)) == 4096
    assert torch.equal(Sketch(10, 4096, CPU).of(a[:10]), a[:10])


def test_the_size_of_a_sketch_grows_with_the_records_up_to_a_limit():
    assert [sketch_size(n) for n in (10, 1000, 10**6)] == [4096, 20_000, 32_768]
