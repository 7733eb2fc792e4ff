"""FLOPs worked out by hand: 2 per multiply-add, forward once, backward twice, less what no one needs."""

import pytest
import torch
from torch import nn

from benchmark.api import Observer
from benchmark.channel import same
from benchmark.config import FederationConfig
from benchmark.conformance.toy import ALIKE, CPU, federate, make_task
from benchmark.federation import Federation
from benchmark.measure.flops import FORMULAS, FlopCounter, FlopTable
from benchmark.models.cnn import CNNS, LINE_UPS
from benchmark.models.line_up import Architecture, LineUp
from benchmark.plugins import registry
from methods.fd import FD
from methods.fedgh import FedGH
from methods.fedkd import FedKD
from methods.fedmoe import FedMoE
from methods.fedproto import FedProto
from methods.fedtgp import FedTGP
from methods.fml import FML
from methods.standalone import Standalone

BATCH = 4
CONV1 = 28 * 28 * 16 * 75  # multiply-adds of the first convolution; its input needs no gradient


def step_flops(method, line_up, shape=(3, 32, 32), clients=1):
    """FLOPs of one training step of client 0, from a round of a single step."""
    task = make_task((BATCH,) * clients, line_up=line_up, shape=shape, num_classes=10)
    _, records = federate(method, task, rounds=1, batch_size=BATCH)
    assert records[0]["clients"][0]["steps"] == 1
    return records[0]["clients"][0]["flops"]


def only(architecture: Architecture, small: Architecture = CNNS[4]) -> LineUp:
    return LineUp("only", "one", (architecture,), small, min_size=4)


def test_attention_costs_the_same_with_and_without_gradients():
    """Three projections, two products of 5x5 with the tokens, one projection; torch fuses them where no one asks for
    gradients.
    """
    attention, x = nn.MultiheadAttention(8, 2, batch_first=True), torch.randn(3, 5, 8)
    counted = []
    for trains in (True, False):
        with torch.set_grad_enabled(trains), FlopCounter() as counter:
            attention.train(trains)(x, x, x, need_weights=False)
        counted.append(counter.total)
    assert counted == [2 * 3 * (4 * 5 * 8 * 8 + 2 * 5 * 5 * 8)] * 2


def test_attention_backward_makes_five_products_where_forward_makes_two():
    """Of [4, 5, 8] with [4, 8, 5] or their likes; the first of the five is made again, for it was not kept."""
    query, key, value = (torch.randn(1, 4, 5, 8, requires_grad=True) for _ in range(3))
    with FlopCounter() as counter:
        nn.functional.scaled_dot_product_attention(query, key, value).sum().backward()
    assert counter.total == (2 + 5) * 2 * 4 * 5 * 5 * 8


@pytest.mark.parametrize(
    "adapter, macs",
    [
        ("none", 4_825_800),
        ("pool", 4_825_800 - 500 * 10 + 64 * 10),
        ("linear", 4_825_800 - 500 * 10 + 64 * 10 + 500 * 64),
    ],
)
def test_a_step_with_an_adapter(adapter, macs):
    """CNN-1, 500 numbers brought to 64: the header is smaller, and the projection costs what a layer costs."""
    line_up = registry.line_up(f"cnn1+adapter={adapter}" + "+width=64" * (adapter != "none"))
    assert step_flops(Standalone(), line_up) == BATCH * 2 * (3 * macs - CONV1)


@pytest.mark.parametrize("i, macs", list(enumerate([4_825_800, 3_385_800, 3_525_800, 3_265_800, 2_875_800])))
def test_a_step_of_the_papers_networks(i, macs):
    flops = step_flops(Standalone(), only(CNNS[i]))
    assert flops == BATCH * 2 * (3 * macs - CONV1)


def test_a_step_of_cnn5_layer_by_layer():
    layers = [28 * 28 * 16 * 75, 10 * 10 * 32 * 400, 800 * 500, 500 * 500, 500 * 10]
    assert sum(layers) == 2_875_800
    hand = BATCH * (2 * 2 * layers[0] + 3 * 2 * sum(layers[1:]))
    assert step_flops(Standalone(), only(CNNS[4])) == hand == 61_492_800


def test_a_step_of_fedmoe():
    """Client of CNN-1, shared expert CNN-5 without header, gate of width 64, whose input norm needs the gradient."""
    gate = 3072 * 64 + 64 * 2
    hand = BATCH * 2 * (3 * (4_825_800 + 2_870_800 + gate) - 2 * CONV1)
    assert step_flops(FedMoE(gate_width=64), LINE_UPS[0]) == hand


def test_a_step_of_fml():
    hand = BATCH * 2 * (3 * (4_825_800 + 2_875_800) - 2 * CONV1)
    assert step_flops(FML(), LINE_UPS[0]) == hand


