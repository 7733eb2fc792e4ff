"""Fonts for names in any script: those of this machine that have the letters which the usual font of figures lacks."""

from collections.abc import Iterable
from functools import cache

from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, fontManager, get_font
from matplotlib.text import Text

USUAL = "DejaVu Sans"
"""The font of figures, which comes with matplotlib: Latin, Greek, Cyrillic, Arabic and others."""
PLACEHOLDERS = "Last Resort"
"""A font, by the beginning of its name, that has a box for every letter."""


def choose_fonts(figure: Figure) -> None:
    """Have the letters that the usual font lacks drawn by fonts that have them."""
    for axes in figure.axes:
        for ask in (axes.get_xticklabels, axes.get_yticklabels):
            ask()  # texts at ticks are made when they are asked for
    texts: list[Text] = figure.findobj(Text)
    fonts, _ = _fonts_for(_unusual(text.get_text() for text in texts))
    for text in texts if fonts else ():
        text.set_fontfamily([USUAL, *fonts])


def undrawable(words: Iterable[str]) -> str:
    """Return the letters in some words that no font of this machine has: figures have boxes in their place."""
    return "".join(sorted(_fonts_for(_unusual(words))[1]))


def _unusual(words: Iterable[str]) -> frozenset[str]:
    """Return the letters that the usual font lacks."""
    return frozenset(c for c in set().union(*words) if not c.isascii() and ord(c) not in _letters_of(_usual_file()))


@cache
def _fonts_for(letters: frozenset[str]) -> tuple[list[str], frozenset[str]]:
    """Return the names of fonts that together have as many of some letters as can be had, and the letters left over."""
    fonts, left = [], letters
    for entry in sorted(fontManager.ttflist, key=lambda entry: (entry.name, entry.fname)) if letters else ():
        if entry.name.startswith(PLACEHOLDERS) or entry.name in fonts or not left:
            continue
        if has := {c for c in left if ord(c) in _letters_of(entry.fname)}:
            fonts.append(entry.name)
            left -= has
    return fonts, left


@cache
def _usual_file() -> str:
    return findfont(FontProperties(family=[USUAL]))


@cache
def _letters_of(file: str) -> frozenset[int]:
    """Return the code points of a font's letters; none of a font that can't be read."""
    try:
        return frozenset(get_font(file).get_charmap())
    except (OSError, RuntimeError):
        return frozenset()
