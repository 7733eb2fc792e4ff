"""FedRep: as FedPer, but a client first trains its header on the shared extractor, then the extractor alone.

Collins et al., "Exploiting Shared Representations for Personalized Federated Learning", ICML 2021, arXiv 2102.07078.

Client k holds                                             trained   travels
    extractor  F     the representation all clients share     2nd    up, down
    header     H_k   its own classifier                       1st

One round, for the participants S:
    down    F -> every k in S
    local   minimise CE(H_k(F(x)), y) over H_k with F still, then over F with H_k still
    up      F_k -> server
    server  F <- sum_k n_k F_k / sum_k n_k

A reference for line-ups of one architecture: others can't average extractors.

Departures from the paper:
    - The header gets as many passes as any method here gets in a round, and the extractor as many again; the authors'
      scripts give the header ten and the extractor one (CIFAR-10): `header_epochs=10`.
    - Means are weighted with n_k; the paper's clients have equally many samples.
    - Headers are not fine-tuned before an evaluation; `--finetune` does so, with header and extractor in turn.
"""

from dataclasses import dataclass

from benchmark.api import Method, Phase
from benchmark.fields import PositiveInt


@dataclass(frozen=True)
class FedRep(Method):
    """Header first, extractor second."""

    header_epochs: PositiveInt | None = None  # passes for the header; None: the federation's local epochs
    extractor_epochs: PositiveInt | None = None  # passes for the extractor; None: the federation's local epochs

    def shares(self) -> tuple[str, ...]:
        """Share the extractor alone."""
        return ("extractor",)

    def phases(self) -> tuple[Phase, ...]:
        """Train the header, then the extractor."""
        return (
            Phase(trains=("header",), epochs=self.header_epochs),
            Phase(trains=("extractor",), epochs=self.extractor_epochs),
        )
