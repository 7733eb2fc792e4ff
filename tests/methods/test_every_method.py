"""Every method here passes the suite that one's own pass: `python -m benchmark check`."""

import pytest

from benchmark.conformance.exchange import sent_bytes
from benchmark.conformance.methods import CHECKS
from benchmark.conformance.repetition import resume
from benchmark.conformance.training import odd_clients, trained_parts
from benchmark.plugins import registry

FEW = 3


def brief(name):
    """The method, with few passes or steps on the server where it has a field for them: hundreds take a minute."""
    _, spec = registry.method(name)
    fields = [f for f in ("server_epochs", "server_steps") if spec.hyperparameters.get(f, 0) > FEW]
    return registry.method("+".join([name, *(f"{field}={FEW}" for field in fields)]))[0]


VARIANTS = [
    *("fedproto+collect=after", "fd+collect=after", "fedtgp+collect=during", "fedgh+collect=during"),
    *("fml+weighting=uniform", "fedkd+weighting=uniform", "fedapen+weighting=uniform"),
    *("fedl2g+warm_up=1", "standalone+epochs=2"),
]


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize("run", [odd_clients, trained_parts, sent_bytes, resume], ids=lambda run: run.__name__)
def test_other_values_of_fields(run, name):
    run(brief(name))


@pytest.mark.parametrize("name", sorted(registry.catalogue("methods")))
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
def test_every_method(check, name):
    check.run(brief(name))
