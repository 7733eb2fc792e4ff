"""The façade: the only module of the harness that methods/ and datasets/ import from."""

from benchmark.channel import Inbox, Message, Rows, State, Weights
from benchmark.client import Client, ClientInfo
from benchmark.data import Arrays, Source, from_torchvision
from benchmark.errors import RequestError
from benchmark.fit import fit, step_ahead
from benchmark.losses import divergence
from benchmark.low_rank import compressed, decompressed
from benchmark.method import Batch, Count, Fraction, Inspection, Method, Phase, Rate, Weight
from benchmark.models.line_up import LocalModel
from benchmark.models.switch_norm import SwitchNorm2d
from benchmark.partition import cut, dirichlet_shares, fill_up
from benchmark.prototypes import class_means, class_sums, nearest, pull
from benchmark.task import Task

__all__ = [
    "Arrays",
    "Batch",
    "Client",
    "ClientInfo",
    "Count",
    "Fraction",
    "Inbox",
    "Inspection",
    "LocalModel",
    "Message",
    "Method",
    "Phase",
    "Rate",
    "RequestError",
    "Rows",
    "Source",
    "State",
    "SwitchNorm2d",
    "Task",
    "Weight",
    "Weights",
    "class_means",
    "class_sums",
    "compressed",
    "cut",
    "decompressed",
    "dirichlet_shares",
    "divergence",
    "fill_up",
    "fit",
    "from_torchvision",
    "nearest",
    "pull",
    "step_ahead",
]
