"""pFedAFM: a vector of weights mixes a shared and a private representation, number by number, for each batch in turn.

Yi et al., "pFedAFM: Adaptive Feature Mixture for Batch-Level Personalization in Heterogeneous Federated Learning",
2024, arXiv 2404.17847.

Client k holds                                                     trained   travels
    extractor, header   F_k, H_k   its own architecture               1st
    mix                 alpha      d weights in [0, 1], ones at first 1st
    expert              G          the small extractor                2nd    up, down

One round, for the participants S:
    down    G -> every k in S
    local   minimise CE(H_k(alpha F_k(x) + (1 - alpha) G(x)), y) over F_k, H_k and alpha with G still
            then CE(H_k(G(x)), y) over G with H_k still
    up      G_k -> server
    server  G <- sum_k n_k G_k / sum_k n_k

A client predicts with the mixture.

Departures from the paper: none known in the algorithm. But alpha starts at 1, where the shared extractor counts
nothing, and at a small rate it hardly leaves it in the rounds that most budgets allow: then accuracy is Standalone's,
at twice the FLOPs. The authors' momentum, ten local epochs and 500 rounds, or a larger `mix_lr`, move it. Their scripts
judge a client between its two phases, with the G that came; here it is judged after both with its G_k, and after the
next download with the new G. alpha's rate is the clients', as in their script for heterogeneous networks.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmark.api import Batch, Client, LocalModel, Method, Phase, Task
from benchmark.fields import ClientRate


@dataclass(frozen=True)
class PFedAFM(Method):
    """An elementwise mixture of a shared and a private extractor, trained in turn."""

    mix_lr: ClientRate = None  # of alpha; the client's rate unless set

    def shares(self) -> tuple[str, ...]:
        """Share the small extractor."""
        return ("expert",)

    def unsupported(self, task: Task) -> str | None:
        """Refuse networks without one width, which both extractors need."""
        return task.width_mismatch

    def parts(self, model: LocalModel, task: Task) -> dict[str, nn.Module]:
        """Hold the private network, the mixture and the shared extractor."""
        mix = nn.ParameterDict({"weight": torch.ones(model.width)})
        return super().parts(model, task) | {"mix": mix, "expert": task.small_model(model.width).extractor}

    def phases(self) -> tuple[Phase, ...]:
        """Train the private parts, then the shared one."""
        return (
            Phase(trains=("extractor", "header", "mix"), lr={"mix": self.mix_lr}),
            Phase(trains=("expert",), loss=self.expert_loss),
        )

    def expert_loss(self, client: Client, batch: Batch) -> Tensor:
        """Return the loss of the shared extractor alone under the private header: alpha = 0."""
        return F.cross_entropy(client.header(client.expert(batch.x)), batch.y)

    def project(self, client: Client) -> None:
        """Keep alpha in [0, 1]."""
        client.mix["weight"].clamp_(0, 1)

    def predict(self, client: Client, x: Tensor) -> Tensor:
        """Predict with the header on the mixture."""
        alpha = client.mix["weight"]  # [d]
        return client.header(alpha * client.extractor(x) + (1 - alpha) * client.expert(x))
