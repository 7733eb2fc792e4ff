"""FedAPEN: mutual learning with a small network, and a learned mixture of both for prediction.

Qin et al., "FedAPEN: Personalized Cross-silo Federated Learning with Adaptability to Statistical Heterogeneity",
KDD 2023, doi 10.1145/3580305.3599344 (not on arXiv).

Client k holds                                                trained   travels
    extractor, header   P_k      its own architecture            2nd
    shared              M        the small network, all of it    2nd    up, down
    mix                 lambda   one number in [0, 1]            1st

One round, for the participants S:
    down    M -> every k in S
    local   on 5 % of the training samples, the adaptability set: minimise CE(lambda P(x) + (1 - lambda) M(x), y)
            over lambda; then on the others, over P and M together:
            L_P = CE(P(x), y) + KL(M(x) || P(x)) + CE(lambda P(x) + (1 - lambda) sg M(x), y)
            L_M = CE(M(x), y) + KL(P(x) || M(x)) + CE(lambda sg P(x) + (1 - lambda) M(x), y)
    up      M_k -> server
    server  M <- sum_k n_k M_k / sum_k n_k

P(x), M(x) are logits, sg stops the gradient, KL holds its first side constant. A client predicts with the mixture.

Departures from the paper:
    - lambda is learned when the new M arrives for the next round, not at the end of the round that made it, so the
      first round learns one too. It is never decayed, and the networks are in evaluation mode meanwhile.
    - The paper judges a client with the new M; here that is the accuracy after the next download, and the headline is
      with its M_k.
    - The rate does not fall unless `lr_decay` says so; the authors' falls by 0.99 a round.
    - To be known when curves are read: L_P adds a second cross-entropy and a divergence to Standalone's loss, so steps
      are longer at the same rate and curves start steeper for that alone, on 95 % of the samples.
    - The mean is weighted with n_k, where the authors' server takes a plain one (the same when clients have equally
      many samples): `weighting=uniform`.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmark.api import Batch, Client, Inbox, LocalModel, Method, Phase, State, Task
from benchmark.fields import ClientWeights, Positive, PositiveInt, SampleShare, UnitInterval
from benchmark.functional import divergence


@dataclass(frozen=True)
class FedAPEN(Method):
    """Mutual learning with an adaptive ensemble."""

    adaptability: SampleShare = 0.05  # share of the training samples that lambda is learned on
    mix_epochs: PositiveInt = 10  # passes over them
    mix_lr: Positive = 0.001  # of lambda
    mix: UnitInterval = 0.5  # lambda at first
    weighting: ClientWeights = "samples"  # of the clients in the mean; uniform in the authors' code

    def shares(self) -> tuple[str, ...]:
        """Share the small network."""
        return ("shared",)

    def parts(self, model: LocalModel, task: Task) -> dict[str, nn.Module]:
        """Hold the private network, the small one and the mixture."""
        small = task.small_model()
        mix = nn.ParameterDict({"weight": torch.tensor(self.mix)})
        return super().parts(model, task) | {"shared": nn.Sequential(small.extractor, small.header), "mix": mix}

    def phases(self) -> tuple[Phase, ...]:
        """Train the mixture on the adaptability set, then the networks on the rest."""
        slice_, rest, rate = (0.0, self.adaptability), (self.adaptability, 1.0), {"mix": self.mix_lr}
        return (
            Phase(("mix",), super().loss, lr=rate, weight_decay=0, epochs=self.mix_epochs, samples=(slice_,)),
            Phase(("extractor", "header", "shared"), samples=(rest,)),
        )

    def project(self, client: Client) -> None:
        """Keep lambda in [0, 1]."""
        client.mix["weight"].clamp_(0, 1)

    def predict(self, client: Client, x: Tensor) -> Tensor:
        """Predict with the mixture of logits."""
        return mixed(client, super().predict(client, x), client.shared(x))

    def loss(self, client: Client, batch: Batch) -> Tensor:
        """Return L_P + L_M, of which each moves its own network."""
        private, shared = super().predict(client, batch.x), client.shared(batch.x)
        alone = F.cross_entropy(private, batch.y) + F.cross_entropy(shared, batch.y)
        mutual = divergence(shared, private) + divergence(private, shared)
        for_private, for_shared = mixed(client, private, shared.detach()), mixed(client, private.detach(), shared)
        return alone + mutual + F.cross_entropy(for_private, batch.y) + F.cross_entropy(for_shared, batch.y)

    def aggregate(self, server: State, inbox: Inbox) -> State:
        """Average the small networks."""
        return server | inbox.mean(self.shares(), self.weighting)


def mixed(client: Client, private: Tensor, shared: Tensor) -> Tensor:
    """Return lambda P + (1 - lambda) M."""
    weight = client.mix["weight"]
    return weight * private + (1 - weight) * shared
