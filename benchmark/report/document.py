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
from benchmark.report.cells import Cell, Column, Table
from benchmark.report.drawing import Drawn
from benchmark.report.formats import commands, for_page
from benchmark.report.frame import Comparison
from benchmark.report.levelling import RULE
from benchmark.report.looks import Style
from benchmark.report.notes import footnotes, not_ranked

PAGE_POINTS = 20_000
"""Points of all curves of a page together."""
PAGE_CELLS = 100_000
"""Cells of all partitions of a page together; those beyond are in the figures' files."""
EMBEDDED_BYTES = 3_000_000
"""Bytes of pictures inside a page; those beyond are files beside it."""
PICTURE_COLOURS = 64
"""Colours of a picture inside a page: lines and bars need no more."""


class Pictures:
    """The figures of a page, embedded in it as long as there is room; folder: where their PNG files are."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._left = folder, EMBEDDED_BYTES

    def of(self, drawn: Drawn) -> dict[str, Any]:
        """Return a figure as the page's document has it."""
        path = self._folder / f"{drawn.stem}.png"
        with Image.open(path) as image:
            size = image.size
            small = io.BytesIO()
            image.convert("RGB").quantize(PICTURE_COLOURS).save(small, "PNG", optimize=True)
        source, link = "data:image/png;base64," + base64.b64encode(small.getvalue()).decode(), quote(drawn.stem)
        inside = len(source) <= self._left
        self._left -= len(source) if inside else 0
        return {
            "title": drawn.title,
            "caption": drawn.caption,
            "src": source if inside else f"figures/{link}.png",
            "pdf": f"figures/{link}.pdf",
            "width": size[0] // 2,
            "height": size[1] // 2,
        }


class Part(NamedTuple):
    """What was written for one comparison, or for all together.

    tables: with the stems of their files; answer: sentences, and lead: the figure of what they say, if there is one
    """

    tables: Sequence[tuple[str, Table]]
    figures: Sequence[Drawn]
    answer: Sequence[str] = ()
    lead: Sequence[Drawn] = ()


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
) -> dict[str, Any]:
    """Make the page's document.

    written: by name of comparison; folder: where the figures are; again: the command line that writes the report
    """
    pictures = Pictures(folder)
    series = sum(len(comparison.complete) for comparison in comparisons)
    points = int(np.clip(PAGE_POINTS // max(1, series), 20, 100))
    room, parts = PAGE_CELLS, []
    for comparison in comparisons:
        partition = _partition(comparison)
        cells = sum(map(len, partition["counts"]))
        room -= cells
        made = commands(comparison)
        reproduces = "\n".join([*made, again])
        part = written[comparison.name]
        parts.append(
            {
                "id": comparison.name,
                "heading": comparison.heading,
                "title": comparison.title,
                "answer": list(part.answer),
                "lead": [pictures.of(drawn) for drawn in part.lead],
                "caption": _chart_caption(comparison),
                "footnotes": [*_standing(comparison), *footnotes(comparison)],
                "target": comparison.target,
                "floor": float(np.mean(comparison.floors)),
                "series": [_series(comparison, label, style, points) for label in comparison.complete],
                "partition": partition if room >= 0 else None,
                "tables": [for_page(table, stem, reproduces) for stem, table in part.tables],
                "figures": [pictures.of(drawn) for drawn in part.figures],
                "commands": made,
            }
        )
    return {
        "experiment": experiment,
        "generator": f"mhpfl-benchmark {__version__}",
        "intro": intro(comparisons),
        "answer": list(headline(written, across).answer),
        "leaderboard": _leaderboard(comparisons, written),
        "comparisons": parts,
        "across": {
            "answer": list(across.answer),
            "lead": [pictures.of(drawn) for drawn in across.lead],
            "tables": [for_page(table, stem, again) for stem, table in across.tables],
            "figures": [pictures.of(drawn) for drawn in across.figures],
        },
        "environments": environments(comparisons),
    }


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


def _series(comparison: Comparison, label: str, style: Style, points: int) -> dict[str, Any]:
    """Return a method's curve with at most `points` points, and its clients' accuracies, seed by seed."""
    curve = comparison.series(label)
    curve = curve.iloc[np.linspace(0, len(curve) - 1, min(points, len(curve))).round().astype(int)]
    several = bool(curve["low"].notna().any())
    look = style.of(label)
    runs = [run for run in comparison.of(label) if len(run.clients[comparison.moment])]
    return {
        "label": label,
        "colour": look.colour,
        "dash": {"solid": "", "dashed": "6 3", "dashdot": "7 3 1.5 3", "dotted": "1.5 3"}[look.dash],
        "marker": look.marker,
        "round": curve["round"].tolist(),
        **{name: curve[name].tolist() for name in ("accuracy", "bytes", "flops", "seconds")},
        "low": curve["low"].tolist() if several else None,
        "high": curve["high"].tolist() if several else None,
        "clients": [accuracy for run in runs for accuracy in run.clients[comparison.moment].tolist()],
        "seeds": [run.seed for run in runs],
    }


def _chart_caption(comparison: Comparison) -> str:
    seeds = len(comparison.seeds)
    curves = f"Curves: mean over {seeds} seeds and 95 % intervals" if seeds > 1 else "Curves: one seed"
    words = comparison.moment.words
    return f"{curves}; accuracy is a mean over all clients, {words}. FLOPs: clients and server. Clients: all seeds."


def _partition(comparison: Comparison) -> dict[str, Any]:
    run = comparison.first_run
    counts = run.run["partition"]["counts"]
    title = f"Samples per client and class, seed {run.seed}"
    return {"title": title, "classes": run.class_names, "counts": counts}


def _leaderboard(comparisons: Sequence[Comparison], written: Mapping[str, Part]) -> dict[str, Any]:
    """Join the main tables of all comparisons."""
    rows: list[dict[str, Any]] = []
    by_key: dict[str, dict[str, Any]] = {}
    for comparison in comparisons:
        if not written[comparison.name].tables:
            continue
        _, table = written[comparison.name].tables[0]
        columns = [_column(column, numeric=i > 0) for i, column in enumerate(table.columns)]
        by_key |= {column["key"]: column for column in columns}
        for row in table.rows:
            cells = {column["key"]: _cell(cell) for column, cell in zip(columns, row, strict=True)}
            where = {"text": comparison.name, "value": comparison.name, "note": None}
            rows.append({"comparison": comparison.name, "label": row[0].text, "cells": cells | {"comparison": where}})
    shown = [*by_key.values()]
    if len(comparisons) > 1:
        place = {"key": "comparison", "title": "Comparison", "hint": "", "numeric": False, "better": None}
        shown = [shown[0], place, *shown[1:]]
    caption = (
        "Accuracy: mean over all clients, each on its own test data; under each comparison stand the headline's rounds "
        "and the meaning of the marks."
    )
    return {"caption": caption, "columns": shown, "rows": rows}


def _column(column: Column, numeric: bool) -> dict[str, Any]:
    head = {"key": _key(column.title), "title": column.title, "hint": column.hint}
    return head | {"numeric": numeric, "better": column.better}


def _key(title: str) -> str:
    return title.lower().replace(" ", "_")


def _cell(cell: Cell) -> dict[str, Any]:
    return {"text": cell.text, "value": cell.value, "note": cell.note}
