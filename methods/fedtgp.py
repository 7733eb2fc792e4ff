"""FedTGP: the server does not average prototypes but trains them to stand apart.

Zhang et al., "FedTGP: Trainable Global Prototypes with Adaptive-Margin-Enhanced Contrastive Learning for Data and
Model Heterogeneity in Federated Learning", AAAI 2024, arXiv 2401.03230.

Client k holds                                                       trained   travels
    extractor, header   F_k, H_k  its own architecture                  x
    prototypes          g         one row per class [C, d]                     down (all C); up (means of its own)
The server holds
    trainer             g = T(1 ... C)  embedding, Linear, ReLU, Linear    x

One round, for the participants S:
    down    g -> every k in S, from the second round on
    local   minimise CE(H_k(F_k(x)), y) + lambda ||F_k(x) - g_y||^2 / d
    up      c_k,j = mean of F_k(x) over the training samples of class j, for the classes that k has
    server  m = min(tau, largest over j of the distance from class j's mean c to the nearest other class's)
            minimise CE over classes i of -(||c_k,j - g_i|| + [i = j] m) against j, over T

Predictors: the header (headline), and the class of the nearest prototype that the client has received.

Departures from the paper, which says one thing in its equations and another in its code:
    - The margin is that of the code; Eq. 9 has the largest distance between any two classes.
    - The regulariser pulls every sample, its squared distance is divided by d, and lambda is 10, as in the code; Eq. 11
      pulls the class mean, by the distance itself, with lambda 0.1.
    - In the first round clients have no prototypes, as in the code; the paper's box sends untrained ones.
    - The headline is the header's; the paper predicts with the nearest prototype.
    - The server's batch size is a field; in the code it is the clients', as its rate is here.
    - Clients of one architecture start from weights of their own, in the authors' code from the same: `--initial
      shared`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmark.api import Batch, Client, ClientInfo, Inbox, Message, Method, Phase, Rows, State, Task
from benchmark.fields import ClientRate, Collect, Fixed, NonNegative, PositiveInt
from benchmark.functional import class_means, class_sums, fit, nearest, pull


@dataclass(frozen=True)
class FedTGP(Method):
    """Private networks tied together by trained prototypes."""

    prototype_weight: NonNegative = 10.0  # lambda
    margin: NonNegative = 100.0  # tau, the largest margin
    server_epochs: PositiveInt = 100  # S, passes over the prototypes of a round
    server_batch_size: Annotated[PositiveInt, Fixed()] = 64  # B, prototypes a step
    server_lr: ClientRate = None  # of the server's SGD; the client's rate unless set
    collect: Collect = "after"  # when means are taken: in a pass after training, or in the last local epoch

    def unsupported(self, task: Task) -> str | None:
        """Refuse networks without one width, which prototypes need."""
        return task.width_mismatch

    def phases(self) -> tuple[Phase, ...]:
        """Train all parts, and take means on the way if they are collected during training."""
        return (Phase(collects=self.collect == "during"),)

    def predictors(self) -> Mapping:
        """Predict by header, and by nearest prototype."""
        return {"header": self.predict, "prototype": lambda client, x: nearest(client.extractor(x), client.prototypes)}

    def loss(self, client: Client, batch: Batch) -> Tensor:
        """Return cross-entropy plus the distance to the class's trained prototype."""
        r = client.extractor(batch.x)  # [B, d]
        tie = pull(r, batch.y, client.prototypes)
        return F.cross_entropy(client.header(r), batch.y) + self.prototype_weight * tie

    def statistics(self, client: Client, batch: Batch) -> dict[str, Tensor]:
        """Return sums of representations and numbers of samples, per class."""
        return class_sums(client.extractor(batch.x), batch.y, len(client.prototypes.present))

    def upload(self, client: Client, statistics: dict[str, Tensor]) -> Message:
        """Send the client's class means."""
        return {"prototypes": class_means(statistics)}

    def download(self, server: State, client: ClientInfo) -> Message:
        """Send the trained prototypes."""
        return {"prototypes": server["prototypes"]}

    def server_init(self, task: Task) -> State:
        """Start with an untrained trainer, whose prototypes no client gets."""
        device = task.images.device
        trainer = trainer_of(task.num_classes, task.width).to(device)
        return {"trainer": trainer.state_dict(), "prototypes": Rows.none(task.num_classes, task.width, device)}

    def aggregate(self, server: State, inbox: Inbox) -> State:
        """Train the trainer on the received prototypes; its C outputs are the new ones."""
        sent, classes = inbox.rows("prototypes")
        num_classes, width = server["prototypes"].values.shape
        trainer, every = trainer_of(num_classes, width).to(sent.device), torch.arange(num_classes, device=sent.device)
        trainer.load_state_dict(server["trainer"])
        margin = gap(inbox.mean_rows("prototypes")).clamp_max(self.margin)

        def contrast(c: Tensor, j: Tensor) -> Tensor:
            distance = torch.cdist(c, trainer(every)) + margin * F.one_hot(j, num_classes)
            return F.cross_entropy(-distance, j)

        data, batch = (sent, classes), self.server_batch_size
        fit(trainer, contrast, data, epochs=self.server_epochs, batch_size=batch, lr=self.server_lr)
        return {"trainer": trainer.state_dict(), "prototypes": Rows(trainer(every), torch.ones_like(every).bool())}


def trainer_of(num_classes: int, width: int) -> nn.Module:
    """Build T: class indices [n] -> prototypes [n, d]."""
    layers = nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width)
    return nn.Sequential(nn.Embedding(num_classes, width), *layers)


def gap(means: Rows) -> Tensor:
    """Return the largest distance from a class's mean to its nearest other; infinite if there is only one class."""
    distances = torch.cdist(means.values, means.values).fill_diagonal_(torch.inf)
    return distances[means.present][:, means.present].min(1).values.max()