@pytest.mark.parametrize("method", [FedProto, FedTGP, FD, FedGH])
@pytest.mark.parametrize("collect, forward", [("during", 0), ("after", 2_870_800)])
def test_prototypes_cost_a_forward_pass_only_after_training(method, collect, forward):
    """Sums over classes are a product of [C, B] with [B, d]; FD takes the outputs of the header, so d is C for it."""
    sums, header = (10 * 10, 5_000 * bool(forward)) if method is FD else (10 * 500, 0)
    hand = BATCH * 2 * (3 * 2_875_800 - CONV1) + BATCH * 2 * (forward + header + sums)
    assert step_flops(method(collect=collect), only(CNNS[4])) == hand


def counted(work, *inputs):
    with FlopCounter() as counter:
        work(*inputs)
    return counter.total


@pytest.mark.parametrize(
    "work, flops",
    [
        (lambda a: torch.linalg.svd(a, full_matrices=False), 14 * 6 * 16 + 8 * 64),
        (lambda a: torch.linalg.svd(a), 4 * 36 * 4 + 8 * 6 * 16 + 9 * 64),
        (lambda a: torch.ops.aten._linalg_svd(a, False, False), 4 * 6 * 16 - 85),  # less a third of 4 n^3
        (lambda a: torch.linalg.svd(a.T, full_matrices=False), 14 * 6 * 16 + 8 * 64),
        (lambda a: torch.linalg.svd(torch.stack([a] * 3), full_matrices=False), 3 * (14 * 6 * 16 + 8 * 64)),
        (lambda a: torch.linalg.svd(torch.stack([a] * 9), full_matrices=False), 9 * (14 * 6 * 16 + 8 * 64)),
        (lambda a: torch.linalg.svd(a[:, :2], full_matrices=False), 6 * 6 * 4 + 20 * 8),
        (lambda a: torch.linalg.svd(a[:, :2]), 4 * 36 * 2 + 22 * 8),
        (lambda a: torch.ops.aten._linalg_svd(a[:, :2], False, False), 2 * 6 * 4 + 2 * 8),
    ],
    ids=["thin", "full", "values", "wide", "batch", "large batch", "tall", "tall full", "tall values"],
)
def test_singular_values_cost_what_golub_and_van_loan_say(work, flops):
    """Of a 6 x 4 matrix by the first of two algorithms, and of a 6 x 2 one by the second, which then takes less."""
    assert counted(work, torch.randn(6, 4)) == flops


def test_distances_cost_three_an_element_and_in_large_tables_a_matrix_product():
    few, many, others = torch.randn(10, 8), torch.randn(30, 8), torch.randn(7, 8)
    assert counted(torch.cdist, few, others) == 3 * 10 * 7 * 8
    assert counted(torch.cdist, many, others) == 2 * 30 * 7 * (8 + 2)
    assert counted(torch.cdist, torch.randn(2, 30, 8), torch.randn(2, 7, 8)) == 2 * 2 * 30 * 7 * (8 + 2)


def test_a_recurrent_layer_costs_two_products_a_step_and_sample():
    """Two layers in two directions, four gates of 7; 3 samples of 4 steps of 5 numbers; backward twice as much."""
    net, x = nn.LSTM(5, 7, num_layers=2, bidirectional=True, batch_first=True), torch.randn(3, 4, 5, requires_grad=True)
    forward = 2 * 12 * 2 * 28 * ((5 + 7) + (14 + 7))
    assert counted(lambda: net(x)) == forward
    assert counted(lambda: net(x)[0].sum().backward()) == 3 * forward


def test_the_gradient_of_a_bias_is_a_sum_and_not_counted():
    net, x = nn.Conv2d(2, 3, 3, bias=False), torch.randn(1, 2, 5, 5)
    forward = 2 * 9 * 3 * 2 * 9  # nine places, three filters of two 3 x 3
    assert counted(lambda: net(x).sum().backward()) == forward + forward  # no gradient of images
    net = nn.Conv2d(2, 3, 3)
    net.weight.requires_grad_(False)
    assert counted(lambda: net(x).sum().backward()) == forward


def test_a_piece_of_work_is_run_once_to_be_counted_and_the_time_of_counting_is_kept(monkeypatch):
    times = iter([10.0, 12.0, 20.0, 25.0])
    monkeypatch.setattr("benchmark.measure.flops.perf_counter", lambda: next(times))
    table, x = FlopTable(), torch.randn(2, 3)
    assert table.seconds == 0
    assert [table.of(key, lambda: x @ x.T) for key in ("a", "a", "b")] == [2 * 2 * 2 * 3] * 3
    assert (table.seconds, len(table)) == (2 + 5, 2)


def test_a_recurrent_network_on_a_gpu_is_counted_by_its_matrices():
    """As one layer in one direction is on a CPU: 3 samples of 4 steps of 5 numbers, four gates of 7."""
    net, x = nn.LSTM(5, 7), torch.randn(4, 3, 5)
    forward = 2 * 12 * 28 * (5 + 7)
    assert counted(lambda: net(x)) == forward
    weights = [torch.zeros(28, 5), torch.zeros(28, 7), torch.zeros(28), torch.zeros(28)]
    assert FORMULAS[torch.ops.aten._cudnn_rnn](x, weights, out_val=None) == forward
    assert FORMULAS[torch.ops.aten._cudnn_rnn_backward](x, weights, out_val=None) == 2 * forward


