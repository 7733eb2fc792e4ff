"""QMNIST: MNIST with all 60,000 test digits and the writer of each. C. Yadav and L. Bottou, 2019, arXiv 1905.10498.

120,000 digits of 28x28; the training part and the first 10,000 of the test part are MNIST's, rebuilt. Their writers are
their owners, so `--partition natural` makes clients of them.
"""

from functools import partial

from benchmark.api import Source, from_torchvision

NIST_WRITER = 2
"""Column of the extended labels with the writer's number in NIST's Special Database 19."""

SOURCE = Source(
    partial(from_torchvision, "QMNIST", compat=False, owner=NIST_WRITER),
    target=99.0,
    home="https://github.com/facebookresearch/qmnist",
    licence="BSD-3-Clause",
)
