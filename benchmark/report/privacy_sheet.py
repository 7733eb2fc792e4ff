"""What needs no attack: the exposure sheet, and whether the attacks' controls read as they must."""

from collections.abc import Mapping, Sequence
from typing import Any

from benchmark.privacy.verdicts import Verdict, limits_text
from benchmark.report.audited import SENDS_NOTHING, Audited
from benchmark.report.cells import NOTHING, Cell, Column, Table, mean_cell
from benchmark.report.frame import Comparison


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
        Column(
            "Private weights", "low", "share of the numbers of a client's own network that travel; – if in few bits"
        ),
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
