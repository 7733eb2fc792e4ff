"""Parameter counts of the paper's networks, to the last digit, from the table of layers."""

import pytest
import torch
from torch import nn

from benchmark.channel import same
from benchmark.compatibility import unsupported
from benchmark.conformance.toy import federate, make_task
from benchmark.models.cnn import CNNS
from benchmark.models.line_up import Architecture, LineUp
from benchmark.models.switch_norm import SwitchNorm2d
from benchmark.plugins import registry
from benchmark.seeds import torch_seeded


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


def by_name() -> dict[str, tuple[LineUp, Architecture]]:
    """Each network of the catalogue once, with a line-up that has it."""
    found = {}
    for line_up in map(registry.line_up, registry.LINE_UP_MODULES):
        for architecture in (*line_up.networks, line_up.small):
            found.setdefault(f"{architecture.name}-{architecture.width}", (line_up, architecture))
    return found


@pytest.mark.parametrize("line_up, architecture", by_name().values(), ids=by_name())
def test_every_network_gives_representations_of_the_width_it_says(line_up, architecture):
    """Of three channels at the usual size and of one at the smallest."""
    for shape in [(3, 32, 32), (1, line_up.min_size, line_up.min_size)]:
        with torch.device("meta"):
            out = architecture.extractor(shape, architecture.width)(torch.empty(2, *shape))
        assert out.shape == (2, architecture.width)


@pytest.mark.parametrize("name", registry.LINE_UP_MODULES)
def test_every_small_network_can_have_any_width(name):
    line_up = registry.line_up(name)
    shape = (1, line_up.min_size, line_up.min_size)
    with torch.device("meta"):
        assert line_up.small.extractor(shape, 77)(torch.empty(2, *shape)).shape == (2, 77)


STEM = 64 * 3 * (49 - 9)  # fewer weights in a 3x3 than in a 7x7 convolution
PUBLISHED = {  # torchvision's counts with a classifier of 1,000 classes, which is taken off, stems and patches replaced
    "resnet18": 11_689_512 - 513_000 - STEM,
    "resnet34": 21_797_672 - 513_000 - STEM,
    "resnet50": 25_557_032 - 2_049_000 - STEM,
    "resnet101": 44_549_160 - 2_049_000 - STEM,
    "resnet152": 60_192_808 - 2_049_000 - STEM,
    "googlenet": 6_624_904 - 1_025_000 - STEM,
    "mobilenet_v2": 3_504_872 - 1_281_000,
    "vit_b_4": 86_567_656 - 769_000 - 768 * 3 * (16**2 - 4**2) - 768 * (14**2 - 8**2),
    "vit_b_8": 88_224_232 - 769_000 - 768 * 3 * (32**2 - 8**2) - 768 * (7**2 - 4**2),
}
BY_HAND = {  # convolutions and batch norms, stage by stage; the CNN with its header has 878,538 in HtFLlib
    "fedavg_cnn": 878_538 - 5_130,
    "resnet4": 1_856 + 73_984,
    "resnet6": 1_856 + 73_984 + 230_144,
    "resnet8": 1_856 + 73_984 + 230_144 + 919_040,
    "resnet10": 5_418_792 - 513_000 - STEM,  # torchvision's own class with one block a stage
}


@pytest.mark.parametrize("name, count", (PUBLISHED | BY_HAND).items())
def test_parameters_of_the_groups_networks(name, count):
    groups = [registry.line_up(group).networks for group in ("mixed10", "fe9")]
    architecture = next(a for networks in groups for a in networks if a.name == name)
    with torch.device("meta"):
        assert parameters(architecture.extractor((3, 32, 32), architecture.width)) == count


def test_the_groups_are_htfllib_s():
    resnets = ["resnet18", "resnet34", "resnet50", "resnet101", "resnet152"]
    fe8 = ["fedavg_cnn", "googlenet", "mobilenet_v2", *resnets]
    composition = {
        "fe2": ["fedavg_cnn", "resnet18"],
        "fe3": ["resnet10", "resnet18", "resnet34"],
        "fe4": ["fedavg_cnn", "googlenet", "mobilenet_v2", "resnet18"],
        "fe5": ["googlenet", "mobilenet_v2", "resnet18", "resnet34", "resnet50"],
        "fe8": fe8,
        "fe9": ["resnet4", "resnet6", "resnet8", "resnet10", *resnets],
        "mixed10": [*fe8, "vit_b_4", "vit_b_8"],
    }
    for name, networks in composition.items():
        line_up = registry.line_up(name)
        assert [a.name for a in line_up.architectures] == networks
        assert {a.width for a in (*line_up.architectures, line_up.small)} == {512}


