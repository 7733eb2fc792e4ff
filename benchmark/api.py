"""The façade: all that methods/ and datasets/ import from the harness, besides `fields` and `functional`."""

from benchmark.channel import Inbox, Message, Observer, Passage, RoundNumber, Rows, State, Weights
from benchmark.client import Client, ClientInfo
from benchmark.data import Arrays, Source, from_torchvision
from benchmark.errors import RequestError
from benchmark.method import Batch, Inspection, Method, Phase
from benchmark.models.line_up import Architecture, LineUp, LocalModel, Shape
from benchmark.models.switch_norm import SwitchNorm2d
from benchmark.partition import cut, dirichlet_shares, fill_up
from benchmark.task import Task

Progress = RoundNumber
"""The earlier name of RoundNumber, kept for methods that import it."""

__all__ = [
    "Architecture",
    "Arrays",
    "Batch",
    "Client",
    "ClientInfo",
    "Inbox",
    "Inspection",
    "LineUp",
    "LocalModel",
    "Message",
    "Method",
    "Observer",
    "Passage",
    "Phase",
    "Progress",
    "RequestError",
    "RoundNumber",
    "Rows",
    "Shape",
    "Source",
    "State",
    "SwitchNorm2d",
    "Task",
    "Weights",
    "cut",
    "dirichlet_shares",
    "fill_up",
    "from_torchvision",
]
