"""FedMRL: a shared and a private extractor make one representation, and the shared header reads its first numbers.

Yi et al., "Federated Model Heterogeneous Matryoshka Representation Learning", NeurIPS 2024, arXiv 2406.00488.

Client k holds                                                         trained   travels
    extractor, header   F_k, H_k   its own architecture, d_k wide         x
    projector           P_k        Linear, d_1 + d_k -> d_k               x
    small_extractor     G          the small network, d_1 wide            x      up, down
    small_header        H          its header                             x      up, down

One round, for the participants S:
    down    G, H -> every k in S
    local   r = P_k([G(x), F_k(x)])                                     [B, d_k]
            minimise CE(H(r[:d_1]), y) + CE(H_k(r), y) over all together
    up      G_k, H_k -> server
    server  (G, H) <- sum_k n_k (G_k, H_k) / sum_k n_k

A client predicts with H_k(r).

Departures from the paper: d_1 is no wider than the narrowest private representation, for the small header has to find
d_1 numbers in r.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmark.api import Batch, Client, LocalModel, Method, Task
from benchmark.fields import PositiveInt


@dataclass(frozen=True)
class FedMRL(Method):
    """Matryoshka representations of a shared and a private extractor."""

    small_width: PositiveInt = 100  # d_1; the paper finds smaller better, the authors' scripts have 100 and 500

    def shares(self) -> tuple[str, ...]:
        """Share the small network with its header."""
        return ("small_extractor", "small_header")

    def parts(self, model: LocalModel, task: Task) -> dict[str, nn.Module]:
        """Hold the private network, the small one and the projector."""
        small = task.small_model(min(self.small_width, *task.widths.values()))
        projector = nn.Linear(small.width + model.width, model.width)
        shared = {"small_extractor": small.extractor, "small_header": small.header}
        return super().parts(model, task) | shared | {"projector": projector}

    def representation(self, client: Client, x: Tensor) -> Tensor:
        """Return the representation r [B, d_k]."""
        return client.projector(torch.cat([client.small_extractor(x), client.extractor(x)], 1))

    def loss(self, client: Client, batch: Batch) -> Tensor:
        """Return the losses of both headers on one representation, the small one's on its first d_1 numbers."""
        r = self.representation(client, batch.x)
        coarse = client.small_header(r[:, : client.projector.in_features - client.projector.out_features])
        return F.cross_entropy(coarse, batch.y) + F.cross_entropy(client.header(r), batch.y)

    def predict(self, client: Client, x: Tensor) -> Tensor:
        """Predict with the private header on the whole representation."""
        return client.header(self.representation(client, x))
