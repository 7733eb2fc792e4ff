"""Classes read off a classifier without learning."""

import pytest
import torch
import torch.nn.functional as F

from benchmark.channel import Rows
from benchmark.config import FederationConfig
from benchmark.conformance.toy import CPU
from benchmark.federation import Federation
from benchmark.plugins import registry
from benchmark.privacy.audit import PrivacyAudit
from benchmark.privacy.findings import BIAS_SIGN, ROW_SUMS, labels_of, of_noise
from benchmark.privacy.label_rules import guessed_by_rules
from benchmark.privacy.labels import changes_of
from benchmark.privacy.verdicts import verdicts

GROWN = torch.tensor([1, 0.2, -0.6, -0.6]).double()
"""Records of classes 0, 0 and 1 of four: 2/3, 1/3, 0 and 0 less 1/4 each, by the first of them."""


def classifier():
    """A network that says nothing yet, as it was broadcast and after one step on three records."""
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 2), torch.nn.Flatten(), torch.nn.Linear(4, 4))
    torch.nn.init.zeros_(network[2].weight)
    torch.nn.init.zeros_(network[2].bias)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    inputs = torch.ones(3, 4) * torch.tensor([1.0, 2.0, 3.0, 4.0])
    F.cross_entropy(network[2](inputs), torch.tensor([0, 0, 1])).backward()
    torch.optim.SGD(network[2].parameters(), lr=0.1).step()
    return before, network.state_dict()


def test_a_class_that_has_grown_is_present():
    before, after = classifier()
    prototypes = Rows(torch.ones(4, 4), torch.ones(4, dtype=torch.bool))
    sent = {"prototypes": prototypes, "header": after}
    guesses = guessed_by_rules([changes_of(sent, {"header": before})], 4)
    assert guesses.keys() == {BIAS_SIGN, ROW_SUMS}
    for guess in guesses.values():
        torch.testing.assert_close(guess.presence, GROWN[None], atol=1e-6, rtol=0)
        torch.testing.assert_close(guess.shares, torch.tensor([[5 / 6, 1 / 6, 0, 0]]).double(), atol=1e-6, rtol=0)


def test_what_has_diverged_says_nothing():
    broken = {"header": {"weight": torch.full((4, 2), torch.nan), "bias": torch.full((4,), torch.inf)}}
    for guess in guessed_by_rules([broken], 4).values():
        assert torch.equal(guess.presence, torch.zeros(1, 4).double())


def test_a_rule_is_left_out_unless_all_messages_have_what_it_reads():
    with_bias, without = {"weight": torch.ones(4, 2), "bias": torch.ones(4)}, {"weight": torch.ones(4, 2)}
    assert guessed_by_rules([{"header": with_bias}, {"header": without}], 4).keys() == {ROW_SUMS}
    assert guessed_by_rules([{"extractor": {"weight": torch.ones(3, 4, 2, 2)}}], 4) == {}


@pytest.mark.parametrize(("name", "reads"), [("lg-fedavg", True), ("fedproto", False)])
def test_an_audit_has_rules_and_their_control_where_a_classifier_travels(audit_task, tiny, name, reads):
    method = registry.method(name)[0]
    audit = PrivacyAudit(tiny)
    config = FederationConfig(clients=3, rounds=1, batch_size=6, lr=0.1)
    federation = Federation(method, audit_task(method), config, CPU, observers=[audit])
    scores = audit.artefacts(federation, list(federation.run()))["privacy"]
    kinds = {*scores["labels.kind"]}
    assert ({BIAS_SIGN, ROW_SUMS, of_noise(BIAS_SIGN), of_noise(ROW_SUMS)} <= kinds) == reads
    assert ({"message", "noise", "clear"} == kinds) != reads
    assert labels_of([scores], BIAS_SIGN).presence is None  # each client has all classes
    assert not [made for made in verdicts([scores]) if made.column in (BIAS_SIGN, ROW_SUMS)]
