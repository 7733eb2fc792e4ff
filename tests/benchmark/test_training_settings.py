"""How clients train: settings of the federation, and a method's own in place of some of them."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import nn

from benchmark.channel import same
from benchmark.cli.commands import main
from benchmark.config import FederationConfig, RunSpec
from benchmark.conformance.toy import ALIKE, CPU, MIXED, federate, make_task
from benchmark.federation import Federation
from benchmark.method import Method, hyperparameters_of, with_client_rate
from benchmark.plugins import registry
from benchmark.report.frame import read_experiment
from benchmark.storage.checkpoint import fingerprint
from benchmark.storage.run_folder import run_folders
from methods.fedl2g import FedL2G
from methods.fedmoe import FedMoE
from methods.standalone import Standalone


def spec_of(method, **federation):
    return RunSpec(
        dataset="toy",
        data_hash="0",
        method=method,
        partition="iid",
        models="mixed",
        federation=FederationConfig(**{"clients": 3, "rounds": 2, "batch_size": 4} | federation),
        seed=0,
    )


def test_a_methods_own_settings_are_part_of_label_and_key_and_no_hyperparameters():
    _, plain = registry.method("fml")
    _, own = registry.method("fml+momentum=0.9+lr=0.03+alpha=0.4")
    assert own.training == {"lr": 0.03, "momentum": 0.9}
    assert own.label == "fml+alpha=0.4+lr=0.03+momentum=0.9"
    assert own.hyperparameters == plain.hyperparameters | {"alpha": 0.4}
    assert (plain.training, "training" in plain.model_dump(exclude_none=True)) == (None, False)
    assert spec_of(own).key != spec_of(registry.method("fml+alpha=0.4")[1]).key
    assert (spec_of(own).config.lr, spec_of(own).config.momentum) == (0.03, 0.9)
    assert spec_of(own, lr=0.5).config.lr == 0.03
    assert spec_of(plain, lr=0.5).config == spec_of(plain, lr=0.5).federation


def test_a_field_of_the_method_itself_comes_first(tmp_path):
    (tmp_path / "mine.py").write_text(
        "from dataclasses import dataclass\nfrom benchmark.api import Method\n"
        "@dataclass(frozen=True)\nclass Mine(Method):\n    lr: float = 1.0\n"
    )
    method, spec = registry.method(f"{tmp_path}/mine.py+lr=3")
    assert (method.lr, spec.training) == (3.0, None)


COLLECTED_AFTER = dict.fromkeys(("fd", "fedproto"), "+collect=after")
"""Methods whose default has moved, with what they did before."""


def test_keys_of_results_made_before_are_what_they_were():
    """Of every committed run, from its specification, which has none of the later settings."""
    checked = 0
    for folder in run_folders(registry.Path(__file__).parents[2] / "results"):
        run = folder.read()
        spec = RunSpec(**run["specification"])
        assert spec.key == run["key"]
        label, values = (run["specification"]["method"][name] for name in ("label", "hyperparameters"))
        before = "" if "collect" in values else COLLECTED_AFTER.get(label, "")
        resolved = with_client_rate(registry.method(label + before)[0], spec.config.lr)
        if spec.config.lr == 0.01:
            assert hyperparameters_of(resolved) == values
            checked += 1
    assert checked > 60


OWN = "standalone+lr=0.05+momentum=0.5+weight_decay=0.1"
OF_ALL = {"lr": 0.05, "momentum": 0.5, "weight_decay": 0.1}


def test_a_methods_own_rate_trains_as_the_federations_would():
    own, federation = spec_of(registry.method(OWN)[1]), spec_of(registry.method("standalone")[1], **OF_ALL)
    a, b = (Federation(Standalone(), make_task(), spec.config, CPU) for spec in (own, federation))
    for one, other in zip(a.run(), b.run(), strict=True):
        assert one["train_loss"] == other["train_loss"]
    assert fingerprint(a.server, a.states) == fingerprint(b.server, b.states)


@dataclass(frozen=True)
class Slope(Method):
    """A weight whose loss has the gradient -3 and another whose loss has the gradient -4, in every step."""

    def parts(self, model, task):
        scale = nn.ParameterDict({"a": torch.zeros(()), "b": torch.zeros(())})
        return super().parts(model, task) | {"scale": scale}

    def phases(self):
        from benchmark.method import Phase

        return (Phase(trains=("scale",), loss=self.fall),)

    def fall(self, client, batch):
        return -3 * client.scale["a"] - 4 * client.scale["b"]


def slopes(**config):
    """Both weights of client 0 after the rounds; four samples are one step."""
    federation, records = federate(Slope(), make_task((4,), line_up=ALIKE), lr=0.1, **config)
    scale = federation.states[0]["scale"]
    return [scale["a"].item(), scale["b"].item()], records


def test_a_gradient_is_clipped_to_its_norm_over_all_parts():
    """(3, 4) has the norm 5; clipped to 1 it is (0.6, 0.8), and a step of 0.1 goes there; to 10 it stays."""
    assert slopes(rounds=1, clip_norm=1)[0] == pytest.approx([0.06, 0.08], rel=1e-5)
    assert slopes(rounds=1, clip_norm=10)[0] == slopes(rounds=1)[0] == pytest.approx([0.3, 0.4])


def test_rates_decay_from_round_to_round():
    """0.3 (1 + 1/2 + 1/4) after three rounds."""
    assert slopes(rounds=3, lr_decay=0.5)[0] == pytest.approx([0.525, 0.7])


def test_adams_first_step_is_the_rate_and_it_begins_anew_in_every_round():
    """m / sqrt(v) is 1 in the first step whatever the gradient; so it is in the first step of the second round."""
    assert slopes(rounds=2, optimizer="adam")[0] == pytest.approx([0.2, 0.2], rel=1e-5)


def test_local_steps_are_as_many_for_clients_of_any_size():
    _, records = federate(Standalone(), make_task((4, 30, 9)), rounds=1, local_steps=5)
    assert [client["steps"] for client in records[0]["clients"]] == [5, 5, 5]


def test_clients_of_one_architecture_start_alike_if_asked():
    """Each of MIXED's networks has two clients; FedMoE's gate and expert as well as its own network."""
    task = make_task((6,) * 6)
    config = FederationConfig(clients=6, initial="shared")
    shared = Federation(FedMoE(), task, config, CPU)
    own = Federation(FedMoE(), task, FederationConfig(clients=6), CPU)
    states = [shared.engine.initial_state(k) for k in range(6)]
    assert len(MIXED.architectures) == 3
    assert all(same(states[k], states[k + 3]) for k in range(3))
    assert not same(states[0]["gate"], states[1]["gate"])
    assert not same(own.engine.initial_state(0)["gate"], own.engine.initial_state(3)["gate"])


def test_rates_inside_a_method_follow_the_clients_unless_set():
    for lr in (0.01, 0.2):
        federation = Federation(FedMoE(), make_task(line_up=ALIKE), FederationConfig(clients=3, lr=lr), CPU)
        assert federation.method.gate_lr == lr
        assert federation.method.phases()[0].lr == {"gate": lr}
    assert with_client_rate(FedMoE(gate_lr=0.5), 0.01).gate_lr == 0.5
    assert with_client_rate(FedL2G(), 0.03).inner_lr == 0.03
    assert with_client_rate(FedL2G(), 0.03).guide_lr == 100
    assert with_client_rate(Standalone(), 0.03) == Standalone()


@pytest.fixture
def here(tmp_path, monkeypatch, write_data):
    monkeypatch.chdir(tmp_path)
    write_data(tmp_path)
    return tmp_path


WORDS = ["run", "--datasets", "tiny.npz", "--rounds", "2", "--clients", "3", "--partition", "iid", "--models", "cnn1"]
BAD = [
    (["--methods", "fml+lr=0"], "lr of fml should be greater than 0"),
    (["--methods", "fml+lr=nan"], "lr of fml should be"),
    (["--methods", "fml+momentum=1"], "momentum of fml should be less than 1"),
    (["--methods", "fml+optimizer=rmsprop"], "optimizer of fml should be 'sgd' or 'adam'"),
    (["--methods", "fml+lr_decay=2"], "lr_decay of fml should be less than or equal to 1"),
    (["--methods", "fml+clip_norm=-1"], "clip_norm of fml should be greater than 0"),
    (["--methods", "fml+optimizer=adam+momentum=0.9"], "momentum of fml is of sgd"),
    (["--methods", "fml+lrr=1"], "did you mean 'lr'?"),
    (["--methods", "fml+optimizer=adam", "--momentum", "0.9"], "momentum is of sgd"),
    (["--optimizer", "adam", "--momentum", "0.9"], "error: --momentum is of sgd"),
    (["--optimizer", "lion"], "--optimizer should be 'sgd' or 'adam'"),
    (["--clip-norm", "0"], "--clip-norm should be greater than 0"),
    (["--lr-decay", "0"], "--lr-decay should be greater than 0"),
    (["--local-steps", "0"], "--local-steps should be greater than or equal to 1"),
    (["--local-steps", "3", "--local-epochs", "2"], "--local-steps stands in place of --local-epochs"),
    (["--initial", "same"], "--initial should be 'own' or 'shared'"),
]


@pytest.mark.parametrize("words, message", BAD, ids=lambda words: " ".join(words) if isinstance(words, list) else "")
def test_a_bad_setting_is_one_line(here, words, message, capsys):
    assert main([*WORDS, *words]) == 2
    err = capsys.readouterr().err
    assert err.startswith("error: ") and err.count("\n") == 1
    assert message in err
    assert not (here / "results").exists()


def test_two_rates_are_one_comparison_with_paired_differences(here, capsys):
    """A rate of the method's own, and another of the federation's: labels name both."""
    assert main([*WORDS, "--methods", "standalone,standalone+lr=0.02,fml+lr=0.02", "--seeds", "0,1"]) == 0
    assert main([*WORDS, "--methods", "fml", "--lr", "0.05", "--seeds", "0,1"]) == 0
    (comparison,) = read_experiment(here / "results", "default", {})
    assert sorted(comparison.methods) == ["fml+lr=0.02", "fml+lr=0.05", "standalone", "standalone+lr=0.02"]
    assert comparison.training["lr"] == 0.01
    assert comparison.title.endswith("lr 0.01")
    for label in comparison.methods:
        assert len(comparison.paired(label, "standalone")) == 2
    values = [np.mean(comparison.values(label, "accuracy_mean")) for label in comparison.methods]
    assert all(np.isfinite(values))
    table = (here / "reports" / "default" / "report.md").read_text()
    assert table.count("### Differences to standalone after local training") == 1
    assert table.count("### Differences to standalone") == 2  # and after the next download
