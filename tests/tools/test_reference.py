"""What results/reference is made of are command lines that the program understands."""

import pytest

from benchmark.cli.commands import cli
from benchmark.plugins.presets import preset
from tools.reference import GRIDS


@pytest.mark.parametrize("words", GRIDS, ids=" ".join)
def test_each_grid_is_a_command(words):
    name, *options = words
    parsed = cli.get_command(cli.make_context("benchmark", [name, "--help"], resilient_parsing=True), name)
    context = parsed.make_context(name, [*options, "--jobs", "2", "--no-report"])
    assert set(preset(context.params["preset"])) >= {"rounds", "methods"}


def test_the_headline_comes_first_and_no_grid_twice():
    assert [words[2] for words in GRIDS[:4]] == ["levelled-n10", "levelled-n100"] * 2
    assert len({*GRIDS}) == len(GRIDS)
