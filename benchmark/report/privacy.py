"""What messages give away, as tables: from the raw scores of `run --audit privacy`."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.defence.accounting import MOST_OF_A_RECORD, largest_area
from benchmark.privacy.findings import (
    AUDITOR,
    BIAS_SIGN,
    POOLED_NON_MEMBERS,
    ROW_SUMS,
    SERIES,
    SERVER,
    Found,
    fidelity_of,
    identity_of,
    labels_of,
)
from benchmark.privacy.tables import facts_of
from benchmark.privacy.verdicts import Verdict, column_of, limits_text
from benchmark.report.audited import NO_PROOF, Audited, audited_of
from benchmark.report.cells import NOTHING, Cell, Column, Table, mean_cell
from benchmark.report.document import Part
from benchmark.report.formats import write_table
from benchmark.report.frame import Comparison
from benchmark.report.looks import Style
from benchmark.report.privacy_contrasts import contrast_table, contrasts
from benchmark.report.privacy_figures import draw_privacy

SENDS_NOTHING = "sends nothing"
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


FoundOf = Callable[[Audited], Found | None]


def _columns(audited: Sequence[Audited]) -> list[tuple[Column, str, FoundOf]]:
    """Return columns of attacks: title, the column of controls that they stand or fall with, values."""
    candidates = max((identity_of(of.scores, SERVER).candidates for of in audited), default=0)
    networks = max((labels_of(of.scores).architectures for of in audited), default=0)
    network, picture = (f"chance {1 / max(1, number):.2g}" for number in (networks, candidates))
    return [
        (
            Column("Member, one message", None, "area under the ROC curve, last round; chance 0.5"),
            column_of("membership", SERVER),
            lambda of: of.membership.area(of.last, SERVER),
        ),
        (
            Column("Member, series", None, "the same for the sum of scores over a client's rounds; chance 0.5"),
            column_of("membership", SERVER),
            lambda of: of.membership.area(SERIES, SERVER),
        ),
        (
            Column("Found at 1 %", None, "share of members found at 1 % false alarms, series; chance 0.01"),
            column_of("membership", SERVER),
            lambda of: of.membership.rate(SERIES, SERVER),
        ),
        *([_FOUND_RARELY] if any(_rare(of) for of in audited) else []),
        (
            Column("Auditor, one message", None, "area, last round, by who knows private state; chance: the next two"),
            column_of("membership", AUDITOR),
            lambda of: of.membership.area(of.last, AUDITOR),
        ),
        (
            Column("Auditor, another's", None, "the same if the message is of a client with other data of the labels"),
            "membership",
            lambda of: of.membership.another(of.last, AUDITOR),
        ),
        (
            Column("Auditor, no message", None, "area by the loss in the private state before the last round"),
            "membership",
            lambda of: of.private("state alone"),
        ),
        (
            Column("Auditor, series", None, "the sum of an auditor's scores over a client's rounds"),
            column_of("membership", AUDITOR),
            lambda of: of.membership.area(SERIES, AUDITOR),
        ),
        (
            Column("Classes", None, "balanced accuracy of which classes a client has; chance 0.5"),
            "labels",
            lambda of: labels_of(of.scores).presence,
        ),
        *[
            _by_rule(rule)
            for rule in (BIAS_SIGN, ROW_SUMS)
            if any(labels_of(of.scores, rule).presence for of in audited)
        ],
        (
            Column("All classes", None, "share of clients of which all classes and no other are guessed"),
            "labels",
            lambda of: labels_of(of.scores).exact,
        ),
        (
            Column("Histogram", None, "skill of guessed class shares, 1 - TV / TV of the prior; chance 0"),
            "histogram",
            lambda of: labels_of(of.scores).skill,
        ),
        (
            Column(f"Picture, first of {candidates}", None, f"class means found; {picture}"),
            column_of("identity", SERVER),
            lambda of: identity_of(of.scores, SERVER).top1,
        ),
        (
            Column("Picture [dB]", None, "how much nearer a picture made from a message is than a class's public mean"),
            column_of("gain", SERVER),
            lambda of: identity_of(of.scores, SERVER).gain,
        ),
        (
            Column("Picture, auditor", None, "class means found by who knows private state too"),
            column_of("identity", AUDITOR),
            lambda of: identity_of(of.scores, AUDITOR).top1,
        ),
        (
            Column("Picture, auditor [dB]", None, "the gain of who knows private state too"),
            column_of("gain", AUDITOR),
            lambda of: identity_of(of.scores, AUDITOR).gain,
        ),
        (
            Column("Copy", None, "gain in agreement with the private network, 1 being a distilled copy; chance 0"),
            "model",
            lambda of: fidelity_of(of.scores).gain,
        ),
        (
            Column(f"Network of {networks}", None, f"architectures guessed; {network}"),
            "network",
            lambda of: labels_of(of.scores).architecture,
        ),
    ]


def _by_rule(rule: str) -> tuple[Column, str, FoundOf]:
    """Return a column for audits that have read classes by this rule off a classifier in some method's messages."""
    title = f"Classes by {rule}"
    words = "the same without learning, by what grows in the classifier, if one travels; chance 0.5"
    return Column(title, None, words), rule, lambda of: labels_of(of.scores, rule).presence


