"""An actor that sends again, much later and to others, what it once received."""

from __future__ import annotations

from typing import ClassVar, TypeVar

from typing_extensions import override

from diembft.consensus.effects import Effect, Send
from diembft.consensus.events import Event, Received, Requests
from diembft.consensus.replica import Replica
from diembft.faults.actors.actor import Actor
from diembft.messages.types import Message, ProposalMsg, Relay, Request

Thing = TypeVar("Thing")

ODDS = 0.2
"""How often it repeats something when something happens."""

KEPT = 500
"""How many messages, and how many requests, it keeps to choose from."""


class Replayer(Actor):
    """A replica that says old things again."""

    sentence: ClassVar[str] = "Sends again, much later and to others, what it once received: messages and requests."

    def __init__(self, replica: Replica, seed: int) -> None:
        super().__init__(replica, seed)
        self._messages: list[Message] = []
        self._requests: list[Request] = []

    @override
    def step(self, event: Event) -> list[Effect]:
        """And repetitions."""
        effects = self.replica.step(event)
        if isinstance(event, Received):
            self._keep(self._messages, event.message)
            if isinstance(event.message, ProposalMsg):
                for request in event.message.block.payload:
                    self._keep(self._requests, request)
        elif isinstance(event, Requests):
            for request in event.requests:
                self._keep(self._requests, request)
        if self.peers and self.random.random() < ODDS:
            if self._messages:
                effects.append(Send(self.random.choice(self.peers), self.random.choice(self._messages)))
            if self._requests:
                again = Relay(self.current_round, (self.random.choice(self._requests),))
                effects += [Send(peer, again) for peer in self.peers]
        return effects

    def _keep(self, kept: list[Thing], new: Thing) -> None:
        """Keep all, and then a random choice of what there was."""
        if len(kept) < KEPT:
            kept.append(new)
        else:
            kept[self.random.randrange(KEPT)] = new
