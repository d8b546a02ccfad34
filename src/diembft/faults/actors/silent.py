"""An actor that hears all and says nothing."""

from __future__ import annotations

from typing import ClassVar

from diembft.consensus.effects import Broadcast, Effect, Send, SendReply
from diembft.consensus.events import Event
from diembft.faults.actors.actor import Actor


class Silent(Actor):
    """See the module."""

    sentence: ClassVar[str] = "Hears all and says nothing."

    def step(self, event: Event) -> list[Effect]:
        """See Replica; nothing is sent."""
        return [effect for effect in self.replica.step(event) if not isinstance(effect, Send | Broadcast | SendReply)]
