"""What a report says on top, in crafted situations: the facts by hand, and words that the sentences must have."""

from dataclasses import replace

import numpy as np
import pytest

from benchmark.report.answer import answer_of, overall_answer
from benchmark.report.sentences import BYTE_UNITS, FLOP_UNITS, listed, quantity, sentences
from benchmark.storage.moments import LOCAL, MOMENTS

DOWNLOAD = MOMENTS[1]
PRICES = {"standalone": (0.0, 2e12), "a": (4e6, 3e12), "b": (1e9, 2e12)}
BASE = [70.0, 72.0, 71.0]


def of_seeds(*means):
    """Accuracies [seeds, clients] of two clients that are alike."""
    return np.repeat([means], 2, axis=0).T * 1.0


def above(*points):
    """Accuracies that are so many points above the reference's in each seed."""
    return of_seeds(*(base + more for base, more in zip(BASE, points, strict=False)))


@pytest.fixture
def answer(comparison_of):
    def of(a, b, downloaded=None, **more):
        scores = {"standalone": of_seeds(*BASE[: len(a)]), "a": a, "b": b}
        at = None if downloaded is None else dict(zip(("standalone", "a", "b"), downloaded, strict=True))
        return answer_of(comparison_of(scores, downloaded=at, prices=PRICES, **more), "standalone")

    return of


def test_nobody_differs(answer):
    """a: -1, 1, 0, mean 0; b: 2, -2, 3, mean 1, s = 2.65."""
    got = answer(above(-1, 1, 0), above(2, -2, 3))
    assert (got.pairing, got.told_apart, sorted(got.others)) == ("paired", [], ["a", "b"])
    assert (got.best, sorted(got.contenders)) == ("b", ["a", "b", "standalone"])
    assert (got.cheapest("bytes"), set(got.cheapest("flops"))) == (["standalone"], {"standalone", "b"})
    assert got.enough
    who, cheapest, enough = sentences(got)
    assert "No method is told apart from standalone, after local training" in who
    assert "from +0.00 (a) to +1.00 points (b)" in who
    assert "Not told apart from the best, b (72.00 % after local training), are" in cheapest
    assert "standalone sends least (nothing)" in cheapest
    assert enough.startswith("Rounds are enough")


def test_one_seed(answer):
    got = answer(above(5), above(-3))
    assert (got.tested, got.told_apart, got.seeds, got.enough, got.detectable) == (False, [], 1, False, None)
    who, cheapest, enough = sentences(got)
    assert "One seed tells no difference to standalone from chance" in who
    assert "from -3.00 (b) to +5.00 points (a)" in who
    assert "One seed tells no method apart from a (75.00 % after local training)" in cheapest
    assert "not enough" in enough and "1 seed where 3 are the least" in enough


def test_one_winner(answer):
    """a: 5, 5.1, 4.9; s = .1, standard error .0577, t(.975, 2) = 4.3027: 5 +- .25. b is at -1, 1, 0."""
    got = answer(above(5, 5.1, 4.9), above(-1, 1, 0))
    assert (got.told_apart, got.others, got.sign("a", LOCAL), got.sign("b", LOCAL)) == (["a"], ["b"], 1, 0)
    assert got.best == "a"
    assert got.contenders == ["a"]
    who, cheapest, _ = sentences(got)
    assert who == (
        "a is above standalone by 5.00 points [+4.75, +5.25] after local training, for 4 MB up and down and 1.50 times "
        "its FLOPs; b is not told apart from it."
    )
    assert (
        cheapest
        == "a (76.00 % after local training) is told apart from every other method; it sends 4 MB and computes 3 TFLOP."
    )


def test_a_winner_only_before_the_download(answer):
    """After the download a is at -4, -3, 1 and b where it was."""
    later = (of_seeds(*BASE), above(-4, -3, 1), above(-1, 1, 0))
    got = answer(above(5, 5.1, 4.9), above(-1, 1, 0), later)
    assert [got.sign("a", moment) for moment in (LOCAL, DOWNLOAD)] == [1, 0]
    assert got.told_apart == ["a"]
    (who, *_) = sentences(got)
    assert "a is above standalone by 5.00 points [+4.75, +5.25] after local training" in who
    assert "but not told apart after the next download (-2.00, p = 0.64)" in who


def test_a_method_may_win_before_the_download_and_lose_after_it(answer):
    later = (of_seeds(*BASE), above(-5, -5.1, -4.9), above(-1, 1, 0))
    got = answer(above(5, 5.1, 4.9), above(-1, 1, 0), later)
    assert [got.sign("a", moment) for moment in (LOCAL, DOWNLOAD)] == [1, -1]
    assert "after local training, but below by 5.00 points [-5.25, -4.75] after the next download" in sentences(got)[0]


def test_not_levelled(answer):
    """a climbs by 15 points in its last third: no method is the best, and differences stand as they are."""
    level, climbing = np.full((3, 45), 70.0), np.tile(np.arange(45.0), (3, 1))
    curves = {"standalone": level, "a": climbing, "b": level}
    got = answer(above(5, 5.1, 4.9), above(-1, 1, 0), curves=curves)
    assert (got.unlevelled, got.best, got.contenders, got.enough) == (["a"], None, [], False)
    assert got.told_apart == ["a"]
    assert got.cheapest("bytes") == ["standalone"]
    _, cheapest, enough = sentences(got)
    assert cheapest.startswith("No method is called the best before all curves have levelled")
    assert "curves still climb, or are too short to say, of a" in enough


