"""Training loss beside accuracy, of crafted runs."""

import pytest

from benchmark.report.frame import read_experiment
from tools.docs.overfitting import overfitting


@pytest.fixture
def text(tmp_path, store):
    """Sixty rounds; in the middle third, 21 to 40, losses are twice those of the last.

    FedMoE has less loss than Standalone and less accuracy, LG-FedAvg less of one and more of the other.
    """

    def put(label, loss, right, seed=0):
        def of_round(record):
            return {"train_loss": 9.0 if record["round"] <= 20 else loss * (1 + (record["round"] <= 40))}

        cell = {"dataset": "cifar10", "experiment": "reference"}
        store(tmp_path, label, [[right] * 10] * 60, seed=seed, of_round=of_round, **cell)

    for seed, loss in enumerate((0.2, 0.4)):
        put("standalone", loss, 8, seed)
    put("fedmoe", 0.1, 7)
    put("lg-fedavg", 0.1, 9)
    put("fml", 0.1, 5)
    return overfitting({"reference": read_experiment(tmp_path, "reference", {})})


def test_losses_and_accuracies_of_both_thirds(text):
    """Standalone's losses are 0.4 and 0.8, then 0.2 and 0.4: means of 0.6 and 0.3."""
    assert "| CIFAR-10, N = 10 | `standalone` | 2 | 0.600 | 0.300 | 80.00 | 80.00 |" in text
    assert "| CIFAR-10, N = 10 | `fedmoe` | 1 | 0.200 | 0.100 | 70.00 | 70.00 |" in text


def test_a_loss_that_has_more_than_cross_entropy_is_not_shown(text):
    assert "fml" not in text


def test_who_fits_training_samples_better_and_test_samples_worse(text):
    assert text.endswith("under the same seeds:\n\n- CIFAR-10, N = 10: `fedmoe`.")


def test_without_runs_it_says_so():
    assert overfitting({}) == "None of them has been run yet."
