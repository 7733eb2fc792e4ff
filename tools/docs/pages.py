"""docs/methods, a page per method and a catalogue, and README. Text between markers is generated, the rest is by hand.

<!-- generated: algorithm -->
...
<!-- end -->
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmark.errors import RequestError
from benchmark.plugins import listed
from benchmark.report.frame import read_experiment
from benchmark.storage.files import write_whole
from benchmark.tuning.record import read_tunings
from tools.docs import blocks, costs, front, privacy, reproduction
from tools.docs.claims import claims
from tools.docs.data_sets import data_sets
from tools.docs.gate import gate
from tools.docs.levelled import levelled
from tools.docs.order import TUNED_RESULTS, order
from tools.docs.overfitting import overfitting

GENERATED_BLOCK = re.compile(r"<!-- generated: (?P<name>[\w-]+) -->\n.*?<!-- end -->", re.DOTALL)
GLANCE = re.compile(r"^- \*\*(?P<key>[\w ]+):\*\* (?P<words>(?:.+\n)(?:  .+\n)*)", re.MULTILINE)
ASKS = re.compile(r"<!-- write: (.*?) -->")
"""Requests of the template that a page has not met yet."""
FOLDER = Path("docs", "methods")
CATALOGUE = "README"
COSTS_FILE = "costs.json"
REPORTED = (
    *(*blocks.EXPERIMENTS, *front.SHOWN, *reproduction.COMPARED, *TUNED_RESULTS),
    *(reproduction.VARIED, privacy.TRIED),
)
"""The folders of results that pages report, if they exist."""
DOCS_PARALLEL_FROM_RUNS = 1000
"""Committed runs have few rounds; starting processes takes longer than reading a thousand of them."""

TEMPLATE = """# {title}

<!-- write: the idea in a paragraph, and when one would choose it -->

- **Kind:** <!-- write: what family of methods it belongs to -->
- **Shares:** <!-- write: who shares what with whom -->
- **Leaves the client:** <!-- write: what a server learns -->
- **Server:** <!-- write: what it does with what arrives -->

## Algorithm

<!-- generated: algorithm -->
<!-- end -->

## Objective

<!-- write: a formula between two $$, and what its letters mean -->

## What leaves the client

<!-- write: what a curious server could tell from it -->

## Fields

<!-- generated: fields -->
<!-- end -->

<!-- write: where the defaults come from -->

## Costs

<!-- generated: costs -->
<!-- end -->

## Line-ups

<!-- generated: line-ups -->
<!-- end -->

## Results

<!-- generated: results -->
<!-- end -->

## In public code

<!-- write: what other implementations do differently, and which test here would notice -->
"""

CATALOGUE_TEMPLATE = """# Methods

<!-- generated: exchange -->
<!-- end -->

