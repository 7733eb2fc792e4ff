"""A stand-in for ClientInfo in a step that several clients share; reading a field raises Unsuited."""

from typing import Any

from benchmark.client import ClientInfo


class Unsuited(RuntimeError):
    """An engine can't train a method in its way; the message says why."""


class AnonymousClientInfo(ClientInfo):
    """The info of whichever client the step is done for; it has no values.

    A step that is recorded once, or mapped over clients, would give all of them what it read of one.
    """

    def __init__(self) -> None:
        pass

    def __getattribute__(self, name: str) -> Any:
        """Raises Unsuited for whatever differs from client to client or from round to round."""
        if name in ClientInfo.__dataclass_fields__:
            raise Unsuited(f"a step of the method looks at the client's {name}")
        return super().__getattribute__(name)
