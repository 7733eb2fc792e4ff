"""Statistics against published worked examples, and edge cases against numbers worked out by hand."""

import numpy as np
import pytest
from scipy.stats import f

from benchmark.report.statistics import (
    Paired,
    average_ranks,
    cliques,
    describe,
    detectable,
    has_width,
    holm,
    intervals,
    mean_interval,
    paired_t,
    pareto,
    performance_profile,
)

# Student 1908, hours of sleep gained by ten patients on two drugs; R's data set sleep
DRUG_1 = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]
DRUG_2 = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]

# Demšar 2006, Statistical comparisons of classifiers over multiple data sets, JMLR 7, table 6: AUC [14 data sets] of
# C4.5, C4.5+m, C4.5+cf and C4.5+m+cf. On voting the paper prints 0.975 twice, but with the ranks 2 and 3: it has
# ranked what it has not rounded, so a digit is put back here.
DEMSAR = np.array(
    [
        [0.763, 0.768, 0.771, 0.798],  # adult (sick, numeric)
        [0.599, 0.591, 0.590, 0.569],  # breast cancer
        [0.954, 0.971, 0.968, 0.967],  # breast cancer Wisconsin
        [0.628, 0.661, 0.654, 0.657],  # cmc
        [0.882, 0.888, 0.886, 0.898],  # ionosphere
        [0.936, 0.931, 0.916, 0.931],  # iris
        [0.661, 0.668, 0.609, 0.685],  # liver disorders
        [0.583, 0.583, 0.563, 0.625],  # lung cancer
        [0.775, 0.838, 0.866, 0.875],  # lymphography
        [1.000, 1.000, 1.000, 1.000],  # mushroom
        [0.940, 0.962, 0.965, 0.962],  # primary tumor
        [0.619, 0.666, 0.614, 0.669],  # rheum
        [0.972, 0.981, 0.9751, 0.975],  # voting
        [0.957, 0.978, 0.946, 0.970],  # wine
    ]
)


class TestMeanInterval:
    def test_nist_handbook(self):
        # NIST/SEMATECH e-Handbook 1.3.5.2: 195 values with mean 9.261460 and standard deviation 0.022789 have the
        # 95 % limits 9.258242 and 9.264679; the interval depends on nothing else of the values
        shape = np.random.default_rng(0).normal(size=195)
        values = 9.261460 + 0.022789 * (shape - shape.mean()) / shape.std(ddof=1)
        assert mean_interval(values) == pytest.approx((9.261460, 9.258242, 9.264679), abs=1.5e-6)

    def test_level(self):
        # t tables: the 0.95 quantile with 2 degrees of freedom is 2.920; the standard error of 1, 2, 3 is 1/√3
        assert mean_interval([1, 2, 3], level=0.9) == pytest.approx(
            (2, 2 - 2.920 / 3**0.5, 2 + 2.920 / 3**0.5), abs=1e-3
        )

    @pytest.mark.parametrize("values", [[], [3.0]])
    def test_none_for_fewer_than_two(self, values):
        assert mean_interval(values) is None

    def test_equal_values_have_no_width(self):
        assert mean_interval([0.1, 0.1, 0.1]) == (0.1, 0.1, 0.1)

    def test_values_apart_by_noise(self):
        low_to_high = mean_interval([0.3, 0.1 + 0.2, 0.3])
        assert low_to_high == pytest.approx((0.3, 0.3, 0.3))


class TestPairedT:
    def test_sleep(self):
        # R: t.test(extra ~ group, data = sleep, paired = TRUE): t = -4.0621, df = 9, p-value = 0.002833
        test = paired_t(DRUG_1, DRUG_2)
        assert test.n == 10
        assert test[1:4] == pytest.approx((-1.58, -2.4598858, -0.7001142), abs=1e-7)
        assert test.p == pytest.approx(0.002833, abs=5e-7)

    def test_level_widens_the_interval_alone(self):
        # t tables: the 0.995 quantile with 9 degrees of freedom is 3.250; the standard error is 1.58 / 4.0621
        test = paired_t(DRUG_1, DRUG_2, level=0.99)
        assert test.high - test.low == pytest.approx(2 * 3.250 * 1.58 / 4.0621, abs=1e-3)
        assert test.p == paired_t(DRUG_1, DRUG_2).p

    def test_sides_change_places(self):
        one, other = paired_t(DRUG_1, DRUG_2), paired_t(DRUG_2, DRUG_1)
        assert (other.mean, other.low, other.high, other.p) == pytest.approx((-one.mean, -one.high, -one.low, one.p))

    def test_no_difference(self):
        assert paired_t([0.3, 0.5, 0.7], [0.1 + 0.2, 0.5, 0.7]) == (3, 0, 0, 0, 1)

    def test_the_same_difference_everywhere(self):
        # 0.1 - 0.0, 0.3 - 0.2 and 0.8 - 0.7 differ in their last bits
        assert paired_t([0.1, 0.3, 0.8], [0.0, 0.2, 0.7]) == (3, 0.1, 0.1, 0.1, 0.25)
        assert paired_t([60.0, 70.0], [50.0, 60.0]).p == 0.5  # each of two seeds gains one step of ten samples

    def test_nearly_the_same_difference_does_not_warn(self):
        test = paired_t([1.0, 1.0, 1.0 + 1e-10], [0.0, 0.0, 0.0])
        assert test.low < test.mean < test.high
        assert test.p == pytest.approx(0, abs=1e-12)

    @pytest.mark.parametrize("values", [[], [3.0]])
    def test_none_for_fewer_than_two(self, values):
        assert paired_t(values, values) is None

    def test_pairs_must_match(self):
        with pytest.raises(ValueError):
            paired_t([1.0], [1.0, 2.0, 3.0])


