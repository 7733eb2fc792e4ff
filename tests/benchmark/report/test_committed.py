"""A committed report is what its committed results say."""

from pathlib import Path

from benchmark.report.write import ReportOptions, write_report

ROOT = Path(__file__).parents[3]
TEXTS = ("report.md", "tables/*")
"""Figures are left out: their bytes are matplotlib's, too."""


COMMAND = "python -m benchmark report --experiment mnist5k"


def texts(folder):
    """Path below a folder -> bytes."""
    return {file.relative_to(folder): file.read_bytes() for pattern in TEXTS for file in folder.glob(pattern)}


def test_texts_are_rebuilt_to_the_byte(tmp_path):
    (page,) = write_report(ROOT / "results", tmp_path, ["mnist5k"], ReportOptions(command=COMMAND))
    built, committed = texts(page.parent), texts(ROOT / "reports" / "mnist5k")
    assert built.keys() == committed.keys() and len(built) > 10
    assert [str(name) for name in built if built[name] != committed[name]] == []
