"""Tasks, immutable and shared by all methods: images, who holds which of them, and who has which network."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import torch
from torch import Tensor

from benchmark.client import ClientInfo
from benchmark.models.line_up import Architecture, LineUp, LocalModel, Shape
from benchmark.seeds import torch_seeded


@dataclass(frozen=True, eq=False)
class ClientData:
    """Indices [n] of one client's samples in the task's images, by split."""

    train: Tensor
    validation: Tensor
    test: Tensor


@dataclass(frozen=True, eq=False)
class Task:
    """The task that every method of one comparison works on.

    images:   [N, h, w, c] uint8, train and test pooled, on the device; a batch is an index into them
    labels:   [N] int64
    mean, std: [c] per channel, of the data set's training images scaled to 0-255
    clients:  who holds which samples
    initial:  whether clients of one architecture begin with their own weights or the same; a federation sets it
    """

    images: Tensor
    labels: Tensor
    mean: Tensor
    std: Tensor
    num_classes: int
    clients: tuple[ClientData, ...]
    line_up: LineUp
    seed: int
    initial: Literal["own", "shared"] = "own"

    @property
    def num_clients(self) -> int:
        """Number of clients N."""
        return len(self.clients)

    @property
    def input_shape(self) -> Shape:
        """(c, h, w) of one image."""
        _, height, width, channels = self.images.shape
        return channels, height, width

    @cached_property
    def infos(self) -> tuple[ClientInfo, ...]:
        """The facts about each client that the server may know."""
        return tuple(ClientInfo(k, self.line_up.of(k).name, len(data.train)) for k, data in enumerate(self.clients))

    @cached_property
    def class_counts(self) -> Tensor:
        """Training samples of each client by class [N, C]."""
        classes = torch.arange(self.num_classes, device=self.labels.device)
        return torch.stack([(self.labels[data.train][:, None] == classes).sum(0) for data in self.clients])

    @cached_property
    def by_architecture(self) -> Mapping[str, int]:
        """Each architecture in use -> the first client that has it."""
        first: dict[str, int] = {}
        for info in self.infos:
            first.setdefault(info.architecture, info.id)
        return first

    @property
    def widths(self) -> Mapping[str, int]:
        """Each architecture in use -> the width of its representation."""
        return {name: self.line_up.of(k).width for name, k in self.by_architecture.items()}

    @property
    def width(self) -> int:
        """The width of all representations, if they have one in common."""
        (width,) = set(self.widths.values())
        return width

    @cached_property
    def width_mismatch(self) -> str | None:
        """The reason why representations can't be mixed or averaged, in one line; None if they have one width."""
        if len(set(self.widths.values())) == 1:
            return None
        listed = ", ".join(f"{name} {width}" for name, width in self.widths.items())
        return f"it needs representations of one width, and they differ: {listed}"

    @cached_property
    def header_mismatch(self) -> str | None:
        """The reason why one linear header can't serve all clients, in one line; None if it can."""
        hidden = [name for name, k in self.by_architecture.items() if self.line_up.of(k).hidden]
        return f"it needs linear headers, and those of {', '.join(hidden)} are not" if hidden else self.width_mismatch

    @property
    def no_common_width(self) -> str | None:
        """The earlier name of width_mismatch, kept for users' methods."""
        return self.width_mismatch

    @property
    def no_common_header(self) -> str | None:
        """The earlier name of header_mismatch, kept for users' methods."""
        return self.header_mismatch

    def local_model(self, client: int | None) -> LocalModel:
        """Build a client's own network in its initial weights; None: the server's, of client 0's architecture."""
        return self._build(self.line_up.of(client or 0), self.owner(client))

    def owner(self, client: int | None) -> int | str:
        """Name the holder of a client's initial weights in seeds: the client, or all clients of its architecture."""
        if client is None:
            return "server"
        return client if self.initial == "own" else self.line_up.of(client).name

    def small_model(self, width: int | None = None) -> LocalModel:
        """Return the small network that all can share, in its initial weights, the same for every client.

        width is that of its representation; None: the line-up's. It is built once and then copied: drawing weights
        takes longer.
        """
        small = self.line_up.small
        kind = small.width if width is None else width, torch.get_default_device()
        if kind not in self._small:
            self._small[kind] = self._build(replace(small, width=kind[0]), "small")
        return copy.deepcopy(self._small[kind])

    def batch(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        """Return normalised images [B, c, h, w] (channels last in memory) and labels [B] of these indices."""
        # Rows of a flat table and per-pixel factors: a quarter of the time of indexing and broadcasting over images.
        pixels = self.images.flatten(1).index_select(0, indices).to(self._scale.dtype)
        x = torch.addcmul(self._shift, pixels, self._scale).view(-1, *self.images.shape[1:])
        return x.permute(0, 3, 1, 2), self.labels.index_select(0, indices)

    def to(self, device: torch.device) -> "Task":
        """Return the same task with its images on another device."""
        moved = {name: getattr(self, name).to(device) for name in ("images", "labels", "mean", "std")}
        clients = tuple(ClientData(*(split.to(device) for split in vars(data).values())) for data in self.clients)
        return replace(self, **moved, clients=clients)

    def _build(self, architecture: Architecture, owner: int | str) -> LocalModel:
        with torch_seeded("init", seed=self.seed, client=owner, part="extractor"):
            extractor = architecture.extractor(self.input_shape, architecture.width)
        with torch_seeded("init", seed=self.seed, client=owner, part="header"):
            header = architecture.header(self.num_classes)
        return LocalModel(architecture.name, extractor, header, architecture.width)

    @cached_property
    def _small(self) -> dict[tuple[int, torch.device], LocalModel]:
        """Small networks in their initial weights, by the width of the representation and the device."""
        return {}

    @cached_property
    def _scale(self) -> Tensor:
        _, height, width, _ = self.images.shape
        return (1 / self.std).repeat(height * width)

    @cached_property
    def _shift(self) -> Tensor:
        return -self.mean.repeat(len(self._scale) // len(self.mean)) * self._scale
