"""FML: every client's private network and one shared "meme" network teach each other.

Shen et al., "Federated Mutual Learning", 2020, arXiv 2006.16765.

Client k holds                                                trained   travels
    extractor, header   P_k  its own architecture                x
    meme                M    the small network, all of it        x      up, down

One round, for the participants S:
    down    M -> every k in S
    local   minimise L_P + L_M, where
            L_P = alpha CE(P(x), y) + (1 - alpha) KL(M(x) || P(x))      moves P alone
            L_M = beta  CE(M(x), y) + (1 - beta)  KL(P(x) || M(x))      moves M alone
    up      M_k -> server
    server  M <- sum_k n_k M_k / sum_k n_k

KL(t || s) = mean over the batch of sum_c t_c log(t_c / s_c), the teacher t held constant. A client predicts with P.

Departures from the paper:
    - The mean is weighted with n_k, where the authors' server takes a plain mean (the same when clients have equally
      many samples): `weighting=uniform`.
    - The authors train with momentum 0.9, weight decay 5e-4, five local epochs and a rate that falls every tenth round.
      Without, alpha = 1/2 leaves the labels half a step, and a meme that knows little yet holds the private network
      back.
"""

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

from benchmark.api import Batch, Client, Inbox, LocalModel, Method, State, Task
from benchmark.fields import ClientWeights, UnitInterval
from benchmark.functional import divergence


@dataclass(frozen=True)
class FML(Method):
    """Mutual distillation between a private network and a travelling one."""

    alpha: UnitInterval = 0.5  # weight of the labels for the private network; 1 is training alone
    beta: UnitInterval = 0.5  # weight of the labels for the meme
    weighting: ClientWeights = "samples"  # of the clients in the mean; uniform in the authors' code

    def shares(self) -> tuple[str, ...]:
        """Share the meme alone."""
        return ("meme",)

    def parts(self, model: LocalModel, task: Task) -> dict[str, nn.Module]:
        """Hold the private network and the small one with its header."""
        small = task.small_model()
        return super().parts(model, task) | {"meme": nn.Sequential(small.extractor, small.header)}

    def loss(self, client: Client, batch: Batch) -> Tensor:
        """Return L_P + L_M: two losses with disjoint parameters in one sum."""
        private, meme = self.predict(client, batch.x), client.meme(batch.x)
        return (
            self.alpha * F.cross_entropy(private, batch.y)
            + (1 - self.alpha) * divergence(meme, private)
            + self.beta * F.cross_entropy(meme, batch.y)
            + (1 - self.beta) * divergence(private, meme)
        )

    def aggregate(self, server: State, inbox: Inbox) -> State:
        """Average the memes."""
        return server | inbox.mean(self.shares(), self.weighting)
