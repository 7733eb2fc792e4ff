"""FedL2G: the server learns a guiding vector per class, so that following it lowers the clients' own losses.

Zhang et al., "FedL2G: Learning to Guide Local Training in Heterogeneous Federated Learning", 2024, arXiv 2410.06490;
its variant on representations, FedL2G-f.

Client k holds                                                        trained   travels
    extractor, header   F_k, H_k   its own architecture                  1st
    guide               v          one vector per class [C, d]           2nd    down; its step on its own classes up
    received            v          as it came

The training samples are a small quiz set and the study set.

One round, for the participants S:
    down    v -> every k in S
    local   on the study set: minimise L(w, v) = CE(H_k(F_k(x)), y) + ||F_k(x) - v_y||^2 / d  over w = (F_k, H_k)
            one step on v, with the rate eta_v, against the gradient of
            CE on the quiz set at the weights w - eta grad_w L(w, v), L on one batch of the study set
    up      v_k,j for the classes j whose vector has moved
    server  v_j <- mean of v_k,j over the participants that have sent it; other rows stay

As all take one step from the same v, the mean of the vectors is the step along the mean gradient, which is what the
paper's server takes. A client predicts with H_k(F_k(x)).

Departures from the paper:
    - No warm-up unless `warm_up` says so: first rounds, 50 in the authors' code, that train v alone. Without it guides
      are random vectors when the networks begin to train.
    - The quiz set is a share of the samples, where their code takes a batch; the networks train on the others alone, so
      a round computes less than one of Standalone.
    - No clipping of gradients (`clip_norm` has it); eta_v is that of their script for this variant. v is never decayed,
      and takes a step of plain descent whatever the networks' optimiser is.
    - While v is trained batch normalisation goes by the batch: running means of a few steps make deep networks
      overflow.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from benchmark.api import Batch, Client, ClientInfo, Inbox, LocalModel, Message, Method, Phase, Rows, State, Task
from benchmark.fields import ClientRate, Positive, SampleShare, WarmUp
from benchmark.functional import step_ahead


@dataclass(frozen=True)
class FedL2G(Method):
    """Private networks led by learned vectors."""

    quiz: SampleShare = 0.1  # share of the training samples in the quiz set
    inner_lr: ClientRate = None  # eta, of the step that is looked ahead; the client's rate unless set
    warm_up: WarmUp = 0  # first rounds, in which the vectors alone are trained; 50 in the authors' code
    guide_lr: Positive = 100.0  # eta_v; the gradient has the factor inner_lr * 2 / d, and is small

    def unsupported(self, task: Task) -> str | None:
        """Refuse networks without one width, which the vectors need."""
        return task.width_mismatch

    def parts(self, model: LocalModel, task: Task) -> dict[str, nn.Module]:
        """Hold the private network and the guiding vectors."""
        return super().parts(model, task) | {"guide": nn.Embedding(task.num_classes, model.width)}

    def phases(self) -> tuple[Phase, ...]:
        """Train the network for many steps, then the vectors for one."""
        quiz, study = (0.0, self.quiz), (self.quiz, 1.0)
        return (
            Phase(trains=("extractor", "header"), samples=(study,), first_round=self.warm_up + 1),
            Phase(
                trains=("guide",),
                loss=self.quiz_loss,
                lr={"guide": self.guide_lr},
                optimizer="sgd",
                weight_decay=0,
                epochs=1,
                steps=1,
                samples=(study, quiz),
            ),
        )

    def loss(self, client: Client, batch: Batch) -> Tensor:
        """Return L, cross-entropy plus the distance to the class's guiding vector."""
        return guided(Network(client.extractor, client.header)(batch.x), client.guide, batch.y)

    def quiz_loss(self, client: Client, study: Batch, quiz: Batch) -> Tensor:
        """Return cross-entropy on the quiz batch after a step on the study batch; it depends on the guiding vectors."""
        net = Network(client.extractor, client.header).train()
        running = {name: buffer.clone() for name, buffer in net.named_buffers()}  # so that the client's do not change

        def inner(w: dict[str, Tensor]) -> Tensor:
            return guided(functional_call(net, running | w, study.x), client.guide, study.y)

        ahead = step_ahead(net, inner, self.inner_lr)
        _, scores = functional_call(net, running | ahead, quiz.x)
        return F.cross_entropy(scores, quiz.y)

    def receive(self, state: State, message: Message, client: ClientInfo) -> State:
        """Hold the guiding vectors twice, to move them and to compare with them."""
        return state | message | {"received": message["guide"]}

    def download(self, server: State, client: ClientInfo) -> Message:
        """Send the guiding vectors of all classes."""
        return {"guide": server["guide"]}

    def upload(self, client: Client, statistics: dict[str, Tensor]) -> Message:
        """Send the guiding vectors that have moved."""
        vectors = client.guide.weight.detach()
        return {"guide": Rows(vectors, (vectors != client.received["weight"]).any(1))}

    def server_init(self, task: Task) -> State:
        """Start with random vectors."""
        return {"guide": nn.Embedding(task.num_classes, task.width).to(task.images.device).state_dict()}

    def aggregate(self, server: State, inbox: Inbox) -> State:
        """Average each vector over the participants that have moved it."""
        values, present = inbox.mean_rows("guide")
        return {"guide": {"weight": torch.where(present[:, None], values, server["guide"]["weight"])}}


class Network(nn.Sequential):
    """Extractor and header: [B, c, h, w] -> representation [B, d] and scores [B, C]."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the representation and the scores."""
        representation = self[0](x)
        return representation, self[1](representation)


def guided(outputs: tuple[Tensor, Tensor], guide: nn.Module, labels: Tensor) -> Tensor:
    """Return L of a network's outputs."""
    representation, scores = outputs
    return F.cross_entropy(scores, labels) + F.mse_loss(representation, guide(labels))
