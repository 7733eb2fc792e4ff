"""What figures are drawn for: the page of a report, a paper's column or its full width, a slide."""

from typing import NamedTuple


class Paper(NamedTuple):
    """How large a figure and its type are.

    inches: width of every figure; None: each has its own
    points: size of axis labels; ticks, names and numbers have SMALL_SHARE of it
    setting: whether the comparison's setting stands above, which a paper has in its caption
    direct: whether a method's name stands at the end of its line, and not in a legend beside
    stacked: whether panels stand below each other
    name_characters: longest name of a method; tables have it whole
    """

    inches: float | None
    points: float
    setting: bool
    direct: bool
    stacked: bool
    name_characters: int

    @property
    def scale(self) -> float:
        """How large type, lines and markers are, the report's page having 1."""
        return self.points / SCREEN.points


SMALL_SHARE = 0.88
"""Share of a paper's points that small type has: at least 7 of 8."""
SCREEN = Paper(None, 9, setting=True, direct=False, stacked=False, name_characters=36)
PAPERS = {
    "column": Paper(3.3, 8, setting=False, direct=True, stacked=True, name_characters=20),
    "page": Paper(6.9, 8, setting=False, direct=True, stacked=False, name_characters=36),
    "slide": Paper(10.0, 18, setting=False, direct=True, stacked=False, name_characters=22),
}
"""Name of a style -> paper: one of two columns, the whole width of a page, a slide."""
