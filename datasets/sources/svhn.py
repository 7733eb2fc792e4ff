"""SVHN: 99,289 house numbers photographed in the street, 32x32. Y. Netzer et al., 2011."""

from functools import partial

from benchmark.api import Source, from_torchvision

SOURCE = Source(
    partial(from_torchvision, "SVHN"),
    target=90.0,
    home="http://ufldl.stanford.edu/housenumbers",
    licence="non-commercial use only",
)
