"""An actor that hears all and says nothing."""

from __future__ import annotations

from typing import ClassVar

from typing_extensions import override

from diembft.consensus.effects import Broadcast, Effect, Send, SendReply
from diembft.consensus.events import Event
from diembft.faults.actors.actor import Actor


class Silent(Actor):
    """A replica that says nothing."""

    sentence: ClassVar[str] = "Hears all and says nothing."

    @override
    def step(self, event: Event) -> list[Effect]:
        """Nothing is sent."""
        return [effect for effect in self.replica.step(event) if not isinstance(effect, Send | Broadcast | SendReply)]