<!-- generated: costs -->
<!-- end -->
"""


@dataclass(frozen=True)
class Change:
    """A file that is not as it should be; text: what it should be, None if a hand has to write it."""

    file: Path
    reason: str
    text: str | None = None


def checkout() -> Path:
    """Return the root of the checkout that has this module. Raises RequestError if it is installed without one."""
    root = Path(__file__).parents[2]
    if not all((root / part).exists() for part in ("pyproject.toml", "methods", FOLDER)):
        raise RequestError("`document` writes docs/methods of a checkout, and this is none; clone the repository")
    return root


def page_changes(root: Path, announce: Callable[[str], object], keep_costs: bool = False) -> list[Change]:
    """Return what has to change under docs/methods and in README. Raises RequestError if stored results are damaged.

    announce: is called with the name of each method before it is measured; keep_costs: take those that are stored
    """
    stored = costs.load(root / FOLDER / COSTS_FILE)
    names = sorted(listed.catalogue("methods"))
    if keep_costs and (lacking := [name for name in names if name not in stored]):
        raise RequestError(f"the costs of {', '.join(lacking)} were never measured; measure them, without --keep-costs")
    known = stored if keep_costs else costs.measured_catalogue(names, announce)
    return changes(root, known, stored)


def changes(root: Path, known: costs.Catalogue, stored: costs.Catalogue) -> list[Change]:
    """Return what has to change there if methods cost `known`, and the stored costs are `stored`."""
    folder = root / FOLDER
    compared = {
        name: read_experiment(root / "results", name, {}, few=DOCS_PARALLEL_FROM_RUNS)
        for name in dict.fromkeys(REPORTED)
        if (root / "results" / name).is_dir()
    }
    tunings = {name: read_tunings(root / "results", name) for name in TUNED_RESULTS}
    found = [] if stored == known else [Change(folder / COSTS_FILE, "other costs were measured", costs.written(known))]
    glances: dict[str, Mapping[str, str]] = {}
    for name, file in listed.catalogue("methods").items():
        page = folder / f"{name}.md"
        text = page.read_text(encoding="utf-8") if page.exists() else TEMPLATE.format(title=name)
        generated = {
            "algorithm": blocks.algorithm(file),
            "fields": blocks.fields(file),
            "costs": blocks.costs(name, known),
            "line-ups": blocks.usable_line_ups(name),
            "results": blocks.results(name, compared),
        }
        found += _changes(page, text, generated)
        glances[name] = glance(text)
    page = folder / f"{CATALOGUE}.md"
    text = page.read_text(encoding="utf-8") if page.exists() else CATALOGUE_TEMPLATE
    found += _changes(page, text, {"exchange": blocks.exchange(glances), "costs": blocks.costs_of_all(known)})
    documents: dict[str, Callable[[], dict[str, str]]] = {
        "README.md": lambda: {"answer": front.answer(compared, glances)},
        "docs/card.md": lambda: {"data-sets": data_sets()},
        "docs/reproducing.md": lambda: {"levelled": levelled(compared)},
        "docs/privacy.md": lambda: {"attacked": privacy.attacked(compared), "defended": privacy.defended(compared)},
        "docs/reproduction.md": lambda: {
            "order": order(compared, tunings),
            "published": reproduction.tables(compared),
            "claims": claims(compared),
            "overfitting": overfitting(compared),
            "gate": gate(compared),
            "moments": reproduction.moments(compared),
            "over-rounds": reproduction.over_rounds(compared),
            "one-change": reproduction.one_change(compared),
            "sources": reproduction.sources(),
        },
    }
    for name, parts in documents.items():
        if (page := root / name).exists():
            found += _changes(page, page.read_text(encoding="utf-8"), parts())
    strays = {file.stem for file in folder.glob("*.md")} - {*glances, CATALOGUE}
    return found + [Change(folder / f"{name}.md", "there is no method of that name") for name in sorted(strays)]


def write_change(change: Change) -> None:
    """Write a change that has a text. Raises StorageError."""
    text = (change.text or "").encode()
    write_whole(change.file, lambda opened: opened.write(text))


def glance(text: str) -> dict[str, str]:
    """Return the list at the head of a page: bold words -> the words behind them, in one line."""
    return {m["key"]: " ".join(m["words"].split()) for m in GLANCE.finditer(text)}


def filled(text: str, generated: Mapping[str, str]) -> str:
    """Return a page with its generated parts replaced."""

    def block(match: re.Match) -> str:
        return f"<!-- generated: {match['name']} -->\n{generated[match['name']]}\n<!-- end -->"

    return GENERATED_BLOCK.sub(block, text)


def _changes(page: Path, text: str, generated: Mapping[str, str]) -> list[Change]:
    """Return a page's changes: a new text, and what is still to be written by hand."""
    present = [match["name"] for match in GENERATED_BLOCK.finditer(text)]
    if sorted(present) != sorted(generated):
        return [
            Change(page, f"has the generated parts {', '.join(present) or 'none'}; it needs {', '.join(generated)}")
        ]
    new = filled(text, generated)
    current = page.exists() and new == page.read_text(encoding="utf-8")
    outdated = [] if current else [Change(page, "is out of date" if page.exists() else "is not there", new)]
    asked = ASKS.findall(GENERATED_BLOCK.sub("", text))
    return outdated + ([Change(page, f"does not yet say: {'; '.join(asked)}")] if asked else [])