class TestDescribe:
    def test_by_hand(self):
        # in order: -1 0 0 2 3 5
        found = describe([4, 1, 7, 7, 9, 2], [5, 1, 5, 4, 4, 2])
        assert found == (6, 1.0, 3 / 6, 2 / 6, 1 / 6)

    def test_ties_by_noise(self):
        assert describe([0.1 + 0.2, 0.5], [0.3, 0.5]) == (2, 0, 0, 1, 0)

    def test_sides_change_places(self):
        one, other = describe(DRUG_1, DRUG_2), describe(DRUG_2, DRUG_1)
        assert (other.median, other.better, other.equal) == (-one.median, one.worse, one.equal)

    def test_one_pair_and_none(self):
        assert describe([2.0], [1.0]) == (1, 1, 1, 0, 0)
        assert describe([], []) is None


class TestHolm:
    def test_demsar(self):
        # 3.2.2 of the paper: 0.016, 0.019 and 0.607 against 0.05 / 3, 0.05 / 2 and 0.05 reject the first two
        adjusted = holm([0.607, 0.016, 0.019])
        assert adjusted == pytest.approx([0.607, 0.048, 0.048])
        assert [p <= 0.05 for p in adjusted] == [False, True, True]

    def test_wikipedia(self):
        # "Holm–Bonferroni method", example: of 0.01, 0.04, 0.03 and 0.005 the first and the last are rejected
        assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])

    def test_never_above_one(self):
        assert holm([0.6, 0.4, 0.9]) == [1, 1, 1]

    def test_few(self):
        assert holm([0.2]) == [0.2]
        assert holm([]) == []


class TestPerformanceProfile:
    def test_by_hand(self):
        # above 1: 2 of 4 and 1 of 1; above 2: 1 of 4 and 1 of 1; above 5: none, as 5 is not above 5
        profile = performance_profile([[0, 1, 2, 3], [5]], [-1, 1, 2, 5])
        assert profile.tolist() == [1, 0.75, 0.625, 0]

    def test_nothing_to_aggregate(self):
        with pytest.raises(ValueError, match="a run of each task"):
            performance_profile([[1.0], []], [0.5])


class TestRounding:
    @pytest.mark.parametrize(
        ("a", "b", "shares"),
        [
            ([1e-15, 2e-15], [0, 3e-15], (0.5, 0, 0.5)),  # small scores differ as large ones do
            ([np.nextafter(1e6, 2e6)], [1e6], (0, 1, 0)),  # the last bit of a large score says nothing
            (np.array([1, 3], dtype=np.uint8), np.array([2, 1], dtype=np.uint8), (0.5, 0, 0.5)),
        ],
    )
    def test_differences_are_of_twelve_digits(self, a, b, shares):
        found = describe(a, b)
        assert (found.better, found.equal, found.worse) == shares


