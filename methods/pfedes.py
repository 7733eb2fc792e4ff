"""pFedES: a tiny shared network alters the images, and private networks learn from both versions.

Yi et al., "pFedES: Generalized Proxy Feature Extractor Sharing for Model Heterogeneous Personalized Federated
Learning", AAAI 2025, arXiv 2311.06879.

Client k holds                                                     trained   travels
    extractor, header   F_k     its own architecture                  1st
    proxy               G       two small convolutions, c -> 8 -> c   2nd    up, down

One round, for the participants S:
    down    G -> every k in S
    local   minimise mu CE(F_k(G(x)), y) + (1 - mu) CE(F_k(x), y) over F_k with G still
            then CE(F_k(G(x)), y) over G with F_k still
    up      G_k -> server
    server  G <- sum_k n_k G_k / sum_k n_k

A client predicts with F_k(x).

Departures from the paper: both parts get the federation's local epochs; the authors' scripts train the proxy for ten
epochs more (`proxy_epochs`). ReLU follows both convolutions, as in their code. What stands still is in evaluation mode.
"""

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

from benchmark.api import Batch, Client, LocalModel, Method, Phase, Task
from benchmark.fields import PositiveInt, UnitInterval


@dataclass(frozen=True)
class PFedES(Method):
    """Private networks, and a shared proxy in front of them."""

    mu: UnitInterval = 0.5  # weight of the altered images
    proxy_epochs: PositiveInt | None = None  # passes for the proxy; None: the federation's local epochs

    def shares(self) -> tuple[str, ...]:
        """Share the proxy alone."""
        return ("proxy",)

    def parts(self, model: LocalModel, task: Task) -> dict[str, nn.Module]:
        """Hold the private network and the proxy: 443 numbers for three channels."""
        channels = task.input_shape[0]
        convolutions = nn.Conv2d(channels, 8, 3, padding=1), nn.Conv2d(8, channels, 3, padding=1)
        proxy = nn.Sequential(convolutions[0], nn.ReLU(), convolutions[1], nn.ReLU())
        return super().parts(model, task) | {"proxy": proxy}

    def phases(self) -> tuple[Phase, ...]:
        """Train the private network, then the proxy."""
        return (
            Phase(trains=("extractor", "header")),
            Phase(trains=("proxy",), loss=self.altered_loss, epochs=self.proxy_epochs),
        )

    def altered_loss(self, client: Client, batch: Batch) -> Tensor:
        """Return cross-entropy on the altered images."""
        return F.cross_entropy(self.predict(client, client.proxy(batch.x)), batch.y)

    def loss(self, client: Client, batch: Batch) -> Tensor:
        """Return the losses on both versions of the images, weighted with mu and 1 - mu."""
        return self.mu * self.altered_loss(client, batch) + (1 - self.mu) * super().loss(client, batch)
