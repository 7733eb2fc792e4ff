"""Prints training's FLOPs per second as a share of a matrix product's, with one thread: what one run of a grid reaches.

Rounds of Standalone by the five networks of cnn5, 4,800 images, batch 64; the median, each beside products of its own.
"""

import runpy
from pathlib import Path
from statistics import median

import torch

from benchmark.measure.clock import matrix_product_rate

CLIENTS, ROUNDS = 5, 15

if __name__ == "__main__":
    torch.set_num_threads(1)
    make_federation = runpy.run_path(str(Path(__file__).parents[1] / "conftest.py"))["make_federation"]
    federation = make_federation("standalone", CLIENTS, 4800, 8, participation=0.2)
    shares = []
    for t in range(1, ROUNDS + 1):
        before = matrix_product_rate(torch.device("cpu"), repeats=3)
        record = federation.round(t)
        product = (before + matrix_product_rate(torch.device("cpu"), repeats=3)) / 2
        shares.append(record["client_flops"] / record["client_seconds"] / product)
    print(median(shares[CLIENTS:]))