_FOUND_RARELY: tuple[Column, str, FoundOf] = (
    Column("Found at 0.1 %", None, "the same at 0.1 %, all clients' and seeds' scores together; chance 0.001"),
    column_of("membership", SERVER),
    lambda of: _rare(of),
)
"""A column for audits with 10,000 non-members or more: with fewer it would be chance's."""


def _rare(of: Audited) -> Found | None:
    return of.membership.rate(SERIES, SERVER, 0.001, POOLED_NON_MEMBERS)


def privacy_table(comparison: Comparison, audited: Sequence[Audited]) -> Table:
    """Make the table of all attacks, a row per method, with accuracy and bytes beside them."""
    attacks = _columns(audited)
    columns = [
        Column("Method"),
        Column("Accuracy [%]", "high", f"mean over clients {comparison.moment.words}"),
        Column("Sent [MB]", "low", "up and down, all clients, all rounds"),
        *(column for column, _, _ in attacks),
        Column("If released", None, "area of membership by the loss of the private network, which nobody sends"),
    ]
    rows = [
        [
            Cell(of.label, of.label),
            mean_cell(comparison.scores(of.label), NUMBER),
            mean_cell([run.total("bytes") / 1e6 for run in comparison.of(of.label)]),
            *(attack_cell(of, control, value) for _, control, value in attacks),
            attack_cell(of, "membership", lambda of: of.private("released"), of_messages=False),
        ]
        for of in audited
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
        return Cell(f"invalid ({cell.text})", None, f"{of.label}: this says nothing, as {why}")
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
    clients = sorted({len(of.membership.messages(of.last, SERVER)) for of in audited if of.sends})
    seconds = [float(np.mean([facts_of(scores)["seconds"] for scores in of.scores])) for of in audited if of.sends]
    return (
        f"Uploads of rounds {', '.join(map(str, rounds))}, of {' or '.join(map(str, clients)) or 'no'} clients, all "
        "seeds together; brackets are 95 % bootstrap intervals over clients and seeds. Members and others are of one "
        "client, matched class by class. Attacks are a server's, which sees messages alone; an auditor knows all but "
        "who is a member, the private state before the round included, which may show members without any message. "
        f"{NO_PROOF} "
        + _promised(audited)
        + (f"An audit took {min(seconds):.0f} to {max(seconds):.0f} s a run." if seconds else "")
    )


def _promised(audited: Sequence[Audited]) -> str:
    """Say what noise promises, and the most that any attack may reach; nothing without noise."""
    promise = next((of.promise for of in audited if of.promise), None)
    if promise is None:
        return ""
    told, record = (
        [largest_area(apart * mu) for mu in (promise.one_message_mu, promise.mu)] for apart in (1, MOST_OF_A_RECORD)
    )
    return (
        f"Noise: {promise.words}. No attack tells a client's message from zeros with an area above {told[0]:.2f}, or "
        f"all of them with one above {told[1]:.2f}; what one record changes is twice as long at most, so of a record "
        f"the areas are {record[0]:.2f} and {record[1]:.2f} at most. "
    )


def sheet_table(comparison: Comparison, audited: Sequence[Audited]) -> Table:
    """Make the exposure sheet: what travels, without any attack."""
    columns = [
        Column("Method"),
        Column("Up"),
        Column("Down"),
        Column("Keyed by class", None, "rows of a class can be told apart"),
        Column("Own rows only", None, "the rows that are there are the client's classes; – if none lacks any"),
        Column("Counts", None, "numbers of samples by class travel"),
        Column("Buffers", None, "running statistics travel"),
        Column("Private weights", "low", "share of the numbers of a client's own network that travel, to the bit"),
        Column("Silent", None, "messages of different networks have the same names and shapes"),
        Column("Sums suffice", None, "the server does the same for all messages with one sum"),
        Column("Numbers", "low", "of one upload, with those of absent rows"),
    ]
    noise = max((promise.sigma for of in audited if (promise := of.promise)), default=None)
    if noise:
        columns.append(Column("Noise", "low", "length of one upload's noise before it is shared, in clipping norms"))
    rows = [[Cell(of.label, of.label), *_sheet_cells(of), *([noise_cell(of)] if noise else [])] for of in audited]
    caption = (
        "Read off the messages of the last audited round: bytes of one message by name, and what they say as such."
    )
    return Table("privacy-sheet", "Exposure", comparison.title, caption, columns, rows)


def _sheet_cells(of: Audited) -> list[Cell]:
    if not of.sends:
        return [Cell(SENDS_NOTHING), *[Cell(NOTHING)] * 9]
    facts = of.sheets[-1]
    up, down = facts["up"], facts["down"]
    shares = [share for sheet in of.sheets if (share := sheet["private_share"]) is not None]
    silent = _yes(facts["silent"]) if facts["architectures"] > 1 else Cell("one network")
    flags = [_yes(up[name]) for name in ("by_class", "own_rows_only", "counts", "buffers")]
    numbers = Cell(f"{up['numbers']:,.0f}", up["numbers"])
    exposed = mean_cell([100 * share for share in shares], "{:.1f} %")
    return [_bytes(up), _bytes(down), *flags, exposed, silent, _yes(facts["sums_suffice"]), numbers]


def noise_cell(of: Audited) -> Cell:
    """Return sigma x the root of the upload's length: what makes short messages survive noise."""
    if not of.sends or not of.promise:
        return Cell(NOTHING)
    length = of.promise.sigma * of.sheets[-1]["up"]["numbers"] ** 0.5
    return Cell(f"{length:.3g}", length)


def _bytes(direction: Mapping[str, Any]) -> Cell:
    return Cell(", ".join(f"{name} {size:,.0f} B" for name, size in direction["bytes"].items()) or NOTHING)


def _yes(flag: bool | None) -> Cell:
    return Cell(NOTHING if flag is None else "yes" if flag else "no")


def control_table(comparison: Comparison, audited: Sequence[Audited]) -> Table:
    """Make the table of controls, a row for each: what it read, and between which limits it has to be."""
    columns = [
        Column("Method"),
        Column("Column"),
        Column("Control"),
        Column("Reads"),
        Column("Must be"),
        Column("Holds"),
    ]
    rows = [_control_row(of.label, control) for of in audited for control in of.controls]
    caption = (
        "Attacks on messages of which one knows what they give away. A column with one that does not hold is invalid."
    )
    return Table("privacy-controls", "Controls of the attacks", comparison.title, caption, columns, rows)


def _control_row(label: str, control: Verdict) -> list[Cell]:
    return [
        Cell(label, label),
        Cell(control.column),
        Cell(control.name),
        Cell(f"{control.value:.3f}", control.value),
        Cell(limits_text(control)),
        _yes(control.holds),
    ]
