"""Fashion-MNIST: 70,000 grey pictures of clothes, 28x28. H. Xiao et al., 2017, arXiv 1708.07747."""

from functools import partial

from benchmark.api import Source, from_torchvision

SOURCE = Source(
    partial(from_torchvision, "FashionMNIST"),
    target=95.0,
    home="https://github.com/zalandoresearch/fashion-mnist",
    licence="MIT",
)
