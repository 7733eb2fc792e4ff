"""FedGH: the server trains one header on the clients' mean representations.

Yi et al., "FedGH: Heterogeneous Federated Learning with Generalized Global Header", ACM MM 2023, arXiv 2303.13137.

Client k holds                                                        trained   travels
    extractor         F_k   its own architecture                         x
    header            H     replaced by the global one in every round    x      down
    representations   r_k   one row per class [C, d]                            up (its own classes)

One round, for the participants S:
    down    H -> every k in S
    local   minimise CE(H(F_k(x)), y) over both
    up      r_k,j = mean of F_k(x) over the training samples of class j, for the classes that k has
    server  H <- H after SGD on CE(H(r_k,j), j) over all k in S and j, one (r_k,j, j) a step

Departures from the paper:
    - Representations are averaged after training, in evaluation mode, by a further forward pass, as in the authors'
      code; the paper does not say when. `collect=during` takes them in the last local epoch.
    - The server's passes are a field, of which the paper gives no number; its rate is the clients', as in the paper.
    - In the authors' code the server's steps never reach the header, which stays in its initial weights; here they do.
"""

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

from benchmark.api import Batch, Client, ClientInfo, Inbox, Message, Method, Phase, State, Task
from benchmark.fields import ClientRate, Collect, PositiveInt
from benchmark.functional import class_means, class_sums, fit


@dataclass(frozen=True)
class FedGH(Method):
    """A generalised global header, trained by the server."""

    server_lr: ClientRate = None  # eta_theta; the client's rate unless set
    server_epochs: PositiveInt = 1  # passes over what came in a round
    collect: Collect = "after"  # when means are taken: in a pass after training, or in the last local epoch

    def unsupported(self, task: Task) -> str | None:
        """Refuse networks that can't use one header."""
        return task.header_mismatch

    def phases(self) -> tuple[Phase, ...]:
        """Train all parts, and take means on the way if they are collected during training."""
        return (Phase(collects=self.collect == "during"),)

    def statistics(self, client: Client, batch: Batch) -> dict[str, Tensor]:
        """Return sums of representations and numbers of samples, per class."""
        return class_sums(client.extractor(batch.x), batch.y, client.header.out_features)

    def upload(self, client: Client, statistics: dict[str, Tensor]) -> Message:
        """Send mean representations of the client's classes; the index of a row is its class."""
        return {"representations": class_means(statistics)}

    def download(self, server: State, client: ClientInfo) -> Message:
        """Send the global header."""
        return {"header": server["header"]}

    def server_init(self, task: Task) -> State:
        """Start with a header in initial weights."""
        return {"header": task.local_model(None).header.to(task.images.device).state_dict()}

    def aggregate(self, server: State, inbox: Inbox) -> State:
        """Train the header by SGD, one representation a step."""
        representations, classes = inbox.rows("representations")
        num_classes, width = server["header"]["weight"].shape
        header = nn.Linear(width, num_classes, device=representations.device)
        header.load_state_dict(server["header"])
        fit(
            header,
            lambda r, j: F.cross_entropy(header(r), j),
            (representations, classes),
            epochs=self.server_epochs,
            batch_size=1,
            lr=self.server_lr,
        )
        return {"header": header.state_dict()}
