"""FedSSA: headers are averaged class by class, over the clients that have the class.

Yi et al., "FedSSA: Semantic Similarity-based Aggregation for Efficient Model-Heterogeneous Personalized Federated
Learning", IJCAI 2024, arXiv 2312.09006.

Client k holds                                                           trained   travels
    extractor   F_k   its own architecture                                  x
    header      H_k   its own classifier, one row [d + 1] per class         x      up, down (rows of its own classes)

One round, for the participants S:
    down    H_j -> every k in S, for the classes j that k has sent before
    local   H_k,j <- H_j + mu_t H_k,j for these classes, mu_t = mu_0 cos(pi t / (2 T)) while t <= T, afterwards 0
            minimise CE(H_k(F_k(x)), y) over both
    up      H_k,j for the classes that k has
    server  H_j <- mean of H_k,j over the participants that have class j; other rows stay

A row is the class's weights and its bias; t counts rounds from 0.

Departures from the paper: clients of one architecture start from weights of their own, in the authors' code from the
same (`--initial shared`). Their scripts for different networks train 25 local epochs at the rate 0.005. The mean is
over the participants of the round, where the authors' code takes every client that has the class, with what it sent
last. A client gets rows from the second time on that it takes part, for the server learns its classes from what it
sends; their code starts from a random global header, and fuses it from the first round on. mu_0 and T are theirs for
heterogeneous networks: with T = 2 the own row counts in the second round alone.
"""

from dataclasses import dataclass
from math import cos, pi
from typing import Annotated

import torch
from torch import Tensor

from benchmark.api import Client, ClientInfo, Inbox, Message, Method, Rows, State, Task
from benchmark.fields import NonNegative, PositiveInt, Search


@dataclass(frozen=True)
class FedSSA(Method):
    """Private networks whose headers meet class by class."""

    mu: Annotated[NonNegative, Search(0.05, 1)] = 0.5  # mu_0, the weight of a client's own old row
    stable_round: PositiveInt = 2  # T, the round from which on the own row has no weight

    def unsupported(self, task: Task) -> str | None:
        """Refuse networks without linear headers of one width, which rows need."""
        return task.header_mismatch

    def own_weight(self, t: int) -> float:
        """Return mu_t, the weight of a client's own old row in round t, counted from 0."""
        return self.mu * cos(pi * t / (2 * self.stable_round)) if t <= self.stable_round else 0.0

    def upload(self, client: Client, statistics: dict[str, Tensor]) -> Message:
        """Send the header's rows of the classes that the client has."""
        return {"rows": Rows(table(client.header.state_dict()), client.class_counts > 0)}

    def record_message(self, client: Client, statistics: dict[str, Tensor]) -> Message:
        """Show all rows: a record moves those of other classes, too."""
        rows = table(client.header.state_dict())
        return {"rows": Rows(rows, torch.ones_like(rows[:, 0], dtype=torch.bool))}

    def download(self, server: State, client: ClientInfo) -> Message:
        """Send the rows of the classes that the client has sent before."""
        values, present = server["rows"]
        return {"rows": Rows(values, present & server["owns"][client.id])}

    def receive(self, state: State, message: Message, client: ClientInfo) -> State:
        """Fuse the global rows with the client's own."""
        own, (values, present) = table(state["header"]), message["rows"]
        fused = values + self.own_weight(client.progress.round - 1) * own
        rows = torch.where(present[:, None], fused, own)
        return state | {"header": {"weight": rows[:, :-1], "bias": rows[:, -1]}}

    def server_init(self, task: Task) -> State:
        """Start without known rows, and without knowing who has which class."""
        rows = Rows.none(task.num_classes, task.width + 1, task.images.device)
        return {"rows": rows, "owns": rows.present.repeat(task.num_clients, 1)}

    def aggregate(self, server: State, inbox: Inbox) -> State:
        """Replace old rows with new ones."""
        ids, sent = torch.tensor(inbox.ids), torch.stack([rows.present for rows in inbox.of("rows")])
        owns = server["owns"].index_copy(0, ids.to(sent.device), sent)
        return {"rows": server["rows"].updated(inbox.mean_rows("rows")), "owns": owns}


def table(header: dict[str, Tensor]) -> Tensor:
    """Return a linear header as one row [d + 1] per class, the bias last."""
    return torch.cat([header["weight"], header["bias"][:, None]], 1)
