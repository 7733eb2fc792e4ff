"""CIFAR-100: 60,000 colour photographs of 32x32 in 100 classes. A. Krizhevsky, 2009."""

from functools import partial

from benchmark.api import Source, from_torchvision

SOURCE = Source(
    partial(from_torchvision, "CIFAR100"),
    target=50.0,
    fingerprint="db4ff933de87efeb44491986e1d119e5",
    home="https://www.cs.toronto.edu/~kriz/cifar.html",
    licence="none stated",
)
