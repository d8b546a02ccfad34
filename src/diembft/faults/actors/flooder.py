"""An actor that sends each validator far more than its share."""

from __future__ import annotations

from typing import ClassVar

from typing_extensions import override

from diembft.client.requests import session_of
from diembft.consensus.effects import Effect, Send
from diembft.consensus.events import Event, Received
from diembft.consensus.replica import Replica
from diembft.faults.actors.actor import Actor
from diembft.messages.types import TC, Block, BlockRequest, Message, Relay, Request, RequestKind, VoteMsg

AT_ONCE = 20
"""How much it sends to each validator when it enters a round."""

ROUNDS_AHEAD = 50


class Flooder(Actor):
    """Votes far ahead, requests for blocks that do not exist, forged requests of clients, repetitions."""

    sentence: ClassVar[str] = "Sends far more than its share: votes far ahead, useless questions, repetitions."

    def __init__(self, replica: Replica, seed: int) -> None:
        super().__init__(replica, seed)
        self._round = 0
        self._last: Message | None = None

    @override
    def step(self, event: Event) -> list[Effect]:
        """And a flood whenever a round is entered."""
        effects = self.replica.step(event)
        if isinstance(event, Received):
            self._last = event.message
        if self.current_round > self._round:
            self._round = self.current_round
            effects += [Send(peer, self._junk()) for peer in self.peers for _ in range(AT_ONCE)]
        return effects

    def _junk(self) -> Message:
        draw = self.random
        match draw.randrange(4):
            case 0:
                return self._vote(self.current_round + draw.randrange(ROUNDS_AHEAD))
            case 1:
                return BlockRequest(self.current_round, draw.randbytes(32), self.tree.root.block.id, 1000)
            case 2:
                forged = Request(
                    "nobody",
                    session_of("nobody"),
                    draw.randrange(1000),
                    RequestKind.ORDINARY,
                    (draw.randbytes(20),),
                    draw.randbytes(40),
                )
                return Relay(self.current_round, (forged,) * 10)
            case _:
                return self._last or self._vote(self.current_round)

    def _vote(self, round_: int) -> VoteMsg:
        """A vote of its own for a block that does not exist."""
        qc = self.tree.high_qc
        block = Block(self.me, max(round_, qc.round + 1), 0, (), qc, self.random.randbytes(32))
        excuse = TC(block.round - 1, (0,), (), qc)
        state_id = self.random.randbytes(32)
        vote = self.unlocked().safety.make_vote(block, excuse, state_id, state_id, self.tree.high_commit_qc)
        assert vote is not None, "because nothing forbids it to one that remembers nothing"
        return vote
