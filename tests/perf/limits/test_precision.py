"""What bf16 gains, on CPUs that have matrix units for it."""

from pathlib import Path
from statistics import median

import pytest

GAIN = 1.3
TURNS = 7
CPU_INFO = Path("/proc/cpuinfo")


@pytest.mark.skipif(
    not CPU_INFO.exists() or "amx_bf16" not in CPU_INFO.read_text(),
    reason="this CPU has no AMX: bf16 is emulated, and several times slower",
)
def test_bf16_is_faster_where_there_is_amx(make_federation, all_cores):
    federations = {p: make_federation("standalone", 5, 512, 8, precision=p) for p in ("fp32", "bf16")}
    seconds = {precision: [] for precision in federations}
    for t in range(1, TURNS + 2):
        for precision, federation in federations.items():
            seconds[precision].append(federation.round(t)["client_seconds"])
    gain = median(full / half for full, half in zip(seconds["fp32"][1:], seconds["bf16"][1:], strict=True))
    print(f"\nbf16: {gain:.2f} times as fast as fp32, at least {GAIN}")
    assert gain >= GAIN
