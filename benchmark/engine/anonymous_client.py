"""A stand-in for ClientInfo in a step that several clients share; reading a field raises Unsuited."""

from typing import Any

from benchmark.client import ClientInfo


class Unsuited(RuntimeError):
    """An engine can't train a method its way; the message says why."""


class AnonymousClientInfo(ClientInfo):
    """The info of whichever client a shared step serves; it has no values.

    A step that is recorded once, or mapped over clients, would use what it read of one client for all of them,
    though it differs from client to client or from round to round. So reading any field raises Unsuited.
    """

    def __init__(self) -> None:
        pass

    def __getattribute__(self, name: str) -> Any:
        if name in ClientInfo.__dataclass_fields__:
            raise Unsuited(f"a step of the method looks at the client's {name}")
        return super().__getattribute__(name)
