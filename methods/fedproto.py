"""FedProto: clients agree on one prototype per class, the mean representation of its samples.

Tan et al., "FedProto: Federated Prototype Learning across Heterogeneous Clients", AAAI 2022, arXiv 2105.00243.

Client k holds                                                     trained   travels
    extractor, header   F_k, H_k  its own architecture                x
    prototypes          c         one row per class [C, d]                   up (its own classes), down (all known)

One round, for the participants S:
    down    c -> every k in S, the rows that are known
    local   minimise CE(H_k(F_k(x)), y) + lambda ||F_k(x) - c_y||^2 / d, the second term where c_y is known
    up      c_k,j = mean of F_k(x) over the training samples of class j, for the classes that k has, each F_k(x) as it
            was when its batch was trained on in the last epoch
    server  c_j <- mean of c_k,j over the participants that have class j; other rows stay

Predictors: the header (headline), and the class of the nearest prototype that the client has received.

Departures from the paper, which says one thing in its equations and another in its code:
    - Eq. 6 weighs c_k,j with |D_k,j| / N_j and divides by the number of owners again; the code takes a plain mean, and
      so does `weighting="plain"`. `weighting="samples"` takes the weights of Eq. 6 without the second division; the
      counts then travel too, and are metered.
    - The regulariser pulls every sample, as in the code; Eq. 7 pulls the batch's class mean. The squared distance is
      divided by d, as in the code, so lambda = 1 here is the 1 of the authors' README.
    - `collect=after` takes prototypes in a pass of their own, in evaluation mode, as Eq. 3 can be read, too; it adds a
      forward pass over all training samples to each round.
    - Rows of classes that no participant has stay as they were.
    - Clients of one architecture start from weights of their own, in the authors' code from the same: `--initial
      shared`. Otherwise their prototypes do not fit together at first.
    - lambda is 1 where FedTGP's authors take 10 for the same term, in FedTGP and in their FedProto.
    - The authors train pretrained networks with momentum 0.5 on batches of four.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch.nn.functional as F
from torch import Tensor

from benchmark.api import Batch, Client, ClientInfo, Inbox, Message, Method, Phase, Rows, State, Task
from benchmark.fields import Collect, NonNegative
from benchmark.functional import class_means, class_sums, nearest, pull


@dataclass(frozen=True)
class FedProto(Method):
    """Private networks tied together by class prototypes."""

    prototype_weight: NonNegative = 1.0  # lambda
    weighting: Literal["plain", "samples"] = "plain"  # of the clients in a global prototype
    collect: Collect = "during"  # when prototypes are taken: in the last local epoch, or in a pass after training

    def unsupported(self, task: Task) -> str | None:
        """Refuse networks without one width, which prototypes need."""
        return task.width_mismatch

    def phases(self) -> tuple[Phase, ...]:
        """Train all parts, and take prototypes on the way."""
        return (Phase(collects=self.collect == "during"),)

    def predictors(self) -> Mapping:
        """Predict by header, and by nearest prototype."""
        return {"header": self.predict, "prototype": self.nearest_prototype}

    def loss(self, client: Client, batch: Batch) -> Tensor:
        """Return cross-entropy plus the distance to the class's global prototype."""
        representation = client.extractor(batch.x)  # [B, d]
        classified = F.cross_entropy(client.header(representation), batch.y)
        return classified + self.prototype_weight * pull(representation, batch.y, client.prototypes)

    def nearest_prototype(self, client: Client, x: Tensor) -> Tensor:
        """Return scores [B, C]: minus the distance to each known prototype, -inf for classes without one."""
        return nearest(client.extractor(x), client.prototypes)

    def statistics(self, client: Client, batch: Batch) -> dict[str, Tensor]:
        """Return sums of representations [C, d] and numbers of samples [C], per class."""
        return class_sums(client.extractor(batch.x), batch.y, len(client.prototypes.present))

    def upload(self, client: Client, statistics: dict[str, Tensor]) -> Message:
        """Send the client's class means."""
        message: Message = {"prototypes": class_means(statistics)}
        return message | ({"counts": statistics["counts"]} if self.weighting == "samples" else {})

    def download(self, server: State, client: ClientInfo) -> Message:
        """Send all rows that are known."""
        return {"prototypes": server["prototypes"]}

    def server_init(self, task: Task) -> State:
        """Start without known rows."""
        return {"prototypes": Rows.none(task.num_classes, task.width, task.images.device)}

    def aggregate(self, server: State, inbox: Inbox) -> State:
        """Replace old rows with new ones; a class without a participant keeps its row."""
        new = inbox.mean_rows("prototypes", counts="counts" if self.weighting == "samples" else None)
        return {"prototypes": server["prototypes"].updated(new)}
