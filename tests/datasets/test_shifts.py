"""Every shift: by client, of the same shape, and on copies."""

from itertools import permutations

import numpy as np
import pytest

from benchmark.errors import RequestError
from benchmark.partition import draw, shifted
from benchmark.plugins import registry

IMAGES = np.random.default_rng(0).integers(0, 256, (60, 4, 4, 3), dtype=np.uint8)
LABELS = np.arange(60) % 3


def shift(name):
    return registry.partition(f"iid+{name}", 3).shifts[0]


@pytest.mark.parametrize("name", registry.catalogue("datasets.shifts"))
def test_every_shift_keeps_the_shape_and_the_first_client_s_images(name):
    before = IMAGES.copy()
    for client in range(13):
        found = shift(name)(IMAGES, client)
        assert (found.shape, found.dtype) == (IMAGES.shape, np.uint8)
        assert np.array_equal(np.sort(found.reshape(60, -1)), np.sort(IMAGES.reshape(60, -1)))
    assert np.array_equal(shift(name)(IMAGES, 0), IMAGES)
    assert np.array_equal(IMAGES, before)


def test_rotations_by_hand():
    image = np.array([[1, 2], [3, 4]], dtype=np.uint8)[None, :, :, None]
    turned = [shift("rotated")(image, client)[0, :, :, 0].tolist() for client in range(5)]
    assert turned == [[[1, 2], [3, 4]], [[2, 4], [1, 3]], [[4, 3], [2, 1]], [[3, 1], [4, 2]], [[1, 2], [3, 4]]]


def test_six_orders_of_colours():
    image = np.array([10, 20, 30], dtype=np.uint8).reshape(1, 1, 1, 3)
    seen = [tuple(shift("recoloured")(image, client).ravel().tolist()) for client in range(7)]
    assert set(seen) == set(permutations([10, 20, 30]))
    assert seen[0] == seen[6] == (10, 20, 30)


def test_each_client_s_samples_are_shifted_and_nobody_else_s():
    division = registry.partition("iid+rotated+recoloured", 3)
    shares = draw(division, dataset="toy", labels=LABELS, clients=5, validation=0.1, seed=0)
    before = IMAGES.copy()
    found = shifted(IMAGES, shares, division.shifts)
    assert np.array_equal(IMAGES, before)
    rotated, recoloured = shift("rotated"), shift("recoloured")
    for client, splits in enumerate(shares.splits):
        for indices in splits:
            assert np.array_equal(found[indices], recoloured(rotated(IMAGES[indices], client), client))
    assert shifted(IMAGES, shares, ()) is IMAGES


def test_the_name_is_whole_and_the_draw_is_the_plain_one_s():
    division = registry.partition("pathological+rotated", 10)
    assert (division.name, division.plain) == ("pathological:2+rotated", "pathological:2")


@pytest.mark.parametrize(
    "name, shape, message",
    [
        ("rotated", (1, 28, 32, 3), "rotated needs square images, these have 28 x 32 pixels"),
        ("recoloured", (1, 28, 28, 1), "recoloured needs images of 3 channels, these have 1"),
    ],
)
def test_images_that_can_t_be_shifted(name, shape, message):
    with pytest.raises(RequestError, match=message):
        shift(name)(np.zeros(shape, dtype=np.uint8), 0)
