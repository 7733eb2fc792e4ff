"""Tables as LaTeX (booktabs) that fit into one of two columns: compact columns, a short caption, the rest as a note."""

import math
import re
from collections.abc import Iterator, Sequence

from benchmark.report.cells import Column, Table, note_numbers, notes_of

CHARACTERS = {
    "\\": r"\textbackslash{}",
    **{c: "\\" + c for c in "%_&#${}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
    "–": "--",
    "…": r"\dots{}",
    "≥": r"$\ge$",
    "†": r"$\dagger$",
    "<": r"$<$",
    ">": r"$>$",
}
BREAKS = "+=-/_,:"
"""A long word may go on in the next line after one of these."""
COLUMN_POINTS = 228.0
"""Width that a table may have: that of a column of a two-column article is 229 points, and no class has much less."""
MOST_COLUMNS = 5
"""Columns of a tabular with that of the names; the others of a table follow in a tabular below."""
TYPE_SIZES = {"footnotesize": 8.0, "scriptsize": 7.0}
"""Name of a size of type -> points."""
NARROW, WIDE = set(".,:;'|!()[]iljt/ "), set("mwMW%±&@+=<>")
GAP_POINTS = 4.0
"""Space between two columns."""
CAPTION_WORDS = 39
"""Most words of a caption."""


def as_latex(table: Table, name: str, commands: Sequence[str]) -> str:
    """Return a table environment for booktabs: the best bold, the second underlined, what its numbers are below.

    name: of the comparison, for the label; commands: that made it
    """
    size, blocks = _layout(table)
    caption = brief_caption(table)
    said = [table.caption, *notes_of(table)]
    if table.setting and table.setting not in caption:
        said.insert(0, f"{table.setting}.")
    return "\n".join(
        [
            "% needs the packages booktabs and array",
            *(f"% {command}" for command in commands),
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{translated(caption)}}}",
            rf"\label{{tab:{_label(name)}-{table.name}}}",
            rf"\{size}\setlength{{\tabcolsep}}{{{GAP_POINTS / 2:g}pt}}%",
            *(line for block in blocks for line in _tabular(table, block, size)),
            r"\par\smallskip\begin{minipage}{\linewidth}\raggedright\scriptsize",
            *(rf"{translated(note)}\par" for note in said if note),
            r"\end{minipage}",
            r"\end{table}",
            "",
        ]
    )


def brief_caption(table: Table) -> str:
    """Return a caption of less than forty words: the title, and the setting if it is not too long."""
    whole = f"{table.title}: {table.setting}." if table.setting else f"{table.title}."
    return whole if len(whole.split()) <= CAPTION_WORDS else f"{table.title}."


def translated(text: str) -> str:
    """Put text in one line, escape what has a meaning in LaTeX, and allow long words to be broken."""
    return " ".join(_word(word) for word in text.split())


def _word(word: str) -> str:
    broken = len(word) > 12
    return "".join(
        CHARACTERS.get(c, c) + (r"\allowbreak{}" if broken and c in BREAKS and i < len(word) - 1 else "")
        for i, c in enumerate(word)
    )


def _layout(table: Table) -> tuple[str, list[list[int]]]:
    """Return the size of type, and the columns besides the first that each tabular has: as many as fit."""
    short = [j for j, column in enumerate(table.columns) if j and column.short]
    shown = short or [*range(1, len(table.columns))]
    tried = [(size, MOST_COLUMNS - 1) for size in TYPE_SIZES]
    tried += [(tried[-1][0], most) for most in range(MOST_COLUMNS - 2, 0, -1)]
    for size, most in tried:
        blocks = _blocks(shown, most)
        if all(_fits(table, block, size) for block in blocks):
            return size, blocks
    return tried[-1][0], _blocks(shown, 1)


def _blocks(shown: Sequence[int], most: int) -> list[list[int]]:
    """Deal columns to as few tabulars as can be, of about the same width."""
    each = math.ceil(len(shown) / max(1, math.ceil(len(shown) / most)))
    return [[*shown[start : start + each]] for start in range(0, len(shown), max(1, each))] or [[]]


def _head(column: Column) -> str:
    return column.short or column.title


def _points(table: Table, j: int, size: str) -> float:
    """Estimate the width of a column; a footnote's number is as wide as a letter."""
    noted = 0.6 * any(row[j].note is not None for row in table.lines)
    return TYPE_SIZES[size] * (noted + max(map(_ems, [_head(table.columns[j]), *(row[j].text for row in table.lines)])))


def _ems(text: str) -> float:
    """Estimate the width of a text in ems of Computer Modern at seven points, which is wider than at ten."""
    return sum(0.36 if c in NARROW else 0.92 if c in WIDE else 0.78 if c.isupper() else 0.575 for c in text)


def _rest(table: Table, block: Sequence[int], size: str) -> float:
    """Return what is left for the column of names."""
    return COLUMN_POINTS - sum(_points(table, j, size) + GAP_POINTS for j in block)


def _fits(table: Table, block: Sequence[int], size: str) -> bool:
    return _rest(table, block, size) >= _name_points(table, size)


def _name_points(table: Table, size: str) -> float:
    """Estimate the least width of the column of names, which break into lines: that of the longest piece."""
    pieces = [piece for row in table.lines for piece in re.split(rf"(?<=[{re.escape(BREAKS)}])| ", row[0].text)]
    noted = any(row[0].note is not None for row in table.lines)
    return TYPE_SIZES[size] * (0.6 * noted + max(map(_ems, pieces), default=0.0))


def _tabular(table: Table, block: Sequence[int], size: str) -> list[str]:
    """Return the lines of a tabular with the names and some columns; words that are too wide break into lines."""
    shown, wide = [0, *block], not _fits(table, block, size)
    least = min(_name_points(table, size), COLUMN_POINTS / len(shown) - GAP_POINTS)
    left = max(least, _rest(table, block, size))
    each = (COLUMN_POINTS - left) / max(1, len(block)) - GAP_POINTS
    ragged = r">{\ragged%s\arraybackslash}p{%.0fpt}"
    columns = ragged % ("right", left) + (ragged % ("left", each) * len(block) if wide else "r" * len(block))
    heads = " & ".join(translated(_head(table.columns[j])) for j in shown)
    body = [" & ".join(cells[j] for j in shown) + r" \\" for cells in _cells(table)]
    if table.foot:
        body.insert(len(table.rows), r"\midrule")
    lines = [rf"\begin{{tabular}}{{@{{}}{columns}@{{}}}}", r"\toprule", rf"{heads} \\", r"\midrule", *body]
    return [*lines, r"\bottomrule", r"\end{tabular}\par"]


def _cells(table: Table) -> Iterator[list[str]]:
    """Yield the cells of each row: the best bold, the second underlined, with the numbers of their footnotes."""
    best, second, numbers = {*table.ranked(0)}, {*table.ranked(1)}, note_numbers(table)
    for i, row in enumerate(table.lines):
        texts = [translated(cell.text) for cell in row]
        for j in range(len(row)):
            if (i, j) in best:
                texts[j] = rf"\textbf{{{texts[j]}}}"
            if (i, j) in second:
                texts[j] = rf"\underline{{{texts[j]}}}"
            if (i, j) in numbers:
                texts[j] += rf"\textsuperscript{{{numbers[i, j]}}}"
        yield texts


def _label(name: str) -> str:
    return "".join(character for character in name if character.isalnum() or character in "-.")
