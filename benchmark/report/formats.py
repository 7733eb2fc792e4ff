"""Tables as Markdown to read, CSV to compute with, and plain values for the page; latex.py prints them."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from benchmark.report.cells import NOTHING, Table, note_numbers, notes_of
from benchmark.report.frame import Comparison
from benchmark.report.latex import as_latex

MARKDOWN = {c: "\\" + c for c in "\\`*_{}[]<>|#"}


def as_markdown(table: Table) -> str:
    """Return a table as Markdown: the best bold, the second underlined, cells with a note numbered."""
    best, second, numbers = {*table.ranked(0)}, {*table.ranked(1)}, note_numbers(table)
    text = [[as_text(cell.text) for cell in row] for row in table.lines]
    for i, j in best:
        text[i][j] = f"**{text[i][j]}**"
    for i, j in second:
        text[i][j] = f"<u>{text[i][j]}</u>"
    for (i, j), number in numbers.items():
        text[i][j] += f"<sup>{number}</sup>"
    heads = [as_text(column.title) for column in table.columns]
    align = ["left"] + ["right"] * (len(heads) - 1)
    return pd.DataFrame(text, columns=heads).to_markdown(index=False, disable_numparse=True, colalign=align)


def as_text(words: str) -> str:
    """Escape words so that Markdown shows them as they are."""
    return _translated(words, MARKDOWN)


def full_caption(table: Table) -> str:
    """Return setting and caption, for a table that stands alone."""
    return f"{table.setting}. {table.caption}" if table.setting else table.caption


def for_page(table: Table, command: str) -> dict[str, Any]:
    """Return a table as the page's document has it."""
    return {
        "title": table.title,
        "caption": table.caption,
        "notes": notes_of(table),
        "head": [column.title for column in table.columns],
        "rows": [[cell.text for cell in row] for row in table.lines],
        "foot": len(table.foot),
        "marks": [[i, j, number] for (i, j), number in note_numbers(table).items()],
        "best": table.ranked(0),
        "second": table.ranked(1),
        "command": command,
    }


def write_table(table: Table, name: str, commands: Sequence[str], folder: Path) -> str:
    """Write <name>-<table> as .md, .tex and .csv, and return that stem."""
    stem = f"{name}-{table.name}"
    blocks = [as_markdown(table), as_text(full_caption(table))]
    blocks += [*(as_text(note) for note in notes_of(table)), *(f"    {line}" for line in commands)]
    # a name may have a dot in it (dirichlet0.3), which with_suffix would cut
    (folder / f"{stem}.md").write_text("\n\n".join(blocks) + "\n", encoding="utf-8")
    (folder / f"{stem}.tex").write_text(as_latex(table, name, commands), encoding="utf-8")
    as_csv(table).to_csv(folder / f"{stem}.csv", index=False)
    return stem


def as_csv(table: Table) -> pd.DataFrame:
    """Return the values of a table as they are, or the text of a cell that has no value.

    A column with intervals or deviations is followed by columns of their own for these.
    """
    columns: dict[str, list[Any]] = {}
    for j, column in enumerate(table.columns):
        cells = [row[j] for row in table.lines]
        columns[column.title] = [cell.text if cell.value is None else cell.value for cell in cells]
        if any(cell.interval for cell in cells):
            for end, place in (("low", 0), ("high", 1)):
                columns[f"{column.title}, {end}"] = [c.interval[place] if c.interval else "" for c in cells]
        if any(cell.sd is not None for cell in cells):
            columns[f"{column.title}, SD"] = ["" if cell.sd is None else cell.sd for cell in cells]
    return pd.DataFrame(columns).replace(NOTHING, "").map(_no_formula)


def _no_formula(value: Any) -> Any:
    """Mark a text as a text if a spreadsheet would take it for a formula."""
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")) else value


def summaries(comparison: Comparison) -> pd.DataFrame:
    """Return one row per run, its numbers as they are stored."""
    rows = []
    for run in comparison.runs:
        numbers = {k: v for k, v in run.summary.items() if not isinstance(v, dict)}
        head = {"method": run.label, "seed": run.seed, "key": run.run["key"], "status": run.run["status"]}
        rows.append(head | {"reason": run.run["reason"]} | numbers)
    return pd.DataFrame(rows).map(_no_formula)


def commands(comparison: Comparison) -> list[str]:
    """Return the command lines that made these runs, each in one line."""
    return sorted({" ".join(shlex.join(run.run["command"]).split()) for run in comparison.runs})


def _translated(text: str, characters: dict[str, str]) -> str:
    """Put text in one line, and escape the characters that have a meaning in the format."""
    return "".join(characters.get(character, character) for character in " ".join(text.split()))
