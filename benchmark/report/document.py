"""A report as one document of plain values, from which html.py renders the page."""

import base64
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import numpy as np
from PIL import Image

from benchmark import __version__
from benchmark.errors import plural
from benchmark.report.answer import Answer
from benchmark.report.cells import Table
from benchmark.report.charts import chart_data, client_data, forest_data, partition_data
from benchmark.report.drawing import Drawn
from benchmark.report.formats import commands, for_page
from benchmark.report.frame import LEAST_SEEDS, Comparison
from benchmark.report.leaderboard import leaderboard
from benchmark.report.levelling import RULE
from benchmark.report.links import links_of
from benchmark.report.looks import Style
from benchmark.report.notes import footnotes, not_ranked

PAGE_POINTS = 20_000
"""Points of all curves of a page together."""
PAGE_CELLS = 100_000
"""Cells of all partitions of a page together; those beyond are in the figures' files."""
PAGE_CLIENTS = 150_000
"""Accuracies of single clients in a page; those of the comparisons beyond are in the figures' files."""
EMBEDDED_BYTES = 3_000_000
"""Bytes of pictures inside a page; those beyond are files beside it."""


class Pictures:
    """The figures of a page, embedded in it as long as there is room; folder: where their PNG files are."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._left = folder, EMBEDDED_BYTES

    def of(self, drawn: Drawn) -> dict[str, Any]:
        """Return a figure as the page's document has it."""
        with Image.open(self._folder / f"{drawn.stem}.png") as image:
            width, height = image.size
            source = _embedded(image) if self._left > 0 else ""
        inside, link = 0 < len(source) <= self._left, quote(drawn.stem)
        self._left -= len(source)
        return {
            "title": drawn.title,
            "caption": drawn.caption,
            "src": source if inside else f"figures/{link}.png",
            "pdf": f"figures/{link}.pdf",
            "width": width // 2,
            "height": height // 2,
        }


def _embedded(image: Image.Image) -> str:
    """Return the address of a picture in all its colours, as WebP, which takes half the room of PNG."""
    small = io.BytesIO()
    image.convert("RGB").save(small, "WebP", lossless=True, quality=50, method=2)
    return "data:image/webp;base64," + base64.b64encode(small.getvalue()).decode()


class Part(NamedTuple):
    """What was written for one comparison, or for all together.

    tables: with the stems of their files; answer: sentences, and lead: the figure of what they say, if there is one
    charts: what the page draws of it beside what it draws of every comparison, by kind of chart
    facts: what the answer says in sentences, for the page to draw
    """

    tables: Sequence[tuple[str, Table]]
    figures: Sequence[Drawn]
    answer: Sequence[str] = ()
    lead: Sequence[Drawn] = ()
    charts: Mapping[str, Any] | None = None
    facts: Answer | None = None


def headline(written: Mapping[str, Part], across: Part) -> Part:
    """Return the part whose answer is that of the report: of all comparisons together, or of the only one."""
    return next(iter(written.values())) if len(written) == 1 else across


def page_document(
    experiment: str,
    comparisons: Sequence[Comparison],
    written: Mapping[str, Part],
    across: Part,
    folder: Path,
    style: Style,
    again: str,
    reference: str,
) -> dict[str, Any]:
    """Make the page's document.

    written: by name of comparison; folder: where tables/ and figures/ are; again: the command line that writes the
    report; reference: label of the method that others are compared with
    """
    page = _Page(folder, style, again, sum(len(comparison.complete) for comparison in comparisons))
    mains = {c.name: written[c.name].tables[0][1] for c in comparisons if written[c.name].tables}
    return {
        "experiment": experiment,
        "generator": f"mhpfl-benchmark {__version__}",
        "intro": intro(comparisons),
        "answer": list(headline(written, across).answer),
        "leaderboard": leaderboard(comparisons, mains, reference),
        "methods": {label: links_of(label) for label in style.order},
        "comparisons": [page.comparison(comparison, written[comparison.name]) for comparison in comparisons],
        "across": page.across(across),
        "environments": environments(comparisons),
    }


