"""FD: clients learn from the mean outputs of the others, one for each class.

Jeong et al., "Communication-Efficient On-Device Machine Learning: Federated Distillation and Augmentation under
Non-IID Private Data", 2018, arXiv 1811.11479.

Client k holds                                                       trained   travels
    extractor, header   F_k, H_k   its own architecture                 x
    outputs             p_-k       the others' mean outputs [C, C]             down
                        p_k        its own, for its own classes                up

One round, for the participants S:
    down    p_-k,j = mean of p_i,j over all other clients i that have sent class j  -> every k in S
    local   minimise CE(H_k(F_k(x)), y) + gamma KL(p_-k,y || softmax H_k(F_k(x))), the second where p_-k,y is known
    up      p_k,j = mean of softmax H_k(F_k(x)) over the training samples of class j, as they were in the last epoch
    server  keeps p_k

Departures from the paper:
    - A client's outputs are taken in its last local epoch, the only one by default; the paper takes them over all local
      steps. `collect=after` takes them after training, in evaluation mode, by a further pass.
    - The second term is KL where the paper has the cross-entropy with p_-k,y: the same gradient.
    - The paper gives no gamma. gamma = 1 adds a second pull towards the same class, so steps are longer than
      Standalone's at the same rate, and curves start steeper for that alone.
    - Clients of one architecture start from weights of their own, in the authors' code from the same: `--initial
      shared`.
    - What a client has sent stays until it sends again; in the paper all take part in every round.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmark.api import Batch, Client, ClientInfo, Inbox, Message, Method, Phase, Rows, State, Task
from benchmark.fields import Collect, NonNegative
from benchmark.functional import class_means, class_sums


@dataclass(frozen=True)
class FD(Method):
    """Federated distillation without a public data set."""

    distillation_weight: NonNegative = 1.0  # gamma; the paper gives no number
    collect: Collect = "during"  # when outputs are taken: in the last local epoch, or in a pass after training

    def phases(self) -> tuple[Phase, ...]:
        """Train all parts, and take outputs on the way."""
        return (Phase(collects=self.collect == "during"),)

    def loss(self, client: Client, batch: Batch) -> Tensor:
        """Return cross-entropy plus the divergence from the others' mean outputs for the class."""
        scores = self.predict(client, batch.x)
        values, present = client.outputs
        divergence = F.kl_div(scores.log_softmax(1), values[batch.y], reduction="none").sum(1)  # [B]
        return F.cross_entropy(scores, batch.y) + self.distillation_weight * (divergence * present[batch.y]).mean()

    def statistics(self, client: Client, batch: Batch) -> dict[str, Tensor]:
        """Return sums of outputs [C, C] and numbers of samples [C], per class."""
        return class_sums(self.predict(client, batch.x).softmax(1), batch.y, len(client.outputs.present))

    def upload(self, client: Client, statistics: dict[str, Tensor]) -> Message:
        """Send the client's mean outputs, one row for each of its classes."""
        return {"outputs": class_means(statistics)}

    def download(self, server: State, client: ClientInfo) -> Message:
        """Send the mean of the others: the receiver's own part is left out."""
        owners = server["present"].sum(0) - server["present"][client.id].int()  # [C]
        total = server["sent"].sum(0) - server["sent"][client.id]
        return {"outputs": Rows((total / owners.clamp_min(1)[:, None]).clamp_min(0), owners > 0)}  # noise may be below

    def server_init(self, task: Task) -> State:
        """Start without outputs of any client."""
        sent = torch.zeros(task.num_clients, task.num_classes, task.num_classes, device=task.images.device)
        return {"sent": sent, "present": torch.zeros_like(sent[..., 0], dtype=torch.bool)}

    def aggregate(self, server: State, inbox: Inbox) -> State:
        """Replace what each participant sent before with what it has sent now."""
        tables, ids = inbox.of("outputs"), torch.tensor(inbox.ids, device=server["sent"].device)
        sent = server["sent"].index_copy(0, ids, torch.stack([table.values for table in tables]))
        present = server["present"].index_copy(0, ids, torch.stack([table.present for table in tables]))
        return {"sent": sent, "present": present}
