"""A report as one page that needs nothing else: no server, no network, no library.

The page's content comes from the document, its look and behaviour from assets/. A content security policy allows the
browser no script and no style but these two (by their hashes), and no file but the report's own figures. So a name from
a configuration or a data set can be anything and is still only text.
"""

import base64
import hashlib
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined
from jinja2.utils import htmlsafe_json_dumps
from markupsafe import Markup

ASSETS = files("benchmark.report") / "assets"
REPORT_FILE = re.compile(r"(tables|figures)/[\w.~+=,@:()%-]+(/[\w.~+=,@:()%-]+)*", re.ASCII)
"""A link to a file of the report."""
PICTURE = re.compile(r"data:image/png;base64,[A-Za-z0-9+/]+={0,2}")
"""The address of a picture that is embedded in the page."""
OPEN_COMPARISONS = 3
"""Number of comparisons that are unfolded at first: the charts of a hundred would be slow to scroll past."""
CHART_KEYS = ("target", "floor", "partition")
"""Keys of a comparison that page.js needs, besides its series."""
AXIS_UNITS = {"bytes": 1e6, "flops": 1e12}
"""Cost of a series -> base units in one unit of its axis: MB, TFLOP."""


def render(document: Mapping[str, Any]) -> str:
    """Render the page. Raises ValueError if a link leaves the report's folder."""
    _refuse_foreign_links(document)
    style, script = ((ASSETS / name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"cells": _cells, "sort_value": _sort_value}
    anchors = _anchors([comparison["id"] for comparison in document["comparisons"]])
    return environment.from_string((ASSETS / "page.html").read_text(encoding="utf-8")).render(
        document,
        policy=_policy(style, script),
        style=Markup(style),
        script=Markup(script),
        anchors=anchors,
        anchor_of=dict(zip((comparison["id"] for comparison in document["comparisons"]), anchors, strict=True)),
        marks=_marks(document["leaderboard"]),
        commands=_commands(document["comparisons"]),
        open_comparisons=OPEN_COMPARISONS,
        drawn=htmlsafe_json_dumps(_drawn(document["comparisons"]), separators=(",", ":"), allow_nan=False),
    )


def _policy(style: str, script: str) -> str:
    """Return the content security policy. `file:` is for figures beside a page that is opened from a disk."""
    return (
        "default-src 'none'; img-src 'self' file: data:; "
        f"style-src '{_hash(style)}'; script-src '{_hash(script)}'; base-uri 'none'; form-action 'none'"
    )


def _hash(source: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()


def _refuse_foreign_links(document: Mapping[str, Any]) -> None:
    for part in (*document["comparisons"], document["across"]):
        for table in part.get("tables", ()):
            for file in table["files"]:
                _refuse_unless(_is_file(file["href"]), file["href"])
        for figure in part.get("figures", ()):
            _refuse_unless(_is_file(figure["src"]) or PICTURE.fullmatch(figure["src"]) is not None, figure["src"])
            _refuse_unless(_is_file(figure["pdf"]), figure["pdf"])


def _is_file(link: str) -> bool:
    return REPORT_FILE.fullmatch(link) is not None and ".." not in link and "%2e" not in link.lower()


def _refuse_unless(safe: bool, link: str) -> None:
    if not safe:
        raise ValueError(f"the report does not link to {link[:80]!r}: it is neither a file of its own nor a PNG")


def _anchors(names: Sequence[str]) -> list[str]:
    """Return a fragment of the page's address for each comparison, readable and unique."""
    anchors: list[str] = []
    for name in names:
        anchor = "comparison-" + (re.sub(r"[^\w.=+-]+", "-", name, flags=re.ASCII).strip("-") or "unnamed")
        anchors.append(anchor if anchor not in anchors else f"{anchor}-{len(anchors) + 1}")
    return anchors


def _marks(leaderboard: Mapping[str, Any]) -> dict[str, str]:
    """Return footnote of a cell -> the letters that mark it, in the order of reading."""
    notes = (cell["note"] for row in leaderboard["rows"] for cell in row["cells"].values())
    return {note: _letters(i) for i, note in enumerate(dict.fromkeys(note for note in notes if note))}


def _letters(number: int) -> str:
    """Write a number in letters: 0 -> a, 25 -> z, 26 -> aa."""
    before, last = divmod(number, 26)
    return (_letters(before - 1) if before else "") + chr(ord("a") + last)


def _commands(comparisons: Iterable[Mapping[str, Any]]) -> dict[str, list[str]]:
    """Return command line -> the comparisons with runs that it made."""
    made: dict[str, list[str]] = {}
    for comparison in comparisons:
        for command in comparison["commands"]:
            made.setdefault(command, []).append(comparison["id"])
    return made


def _cells(table: Mapping[str, Any]) -> Iterator[list[tuple[str, str, int | None]]]:
    """Yield the rows of a table, each cell with its rank ('best', 'second' or '') and the number of its footnote."""
    numbers = {(i, j): number for i, j, number in table["marks"]}
    rank = dict.fromkeys(map(tuple, table["second"]), "second") | dict.fromkeys(map(tuple, table["best"]), "best")
    for i, row in enumerate(table["rows"]):
        yield [(text, rank.get((i, j), ""), numbers.get((i, j))) for j, text in enumerate(row)]


def _sort_value(cell: Mapping[str, Any], numeric: bool) -> float | str | None:
    """Return the value by which a cell of the leaderboard is sorted; None sorts last."""
    value = cell["value"]
    if value is None:
        return None if numeric else cell["text"]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _drawn(comparisons: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [
        {name: _rounded(comparison[name]) for name in CHART_KEYS}
        | {"series": [_series(s) for s in comparison["series"]]}
        for comparison in comparisons
    ]


def _series(series: Mapping[str, Any]) -> dict[str, Any]:
    """Return a series in the units of its axes."""
    scaled = {name: [None if n is None else n / unit for n in series[name]] for name, unit in AXIS_UNITS.items()}
    return {name: _rounded(value) for name, value in {**series, **scaled}.items()}


def _rounded(value: Any) -> Any:
    """Round all numbers to the five digits that a chart shows; None for those not finite, as JSON has no NaN."""
    match value:
        case float():
            short = float(f"{value:.5g}") if math.isfinite(value) else None
            return int(short) if short is not None and short.is_integer() else short
        case Mapping():
            return {name: _rounded(item) for name, item in value.items()}
        case list() | tuple():
            return [_rounded(item) for item in value]
        case _:
            return value
