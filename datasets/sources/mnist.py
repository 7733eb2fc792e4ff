"""MNIST: 70,000 handwritten digits of 28x28. Y. LeCun et al., 1998."""

from functools import partial

from benchmark.api import Source, from_torchvision

SOURCE = Source(
    partial(from_torchvision, "MNIST"),
    target=99.0,
    home="http://yann.lecun.com/exdb/mnist",
    licence="CC BY-SA 3.0, as Keras has it",
)
