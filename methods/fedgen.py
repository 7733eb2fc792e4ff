"""FedGen: the server learns to generate representations that the headers agree on; clients practise on them.

Zhu et al., "Data-Free Knowledge Distillation for Heterogeneous Federated Learning", ICML 2021, arXiv 2105.10056; here
with private extractors, the paper's variant that shares the last layer alone.

Client k holds                                                          trained   travels
    extractor   F_k   its own architecture                                 x
    header      H     the classifier all clients share                     x      up, down
    generator   G     label and noise -> representation [d]                       down
    labels      p     the share of each class in all data [C]                     down; its own counts up

One round, for the participants S:
    down    H, G, p -> every k in S
    local   minimise CE(H(F_k(x)), y) + alpha CE(H(G(y', z)), y'), y' drawn from p, z from N(0, 1), over F_k and H
    up      H_k, and how many samples of each class k has
    server  p <- shares of the classes over all k in S;  H <- sum_k n_k H_k / sum_k n_k
            minimise CE(mean_k H_k(G(y, z)), y) over G, y drawn from p

Departures from the paper and its code:
    - The authors' code adds a term that asks the generator for variety, and weighs the headers by their samples of the
      class y; the paper's objective has neither, nor has this.
    - The authors' generator has batch normalisation and ends in a linear layer; this one ends in a ReLU, as most
      extractors do. Their code draws z from [0, 1).
    - SGD trains the generator, not Adam; its rate, its passes and the widths are those of HtFLlib's scripts for
      networks that differ, where the rate is Adam's. So it needs some rounds until headers agree with what it
      generates.
"""

from dataclasses import dataclass
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmark.api import Batch, Client, ClientInfo, Inbox, LocalModel, Message, Method, Phase, State, Task
from benchmark.fields import Fixed, NonNegative, Positive, PositiveInt
from benchmark.functional import fit


@dataclass(frozen=True)
class FedGen(Method):
    """A shared header, and a generator of representations trained on the server."""

    generated_weight: NonNegative = 1.0  # alpha
    noise: PositiveInt = 32  # width of z
    hidden: PositiveInt = 512  # hidden units of G
    server_steps: PositiveInt = 100  # steps a round, of one batch each
    server_batch_size: Annotated[PositiveInt, Fixed()] = 64  # labels a step
    server_lr: Positive = 0.1  # of the generator's SGD

    def shares(self) -> tuple[str, ...]:
        """Share the header alone."""
        return ("header",)

    def unsupported(self, task: Task) -> str | None:
        """Refuse networks without one header and representations of its width."""
        return task.header_mismatch

    def parts(self, model: LocalModel, task: Task) -> dict[str, nn.Module]:
        """Hold the private network and the generator."""
        return super().parts(model, task) | {"generator": self.generator(task.num_classes, model.width)}

    def generator(self, num_classes: int, width: int) -> nn.Module:
        """Build G, the generator."""
        return Generator(num_classes, self.noise, self.hidden, width)

    def phases(self) -> tuple[Phase, ...]:
        """Train extractor and header together; the generator does not change."""
        return (Phase(trains=("extractor", "header")),)

    def loss(self, client: Client, batch: Batch) -> Tensor:
        """Return cross-entropy on the client's own samples and on generated ones."""
        drawn = torch.multinomial(client.labels, len(batch.y), replacement=True)
        generated = F.cross_entropy(client.header(client.generator(drawn)), drawn)
        return super().loss(client, batch) + self.generated_weight * generated

    def upload(self, client: Client, statistics: dict[str, Tensor]) -> Message:
        """Send the header, and the counts as four-byte numbers."""
        return super().upload(client, statistics) | {"counts": client.class_counts.float()}

    def download(self, server: State, client: ClientInfo) -> Message:
        """Send the header, the generator and the shares of the classes."""
        return {name: server[name] for name in ("header", "generator", "labels")}

    def server_init(self, task: Task) -> State:
        """Start with initial weights, and with equal shares of all classes."""
        generator = self.generator(task.num_classes, task.width).to(task.images.device)
        labels = torch.full((task.num_classes,), 1 / task.num_classes, device=task.images.device)
        return super().server_init(task) | {"generator": generator.state_dict(), "labels": labels}

    def aggregate(self, server: State, inbox: Inbox) -> State:
        """Average the headers, and train the generator so that the participants' headers agree with it."""
        counts, headers = torch.stack(inbox.of("counts")).sum(0).clamp_min(0), inbox.of("header")  # noise may be below
        labels = torch.where(counts.sum() > 0, counts / counts.sum(), 1 / len(counts))
        generator = self.generator(len(labels), headers[0]["weight"].shape[1]).to(labels.device)
        generator.load_state_dict(server["generator"])

        def agreement(y: Tensor) -> Tensor:
            z = generator(y)
            return F.cross_entropy(torch.stack([F.linear(z, **header) for header in headers]).mean(0), y)

        size = self.server_batch_size
        drawn = torch.multinomial(labels, self.server_steps * size, replacement=True)
        fit(generator, agreement, (drawn,), epochs=1, batch_size=size, lr=self.server_lr)
        return super().aggregate(server, inbox) | {"generator": generator.state_dict(), "labels": labels}


class Generator(nn.Module):
    """G: labels [n] -> representations [n, d], with noise that it draws.

    noise, hidden: widths of the noise and of the hidden layer
    """

    def __init__(self, num_classes: int, noise: int, hidden: int, width: int) -> None:
        super().__init__()
        self.num_classes, self.noise = num_classes, noise
        self.layers = nn.Sequential(
            nn.Linear(num_classes + noise, hidden), nn.ReLU(), nn.Linear(hidden, width), nn.ReLU()
        )

    def forward(self, labels: Tensor) -> Tensor:
        """Return a representation for each label."""
        noise = torch.randn(len(labels), self.noise, device=labels.device)
        return self.layers(torch.cat([F.one_hot(labels, self.num_classes).to(noise.dtype), noise], 1))
