import torch

from benchmark.engine import augment

X = torch.arange(1.0, 1 + 3 * 32 * 32).reshape(1, 3, 32, 32).repeat(400, 1, 1, 1)


def test_flip_mirrors_about_half_of_the_samples():
    torch.manual_seed(0)
    y = augment._flip(X)
    mirrored = (y == X.flip(3)).flatten(1).all(1)
    assert ((y == X).flatten(1).all(1) | mirrored).all()
    assert 150 < mirrored.sum() < 250


def test_erase_blanks_one_rectangle_of_the_right_size_in_about_half():
    torch.manual_seed(0)
    blank = augment._erase(X) == 0
    assert (blank == blank[:, :1]).all()  # the same in all channels
    area = blank[:, 0].sum((1, 2))
    erased = area[area > 0].float() / 1024
    assert 150 < len(erased) < 250
    assert erased.min() > 0.03
    assert erased.max() < 0.22  # sides are rounded
    for one in blank[area > 0][:20, 0]:
        rows, columns = one.any(1).sum(), one.any(0).sum()
        assert rows * columns == one.sum()
        assert 0.4 < rows / columns < 2.5


def test_shift_moves_by_up_to_four_pixels_and_fills_with_zeros():
    torch.manual_seed(0)
    y = augment._shift(X)
    offsets = set()
    for sample in y[:100]:
        seen = sample[0].nonzero()
        top_left, value = seen[0], sample[0][tuple(seen[0])]
        row, column = divmod(int(value) - 1, 32)
        offsets.add((int(top_left[0]) - row, int(top_left[1]) - column))
        assert (sample == 0).sum() == 3 * (
            1024 - (32 - abs(offsets_row := int(top_left[0]) - row)) * (32 - abs(int(top_left[1]) - column))
        )
        assert abs(offsets_row) <= 4
    assert len(offsets) > 30


def test_a_batch_keeps_its_shape_and_draws_from_the_current_generator():
    torch.manual_seed(3)
    a = augment.lab(X[:5])
    torch.manual_seed(3)
    assert torch.equal(a, augment.lab(X[:5]))
    assert a.shape == X[:5].shape
