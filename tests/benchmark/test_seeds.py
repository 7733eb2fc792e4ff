import torch

from benchmark.seeds import numpy_generator, seed_for, torch_seeded


def test_a_seed_depends_on_purpose_and_axes_and_not_on_their_order():
    assert seed_for("batches", seed=0, client=1) == seed_for("batches", client=1, seed=0)
    seeds = {seed_for(p, seed=s, client=c) for p in ("batches", "init") for s in range(5) for c in range(5)}
    assert len(seeds) == 50
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_a_seed_is_the_same_on_every_machine_and_in_every_version():
    """Written down once: blake2b of 'participants|round=3|seed=0', 8 bytes, without the last bit."""
    import hashlib

    digest = hashlib.blake2b(b"participants|round=3|seed=0", digest_size=8).digest()
    assert seed_for("participants", seed=0, round=3) == int.from_bytes(digest, "big") >> 1


def test_nothing_is_seeded_globally():
    torch.manual_seed(1)
    expected = torch.rand(2)
    torch.manual_seed(1)
    with torch_seeded("init", seed=0):
        inside = torch.rand(2)
    assert torch.equal(torch.rand(2), expected)
    with torch_seeded("init", seed=0):
        assert torch.equal(torch.rand(2), inside)
    assert numpy_generator("init", seed=0).random() == numpy_generator("init", seed=0).random()
