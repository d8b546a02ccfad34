"""An actor that proposes one block to one half of the validators and another to the other half."""

from __future__ import annotations

from typing import ClassVar

from typing_extensions import override

from diembft.consensus.effects import Broadcast, Effect, Send
from diembft.consensus.events import Event
from diembft.faults.actors.actor import Actor
from diembft.messages.types import Block, Payload, ProposalMsg


class EquivocatingLeader(Actor):
    """The second block differs in what it carries: some of the first one's requests, or, if that had none, an old one.

    Before it has met a request it has nothing to tell its halves apart by, and proposes once.
    """

    sentence: ClassVar[str] = "Leads with two blocks: one for one half of the validators, one for the other half."

    @override
    def step(self, event: Event) -> list[Effect]:
        """Proposals come in two."""
        effects: list[Effect] = []
        for effect in self.replica.step(event):
            if isinstance(effect, Broadcast) and isinstance(effect.message, ProposalMsg):
                effects += self._both(effect.message)
            else:
                effects.append(effect)
        return effects

    def _both(self, message: ProposalMsg) -> list[Effect]:
        payload = self._another_payload(message.block)
        block = message.block
        parent = self.tree.nodes.get(block.qc.vote_info.id)
        if payload is None or parent is None:
            return [Broadcast(message)]
        second_id = self.digests.block(self.me, block.round, block.time_ms, payload, block.qc)
        second = Block(self.me, block.round, block.time_ms, payload, block.qc, second_id)
        copy = self.unlocked()
        state_id = copy.tree.execute(second).state_id
        vote = copy.safety.make_vote(second, message.last_round_tc, state_id, parent.state_id, message.high_commit_qc)
        assert vote is not None, "because the first block could be voted for"
        other = ProposalMsg(second, message.last_round_tc, message.high_commit_qc, copy.safety.sign_proposal(second))
        half = len(self.peers) // 2
        peers = self.random.sample(self.peers, len(self.peers))
        return [
            *[Send(peer, message) for peer in peers[:half]],
            *[Send(peer, other) for peer in peers[half:]],
            Send(self.replica.vote_collector(block.round), vote),
        ]

    def _another_payload(self, block: Block) -> Payload | None:
        if block.payload:
            return block.payload[1:]
        met = [node.block.payload for node in self.tree.nodes.values() if node.block.payload]
        return met[0][:1] if met else None
