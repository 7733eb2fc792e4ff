"""CIFAR-10: 60,000 colour photographs of 32x32 in 10 classes. A. Krizhevsky, 2009."""

from functools import partial

from benchmark.api import Source, from_torchvision

SOURCE = Source(
    partial(from_torchvision, "CIFAR10"),
    target=90.0,
    fingerprint="90452e7f6ea800a12fa543ee4e4e4f6e",
    home="https://www.cs.toronto.edu/~kriz/cifar.html",
    licence="none stated",
)