def test_failed_runs(answer):
    got = answer(above(5, 5.1, 4.9), above(-1, 1, 0), failed=[("a", 1)])
    assert got.left_out == {"a": "1 of its 3 runs failed"}
    assert (got.told_apart, got.others, got.enough) == ([], ["b"], False)
    assert "a" not in got.prices
    assert "a is left out (1 of its 3 runs failed)" in sentences(got)[2]


def test_a_reference_that_failed(answer):
    got = answer(above(5, 5.1, 4.9), above(-1, 1, 0), failed=[("standalone", 0)])
    assert (got.pairing, got.told_apart, got.best) == ("reference not done", [], "a")
    assert sentences(got)[0] == "There is no difference to standalone: 1 of its 3 runs failed."


def test_the_reference_is_missing(comparison_of):
    got = answer_of(comparison_of({"a": above(5, 5.1, 4.9), "b": above(0, 1, 2)}, prices=PRICES), "standalone")
    assert (got.pairing, got.told_apart, got.best, got.contenders, got.enough) == (
        "no reference",
        [],
        "a",
        ["a"],
        False,
    )
    who, cheapest, enough = sentences(got)
    assert who == "standalone is not among these runs, so there is no difference to it; --reference names another."
    assert cheapest.startswith("a (76.00 %")
    assert "the reference is missing" in enough


def test_nothing_has_finished(comparison_of):
    got = answer_of(comparison_of({"a": above(5)}, failed=[("a", 0)]), "standalone")
    assert (got.pairing, got.best, got.prices) == ("no reference", None, {})
    assert sentences(got)[1] == "No method has finished, so there is none to choose."


def test_the_reference_alone(comparison_of):
    got = answer_of(comparison_of({"standalone": of_seeds(*BASE)}), "standalone")
    assert (got.pairing, got.best) == ("nothing beside the reference", "standalone")
    assert all(sentences(got))


def test_many_methods_are_counted(comparison_of):
    """Five methods above and five that are where the reference is: three are named, two and five counted."""
    scores = {"standalone": of_seeds(*BASE)} | {f"w{i}": above(9 - i, 9.01 - i, 8.99 - i) for i in range(5)}
    scores |= {f"n{i}": above(-1, 1, 0) for i in range(5)}
    (who, *_) = sentences(answer_of(comparison_of(scores, prices=dict.fromkeys(scores, (1.0, 1.0))), "standalone"))
    assert [f"w{i} is above" in who for i in range(5)] == [True] * 3 + [False] * 2
    assert "w3 and w4 differ too" in who
    assert "the other 5 are not told apart" in who


def test_what_could_be_seen_by_hand(answer):
    """One of two tests at 5 %: t(1 - .05/4, 2) = 6.2053 standard errors of .0577 and .577 are .358 and 3.58."""
    got = answer(above(5, 5.1, 4.9), above(-1, 1, 0))
    assert got.detectable == pytest.approx((0.3583 + 3.583) / 2, abs=1e-3)


def test_over_several_tasks(comparison_of):
    """a is 5 and 3 points above, per seed 4 on the average with s = .1; b is done in one of them and left out."""
    one = comparison_of({"standalone": of_seeds(*BASE), "a": above(5, 5.1, 4.9), "b": above(0, 1, 2)}, prices=PRICES)
    other = comparison_of({"standalone": of_seeds(*BASE), "a": above(3, 3.1, 2.9)}, prices=PRICES, dataset="x")
    got = overall_answer([one, other], "standalone")
    assert (got.tasks, got.told_apart, got.others, got.best, got.contenders) == (2, ["a"], [], "a", ["a"])
    assert got.best_score == pytest.approx(4)
    who, cheapest, _ = sentences(got)
    assert who.startswith(
        "Over 2 tasks together, a is above standalone by 4.00 points [+3.75, +4.25] after local training"
    )
    assert cheapest.startswith("a (+4.00 points to standalone after local training) is told apart")
    assert overall_answer([one], "standalone") is None
    assert overall_answer([one, comparison_of({"c": of_seeds(1, 2)}, dataset="y")], "standalone") is None


def test_over_tasks_that_have_not_levelled_nothing_is_averaged(comparison_of):
    """A mean over a task of three rounds and one of sixty would be a mean of how fast methods learn."""
    both = {"standalone": of_seeds(*BASE), "a": above(5, 5.1, 4.9)}
    found = [comparison_of(both, prices=PRICES, dataset=name) for name in ("digits", "x")]
    got = replace(overall_answer(found, "standalone"), best=None, contenders=[], unlevelled=["x"])
    who, cheapest, enough = sentences(got)
    assert who == "There is no answer over all 2 tasks together, as some of their curves have not levelled."
    assert cheapest == "No method is called the best before all curves have levelled."
    assert "in x" in enough


def test_amounts_have_units():
    assert [quantity(value, BYTE_UNITS) for value in (0, 12, 4.2e6, 1.596e11)] == [
        "nothing",
        "12 bytes",
        "4.2 MB",
        "160 GB",
    ]
    assert quantity(8.65e15, FLOP_UNITS) == "8.65 PFLOP"
    assert [listed(words) for words in ([], ["a"], ["a", "b"], ["a", "b", "c"])] == ["", "a", "a and b", "a, b and c"]
