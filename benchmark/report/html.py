"""A report as one page that needs nothing else: no server, no network, no library.

The page's content comes from the document, its look and behaviour from assets/. A content security policy allows the
browser no script and no style but these two (by their hashes), and no picture but the report's own figures. So a name
from a configuration or a data set can be anything and is still only text.
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

from benchmark.storage.names import apart

ASSETS = files("benchmark.report") / "assets"
SCRIPTS = (
    "elements",
    "state",
    "scales",
    "drawing",
    "curves",
    "forest",
    "front",
    "clients",
    "devices",
    "partition",
    "table",
    "downloads",
    "page",
)
"""Files of the page's script, in the order in which they are put together."""
REPORT_FILE = re.compile(r"(tables|figures)/[\w.~+=,@:()%-]+(/[\w.~+=,@:()%-]+)*", re.ASCII)
"""A link to a file of the report."""
PICTURE = re.compile(r"data:image/webp;base64,[A-Za-z0-9+/]+={0,2}")
"""The address of a picture that is embedded in the page."""
READING = re.compile(r"\.\./\.\./docs/methods/[\w-]+\.md|https://(arxiv\.org/abs|doi\.org)/[\w./-]+", re.ASCII)
"""The address of what there is to read about a method: only links, nothing is loaded from there."""
AXIS_UNITS = {"bytes": 1e6, "flops": 1e12}
"""Cost of a series -> base units in one unit of its axis: MB, TFLOP."""


def render(document: Mapping[str, Any]) -> str:
    """Render the page. Raises ValueError if a link leads where it must not."""
    _refuse_foreign_links(document)
    style = (ASSETS / "page.css").read_text(encoding="utf-8")
    script = "\n".join((ASSETS / f"{name}.js").read_text(encoding="utf-8") for name in SCRIPTS)
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"cells": _cells, "sort_value": _sort_value}
    environment.filters |= {"json": _json, "in_units": _in_units, "files_of": _files_of}
    names = [comparison["id"] for comparison in document["comparisons"]]
    return environment.from_string((ASSETS / "page.html").read_text(encoding="utf-8")).render(
        document,
        policy=_policy(style, script),
        style=Markup(style),
        script=Markup(script),
        anchors=_anchors(names),
        anchor_of=dict(zip(names, _anchors(names), strict=True)),
        marks=_marks(document["leaderboard"]),
        made_by=_commands(document["comparisons"]),
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
        for figure in part.get("figures", ()):
            _refuse_unless(_is_file(figure["src"]) or PICTURE.fullmatch(figure["src"]) is not None, figure["src"])
            _refuse_unless(_is_file(figure["pdf"]), figure["pdf"])
    for links in document["methods"].values():
        for link in links.values():
            _refuse_unless(READING.fullmatch(link) is not None, link)


def _is_file(link: str) -> bool:
    return REPORT_FILE.fullmatch(link) is not None and ".." not in link and "%2e" not in link.lower()


def _refuse_unless(safe: bool, link: str) -> None:
    if not safe:
        raise ValueError(
            f"the report does not link to {link[:80]!r}: it is no file of its own, no picture and no paper"
        )


def _anchors(names: Sequence[str]) -> list[str]:
    """Return an id for each comparison, readable and unique: the page's address names it while it is shown."""
    return apart(re.sub(r"[^\w.=+-]+", "-", name, flags=re.ASCII).strip("-") or "unnamed" for name in names)


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


def _json(value: Any) -> Markup:
    """Return plain values as JSON that may stand in a script element."""
    return htmlsafe_json_dumps(_rounded(value), separators=(",", ":"), allow_nan=False)


def _files_of(part: Mapping[str, Any]) -> dict[str, str]:
    """Return name -> text of the files of all tables of a part."""
    return {name: text for table in part["tables"] for name, text in table["files"].items()}


def _in_units(charts: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return what charts draw with costs in the units of their axes; nothing where nothing is drawn."""
    if charts is None or "series" not in charts:
        return {**(charts or {})}
    return {**charts, "series": [_series_in_units(series) for series in charts["series"]]}


def _series_in_units(series: Mapping[str, Any]) -> dict[str, Any]:
    curves = {cost: [None if n is None else n / unit for n in series[cost]] for cost, unit in AXIS_UNITS.items()}
    totals = {cost: total / AXIS_UNITS.get(cost, 1) for cost, total in series["totals"].items()}
    return {**series, **curves, "totals": totals}


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
