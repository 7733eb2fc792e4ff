import pytest
import torch

from benchmark.config import FederationConfig
from benchmark.schedule import Schedule, batch_sizes


@pytest.mark.parametrize(
    "n, batch, sizes",
    [(10, 4, [4, 4, 2]), (9, 4, [4, 5]), (8, 4, [4, 4]), (3, 64, [3]), (2, 2, [2]), (3, 2, [3]), (5, 4, [5])],
)
def test_batches_hold_all_samples_and_at_least_two(n, batch, sizes):
    assert batch_sizes(n, batch) == sizes
    assert sum(sizes) == n


def test_a_single_sample_is_seen_twice(make_task):
    task = make_task((1, 5))
    (batch,) = next(schedule(task).epochs(0, 0))
    assert batch.tolist() == task.clients[0].train.tolist() * 2


def schedule(task, **config):
    return Schedule(task, FederationConfig(clients=task.num_clients, batch_size=4, **config))


def test_an_epoch_is_a_permutation_of_the_clients_own_samples(make_task):
    task = make_task((7, 5, 9))
    epochs = schedule(task).epochs(1, 0)
    first, second = (torch.cat(next(epochs)) for _ in range(2))
    own = task.clients[1].train
    assert sorted(first.tolist()) == sorted(second.tolist()) == own.tolist()
    assert first.tolist() != second.tolist() != own.tolist()


def test_order_depends_on_seed_client_and_round_only(make_task):
    a = torch.cat(next(schedule(make_task(), lr=0.5).epochs(0, 3)))
    assert torch.equal(a, torch.cat(next(schedule(make_task(), lr=0.1).epochs(0, 3))))
    assert not torch.equal(a, torch.cat(next(schedule(make_task()).epochs(0, 4))))
    assert not torch.equal(a, torch.cat(next(schedule(make_task(seed=1)).epochs(0, 3))))


def test_participants_are_drawn_without_replacement(make_task):
    drawn = [schedule(make_task((4,) * 20), participation=0.25).participants(t) for t in range(200)]
    assert all(len(set(p)) == 5 and p == sorted(p) for p in drawn)
    counts = torch.bincount(torch.tensor(drawn).flatten(), minlength=20)
    assert counts.sum() == 1000
    assert counts.min() > 25  # 50 expected, binomial standard deviation 6


@pytest.mark.parametrize("participation, expected", [(1.0, 10), (0.2, 2), (0.01, 1)])
def test_number_of_participants(participation, expected):
    assert FederationConfig(clients=10, participation=participation).participants == expected
