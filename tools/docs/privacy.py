"""The generated parts of docs/privacy.md: what audits found, and what noise takes from attacks and from accuracy."""

from collections.abc import Mapping, Sequence

from benchmark.config import DEFENCES
from benchmark.privacy.findings import SERIES
from benchmark.report.cells import spread_cell
from benchmark.report.frame import Comparison
from benchmark.report.privacy import Audited, attack_cell, audited_of, noise_cell, privacy_table
from tools.docs.blocks import markdown_table

REAL = "reference"
TRIED = "privacy"
"""Folders of results: the reference runs, some of which are audited, and those with noise and without."""


def attacked(stored: Mapping[str, Sequence[Comparison]]) -> str:
    """Return the privacy table of each comparison of results/reference that was audited."""
    parts = []
    for comparison in stored.get(REAL, ()):
        if audited := audited_of(comparison):
            table = privacy_table(comparison, audited)
            rows = [[cell.text for cell in row] for row in table.rows]
            notes = sorted({cell.note for row in table.rows for cell in row if cell.note})
            heads = [column.title for column in table.columns]
            parts += [f"{table.setting}.", markdown_table(heads, rows), table.caption, *(f"{note}." for note in notes)]
    return "\n\n".join(parts) or f"No run of `results/{REAL}` has been audited yet."


def defended(stored: Mapping[str, Sequence[Comparison]]) -> str:
    """Return a row for each method of results/privacy that was run with noise and without: accuracy and membership."""
    found: dict[bool, Comparison] = {"dp_epsilon" in c.setting: c for c in stored.get(TRIED, ())}
    if len(found) < len((False, True)):
        return f"`results/{TRIED}` does not have runs with noise and without yet."
    with_noise = {of.label: of for of in audited_of(found[True])}
    rows = []
    for of in audited_of(found[False]):
        if noisy := with_noise.get(of.label):
            accuracies = [spread_cell(found[noise].scores(of.label)).text for noise in (False, True)]
            rows.append([of.label, *accuracies, *(_member(each) for each in (of, noisy)), noise_cell(noisy).text])
    heads = ["method", "accuracy %", "with noise", "member, series", "with noise", "noise / clipping norm"]
    setting = found[True].setting
    options = ", ".join(f"{name.replace('_', ' ')} {setting[name]}" for name in DEFENCES if name in setting)
    return f"{found[False].title}; noise: {options}.\n\n{markdown_table(heads, rows)}"


def _member(of: Audited) -> str:
    return attack_cell(of, "membership", lambda each: each.membership.area(SERIES)).text
