"""What algorithm boxes written by hand have in common, and small clients to work losses out on."""

from collections.abc import Callable, Iterator, Mapping, Sequence

import pytest
import torch
from torch import Tensor, nn

from benchmark.api import Batch, Client, ClientInfo, Method, Rows
from benchmark.federation import Federation
from benchmark.method import WHOLE, Stretch, initial_parts
from benchmark.schedule import Schedule


def clients_of(federation: Federation) -> list[dict[str, nn.Module]]:
    """Every client's parts in their initial weights; their layout in memory counts where results are to the bit."""
    clients = [initial_parts(federation.method, federation.task, k) for k in range(federation.task.num_clients)]
    return [{name: part.to(memory_format=torch.channels_last) for name, part in parts.items()} for parts in clients]


@pytest.fixture(name="clients_of")
def _clients_of() -> Callable[..., list[dict[str, nn.Module]]]:
    return clients_of


def passes(
    federation: Federation, client: int, round: int, stretch: Stretch = WHOLE
) -> Iterator[list[tuple[Tensor, Tensor]]]:
    """The passes of a client over its training samples in a round, without end: batches of images and labels."""
    for batches in Schedule(federation.task, federation.config).epochs(client, round, stretch):
        yield [federation.task.batch(indices) for indices in batches]


@pytest.fixture(name="passes")
def _passes() -> Callable[..., Iterator[list[tuple[Tensor, Tensor]]]]:
    return passes


def step(optimiser: torch.optim.Optimizer, loss: Tensor) -> None:
    """One step down the gradient of this loss."""
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()


@pytest.fixture(name="step")
def _step() -> Callable[[torch.optim.Optimizer, Tensor], None]:
    return step


def weighted_mean(states: Sequence[Mapping[str, Tensor]], samples: Sequence[int]) -> dict[str, Tensor]:
    """The running mean, state by state. Samples such as 4, 4 and 8 make its weights, 1/2 and 1/2, exact."""
    mean, total = dict(states[0]), samples[0]
    for state, n in zip(states[1:], samples[1:], strict=True):
        total += n
        mean = {name: mean[name].lerp(state[name], n / total) for name in mean}
    return mean


@pytest.fixture(name="weighted_mean")
def _weighted_mean() -> Callable[..., dict[str, Tensor]]:
    return weighted_mean


def state_of(parts: Mapping[str, nn.Module]) -> dict[str, dict[str, Tensor]]:
    """A client's parts in the shape in which the federation keeps them."""
    return {name: dict(part.state_dict()) for name, part in parts.items()}


@pytest.fixture(name="state_of")
def _state_of() -> Callable[..., dict[str, dict[str, Tensor]]]:
    return state_of


def private(states: Mapping[int, Mapping], parts: Sequence[str] = ("extractor", "header")) -> dict[int, dict]:
    """Of every client's state the private network."""
    return {k: {part: state[part] for part in parts} for k, state in states.items()}


@pytest.fixture(name="private")
def _private() -> Callable[..., dict[int, dict]]:
    return private


class Fixed(nn.Module):
    """Whatever comes in, these numbers [1, d] come out, for each sample."""

    def __init__(self, out: Tensor | list[list[float]]):
        super().__init__()
        self.out = nn.Parameter(torch.as_tensor(out))

    def forward(self, x: Tensor) -> Tensor:
        return self.out.expand(len(x), -1)


@pytest.fixture
def fixed() -> type[Fixed]:
    return Fixed


def even_client(prototypes: Rows) -> Client:
    """Its images are its representations, of width 2; its logits of three classes are even."""
    header = nn.Linear(2, 3)
    nn.init.zeros_(header.weight)
    nn.init.zeros_(header.bias)
    parts = {"extractor": nn.Identity(), "header": header}
    return Client(ClientInfo(0, "identity", 3), parts, {"prototypes": prototypes})


@pytest.fixture(name="even_client")
def _even_client() -> Callable[[Rows], Client]:
    return even_client


@pytest.fixture
def two_batches() -> list[Batch]:
    """Of three classes, class 0 has the mean (2, 4) and class 2 the mean (5, 5)."""
    return [
        Batch(torch.tensor([[1.0, 3.0], [5.0, 5.0]]), torch.tensor([0, 2])),
        Batch(torch.tensor([[3.0, 5.0]]), torch.tensor([0])),
    ]


def uploaded(method: Method, client: Client, batches: Sequence[Batch]) -> dict:
    """The message of a client whose training samples are these."""
    sums = [method.statistics(client, batch) for batch in batches]
    classes = getattr(client.parts["header"], "out_features", 0)
    counts = torch.cat([batch.y for batch in batches]).bincount(minlength=classes)
    knowing = Client(client.info, client.parts, client.values, counts)
    return method.upload(knowing, {name: sum(part[name] for part in sums) for name in sums[0]})


@pytest.fixture(name="uploaded")
def _uploaded() -> Callable[[Method, Client, Sequence[Batch]], dict]:
    return uploaded
