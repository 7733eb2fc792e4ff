"""Seconds by purpose, peak memory, and the yardstick of speed."""

import torch

from benchmark.measure.clock import Stopwatch, matrix_product_rate
from benchmark.measure.memory import PeakMemory


def test_a_stopwatch_adds_up_by_purpose():
    watch = Stopwatch(torch.device("cpu"))
    for purpose in ("a", "a", "b"):
        with watch.measure(purpose):
            sum(range(1000))
    assert watch.seconds["a"] > 0 < watch.seconds["b"]
    assert watch.seconds["c"] == 0


def test_peak_memory_is_at_least_what_is_held():
    memory = PeakMemory(torch.device("cpu"))
    held = torch.ones(2**26 // 4)  # 64 MiB
    assert memory.bytes > held.nbytes


def test_the_yardstick_is_a_rate():
    assert matrix_product_rate(torch.device("cpu"), size=64, repeats=3) > 1e6