def test_a_transformer_sees_a_picture_of_any_shape_in_the_middle():
    vit = registry.line_up("mixed10").networks[-1]
    with torch.device("meta"):
        padding, net = vit.extractor((1, 20, 28), vit.width)
    assert padding(torch.ones(1, 1, 20, 28)).sum() == 20 * 28
    assert padding(torch.ones(1, 1, 20, 28))[0, 0, 6:26, 2:30].all()
    assert net.encoder.pos_embedding.shape == (1, 4 * 4 + 1, 768)


def test_adapters_bring_all_networks_to_one_width():
    """Pooling averages neighbours and has nothing to learn; a projection has weights and a bias."""
    native = registry.line_up("resnet3+adapter=none")
    pooled, projected = (registry.line_up(f"resnet3+adapter={adapter}+width=128") for adapter in ("pool", "linear"))
    assert [a.width for a in native.architectures] == [64, 128, 256]
    assert [a.width for a in (*pooled.architectures, pooled.small)] == [128] * 4
    x, learned = torch.randn(2, 3, 8, 8), []
    by_hand = (lambda r: r.repeat_interleave(2, 1), lambda r: r, lambda r: r.unflatten(1, (128, 2)).mean(2))
    for i, pool in enumerate(by_hand):
        old, averaged, mapped = (built(line_up.architectures[i]).eval() for line_up in (native, pooled, projected))
        torch.testing.assert_close(averaged(x), pool(old(x)))
        learned.append([parameters(net) - parameters(old) for net in (averaged, mapped)])
    assert learned == [[0, 64 * 128 + 128], [0, 0], [0, 256 * 128 + 128]]


def built(architecture: Architecture) -> nn.Module:
    with torch_seeded("init", seed=0):
        return architecture.extractor((3, 8, 8), architecture.width)


def test_different_headers():
    line_up = registry.line_up("headers4")
    hand = [512 * 10 + 10, *(512 * h + h + h * 10 + 10 for h in (512, 256, 128))]
    assert [parameters(a.header(10)) for a in line_up.architectures] == hand
    assert len({a.name for a in line_up.architectures}) == 4
    assert [a.hidden for a in registry.line_up("mixed10").architectures] == [()] * 8 + [(768,)] * 2


@pytest.mark.parametrize("line_up, first, other", [("headers4", "resnet34", "resnet34-h512"), ("fe2", None, None)])
def test_a_method_that_shares_the_header_says_beforehand_that_headers_differ(line_up, first, other):
    task = make_task((4,) * 4, line_up=registry.line_up(line_up), shape=(3, 16, 16))
    reason = unsupported(registry.method("lg-fedavg")[0], task)
    assert reason == (f"it shares the header, which differs between {first} and {other}" if first else None)


def test_the_cheapest_line_up_trains_all_that_it_has():
    """Statistics of batch norm too; on pictures of 16x16 and one channel."""
    task = make_task(line_up=registry.line_up("resnet3"), shape=(1, 16, 16))
    federation, (record,) = federate(registry.method("standalone")[0], task, rounds=1)
    assert 0 < record["train_loss"] < 10
    for k, state in federation.states.items():
        before = federation.engine.initial_state(k)["extractor"]
        moved = {name for name, tensor in state["extractor"].items() if not torch.equal(tensor, before[name])}
        assert moved == before.keys()


def test_the_cheapest_line_up_is_a_function_of_the_seed():
    """Under a method that shares the small network, on pictures of 8x8."""
    line_up, fml = registry.line_up("resnet3"), registry.method("fml")[0]
    first, again, other = (
        federate(fml, make_task(line_up=line_up, shape=(3, 8, 8), seed=seed), rounds=1)[0].states for seed in (0, 0, 1)
    )
    assert same(first, again)
    assert not same(first, other)


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
