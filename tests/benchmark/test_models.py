"""Parameter counts of the paper's networks, to the last digit, from the table of layers."""

import pytest
import torch
from torch import nn

from benchmark import registry
from benchmark.models.cnn import CNNS
from benchmark.models.line_up import Architecture
from benchmark.models.switch_norm import SwitchNorm2d


def parameters(*modules: nn.Module) -> int:
    return sum(p.numel() for module in modules for p in module.parameters())


@pytest.mark.parametrize(
    "architecture, ten, hundred, extractor",
    [
        (CNNS[0], 2_621_558, 2_666_648, 2_616_548),
        (CNNS[1], 1_815_142, 1_860_232, 1_810_132),
        (CNNS[2], 1_320_558, 1_365_648, 1_315_548),
        (CNNS[3], 1_060_358, 1_105_448, 1_055_348),
        (CNNS[4], 670_058, 715_148, 665_048),
    ],
    ids=lambda value: value.name if isinstance(value, Architecture) else None,
)
def test_parameters_of_the_papers_networks(architecture, ten, hundred, extractor):
    body = architecture.extractor((3, 32, 32), architecture.width)
    assert parameters(body) == extractor
    assert parameters(body, architecture.header(10)) == ten
    assert parameters(body, architecture.header(100)) == hundred


def test_pooling_before_relu_is_the_same_function():
    body = CNNS[4].extractor((3, 32, 32), CNNS[4].width)
    layers = list(body)
    usual = nn.Sequential(layers[0], layers[2], layers[1], layers[3], layers[5], layers[4], *layers[6:])
    x = torch.randn(4, 3, 32, 32)
    assert torch.equal(body(x), usual(x))


@pytest.mark.parametrize("name", registry.LINE_UPS)
@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 28, 28), (3, 16, 16)], ids=str)
def test_every_line_up_gives_representations_of_the_width_it_says(name, shape):
    line_up = registry.line_up(name)
    for architecture in {*line_up.architectures, line_up.small}:
        with torch.device("meta"):
            out = architecture.extractor(shape, architecture.width)(torch.empty(2, *shape))
        assert out.shape == (2, architecture.width), architecture.name


def test_clients_get_architectures_in_turn():
    line_up = registry.line_up("cnn5")
    assert [line_up.of(k).name for k in range(7)] == [f"cnn-{i}" for i in (1, 2, 3, 4, 5, 1, 2)]
    assert line_up.small.name == "cnn-5"
    assert [a.name for a in registry.line_up("cnn1").architectures] == ["cnn-1"]
    assert registry.line_up("cnn1").small.name == "cnn-1"


def test_the_torchvision_line_up_has_batch_norm_and_one_width():
    line_up = registry.line_up("vision4")
    assert {a.width for a in (*line_up.architectures, line_up.small)} == {512}
    for architecture in line_up.architectures:
        with torch.device("meta"):
            modules = list(architecture.extractor((3, 32, 32), architecture.width).modules())
        assert any(isinstance(module, nn.BatchNorm2d) for module in modules), architecture.name


def test_switch_norm_with_one_statistic_is_that_norm():
    """With all weight on one of instance, layer and batch statistics it is that normalisation, exactly torch's."""
    x = torch.randn(5, 3, 6, 6)
    expected = [
        nn.functional.instance_norm(x, eps=1e-5),
        nn.functional.layer_norm(x, x.shape[1:]),
        nn.BatchNorm2d(3)(x),
    ]
    for which, y in enumerate(expected):
        norm = SwitchNorm2d(3)
        for logits in (norm.mean_logits, norm.var_logits):
            logits.data = torch.where(torch.arange(3) == which, 0.0, -torch.inf)
        torch.testing.assert_close(norm(x), y, atol=1e-5, rtol=1e-4)


def test_switch_norm_mixes_evenly_at_first_and_keeps_running_statistics():
    x = torch.tensor([[[[0.0, 2.0]]], [[[4.0, 6.0]]]])  # two images of one channel and two pixels
    norm = SwitchNorm2d(1, momentum=0.5, eps=0.0)
    y = norm(x)
    # means: instance and layer 1 and 5, batch 3; variances: instance and layer 1, batch 5
    mean, var = (1 + 1 + 3) / 3, (1 + 1 + 5) / 3
    assert y[0, 0, 0].tolist() == pytest.approx([(0 - mean) / var**0.5, (2 - mean) / var**0.5])
    assert norm.running_mean.item() == pytest.approx(1.5)  # halfway from 0 to 3
    assert norm.running_var.item() == pytest.approx(3.0)  # halfway from 1 to 5
    y = norm.eval()(x)
    mean, var = (1 + 1 + 1.5) / 3, (1 + 1 + 3) / 3
    assert y[0, 0, 0, 0].item() == pytest.approx((0 - mean) / var**0.5)
