"""JSON from outside: refused for what the standard does not say, whatever Python's own reader makes of it."""

import json
import math

import pytest

from benchmark.storage.strict_json import DEEPEST, check_storable, loads

REFUSED = {
    "not a number": b'{"a": NaN}',
    "infinity": b"[Infinity]",
    "minus infinity": b"[-Infinity]",
    "a number that overflows": b'{"lr": 1e999}',
    "a small number that overflows": b"[-1e400]",
    "a name twice": b'{"a": 1, "b": 2, "a": 3}',
    "a name twice, escaped": b'{"a": 1, "\\u0061": 3}',
    "a name twice, deep down": b'[[{"x": {"a": 1, "a": 1}}]]',
    "61 levels": b"[" * 61 + b"]" * 61,
    "300 levels": b'{"a":' * 300 + b"1" + b"}" * 300,
    "levels that end nowhere": b"[" * 100_000,
    "half a surrogate pair": b'["\\ud800"]',
    "the other half": b'{"\\udc00": 1}',
    "a number of 5,000 digits": b"9" * 5000,
    "no UTF-8": b'["\xff"]',
    "two documents": b"1 2",
    "nothing": b"",
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_refused(kind):
    with pytest.raises(ValueError):
        loads(REFUSED[kind])


def test_python_s_own_reader_takes_some_of_it():
    """So that the reader here is of use."""
    taken = []
    for kind, content in REFUSED.items():
        try:
            json.loads(content)
            taken.append(kind)
        except (ValueError, RecursionError):
            pass
    assert len(taken) == 12


@pytest.mark.parametrize(
    "value",
    [{}, [], "[[[", '"\\"[', {"a": [1, 2.5, None, True, "\u6570", "\U0001f389"]}, -0.0, 1e308, 2**80, ["\\", '\\"']],
    ids=repr,
)
def test_what_is_read_as_python_reads_it(value):
    content = json.dumps(value).encode()
    assert loads(content) == json.loads(content)
    check_storable(value)


def test_brackets_in_texts_are_no_levels():
    assert loads(json.dumps(["[" * 1000, '"' + "{" * 1000]).encode()) == ["[" * 1000, '"' + "{" * 1000]
    deepest = b"[" * DEEPEST + b"]" * DEEPEST
    assert loads(deepest) == json.loads(deepest)


@pytest.mark.parametrize(
    "value",
    [
        math.nan,
        -math.inf,
        b"a",
        {1},
        object,
        {1: 2},
        10**31,
        "\udce9",
        {"\udce9": 1},
        [[math.inf]],
        1j,
        "a" * 1_000_001,
    ],
    ids=lambda value: repr(value)[:30],
)
def test_what_can_not_be_stored(value):
    with pytest.raises(ValueError):
        check_storable(value)
