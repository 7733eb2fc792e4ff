"""Tables as Markdown to read, LaTeX (booktabs) to print, CSV to compute with, and plain values for the page."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pandas as pd

from benchmark.report.cells import NOTHING, Table
from benchmark.report.frame import Comparison

LATEX = {
    "\\": r"\textbackslash{}",
    **{c: "\\" + c for c in "%_&#${}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
    "–": "--",
    "≥": r"$\ge$",
    "†": r"$\dagger$",
    "<": r"$<$",
    ">": r"$>$",
}
MARKDOWN = {c: "\\" + c for c in "\\`*_{}[]<>|#"}


def as_markdown(table: Table) -> str:
    """Return a table as Markdown: the best bold, the second underlined, cells with a note numbered."""
    best, second, numbers = {*table.ranked(0)}, {*table.ranked(1)}, _numbers(table)
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


def notes_of(table: Table) -> list[str]:
    """Return the footnotes in the order of their numbers in the cells, then those that belong to no cell."""
    numbered = {cell.note: number for (i, j), number in _numbers(table).items() if (cell := table.lines[i][j])}
    said = "; ".join(note or "" for note in numbered)
    return [f"{number}: {note}" for note, number in numbered.items()] + [n for n in table.notes if n not in said]


def as_latex(table: Table, comparison: str, commands: Sequence[str]) -> str:
    """Return a table environment for booktabs: the best bold, the second underlined, notes below."""
    best, second, numbers = {*table.ranked(0)}, {*table.ranked(1)}, _numbers(table)

    def cell(i: int, j: int) -> str:
        text = _translated(table.lines[i][j].text, LATEX)
        if (i, j) in best:
            text = rf"\textbf{{{text}}}"
        if (i, j) in second:
            text = rf"\underline{{{text}}}"
        return text + (rf"\textsuperscript{{{numbers[i, j]}}}" if (i, j) in numbers else "")

    heads = " & ".join(_translated(column.title, LATEX) for column in table.columns)
    body = [" & ".join(cell(i, j) for j in range(len(table.columns))) + r" \\" for i in range(len(table.lines))]
    if table.foot:
        body.insert(len(table.rows), r"\midrule")
    notes = [_translated(note, LATEX) for note in notes_of(table)]
    return "\n".join(
        [
            "% needs the packages booktabs and graphicx",
            *(f"% {command}" for command in commands),
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{_translated(full_caption(table), LATEX)}}}",
            rf"\label{{tab:{_label(comparison)}-{table.name}}}",
            r"\resizebox{\linewidth}{!}{%",
            rf"\begin{{tabular}}{{l{'r' * (len(table.columns) - 1)}}}",
            r"\toprule",
            rf"{heads} \\",
            r"\midrule",
            *body,
            r"\bottomrule",
            r"\end{tabular}}",
            *(rf"\par\footnotesize {note}" for note in notes),
            r"\end{table}",
            "",
        ]
    )


def for_page(table: Table, stem: str, command: str) -> dict[str, Any]:
    """Return a table as the page's document has it."""
    return {
        "title": table.title,
        "caption": table.caption,
        "notes": notes_of(table),
        "head": [column.title for column in table.columns],
        "rows": [[cell.text for cell in row] for row in table.lines],
        "foot": len(table.foot),
        "marks": [[i, j, number] for (i, j), number in _numbers(table).items()],
        "best": table.ranked(0),
        "second": table.ranked(1),
        "files": [
            {"name": name, "href": f"tables/{quote(stem)}.{suffix}"}
            for name, suffix in (("LaTeX", "tex"), ("Markdown", "md"), ("CSV", "csv"))
        ],
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


def _numbers(table: Table) -> dict[tuple[int, int], int]:
    """Return (row, column) of the cells with a note -> the note's number; equal notes share one."""
    noted = {(i, j): cell.note for i, row in enumerate(table.lines) for j, cell in enumerate(row) if cell.note}
    order = list(dict.fromkeys(noted.values()))
    return {place: order.index(note) + 1 for place, note in noted.items()}


def _translated(text: str, characters: dict[str, str]) -> str:
    """Put text in one line, and escape the characters that have a meaning in the format."""
    return "".join(characters.get(character, character) for character in " ".join(text.split()))


def _label(name: str) -> str:
    return "".join(character for character in name if character.isalnum() or character in "-.")
