"""t-SNE ends the process for points that do not differ, so such points are not embedded."""

import numpy as np
import pytest

from benchmark.report.embedding import MOST_POINTS, embeddable, embedded

DRAWN = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)


@pytest.mark.parametrize(
    ("points", "possible"),
    [
        (DRAWN, True),
        (DRAWN[:4], True),
        (DRAWN * np.float32(1e30), True),
        (DRAWN * np.float32(1e-30), True),
        (DRAWN[:, :2] * [1, 0], True),  # on a line
        (np.ones_like(DRAWN), False),
        (np.zeros_like(DRAWN), False),
        (np.ones_like(DRAWN) + 1e-9 * DRAWN, False),
        (DRAWN[:3], False),
        (DRAWN[:0], False),
        (DRAWN[:, :1], False),
        (DRAWN[:, :0], False),
    ],
)
def test_which_points_are_embedded(points, possible):
    found = {"points": points}
    assert embeddable(found) == possible
    if possible:
        places, taken = embedded(found)
        assert places.shape == (len(points), 2)
        assert np.isfinite(places).all()
        assert taken.tolist() == list(range(len(points)))


def test_nothing_was_stored():
    assert not embeddable({})


def test_of_many_points_some_are_taken(monkeypatch):
    import sklearn.manifold

    class Quick:
        def __init__(self, **_):
            pass

        def fit_transform(self, points):
            return points[:, :2]

    monkeypatch.setattr(sklearn.manifold, "TSNE", Quick)
    for number in (MOST_POINTS, MOST_POINTS + 1, 20_000):
        places, taken = embedded({"points": np.arange(2.0 * number).reshape(number, 2)})
        assert MOST_POINTS / 2 <= len(places) == len(taken) <= MOST_POINTS
        assert (places[:, 0] == 2 * taken).all()