class TestAverageRanks:
    def test_demsar(self):
        # 3.2.2 of the paper, which gives F 3 and 39 degrees of freedom, the critical value 2.85 and no p
        ranks = average_ranks(DEMSAR)
        assert ranks.average == pytest.approx([3.143, 2.000, 2.893, 1.964], abs=5e-4)
        assert ranks.chi2 == pytest.approx(9.28, abs=5e-3)
        assert ranks.f == pytest.approx(3.69, abs=5e-3)
        assert ranks.critical_difference == pytest.approx(1.25, abs=5e-3)
        assert ranks.p == pytest.approx(f.sf(ranks.f, 3, 39))
        assert ranks.p < f.sf(2.85, 3, 39)
        assert ranks.n == 14

    def test_level(self):
        # the paper: at 0.10 the critical difference is 2.291 √(4·5 / (6·14)) = 1.12
        assert average_ranks(DEMSAR, level=0.1).critical_difference == pytest.approx(1.12, abs=5e-3)

    @pytest.mark.parametrize(
        "methods, q", list(enumerate([1.960, 2.343, 2.569, 2.728, 2.850, 2.949, 3.031, 3.102, 3.164], start=2))
    )
    def test_nemenyi(self, methods, q):
        # table 5(a) of the paper, computed there by division of rounded numbers by √2
        ranks = average_ranks(np.random.default_rng(0).normal(size=(6, methods)))
        assert ranks.critical_difference == pytest.approx(q * (methods * (methods + 1) / 36) ** 0.5, rel=5e-4)

    def test_two_methods(self):
        # one wins 4 of 5: average ranks 1.2 and 1.8, chi2 = 5 * 0.6², F = 4 * 1.8 / 3.2, which is t² with t = 1.5 and
        # 4 degrees of freedom, p = 0.208 (t tables)
        table = [[2, 0], [2, 0], [2, 0], [2, 0], [0, 2]]
        ranks = average_ranks(table)
        assert average_ranks(np.array(table, dtype=np.uint8)).average.tolist() == ranks.average.tolist()
        assert ranks.average == pytest.approx([1.2, 1.8])
        assert (ranks.chi2, ranks.f, ranks.p) == pytest.approx((1.8, 2.25, 0.208), abs=5e-4)

    def test_all_tasks_agree(self):
        # by chance the second and third task agree with the first in (1/3!)² of all cases
        ranks = average_ranks([[3, 2, 1], [30, 20, 10], [0.3, 0.2, 0.1]])
        assert ranks.average.tolist() == [1, 2, 3]
        assert (ranks.chi2, ranks.f, ranks.p) == (6, np.inf, 1 / 36)

    def test_all_methods_tie(self):
        ranks = average_ranks([[0.3, 0.1 + 0.2, 0.3], [0.0, 0.0, 0.0]])
        assert ranks.average.tolist() == [2, 2, 2]
        assert (ranks.chi2, ranks.f, ranks.p) == (0, 0, 1)

    @pytest.mark.parametrize("shape", [(1, 3), (3, 1), (0, 3)])
    def test_none_for_fewer_than_two(self, shape):
        assert average_ranks(np.ones(shape)) is None


class TestCliques:
    def test_demsar(self):
        # no two average ranks of the paper are 1.25 apart, so one bar joins all; figure 1(a) is of the 0.10 level,
        # where the distance is 1.12 and C4.5 differs from C4.5+m and C4.5+m+cf
        ranks = [3.143, 2.000, 2.893, 1.964]
        assert cliques(ranks, 1.25) == [(3, 1, 2, 0)]
        assert cliques(ranks, 1.12) == [(3, 1, 2), (2, 0)]

    def test_overlapping_and_alone(self):
        # 1-2-2.5 and 2-2.5-3 overlap, 2.5-3 is part of the latter, 5 is alone
        assert cliques([5, 2.5, 1, 3, 2], 1.5) == [(2, 4, 1), (4, 1, 3)]

    def test_difference_of_exactly_that(self):
        assert cliques([1, 2, 3.5], 1) == [(0, 1)]

    def test_none(self):
        assert cliques([1, 2, 3], 0.5) == []
        assert cliques([], 1) == []

    def test_ties(self):
        assert cliques([2, 2, 2], 0) == [(0, 1, 2)]
        evens, odds = tuple(range(0, 40, 2)), tuple(range(1, 40, 2))
        assert cliques(np.array([1, 2] * 20, dtype=np.uint8), 0) == [evens, odds]


class TestPareto:
    def test_by_hand(self):
        # the third costs more than the second and scores less, the fourth costs more and scores the same
        assert pareto([1, 2, 3, 4, 5], [10, 30, 20, 30, 40]) == [True, True, False, False, True]

    def test_same_cost(self):
        assert pareto([1, 1], [10, 20]) == [False, True]

    def test_duplicates(self):
        assert pareto([1, 1, 2, 2], [10, 10, 5, 5]) == [True, True, False, False]

    def test_one_and_none(self):
        assert pareto([1], [1]) == [True]
        assert pareto([], []) == []


def test_intervals_of_many_means():
    """Two runs at 1 and 3: 2 -+ t(1, 0.975) * sqrt(2) / sqrt(2), and that quantile is tan(0.475 pi) = 12.7062."""
    low, high = intervals(np.array([[1.0, 3.0], [5.0, 5.0]]))
    assert low.tolist() == pytest.approx([2 - 12.7062, 5], abs=1e-4)
    assert high.tolist() == pytest.approx([2 + 12.7062, 5], abs=1e-4)
    assert intervals(np.array([[1.0, 3.0]]), level=0.5)[1].tolist() == pytest.approx([3.0])  # t(1, 0.75) = 1
    assert all(np.isnan(side).tolist() == [True, True] for side in intervals(np.array([[1.0], [2.0]])))


def test_an_interval_without_width_says_something_only_of_no_difference():
    assert has_width(paired_t([1.0, 3.0], [0.0, 0.0]))
    assert has_width(paired_t([1.0, 3.0], [1.0, 3.0]))
    assert not has_width(paired_t([1.0, 3.0], [0.0, 2.0]))


def test_what_can_be_detected():
    """Of one test the half width; of two, by tan(0.4875 pi) = 25.4517 over 12.7062, twice as much and a little."""
    test = Paired(2, 0.0, -1.5, 1.5, 1.0)
    assert detectable(test, 1) == pytest.approx(1.5)
    assert detectable(test, 2) == pytest.approx(1.5 * 25.4517 / 12.7062, rel=1e-4)
