"""One look per method, for ever: the file of colours, methods of users, variants."""

from itertools import combinations
from pathlib import Path

import pytest

from benchmark.report.looks import DASHES, MARKERS, Style, catalogue_looks

ROOT = Path(__file__).parents[3]
METHODS = sorted(path.stem.replace("_", "-") for path in (ROOT / "methods").glob("*.py") if path.stem != "__init__")


def contrast_on_white(colour: str) -> float:
    """By the formula of WCAG 2: (1 + 0.05) / (luminance + 0.05)."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 1.05 / (0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2] + 0.05)


def test_the_formula_of_contrast_by_hand():
    """Black has 21, white 1, and #767676 is known for its 4.54."""
    assert [round(contrast_on_white(c), 2) for c in ("#000000", "#ffffff", "#767676")] == [21, 1, 4.54]


def test_every_method_stands_in_the_file_and_nothing_else_does():
    assert sorted(catalogue_looks()) == METHODS


@pytest.mark.parametrize("name", catalogue_looks())
def test_a_look_can_be_seen_on_white_and_drawn(name):
    look = catalogue_looks()[name]
    assert contrast_on_white(look.colour) >= 3
    assert look.marker in MARKERS
    assert look.dash in DASHES


def test_two_methods_differ_in_colour_or_in_both_marker_and_dash():
    for (one, a), (other, b) in combinations(catalogue_looks().items(), 2):
        assert a.colour != b.colour or (a.marker != b.marker and a.dash != b.dash), (one, other)


def test_the_first_lines_are_as_they_were():
    """Whoever changes a line breaks the promise: reports of before then show other methods."""
    assert list(catalogue_looks())[:5] == ["fedmoe", "fedproto", "fml", "lg-fedavg", "standalone"]
    assert catalogue_looks()["fedmoe"] == ("#0a50b5", "o", "solid")
    assert catalogue_looks()["standalone"] == ("#555555", "h", "solid")
    assert (
        len({look.colour for look in catalogue_looks().values()}) == 13
    )  # a method of a user's has one by its name's hash


@pytest.mark.parametrize("label", ["fedproto", "fedmoe+gate=static", "my.py", "my.py+width=3"])
def test_a_look_depends_on_nothing_else_in_the_report(label):
    alone, among = Style([label]), Style(sorted(["fml", "standalone", label, *catalogue_looks()]))
    assert alone.of(label) == among.of(label)


def test_a_variant_has_its_methods_colour_and_another_marker_and_dash():
    style = Style(["fedmoe", "fedmoe+federate=false", "fedmoe+gate=static"])
    base = style.of("fedmoe")
    for variant in style.order[1:]:
        look = style.of(variant)
        assert look.colour == base.colour
        assert look.marker != base.marker and look.dash != base.dash
    assert len({style.of(label).marker for label in style.order}) == 3  # points have no dash


def test_sixty_methods_of_users_and_twenty_variants_look_different():
    style = Style([*map(str, range(60)), *(f"fml+lr=0.{i}" for i in range(20))])
    assert len({style.of(label) for label in style.order}) == 80
    assert len({style.of(str(i)).colour for i in range(60)}) > 10
