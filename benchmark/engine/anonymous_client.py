"""Who a step is made for that serves several clients: nobody in particular."""

from typing import Any

from benchmark.client import ClientInfo


class Unsuited(RuntimeError):
    """An engine can't train a method in its way; the message says why."""


class Anybody(ClientInfo):
    """The info of whichever client a step is done for. It can't tell who that is."""

    def __init__(self) -> None:
        """Without any of the fields."""

    def __getattribute__(self, name: str) -> Any:
        """Raises Unsuited for what differs from client to client or from round to round."""
        if name in ClientInfo.__dataclass_fields__:
            raise Unsuited(f"a step of the method looks at the client's {name}")
        return super().__getattribute__(name)
