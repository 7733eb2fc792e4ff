"""Names of files and folders; expected names are worked out by hand."""

import unicodedata

import pytest

from benchmark.errors import RequestError
from benchmark.storage.names import STEM_BYTES, apart, clean_name, file_name, folded

HINDI = "\u0939\u093f\u0928\u094d\u0926\u0940"
UMLAUT, DECOMPOSED = "\u00fc", "u\u0308"
REFUSED = [
    *("", ".", "..", "a/b", "a\\b", "a:b", "a" * 121, "a\nb", "a\tb", "a\x7fb", "a\udce9", "a\u202eb"),
    *("con", "NUL", "Aux.npz", "com1", "lpt9.old", "prn ", "ends with.", "ends with "),
    "\u6570" * 67,  # 201 bytes
]


@pytest.mark.parametrize("name", REFUSED, ids=ascii)
def test_names_that_are_no_folder_somewhere(name):
    with pytest.raises(RequestError, match="can't name a folder on every system"):
        file_name("--experiment", name)


@pytest.mark.parametrize(
    "name",
    [
        "fedmoe+gate=static",
        "\u6570\u636e\u96c6",
        HINDI,
        "\u0645\u06cc\u200c\u062e\u0648",
        "two words",
        "console",
        "com10",
    ],
    ids=ascii,
)
def test_names_in_any_script_stay(name):
    assert file_name("--experiment", name) == name


def test_a_name_is_composed():
    assert file_name("data set", f"{DECOMPOSED}ber") == f"{UMLAUT}ber"


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("Set", "sET"),
        (f"{UMLAUT}", DECOMPOSED),
        ("stra\u00dfe", "STRASSE"),
        ("\ufb01le", "file"),
        ("\u0399", "\u03b9"),
        ("\u212bngstr", "\u00e5NGSTR"),
    ],
    ids=ascii,
)
def test_what_some_system_takes_for_one_name(a, b):
    assert folded(a) == folded(b)
    assert apart([a, b]) == [a, f"{b}-2"]


def test_numbers_behind_names_are_free():
    assert apart(["a", "a-2", "A"]) == ["a", "a-2", "A-3"]
    assert apart(["a-2", "a"]) == ["a-2", "a"]
    assert apart(["a-3", "a", "a"]) == ["a-3", "a", "a-4"]


def test_words_become_the_beginning_of_a_file_name():
    assert clean_name("digits-dirichlet:0.3:0.5 / x") == "digits-dirichlet0.3_0.5x"
    assert clean_name("../../etc") == "etc"
    assert clean_name("-rf") == "rf"
    assert clean_name("\u6570\u636e \u96c6!") == "\u6570\u636e\u96c6"
    assert clean_name(HINDI) == HINDI  # its vowel signs are no letters
    assert clean_name("\U0001f389") == "unnamed"
    assert clean_name("con.x") == "_con.x"


def test_a_cut_name_ends_between_letters():
    name = clean_name("a" + "\u6570" * 99)
    assert name == "a" + "\u6570" * 53  # 160 bytes: 1 + 53 * 3
    assert len(name.encode()) == STEM_BYTES
    assert unicodedata.is_normalized("NFC", name)
