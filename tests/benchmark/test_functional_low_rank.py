"""Which rank travels, by hand on diagonal matrices, and that what comes back holds the energy that was asked for."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.channel import nbytes, packed
from benchmark.functional import compressed, decompressed, rank


def diagonal(*values: float) -> torch.Tensor:
    return torch.tensor(values)


@pytest.mark.parametrize(
    "singular, energy, expected",
    [
        ((4, 3), 0.64, 1),  # 16 of 25 is 0.64, and that share is reached
        ((4, 3), 0.65, 2),
        ((8, 4, 1), 0.79, 1),  # 64, 80, 81 of 81 are 0.790, 0.988, 1
        ((8, 4, 1), 0.80, 2),
        ((8, 4, 1), 0.98, 2),
        ((8, 4, 1), 0.99, 3),
        ((5, 0, 0), 1.0, 1),
        ((5, 1, 1), 0.0, 1),  # never none
    ],
)
def test_rank_by_hand(singular, energy, expected):
    assert rank(diagonal(*singular), energy) == expected


@pytest.mark.parametrize("energy", [0.0, 0.5, 0.95, 1.0])
def test_a_zero_matrix_has_rank_one(energy):
    """One holds all there is of nothing; none would be no message."""
    assert rank(torch.zeros(3), energy) == 1
    nothing = {"w": torch.zeros(5, 4)}
    assert nbytes(compressed(nothing, energy)) == 4 * (5 + 1 + 4)
    assert torch.equal(decompressed(compressed(nothing, energy), like=nothing)["w"], nothing["w"])


def test_a_flat_spectrum_needs_its_full_rank():
    """Ten equal values hold 95 % in ten, not in nine; the authors' loop ends at nine and leaves the rank at 0."""
    assert rank(torch.ones(10), 0.95) == 10
    assert rank(torch.ones(20), 0.95) == 19
    assert rank(torch.ones(20), 1.0) == 20


def test_what_needs_its_full_rank_is_not_dropped():
    """A header of 10 x 500 with ten equal singular values arrives as it is."""
    header = {"weight": torch.eye(10, 500)}
    sent = compressed(header, 0.95)
    assert list(sent) == ["weight"]
    assert torch.equal(decompressed(sent, like=header)["weight"], header["weight"])


def of_rank(r: int, rows: int, columns: int) -> torch.Tensor:
    """A matrix with r singular values of 1."""
    matrix = torch.zeros(rows, columns)
    matrix[range(r), range(r)] = 1.0
    return matrix


@pytest.mark.parametrize(
    "r, rows, columns, factors",
    [
        (2, 7, 4, True),  # 2 x 12 = 24 < 28
        (2, 5, 4, False),  # 2 x 10 = 20 = 20: no fewer bytes
        (3, 6, 8, True),  # 3 x 15 = 45 < 48
        (3, 6, 7, False),  # 3 x 14 = 42 = 42
        (4, 6, 8, False),  # 4 x 15 = 60 > 48
        (1, 1, 9, False),  # one row: 1 x 11 > 9
    ],
)
def test_the_smaller_travels(r, rows, columns, factors):
    weights = {"w": of_rank(r, rows, columns)}
    sent = compressed(weights, 1.0)
    assert set(sent) == ({"w.u", "w.sigma", "w.v"} if factors else {"w"})
    assert nbytes(sent) == 4 * min(r * (rows + columns + 1), rows * columns)
    torch.testing.assert_close(decompressed(sent, like=weights)["w"], weights["w"])


def test_factors_by_hand():
    """diag(4, 3) in four columns more: 64 % of the energy is the first value alone."""
    weights = {"w": torch.zeros(2, 6)}
    weights["w"][0, 0], weights["w"][1, 1] = 4.0, 3.0
    sent = compressed(weights, 0.6)
    assert sent["w.sigma"].tolist() == [4.0]
    assert sent["w.u"].abs().tolist() == [[1.0], [0.0]]
    assert sent["w.v"].abs().tolist() == [[1.0, 0.0, 0.0, 0.0, 0.0, 0.0]]
    assert decompressed(sent, like=weights)["w"].tolist() == [[4.0] + [0.0] * 5, [0.0] * 6]


def test_kernels_of_a_convolution_are_one_row_per_filter():
    """32 filters of 16 x 5 x 5: a matrix of 32 x 400, not 512 matrices of 5 x 5."""
    filters = torch.outer(torch.arange(1.0, 33), torch.linspace(-1, 1, 400)).view(32, 16, 5, 5)
    for layout in (torch.contiguous_format, torch.channels_last):
        weights = {"conv": filters.contiguous(memory_format=layout)}
        sent = compressed(weights, 0.95)
        assert {name: tuple(part.shape) for name, part in sent.items()} == {
            "conv.u": (32, 1),
            "conv.sigma": (1,),
            "conv.v": (1, 400),
        }
        back = decompressed(sent, like=weights)["conv"]
        assert back.shape == (32, 16, 5, 5)
        torch.testing.assert_close(back, filters, rtol=1e-4, atol=1e-4)


def test_what_is_no_matrix_of_finite_numbers_travels_as_it_is():
    weights = {
        "bias": torch.randn(9),
        "count": torch.tensor(3),
        "table": torch.arange(400).view(20, 20),
        "gone": torch.full((9, 9), math.inf),
    }
    sent = compressed(weights, 0.5)
    assert list(sent) == list(weights)
    for name, tensor in decompressed(sent, like=weights).items():
        assert tensor.dtype == weights[name].dtype
        assert torch.equal(tensor, weights[name])


def test_a_random_square_does_not_pay():
    """At 95 % a random 500 x 500 has rank 305 or so: 305 x 1001 numbers where it has 250 000."""
    weights = {"w": torch.randn(500, 500, generator=torch.Generator().manual_seed(0))}
    assert rank(torch.linalg.svdvals(weights["w"]), 0.95) == pytest.approx(305, abs=3)
    assert list(compressed(weights, 0.95)) == ["w"]


@settings(max_examples=40, deadline=None)
@given(
    rows=st.integers(1, 12),
    columns=st.integers(1, 12),
    inner=st.integers(1, 12),
    percent=st.integers(0, 100),
    seed=st.integers(0, 99),
)
def test_what_comes_back_holds_the_energy(rows, columns, inner, percent, seed):
    draw = torch.Generator().manual_seed(seed)
    w = torch.randn(rows, inner, generator=draw) @ torch.randn(inner, columns, generator=draw)
    sent = compressed({"w": w}, percent / 100)
    back = decompressed(sent, like={"w": w})["w"]
    lost = (w - back).square().sum() / w.square().sum()
    assert lost <= 1 - percent / 100 + 1e-5
    if "w" in sent:
        assert torch.equal(back, w)


def test_both_sides_make_the_same_of_the_factors():
    """The sender's own factors and the copy that has travelled give equal weights, to the bit."""
    draw = torch.Generator().manual_seed(1)
    weights = {"w": torch.randn(60, 5, generator=draw) @ torch.randn(5, 70, generator=draw)}
    sent = compressed(weights, 0.95)
    assert "w.u" in sent
    assert all(part.is_contiguous() for part in sent.values())
    assert torch.equal(decompressed(sent, like=weights)["w"], decompressed(packed(sent), like=weights)["w"])
