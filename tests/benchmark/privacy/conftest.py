"""A toy federation with enough records to audit."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from benchmark.compatibility import unsupported
from benchmark.conformance.toy import ALIKE, MIXED, SHAPE, noise_task
from benchmark.method import Method
from benchmark.privacy.audit_size import AuditSize
from benchmark.task import ClientData, Task

CLASSES = 3


def audit_task(method: Method, train: int = 18, test: int = 24, seed: int = 0, clients: int = 3) -> Task:
    """Noise pictures: each client has all three classes, as many of each, to train and to test on."""
    each = train + test
    labels = torch.arange(clients * each) % CLASSES
    splits = [torch.arange(k * each, (k + 1) * each).split([train, test]) for k in range(clients)]
    data = [ClientData(one, one[:0], other) for one, other in splits]
    for line_up in (MIXED, ALIKE):
        rng = np.random.default_rng(7)
        task = noise_task(labels, data, shape=SHAPE, num_classes=CLASSES, line_up=line_up, seed=seed, rng=rng)
        if not unsupported(method, task):
            return task
    raise AssertionError("no toy line-up")


@pytest.fixture(name="audit_task")
def _audit_task() -> Callable[..., Task]:
    return audit_task


@pytest.fixture
def tiny() -> AuditSize:
    return AuditSize(
        clients=2,
        rounds=2,
        candidates=30,
        auxiliary=12,
        shadows=1,
        shadow_records=12,
        surrogate_records=12,
        surrogate_rounds=1,
        label_shadows=4,
        label_records=8,
        decoys=9,
        passes=1,
        distillation_passes=2,
    )
