import pytest
import torch

from benchmark.config import FederationConfig
from benchmark.conformance.toy import make_task
from benchmark.schedule import Schedule, batch_sizes
from benchmark.seeds import numpy_generator, seed_round


@pytest.mark.parametrize(
    "n, batch, sizes",
    [(10, 4, [4, 4, 2]), (9, 4, [4, 5]), (8, 4, [4, 4]), (3, 64, [3]), (2, 2, [2]), (3, 2, [3]), (5, 4, [5])],
)
def test_batches_hold_all_samples_and_at_least_two(n, batch, sizes):
    assert batch_sizes(n, batch) == sizes
    assert sum(sizes) == n


def test_a_single_sample_is_seen_twice():
    task = make_task((1, 5))
    (batch,) = next(schedule(task).epochs(0, 1))
    assert batch.tolist() == task.clients[0].train.tolist() * 2


def test_participants_are_drawn_from_the_seed_and_the_round():
    found = {
        (seed, t): schedule(make_task((5,) * 40, seed=seed), participation=0.25).participants(t)
        for seed in (0, 1)
        for t in (1, 2)
    }
    assert len({*map(tuple, found.values())}) == 4
    for (seed, t), ids in found.items():
        rng = numpy_generator("participants", seed=seed, round=seed_round(t))
        assert ids == sorted(rng.choice(40, 10, replace=False).tolist())


def schedule(task, **config):
    return Schedule(task, FederationConfig(clients=task.num_clients, batch_size=4, **config))


def test_an_epoch_is_a_permutation_of_the_clients_own_samples():
    task = make_task((7, 5, 9))
    epochs = schedule(task).epochs(1, 1)
    first, second = (torch.cat(next(epochs)) for _ in range(2))
    own = task.clients[1].train
    assert sorted(first.tolist()) == sorted(second.tolist()) == own.tolist()
    assert first.tolist() != second.tolist() != own.tolist()


def test_order_depends_on_seed_client_and_round_only():
    a = torch.cat(next(schedule(make_task(), lr=0.5).epochs(0, 4)))
    assert torch.equal(a, torch.cat(next(schedule(make_task(), lr=0.1).epochs(0, 4))))
    assert not torch.equal(a, torch.cat(next(schedule(make_task()).epochs(0, 5))))
    assert not torch.equal(a, torch.cat(next(schedule(make_task(seed=1)).epochs(0, 4))))


def samples_of(task, client, stretch):
    """What a pass over a stretch shows, ascending."""
    return sorted(torch.cat(next(schedule(task).epochs(client, 1, stretch))).tolist())


@pytest.mark.parametrize("n", [2, 3, 7, 10, 20, 33])
@pytest.mark.parametrize("a", [0.01, 0.05, 0.5, 0.75, 0.99])
def test_two_stretches_that_meet_hold_every_sample_once(n, a):
    """Also where a share of so few samples rounds to none, or to all. A stretch of one sample shows it twice."""
    task = make_task((n, n))
    first, second = (set(samples_of(task, 1, stretch)) for stretch in ((0.0, a), (a, 1.0)))
    assert first and second
    assert not first & second
    assert sorted(first | second) == sorted(task.clients[1].train.tolist())


@pytest.mark.parametrize("a, sizes", [(0.05, (2, 38)), (0.1, (4, 36)), (0.5, (20, 20))])
def test_stretches_are_as_long_as_their_share(a, sizes):
    task = make_task((40,))
    own = task.clients[0].train.tolist()
    assert samples_of(task, 0, (0.0, a)) == own[: sizes[0]]
    assert samples_of(task, 0, (a, 1.0)) == own[sizes[0] :]


def test_a_stretch_of_nothing_holds_one_sample_and_leaves_the_other_all():
    task = make_task((8,))
    assert samples_of(task, 0, (0.0, 0.0)) == task.clients[0].train[:1].tolist() * 2
    assert samples_of(task, 0, (0.0, 1.0)) == task.clients[0].train.tolist()


def test_a_single_sample_is_in_both_stretches():
    task = make_task((1, 5))
    for stretch in ((0.0, 0.1), (0.1, 1.0)):
        assert samples_of(task, 0, stretch) == task.clients[0].train.tolist() * 2


def test_a_stretch_has_an_order_of_its_own_and_disturbs_no_other():
    drawn = schedule(make_task((40,)))
    whole, half, other = (drawn.epochs(0, 4, stretch) for stretch in ((0.0, 1.0), (0.0, 0.5), (0.5, 1.0)))
    passes = [torch.cat(next(epochs)) for epochs in (half, other, half, whole)]
    assert torch.equal(passes[3], torch.cat(next(drawn.epochs(0, 4))))
    restricted = passes[3][torch.isin(passes[3], passes[0])]
    assert not torch.equal(passes[0], restricted)
    assert not torch.equal(passes[0], passes[2])
    start = drawn.task.clients[0].train[0]
    assert not torch.equal(passes[0] - start, passes[1] - start - 20)


def test_participants_are_drawn_without_replacement():
    drawn = [schedule(make_task((4,) * 20), participation=0.25).participants(t) for t in range(1, 201)]
    assert all(len(set(p)) == 5 and p == sorted(p) for p in drawn)
    counts = torch.bincount(torch.tensor(drawn).flatten(), minlength=20)
    assert counts.sum() == 1000
    assert counts.min() > 25  # 50 expected, binomial standard deviation 6


@pytest.mark.parametrize("participation, expected", [(1.0, 10), (0.2, 2), (0.01, 1)])
def test_number_of_participants(participation, expected):
    assert FederationConfig(clients=10, participation=participation).participants == expected
