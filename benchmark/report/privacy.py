"""What messages give away, as tables: from the raw scores of `run --audit privacy`."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmark.defence.accounting import largest_area
from benchmark.errors import plural
from benchmark.privacy.findings import (
    AUDITOR,
    SERVER,
    Found,
)
from benchmark.privacy.tables import ATTACK, AuditFacts, facts_of
from benchmark.report.audited import NO_PROOF, SENDS_NOTHING, Audited, audited_of
from benchmark.report.cells import NOTHING, Cell, Column, Table, mean_cell
from benchmark.report.document import Part
from benchmark.report.formats import write_table
from benchmark.report.frame import Comparison
from benchmark.report.looks import Style
from benchmark.report.privacy_columns import FoundOf, attack_columns
from benchmark.report.privacy_contrasts import contrast_table, contrasts
from benchmark.report.privacy_figures import draw_privacy
from benchmark.report.privacy_sheet import control_table, sheet_table

NUMBER = "{:.2f}"


def write_privacy(comparison: Comparison, style: Style, commands: Sequence[str], folder: Path) -> Part:
    """Write tables and figures of a comparison; nothing if no message of it was attacked."""
    audited = audited_of(comparison)
    if not audited:
        return Part([], [])
    compared = [contrast_table] if any(contrasts(audited, level) for level in (SERVER, AUDITOR)) else []
    made = (privacy_table, *compared, sheet_table, control_table)
    tables = [make(comparison, audited) for make in made]
    written = [(write_table(table, comparison.name, commands, folder / "tables"), table) for table in tables]
    return Part(written, draw_privacy(comparison, audited, style, folder / "figures"))


def privacy_table(comparison: Comparison, audited: Sequence[Audited]) -> Table:
    """Make the table of the attacks that found any number, a row per method, with accuracy and bytes beside them."""
    attacks = attack_columns(audited)
    cells = [[attack_cell(of, attack.control, attack.value) for attack in attacks] for of in audited]
    found = [i for i in range(len(attacks)) if {row[i].text for row in cells} - {NOTHING, SENDS_NOTHING}]
    columns = [
        Column("Method"),
        Column("Accuracy [%]", "high", f"mean over clients {comparison.moment.words}"),
        Column("Sent [MB]", "low", "up and down, all clients, all rounds"),
        *(attacks[i].column for i in found),
        Column("If released", None, "area of membership by the loss of the private network, which nobody sends"),
    ]
    rows = [
        [
            Cell(of.label, of.label),
            mean_cell(comparison.scores(of.label), NUMBER),
            mean_cell([run.total("bytes") / 1e6 for run in comparison.of(of.label)]),
            *(row[i] for i in found),
            attack_cell(of, "membership", lambda of: of.released, of_messages=False),
        ]
        for of, row in zip(audited, cells, strict=True)
    ]
    return Table(
        "privacy",
        "What messages give away",
        comparison.title,
        _caption(audited),
        columns,
        rows,
        order=comparison.ranked,
    )


def attack_cell(of: Audited, control: str, value: FoundOf, of_messages: bool = True) -> Cell:
    """Make a cell of what an attack found, invalid if the controls of its column do not hold.

    of_messages: False for an attack on what is not sent, which can be made on who sends nothing, without controls
    """
    if not of.sends and not of_messages:
        return _found_cell(value(of))
    if not of.sends:
        return Cell(SENDS_NOTHING)
    cell = _found_cell(value(of))
    if cell.value is None:
        return cell
    if why := of.why_invalid(control, cell.value if isinstance(cell.value, float) else None):
        return Cell(f"invalid ({cell.text})", None, f"{of.label}, {control}: this says nothing, as {why}")
    if not of.controlled(control):
        return Cell(f"no control ({cell.text})", None, f"{of.label}: nothing tells whether this attack works")
    if control == "labels" and of.sheets[-1]["up"]["own_rows_only"]:
        shown = f"{of.label}: a client's classes are shown by the rows that are there; guessed is with all rows"
        return cell._replace(note=shown)
    return cell


def _found_cell(found: Found | None) -> Cell:
    if found is None:
        return Cell(NOTHING)
    band = f" [{found.interval[0]:.2f}, {found.interval[1]:.2f}]" if found.interval else ""
    return Cell(NUMBER.format(found.value) + band, found.value, interval=found.interval)


def _caption(audited: Sequence[Audited]) -> str:
    facts = [facts_of(scores) for of in audited for scores in of.scores]
    rounds = sorted({t for of in facts for t in of["rounds"]})
    clients = sorted({len(of.membership.messages(of.last)) for of in audited if of.sends})
    seconds = [float(np.mean([facts_of(scores)["seconds"] for scores in of.scores])) for of in audited if of.sends]
    return (
        f"Uploads of rounds {', '.join(map(str, rounds))}, of {' or '.join(map(str, clients)) or 'no'} clients, all "
        "seeds together; brackets are 95 % bootstrap intervals over clients and seeds. Members and others are of one "
        "client, matched class by class. Attacks are a server's, which sees messages, and knows the shares of a "
        "client's classes where it looks for members. An auditor knows private state before the last round too, and "
        "asks which of a client's own records that round was trained on. "
        f"{NO_PROOF} " + _promised(audited) + _of_earlier_attacks(facts) + _taken(seconds)
    )


def _taken(seconds: Sequence[float]) -> str:
    """Say how long audits took; nothing if nobody sends anything."""
    span = list(dict.fromkeys(f"{of(seconds):.0f}" for of in (min, max))) if seconds else []
    return f"An audit took {' to '.join(span)} s a run." if span else ""


def _of_earlier_attacks(facts: Sequence[AuditFacts]) -> str:
    """Say of how many runs only some attacks are read; nothing if all were made by today's."""
    earlier = sum(of.get("attack", 1) < ATTACK for of in facts)
    return f"Of {plural(earlier, 'run')} only members by a server and copies are shown. " if earlier else ""


def _promised(audited: Sequence[Audited]) -> str:
    """Say what noise promises, and the most that any attack may reach; nothing without noise."""
    promise = next((of.promise for of in audited if of.promise), None)
    if promise is None:
        return ""
    told, record = [*map(largest_area, (promise.one_message_mu, promise.mu))], promise.record_areas
    return (
        f"Noise: {promise.words}. No attack tells a client's message from zeros with an area above {told[0]:.2f}, or "
        f"all of them with one above {told[1]:.2f}; what one record changes is twice as long at most, so of a record "
        f"the areas are {record[0]:.2f} and {record[1]:.2f} at most. "
    )
