"""An attack at one level of knowledge: a server's or an auditor's."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from benchmark.channel import Message
from benchmark.privacy.membership import MembershipAttack
from benchmark.privacy.record_messages import RecordMessages
from benchmark.privacy.vectors import noise_of


class Level(NamedTuple):
    """An attack at one level of knowledge, ready to judge messages.

    samples: records of each shadow; shadows: [m] each, what they send
    expected: [1 or 2, m], the sum of records' messages, and what is left of the broadcast if messages are clipped
    """

    messages: RecordMessages
    attack: MembershipAttack
    samples: Sequence[Tensor]
    shadows: Sequence[Tensor]
    expected: Tensor

    def remainders(self, seen: Mapping[str, Message]) -> dict[str, Tensor]:
        """Return for each kind of message the remainder [m], and that of noise in place of the message."""
        differences = {kind: self.messages.difference(message) for kind, message in seen.items()}
        differences["noise"] = noise_of(differences["message"])
        return {kind: self.remainder(of) for kind, of in differences.items()}

    def remainder(self, message: Tensor, but: int | None = None) -> Tensor:
        """Return of a message [m] what clients with other data of the same labels do not send.

        but: the shadow that the message is of, which does not explain itself
        """
        others = [shadow for i, shadow in enumerate(self.shadows) if i != but]
        mean = [torch.stack(others).mean(0)] if others else []
        return self.attack.remainder(message, torch.stack([*self.expected, *mean]))
