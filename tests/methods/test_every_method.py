"""Every method here passes the suite that one's own pass: `python -m benchmark check`."""

import pytest

from benchmark import registry
from benchmark.conformance.methods import CHECKS


@pytest.mark.parametrize("name", sorted(registry.names("methods")))
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
def test_every_method(check, name):
    check.run(registry.method(name)[0])
