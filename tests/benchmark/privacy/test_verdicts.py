"""When a column says nothing, from crafted verdicts."""

import numpy as np
import pytest

from benchmark.privacy.verdicts import Verdict, limits_text, why_invalid

CHANCE = Verdict("membership, server", "noise", 0.51, 0.45, 0.55)
LEAKS = Verdict("membership, server", "another client", 0.60, 0.45, 0.55)
FOUND = Verdict("membership, server", "records that stand ten times", 0.70, 0.57, 1.0, power=True)
LOST = Verdict("membership, server", "records that stand ten times", 0.51, 0.57, 1.0, power=True)
OF_ALL = Verdict("membership", "labels alone", 0.70, 0.45, 0.55)
ELSEWHERE = Verdict("membership, auditor", "noise", 0.80, 0.45, 0.55)


@pytest.mark.parametrize(
    ("made", "value", "fails"),
    [
        ([CHANCE, FOUND], 0.5, None),
        ([CHANCE, FOUND, ELSEWHERE], 0.5, None),
        ([CHANCE, LOST], 0.5, "ten times"),
        ([CHANCE, LOST], None, "ten times"),
        ([CHANCE, LOST], 0.56, None),  # beyond what chance may read
        ([LEAKS, LOST], 0.56, "another client"),
        ([LEAKS, FOUND], 0.56, "another client"),
        ([CHANCE, FOUND, OF_ALL], 0.56, "labels alone"),
        ([LOST], 0.9, "ten times"),  # nobody knows what chance may read
    ],
)
def test_a_column_says_nothing_if_a_control_fails_that_matters(made, value, fails):
    said = why_invalid(made, "membership, server", value)
    assert said is None if fails is None else fails in said


def test_limits_in_words():
    assert limits_text(CHANCE) == "0.450 to 0.550"
    assert limits_text(Verdict("gain", "noise", 0.0, -np.inf, 0.05)) == "at most 0.050"
    assert limits_text(Verdict("gain", "clear", 1.0, 0.5, np.inf)) == "at least 0.500"
