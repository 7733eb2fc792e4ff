"""How much an audit looks at."""

from dataclasses import dataclass


@dataclass(frozen=True)
class AuditSize:
    """Numbers of an audit, fixed before it begins, never chosen by what it finds.

    clients: audited in each round; rounds: audited, evenly spaced, the first and the last among them
    candidates: most members, and most others, of each client; auxiliary: records that span the metric
    shadows: clients with other data of the same labels, of each client and level; shadow_records: most records of each
    surrogate_records: most records that private parts are guessed from; surrogate_rounds: rounds of that, at most
    label_shadows: clients with random labels that label sets and architectures are learned from; label_records: of each
    label_guesses: of each client's private parts, that these clients begin with
    decoys: class means that the true one is ranked among
    passes: rounds on auxiliary records for which a copy of a private network is trained
    distillation_passes: over the same records, for the copy that is taught the network's outputs
    """

    clients: int = 5
    rounds: int = 5
    candidates: int = 200
    auxiliary: int = 200
    shadows: int = 2
    shadow_records: int = 1024
    surrogate_records: int = 1024
    surrogate_rounds: int = 5
    label_shadows: int = 100
    label_records: int = 128
    label_guesses: int = 3
    decoys: int = 99
    passes: int = 3
    distillation_passes: int = 12


FULL_AUDIT = AuditSize()
SMALL_AUDIT = AuditSize(
    clients=2,
    rounds=2,
    candidates=40,
    auxiliary=60,
    shadows=1,
    shadow_records=64,
    surrogate_records=128,
    surrogate_rounds=1,
    label_shadows=24,
    label_records=48,
    label_guesses=2,
    passes=1,
    distillation_passes=10,
)
SIZES = {"privacy": FULL_AUDIT, "privacy:small": SMALL_AUDIT}
"""What `run --audit` may ask for."""
