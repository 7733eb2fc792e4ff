"""Names in any script in figures and in the names of files."""

import warnings

from matplotlib.figure import Figure
from matplotlib.text import Text

from benchmark.errors import telling
from benchmark.report import fonts, write
from benchmark.report.drawing import sheet

CHINESE = "\u6570\u636e\u96c6"


def test_letters_that_no_font_has_are_named():
    """A private letter, which only a font of placeholders has; DejaVu has Latin, Greek and Cyrillic."""
    assert fonts.undrawable(["\u00e9t\u00e9", "\u03b8", "\u0434\u0430"]) == ""
    assert fonts.undrawable(["a\uf8a1b"]) == "\uf8a1"


def test_letters_come_from_the_fonts_that_have_them(monkeypatch):
    monkeypatch.setattr(fonts, "_unusual", lambda words: frozenset("x" if "x" in "".join(words) else ""))
    figure = Figure()
    figure.subplots().set_title("x")
    fonts.choose_fonts(figure)
    families = {tuple(text.get_fontfamily()) for text in figure.findobj(Text)}
    assert {family[0] for family in families} == {fonts.USUAL}
    assert all(len(family) == 2 for family in families)


def test_no_library_warns(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with sheet(tmp_path / CHINESE, 1, (3, 2), CHINESE) as (axes,):
            axes.plot([0, 1], [0, 1], label=CHINESE)
            axes.set_xticks([0, 1], ["\u533b", "\u5b66"])
            axes.legend()
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".pdf", ".png"]


def test_reports_of_data_in_any_script_and_case(tmp_path, store, monkeypatch):
    monkeypatch.setattr(write, "PARALLEL_FROM_COMPARISONS", 10)
    monkeypatch.setattr(write, "write_figures", lambda *_: [])
    for dataset in (CHINESE, "Set", "set", "-rf", "\u0130stanbul"):
        store(tmp_path / "results", "standalone", [[5, 6]], dataset=dataset)
    said = []
    with telling(said.append):
        write.write_report(tmp_path / "results", tmp_path / "reports", ["exp"], write.ReportOptions())
    folder = tmp_path / "reports" / "exp"
    stems = sorted(path.name.removesuffix("-main.csv") for path in (folder / "tables").glob("*-main.csv"))
    assert len({stem.casefold() for stem in stems}) == len(stems) == 5
    assert CHINESE in stems
    assert not [stem for stem in stems if stem.startswith(("-", "."))]
    text = (folder / "report.md").read_text()
    assert text.count("\n## ") == 5
    assert f"## {CHINESE}\n" in text
    assert bool(fonts.undrawable([CHINESE])) == any("no font here has" in line for line in said)