def test_counting_takes_apart_what_is_made_of_other_operations():
    with torch.inference_mode():
        assert counted(nn.Linear(3, 4), torch.randn(5, 3)) == 2 * 5 * 3 * 4


class Messages(Observer):
    """Keeps what passes."""

    def __init__(self):
        self.seen = []

    def message(self, passage):
        self.seen.append(passage.message)


def products(update):
    """FLOPs of putting an update together: u sigma v of r singular values for each matrix that was taken apart."""
    return sum(2 * u.numel() * update[f"{key[:-1]}v"].shape[1] for key, u in update.items() if key.endswith(".u"))


def test_fedkd_by_hand():
    """One client of cnn5's smallest network, which is the student's, too; a step; the second of two rounds.

    The student has five matrices, of 75 x 16, 400 x 32, 800 x 500, 500 x 500 and 500 x 10 numbers. The client takes its
    update apart once a round, and so does the server; either puts together what it is sent, and the server what it
    sends.
    """
    shapes = [(75, 16), (400, 32), (800, 500), (500, 500), (500, 10)]
    apart = sum(min(14 * m * n * n + 8 * n**3, 6 * m * n * n + 20 * n**3) for m, n in shapes)
    task = make_task((BATCH,), line_up=only(CNNS[4]), shape=(3, 32, 32), num_classes=10)
    watching = Messages()
    config = FederationConfig(clients=1, rounds=2, batch_size=BATCH)
    federation = Federation(FedKD(), task, config, CPU, observers=[watching])
    _, second = federation.run()
    down, up = watching.seen[2]["mean_update"], watching.seen[3]["update"]
    mapping = 3 * 500 * 500
    step = BATCH * 2 * (2 * (3 * 2_875_800 - CONV1) + mapping)
    assert second["clients"][0]["flops"] == step + products(down) + apart
    assert second["server_flops"] == products(up) + apart + products(federation.server["update"])
    assert min(map(products, (down, up))) > 0


def test_fedtgp_s_server_by_hand():
    """Prototypes of 6 numbers in one batch, two epochs: the trainer, two layers 6 x 6 on all three classes, forward and
    backward; distances, and their gradient by the trained prototypes; then the margin, and the result.
    """
    task = make_task((4,), line_up=ALIKE, num_classes=3, labels=[(0, 1, 2)])
    _, (record,) = federate(FedTGP(server_epochs=2), task, rounds=1)
    sent = len(set(task.labels[task.clients[0].train].tolist()))
    trainer, distances = 2 * 2 * 3 * 6 * 6, 3 * sent * 3 * 6
    margin = 3 * 3 * 3 * 6
    assert record["server_flops"] == 2 * (3 * trainer + 2 * distances) + margin + trainer


def _separable(input_shape, width):
    """A depthwise 3x3 and a pointwise convolution, stride 1, padding 1, on 8 channels of 6x6, after a first 3x3."""
    return nn.Sequential(
        nn.Conv2d(input_shape[0], 8, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3, padding=1, groups=8),
        nn.ReLU(),
        nn.Conv2d(8, width, 1, groups=4),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
    )


def test_a_step_of_a_network_with_grouped_convolutions():
    first, depthwise, grouped, header = 36 * 8 * 27, 36 * 8 * 9, 36 * 12 * 2, 12 * 10
    hand = BATCH * 2 * (2 * first + 3 * (depthwise + grouped + header))
    line_up = only(Architecture("separable", _separable, 12))
    assert step_flops(Standalone(), line_up, shape=(3, 6, 6)) == hand


def test_a_transposed_convolution_costs_by_its_input():
    layer, x = nn.ConvTranspose2d(4, 6, 3, groups=2), torch.randn(2, 4, 5, 5, requires_grad=True)
    with FlopCounter() as counter:
        layer(x).sum().backward()
    assert counter.total == 3 * 2 * (2 * 4 * 25) * (6 // 2 * 9)


def test_flops_of_a_round_are_those_of_its_steps():
    """10 samples in batches of 4, 4 and 2, two epochs."""
    per_sample = 2 * (3 * 2_875_800 - CONV1)
    task = make_task((10,), line_up=only(CNNS[4]), shape=(3, 32, 32), num_classes=10)
    _, records = federate(Standalone(), task, rounds=1, local_epochs=2)
    assert records[0]["client_flops"] == 20 * per_sample
    assert records[0]["clients"][0]["steps"] == 6


def test_counting_and_warming_up_leave_no_trace():
    """The first round counts, a second engine that has counted before does not; both train alike."""
    a, _ = federate(FedMoE(), make_task(), rounds=2)
    b, _ = federate(FedMoE(), make_task(), rounds=1)
    b.round(2)
    assert same(a.states, b.states)
