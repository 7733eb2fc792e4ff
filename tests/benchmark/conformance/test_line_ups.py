"""Each check of a line-up catches what it is for; those of the catalogue pass (the large ones take minutes)."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from benchmark.conformance.line_ups import CHECKS
from benchmark.conformance.suite import run_checks
from benchmark.models.line_up import Architecture, LineUp
from benchmark.plugins import registry


class Net(nn.Module):
    """A linear extractor: [B, c, h, w] -> [B, width]."""

    def __init__(self, shape, width):
        super().__init__()
        self.layer = nn.Linear(int(np.prod(shape)), width)

    def forward(self, x):
        return self.layer(x.flatten(1))


class OneWidth(Net):
    def __init__(self, shape, width):
        super().__init__(shape, 6)


class Idle(Net):
    def __init__(self, shape, width):
        super().__init__(shape, width)
        self.idle = nn.Linear(2, 2)


class Drawn(Net):
    def __init__(self, shape, width):
        super().__init__(shape, width)
        nn.init.constant_(self.layer.bias, np.random.default_rng().random())


class Pairs(Net):
    def forward(self, x):
        return super().forward(x[:2])


class Colours(Net):
    def __init__(self, shape, width):
        super().__init__(shape, width)
        self.colours = nn.Conv2d(3, shape[0], 1)

    def forward(self, x):
        return super().forward(self.colours(x))


SOUND = Architecture("sound", Net, 6)
SIX = Architecture("six", OneWidth, 6)


def line_up(*architectures, small=SOUND):
    return LineUp("mine", "for tests", architectures, small, min_size=5)


BROKEN = {
    "one name for two": (
        "names",
        "two networks are called sound",
        line_up(SOUND, Architecture("sound", Net, 6, hidden=(3,))),
    ),
    "no network": ("names", "it has no architectures", line_up()),
    "another width": (
        "shapes",
        "six with 3 channels: the extractor gives [2, 6], not [2, 5]",
        line_up(Architecture("six", OneWidth, 5)),
    ),
    "colour alone": ("shapes", "colours with 1 channel: RuntimeError", line_up(Architecture("colours", Colours, 6))),
    "a small one of one width": (
        "widths",
        "small of width 7: the extractor gives [2, 6], not [2, 7]",
        line_up(SOUND, Architecture("wide", Net, 7), small=Architecture("small", OneWidth, 6)),
    ),
    "a small one that is all there is": (
        "widths",
        "six of width 7: the extractor gives [2, 6], not [2, 7]",
        line_up(SIX, small=SIX),
    ),
    "a width that its adapter hides": (
        "widths",
        "wide of width 7: the extractor gives [2, 6], not [2, 7]",
        replace(line_up(SOUND, Architecture("wide", OneWidth, 7)), adapter="pool"),
    ),
    "an idle layer": ("gradients", "no gradient reaches extractor.idle.weight", line_up(Architecture("idle", Idle, 6))),
    "weights of its own drawing": (
        "reproducible",
        "drawn with 3 channels: the extractor differs",
        line_up(Architecture("drawn", Drawn, 6)),
    ),
    "batches of two alone": ("trains", "ValueError", line_up(Architecture("pairs", Pairs, 6))),
}


@pytest.mark.parametrize("check, words, broken", BROKEN.values(), ids=BROKEN)
def test_a_broken_line_up_fails_the_check_for_it(check, words, broken):
    found = {r.check.name: r.problem for r in run_checks(CHECKS, broken) if r.verdict == "broken"}
    assert list(found) == [check]
    assert words in found[check]


def test_every_check_has_a_line_up_that_fails_it():
    assert {check for check, *_ in BROKEN.values()} == {check.name for check in CHECKS}


@pytest.mark.parametrize("name", ["cnn5", "cnn1", "resnet3", "vision4-native", "cnn1+adapter=linear+width=32"])
def test_line_ups_of_the_catalogue_pass(name):
    assert [(r.check.name, r.problem) for r in run_checks(CHECKS, registry.line_up(name)) if r.verdict != "holds"] == []


def test_what_is_drawn_elsewhere_stays_as_it_was():
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    run_checks(CHECKS, line_up(SOUND))
    assert torch.equal(torch.rand(1), expected)
