"""FedMoE: every sample weighs a shared expert against a private one.

Yi et al., "FedMoE: Data-Level Personalization with Mixture of Experts for Model-Heterogeneous Personalized Federated
Learning", 2024, arXiv 2402.01350 (from its third version on named pFedMoE).

Client k holds                                             trained   travels
    extractor  F_k    its own architecture                    x
    header     H_k    its own classifier                      x
    gate       phi_k  two weights per sample                  x
    expert     theta  the small extractor all clients share   x      up, down

One round, for the participants S:
    down    theta -> every k in S
    local   a = phi_k(x)                               [B, 2], rows sum to 1
            r = a_0 G(x; theta) + a_1 F_k(x)           [B, d]
            minimise CE(H_k(r), y) over all four together, the gate with a rate of its own
    up      theta_k -> server
    server  theta <- sum_k n_k theta_k / sum_k n_k

Departures from the paper:
    - The gate is switchable normalisation of the image, Linear, batch norm, Sigmoid, Linear, Softmax. The paper puts a
      second batch norm after the softmax; that takes away the sum to one that its own formula needs. Its first stands
      after the sigmoid; here before it. Normalising the image before flattening gives instance statistics a meaning.
    - The paper gives neither the gate's width nor the rate that it chose for the gate; both are fields, and the rate is
      the clients' unless it is set.
    - The gate's last layer has torch's usual random weights, of which the paper says nothing, so at the start one
      expert is favoured at random, whatever the data. A gate that has learned nothing is not `gate=static`.
    - n is the number of samples of the participants. The paper's notation has it over all clients, which would shrink
      theta at every round in which not all take part.

Controls: `federate=false` keeps both experts and never averages; `gate=static` weighs all samples alike.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from torch import Tensor, nn

from benchmark.api import Client, Inspection, LocalModel, Method, Phase, SwitchNorm2d, Task
from benchmark.fields import ClientRate, Fixed, PositiveInt, UnitInterval


@dataclass(frozen=True)
class FedMoE(Method):
    """Mixture of a shared and a private expert behind a private gate."""

    gate: Literal["learned", "static"] = "learned"  # static: the same two weights for every sample
    gate_width: PositiveInt = 64  # hidden units of phi
    gate_lr: ClientRate = None  # eta_phi; the client's rate unless set
    expert_weight: Annotated[UnitInterval, Fixed()] = 0.5  # a_0 if the gate is static
    federate: bool = True  # False: theta never travels

    def shares(self) -> tuple[str, ...]:
        """Share the small extractor, unless `federate` is off."""
        return ("expert",) if self.federate else ()

    def parts(self, model: LocalModel, task: Task) -> dict[str, nn.Module]:
        """Hold the private network, the shared expert and the gate."""
        gate = Gate(task.input_shape, self.gate_width) if self.gate == "learned" else StaticGate(self.expert_weight)
        return super().parts(model, task) | {"expert": task.small_model(model.width).extractor, "gate": gate}

    def unsupported(self, task: Task) -> str | None:
        """Refuse networks without one width, which both experts need."""
        return task.width_mismatch

    def phases(self) -> tuple[Phase, ...]:
        """Train all parts together."""
        return (Phase(lr={"gate": self.gate_lr}),)

    def predict(self, client: Client, x: Tensor) -> Tensor:
        """Predict with the header on the mixed representation."""
        a = client.gate(x)  # [B, 2]
        return client.header(a[:, :1] * client.expert(x) + a[:, 1:] * client.extractor(x))

    def inspect(self, client: Client, x: Tensor) -> Inspection:
        """Show the gate's weights, and the representations that it weighs."""
        shared, private = client.gate(x).unbind(1)  # [B] each
        return Inspection(
            weights={"shared expert": shared, "private expert": private},
            representations={"shared expert": client.expert(x), "private expert": client.extractor(x)},
        )


class Gate(nn.Sequential):
    """phi: [B, c, h, w] -> [B, 2], two weights per sample that sum to one, (shared, private).

    width: number of hidden units
    """

    def __init__(self, input_shape: tuple[int, int, int], width: int) -> None:
        channels, height, breadth = input_shape
        super().__init__(
            SwitchNorm2d(channels),
            nn.Flatten(),
            nn.Linear(channels * height * breadth, width),
            nn.BatchNorm1d(width),
            nn.Sigmoid(),
            nn.Linear(width, 2),
            nn.Softmax(dim=1),
        )


class StaticGate(nn.Module):
    """The same two weights for every sample: [B, ...] -> [B, 2].

    expert_weight: the shared expert's weight; the private one has the rest
    """

    weights: Tensor

    def __init__(self, expert_weight: float) -> None:
        super().__init__()
        self.register_buffer("weights", torch.tensor([[expert_weight, 1 - expert_weight]]), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Repeat the weights for each sample."""
        return self.weights.expand(len(x), 2)
