"""An actor that votes for every proposal, whatever it signed before, and once more for a made-up result of it."""

from __future__ import annotations

from typing import ClassVar

from msgspec import structs
from typing_extensions import override

from diembft.consensus.effects import Effect, Send
from diembft.consensus.events import Event, Received
from diembft.faults.actors.actor import Actor
from diembft.messages.types import ProposalMsg, VoteMsg


class DoubleVoter(Actor):
    """A replica that votes twice."""

    sentence: ClassVar[str] = "Votes for every proposal, whatever it signed before, and for a made-up result of it."

    @override
    def step(self, event: Event) -> list[Effect]:
        """More votes than one."""
        if not (isinstance(event, Received) and isinstance(event.message, ProposalMsg)):
            return self.replica.step(event)
        lawless = self.unlocked().step(event)
        effects = self.replica.step(event)
        for effect in lawless:
            if isinstance(effect, Send) and isinstance(effect.message, VoteMsg):
                if effect not in effects:
                    effects.append(effect)
                made_up = self._made_up(event.message, effect.message)
                if made_up is not None:
                    effects.append(Send(effect.to, made_up))
        return effects

    def _made_up(self, proposal: ProposalMsg, vote: VoteMsg) -> VoteMsg | None:
        """A vote for the same block with another state after it."""
        block = proposal.block
        parent = self.tree.nodes.get(block.qc.vote_info.id)
        if parent is None or vote.vote_info.id != block.id:
            return None
        state_id = self.digests.state(vote.vote_info.exec_state_id, block.id, b"made up")
        made_up = self.unlocked().safety.make_vote(
            block, proposal.last_round_tc, state_id, parent.state_id, vote.high_commit_qc
        )
        assert made_up is not None, "because the proposal could be voted for"
        return structs.replace(made_up, high_commit_qc=vote.high_commit_qc)
