"""Class means, prototypes and training inside a hook, on two or three numbers."""

from itertools import chain

import pytest
import torch
from torch import nn

from benchmark.functional import class_means, class_sums, fit, nearest, pull
from benchmark.seeds import torch_seeded


@pytest.fixture
def known(rows):
    return rows([[0.0, 0.0], [3.0, 4.0], [0.0, 0.0]], [True, True, False])


def line(weight: float) -> nn.Linear:
    """y = weight x."""
    linear = nn.Linear(1, 1, bias=False)
    nn.init.constant_(linear.weight, weight)
    return linear


def test_class_sums_by_hand():
    sums = class_sums(torch.tensor([[1.0, 3.0], [5.0, 5.0], [3.0, 5.0]]), torch.tensor([0, 2, 0]), 4)
    assert sums["sums"].tolist() == [[4.0, 8.0], [0.0, 0.0], [5.0, 5.0], [0.0, 0.0]]
    assert sums["counts"].tolist() == [2, 0, 1, 0]


def test_class_means_are_of_all_batches_and_of_the_clients_own_classes():
    """Class 0: (1, 3) in one batch, (3, 5) and (5, 1) in the next; a mean of the batches' means would be (2.5, 3)."""
    parts = [
        class_sums(torch.tensor([[1.0, 3.0], [5.0, 5.0]]), torch.tensor([0, 2]), 3),
        class_sums(torch.tensor([[3.0, 5.0], [5.0, 1.0]]), torch.tensor([0, 0]), 3),
    ]
    means = class_means({name: parts[0][name] + parts[1][name] for name in parts[0]})
    assert means.values.tolist() == [[3.0, 3.0], [0.0, 0.0], [5.0, 5.0]]
    assert means.present.tolist() == [True, False, True]


def test_pull_by_hand(known):
    """(1, 0) to (0, 0) is 1/2; (3, 2) to (3, 4) is 4/2; class 2 has no row, though the mean is over three."""
    r = torch.tensor([[1.0, 0.0], [3.0, 2.0], [9.0, 9.0]])
    assert pull(r, torch.tensor([0, 1, 2]), known).item() == pytest.approx(2.5 / 3)


def test_pull_moves_no_sample_of_a_class_without_a_row(known):
    r = torch.tensor([[1.0, 0.0], [9.0, 9.0]], requires_grad=True)
    pull(r, torch.tensor([0, 2]), known).backward()
    assert r.grad.tolist() == [[0.5, 0.0], [0.0, 0.0]]  # of x^2 / 2 / 2 at 1


def test_nearest_by_hand(known):
    """(0, 0) is 0 and 5 away; (3, 0) is 3 and 4 away; a class without a row is infinitely far, not at the origin."""
    scores = nearest(torch.tensor([[0.0, 0.0], [3.0, 0.0]]), known)
    assert scores.tolist() == [[0.0, -5.0, -torch.inf], [-3.0, -4.0, -torch.inf]]


def squares(module):
    return lambda x, y: (module(x) - y).square().mean()


def test_fit_takes_the_step_of_gradient_descent():
    """(w x)^2 at w = 1, x = 2 has the slope 2 x 2 x 2 = 8 in w: w = 1 - 0.1 x 8."""
    module = line(1.0)
    fit(module, squares(module), (torch.tensor([[2.0]]), torch.tensor([[0.0]])), epochs=1, batch_size=1, lr=0.1)
    assert module.weight.item() == pytest.approx(0.2)


def test_fit_starts_every_step_from_no_gradient_and_has_no_momentum():
    """Each step multiplies w with 1 - 0.1 x 8 = 0.2; gradients that pile up would give 0.2 - 0.1 x (8 + 1.6)."""
    module = line(1.0)
    fit(module, squares(module), (torch.tensor([[2.0]]), torch.tensor([[0.0]])), epochs=3, batch_size=1, lr=0.1)
    assert module.weight.item() == pytest.approx(0.008)


def seen(n: int, *, epochs: int, batch_size: int, seed: int = 0) -> list[list[int]]:
    """The batches of indices that fit shows a loss; checks that two tensors stay side by side."""
    batches, module = [], line(1.0)

    def loss(i, twice):
        assert torch.equal(2 * i, twice)
        batches.append(i.tolist())
        return module.weight.sum()

    with torch_seeded("server", seed=seed):
        fit(module, loss, (torch.arange(n), 2 * torch.arange(n)), epochs=epochs, batch_size=batch_size, lr=0.1)
    return batches


def test_fit_shows_all_data_in_every_epoch_with_the_remainder():
    """7 in threes: two full batches and one of a single sample, none dropped, and less than a batch is one."""
    batches = seen(7, epochs=2, batch_size=3)
    assert [len(batch) for batch in batches] == [3, 3, 1] * 2
    assert sorted(chain(*batches[:3])) == sorted(chain(*batches[3:])) == list(range(7))
    assert [sorted(batch) for batch in seen(2, epochs=1, batch_size=64)] == [[0, 1]]


def test_fit_shuffles_in_every_epoch():
    batches = seen(40, epochs=2, batch_size=40)
    assert batches[0] != batches[1]
    assert list(range(40)) not in batches


def test_fit_draws_from_the_seed_of_the_server_alone():
    assert seen(40, epochs=2, batch_size=8) == seen(40, epochs=2, batch_size=8)
    assert seen(40, epochs=2, batch_size=8) != seen(40, epochs=2, batch_size=8, seed=1)


def test_fit_works_where_gradients_are_switched_off():
    module = line(1.0)
    with torch.no_grad():
        fit(module, squares(module), (torch.tensor([[2.0]]), torch.tensor([[0.0]])), epochs=1, batch_size=1, lr=0.1)
    assert module.weight.item() == pytest.approx(0.2)
