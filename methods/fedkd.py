"""FedKD: a private teacher and a small shared student teach each other, and the student's update travels compressed.

Wu et al., "Communication-efficient federated learning via knowledge distillation", Nature Communications 13:2032,
2022, arXiv 2108.13323.

Client k holds                                                       trained   travels
    extractor, header   T_k   the teacher, its own architecture         x
    student             S     the small network with its header         x      its update, compressed, up and down
    mapping             W_h   the student's width -> the teacher's      x
    reference           S^t   the student as it was received

One round, for the participants S:
    down    D, the compressed mean update, to who took part in the last round; S to the others
    local   S^t <- S^t + D;  minimise L_T + L_S, where, h and y denoting representations and outputs of either,
            L_T = CE(y_T) + (KL(y_S || y_T) + ||h_T - W_h h_S||^2 / d) / (CE(y_T) + CE(y_S))     moves T alone
            L_S = CE(y_S) + (KL(y_T || y_S) + ||h_T - W_h h_S||^2 / d) / (CE(y_T) + CE(y_S))     moves S and W_h
    up      compress(S_k - S^t)
    server  D <- compress(sum_k n_k (S_k - S^t) / sum_k n_k);  S <- S + D

compress: every matrix as singular vectors and values, as many as hold the share E of the energy, at least one; E grows
in a straight line over the rounds. What is not smaller that way travels as it is. A client predicts with T.

Departures from the paper:
    - Who missed a round gets the whole student; in the paper all take part in every round. So with a tenth of the
      clients in a round nine of ten downloads are not compressed, and bytes say little of FedKD.
    - The divisor CE(y_T) + CE(y_S) is a weight: no gradient runs through it. A network that teaches is held constant.
    - No attention maps: these networks have none.
    - The mean is weighted with n_k, where the paper takes a plain one (the same when clients have equally many
      samples): `weighting=uniform`.
"""

from dataclasses import dataclass
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmark.api import Batch, Client, ClientInfo, Inbox, LocalModel, Message, Method, Progress, State, Task
from benchmark.fields import ClientWeights, Search, UnitInterval
from benchmark.functional import compressed, decompressed, divergence


@dataclass(frozen=True)
class FedKD(Method):
    """Mutual distillation with a compressed student."""

    energy_start: Annotated[UnitInterval, Search(0.8, 1, log=False)] = 0.95  # E before the first round
    energy_end: Annotated[UnitInterval, Search(0.8, 1, log=False)] = 0.98  # E in the last round
    weighting: ClientWeights = "samples"  # of the clients in the mean; uniform in the paper

    def parts(self, model: LocalModel, task: Task) -> dict[str, nn.Module]:
        """Hold teacher, student, and the map from the student's representation to the teacher's."""
        small = task.small_model()
        mapping = nn.Linear(small.width, model.width, bias=False)
        student = nn.Sequential(small.extractor, small.header)
        return super().parts(model, task) | {"student": student, "mapping": mapping}

    def loss(self, client: Client, batch: Batch) -> Tensor:
        """Return L_T + L_S; one distance serves both, for each of them as its own term."""
        taught, learned = client.extractor(batch.x), client.student[0](batch.x)
        teacher, student = client.header(taught), client.student[1](learned)
        labels = F.cross_entropy(teacher, batch.y) + F.cross_entropy(student, batch.y)
        hidden = F.mse_loss(client.mapping(learned), taught)
        return labels + (divergence(student, teacher) + divergence(teacher, student) + hidden) / labels.detach()

    def energy(self, progress: Progress) -> float:
        """Return E in a round."""
        return self.energy_start + (self.energy_end - self.energy_start) * progress.share

    def download(self, server: State, client: ClientInfo) -> Message:
        """Send the update to clients that hold the student before it, and the student to the others."""
        synced = server["synced"][client.id]
        return {"mean_update": server["update"]} if synced else {"student": server["student"]}

    def receive(self, state: State, message: Message, client: ClientInfo) -> State:
        """Hold the new student, and the same as the reference of the next update."""
        student = message["student"] if "student" in message else moved(state["reference"], message["mean_update"])
        return state | {"student": student, "reference": student}

    def upload(self, client: Client, statistics: dict[str, Tensor]) -> Message:
        """Send how far the student has moved, compressed."""
        update = {name: w - client.reference[name] for name, w in client.student.state_dict().items()}
        return {"update": compressed(update, self.energy(client.info.progress))}

    def decoded(self, message: Message, server: State) -> Message:
        """Put the factors together again."""
        return {"update": decompressed(message["update"], like=server["student"])}

    def server_init(self, task: Task) -> State:
        """Start with the small network in initial weights, which no client holds yet."""
        small = task.small_model()
        student = nn.Sequential(small.extractor, small.header).to(task.images.device).state_dict()
        return {"student": student, "update": {}, "synced": torch.zeros(task.num_clients, dtype=torch.bool)}

    def aggregate(self, server: State, inbox: Inbox) -> State:
        """Move the server's student by the mean update, compressed as clients will get it."""
        student = server["student"]
        arrived = inbox.decoded("update", lambda sent: decompressed(sent, like=student)).mean(
            ("update",), self.weighting
        )
        update = compressed(arrived["update"], self.energy(inbox.progress))
        ids = torch.tensor(inbox.ids, device=server["synced"].device)
        synced = torch.zeros_like(server["synced"]).index_fill(0, ids, True)
        return {"student": moved(student, update), "update": update, "synced": synced}


def moved(student: dict[str, Tensor], update: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the student after a compressed update."""
    steps = decompressed(update, like=student)
    return {name: w + steps[name] for name, w in student.items()}
