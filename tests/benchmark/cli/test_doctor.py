from importlib import metadata

import pytest

from benchmark.cli import doctor


def test_what_is_needed_is_what_the_distribution_requires_without_extras(monkeypatch):
    required = ["torch>=2.6", "scikit-learn>=1.4", "tabulate", 'ray>=2.30; extra == "ray"', "ruff; extra == 'dev'"]
    monkeypatch.setattr(metadata, "requires", lambda name: required)
    assert doctor.needed_packages() == ["torch", "scikit-learn", "tabulate"]


def test_a_checkout_that_is_not_installed_reads_pyproject(monkeypatch):
    def missing(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "requires", missing)
    assert {"torch", "torchvision", "markupsafe", "typing-extensions"} <= {*doctor.needed_packages()}
    assert "ray" not in doctor.needed_packages()


@pytest.mark.parametrize("lacking", ["torch", "torchvision"])
def test_without_torch_the_machine_is_not_looked_at(tmp_path, monkeypatch, lacking):
    monkeypatch.setattr(doctor, "version", lambda name: None if name == lacking else "1")
    findings = {name: (good, text) for name, good, text in doctor.diagnose(tmp_path)}
    assert findings[lacking] == (False, "not installed")
    assert "device" not in findings
    assert findings["data"][0]
