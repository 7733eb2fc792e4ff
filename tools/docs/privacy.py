"""The generated parts of docs/privacy.md: what audits found, and what noise takes from attacks and from accuracy."""

import json
from collections.abc import Mapping, Sequence

from benchmark.config import DEFENCES
from benchmark.privacy.findings import AUDITOR, SERIES, SERVER
from benchmark.privacy.verdicts import column_of
from benchmark.report.audited import Audited, audited_of
from benchmark.report.cells import NOTHING, spread_cell
from benchmark.report.frame import Comparison
from benchmark.report.privacy import attack_cell, privacy_table
from benchmark.report.privacy_contrasts import beyond_chance, contrasts
from benchmark.report.privacy_sheet import noise_cell
from tools.docs.blocks import markdown_table

TRIED = "privacy"
"""The folder of results with audits, of runs with noise and without."""


def attacked(stored: Mapping[str, Sequence[Comparison]]) -> str:
    """Return the privacy table of each comparison that was audited and has no noise."""
    parts = []
    for comparison in stored.get(TRIED, ()):
        if "dp_epsilon" not in comparison.setting and (audited := audited_of(comparison)):
            table = privacy_table(comparison, audited)
            rows = [[cell.text for cell in row] for row in table.rows]
            notes = sorted({cell.note for row in table.rows for cell in row if cell.note})
            heads = [column.title for column in table.columns]
            parts += [f"{table.setting}.", markdown_table(heads, rows), table.caption, *(f"{note}." for note in notes)]
            parts += _told_apart(audited)
    return "\n\n".join(parts) or "No run has been audited yet."


def _told_apart(audited: Sequence[Audited]) -> list[str]:
    """Return who gives away more of members than whom, as a sentence for each attacker; none if there are no pairs."""
    found = []
    for level in (SERVER, AUDITOR):
        pairs = contrasts(audited, level)
        told = (f"{of.more} than {of.less} by {of.test.mean:.2f} (p = {of.p:.2g})" for of in beyond_chance(pairs))
        listed = "; ".join(told)
        if pairs:
            found.append(f"Who gives away more of members to the {level}, of {len(pairs)} pairs: {listed or 'none'}.")
    return found


def defended(stored: Mapping[str, Sequence[Comparison]]) -> str:
    """Return for each comparison of results/privacy that was run with noise and without: accuracy and members.

    A row is a method. Where a run with noise did not end, its row says how it ended instead.
    """
    plain = {_without_defences(c): c for c in stored.get(TRIED, ()) if "dp_epsilon" not in c.setting}
    noisy = [c for c in stored.get(TRIED, ()) if "dp_epsilon" in c.setting]
    found = [_compared(plain[key], c) for c in noisy if (key := _without_defences(c)) in plain]
    return "\n\n".join(found) or f"`results/{TRIED}` does not have runs with noise and without yet."


def _without_defences(comparison: Comparison) -> str:
    setting = {name: value for name, value in comparison.setting.items() if name not in DEFENCES}
    return json.dumps([setting, comparison.training], sort_keys=True)


def _compared(plain: Comparison, noisy: Comparison) -> str:
    with_noise = {of.label: of for of in audited_of(noisy)}
    rows = []
    for of in audited_of(plain):
        row = [of.label, spread_cell(plain.scores(of.label)).text]
        if same := with_noise.get(of.label):
            left = spread_cell(noisy.scores(of.label)).text
            one, series = (f"{area:.2f}" for area in same.promise.record_areas) if same.promise else (NOTHING, NOTHING)
            members = [_member(of), _member(same), series, _auditor(of), _auditor(same), one]
            rows.append([*row, left, *members, noise_cell(same).text])
        elif ends := noisy.ends(of.label):
            lacking = [NOTHING, NOTHING]
            rows.append([*row, ", ".join(sorted({*ends})), _member(of), *lacking, _auditor(of), *lacking, NOTHING])
    behind_noise = ["with noise", "at most"]
    heads = ["method", "accuracy %", "with noise", "member, series", *behind_noise, "auditor", *behind_noise]
    heads.append("noise / clipping norm")
    options = ", ".join(f"{name.replace('_', ' ')} {noisy.setting[name]}" for name in DEFENCES if name in noisy.setting)
    return f"{plain.title}; noise: {options}.\n\n{markdown_table(heads, rows)}"


def _auditor(of: Audited) -> str:
    return attack_cell(of, column_of("membership", AUDITOR), lambda each: each.auditor.area()).text


def _member(of: Audited) -> str:
    column = column_of("membership", SERVER)
    return attack_cell(of, column, lambda each: each.membership.area(SERIES)).text