class _Page:
    """Makes the parts of a document, as long as there is room in it; methods: how many curves there are in all."""

    def __init__(self, folder: Path, style: Style, again: str, methods: int) -> None:
        self._tables, self._pictures = folder / "tables", Pictures(folder / "figures")
        self._style, self._again = style, again
        self._points = int(np.clip(PAGE_POINTS // max(1, methods), 20, 100))
        self._cells, self._clients = PAGE_CELLS, PAGE_CLIENTS

    def comparison(self, comparison: Comparison, part: Part) -> dict[str, Any]:
        """Return one comparison."""
        made = commands(comparison)
        charts = chart_data(comparison, part.facts, self._style, self._points)
        return {
            "id": comparison.name,
            "heading": comparison.heading,
            "title": comparison.title,
            "answer": list(part.answer),
            "caption": _chart_caption(comparison),
            "footnotes": [*_standing(comparison), *footnotes(comparison)],
            "charts": charts | self._while_there_is_room(comparison) | dict(part.charts or {}),
            "tables": [self._table(table, stem, "\n".join([*made, self._again])) for stem, table in part.tables],
            "figures": [self._pictures.of(drawn) for drawn in (*part.lead, *part.figures)],
            "commands": made,
        }

    def across(self, part: Part) -> dict[str, Any]:
        """Return what is of all comparisons together."""
        return {
            "answer": list(part.answer),
            "charts": {"forest": forest_data(part.facts, self._style)} if part.facts else None,
            "tables": [self._table(table, stem, self._again) for stem, table in part.tables],
            "figures": [self._pictures.of(drawn) for drawn in (*part.lead, *part.figures)],
        }

    def _while_there_is_room(self, comparison: Comparison) -> dict[str, Any]:
        """Return partition and clients, None where the page would become too large."""
        partition, clients = partition_data(comparison), client_data(comparison)
        self._cells -= sum(map(len, partition["counts"]))
        self._clients -= sum(len(c) for found in clients.values() for of_seeds in found.values() for c in of_seeds)
        return {
            "partition": partition if self._cells >= 0 else None,
            "clients": clients if self._clients >= 0 else None,
        }

    def _table(self, table: Table, stem: str, command: str) -> dict[str, Any]:
        """Return a table with its files, which are in the page because it may be mailed alone."""
        names = {f"{stem}.{suffix}": suffix for suffix in ("csv", "tex")}
        texts = {name: (self._tables / name).read_text(encoding="utf-8") for name in names}
        return for_page(table, command) | {"files": texts}


def intro(comparisons: Sequence[Comparison]) -> list[str]:
    """Return sentences that say how many runs there are and how they ended."""
    runs = [run for comparison in comparisons for run in comparison.runs]
    status: dict[str, int] = {}
    for run in runs:
        status[run.run["status"]] = status.get(run.run["status"], 0) + 1
    ends = ", ".join(f"{count} {name}" for name, count in sorted(status.items()))
    seeds = sorted({run.seed for run in runs})
    return [
        f"{plural(len(runs), 'run')} ({ends}) in {plural(len(comparisons), 'comparison')}; "
        f"{'seed' if len(seeds) == 1 else 'seeds'} {', '.join(map(str, seeds))}.",
        "Intervals are 95 % intervals of the mean over seeds."
        if len(seeds) > 1
        else "One seed: there are no intervals, and differences between methods may be chance.",
        *_waiting(comparisons),
    ]


def _waiting(comparisons: Sequence[Comparison]) -> list[str]:
    """Return a sentence that says which comparisons are not ranked, if any."""
    names = [comparison.heading for comparison in comparisons if not comparison.ranked]
    if not names:
        return []
    these = "this comparison" if len(comparisons) == 1 else "; ".join(names)
    return [f"Not ranked: methods have not levelled in {these}, so their order may be that of how fast they learn."]


def _standing(comparison: Comparison) -> list[str]:
    """Return why a comparison is not ranked, what each method lacks, and the rule; nothing if it is ranked."""
    if comparison.ranked:
        return []
    whys: dict[str, list[str]] = {}
    for label, why in comparison.unlevelled.items():
        whys.setdefault(why, []).append(label)
    each = [f"Not levelled: {', '.join(labels)} ({why})." for why, labels in whys.items()]
    return [f"{not_ranked(comparison)} {RULE}", *each]


def environments(comparisons: Sequence[Comparison]) -> list[dict[str, Any]]:
    """Return the environments of the runs: each different one once, with the number of its runs."""
    counts: dict[str, int] = {}
    for run in (run for comparison in comparisons for run in comparison.runs):
        facts = json.dumps(dict(_flat(run.run["environment"])))
        counts[facts] = counts.get(facts, 0) + 1
    return [{"runs": count, "facts": json.loads(facts)} for facts, count in counts.items()]


def _flat(facts: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    """Yield facts as text, nested ones under their own names; not the speed, which differs from run to run."""
    words = {"True": "yes", "False": "no", "None": "–"}
    for name, value in facts.items():
        if isinstance(value, dict):
            yield from _flat(value)
        elif name != "matrix_product_flops_per_second":
            yield name, words.get(str(value), str(value))


def _chart_caption(comparison: Comparison) -> str:
    seeds = len(comparison.seeds)
    drawn = "bands and bars are" if seeds >= LEAST_SEEDS else "bars are"
    bands = f"mean over {seeds} seeds, {drawn} 95 % intervals" if seeds > 1 else "one seed, so no intervals"
    return (
        f"Accuracy is a mean over all clients: {bands}. FLOPs: clients and server. With a target or a budget a method "
        "stands where its curve, as it is drawn here, first reaches the one or last keeps within the other."
    )
