from __future__ import annotations

from diembft.consensus.config import Config
from diembft.consensus.effects import Broadcast, Effect
from diembft.consensus.events import Received, Requests
from diembft.faults.actors.equivocating_leader import EquivocatingLeader
from diembft.messages.types import Payload, ProposalMsg, VoteMsg
from tests.consensus.rig import Craft, sent, vote_of
from tests.faults.actors.acting import acting, messages_to, run_among_correct


def leading(craft: Craft, payload: Payload) -> tuple[EquivocatingLeader, list[Effect]]:
    """The leader of round 2 with a request, whose first block follows one with this payload; and what it does."""
    leader = acting(craft, EquivocatingLeader, me=1)
    assert isinstance(leader, EquivocatingLeader)
    first = craft.block(1, payload=payload)
    leader.step(Received(0, craft.proposal(first)))
    effects: list[Effect] = []
    for sender in (0, 2):
        effects += leader.step(Received(sender, craft.vote(first, sender)))
    return leader, effects


def test_each_half_gets_a_block_of_its_own_and_both_get_votes() -> None:
    craft = Craft()
    _, effects = leading(craft, (craft.request(),))
    proposals = {
        peer: [message for message in messages_to(effects, peer) if isinstance(message, ProposalMsg)]
        for peer in (0, 2, 3)
    }
    assert [len(found) for found in proposals.values()] == [1, 1, 1]
    ids = [found[0].block.id for found in proposals.values()]
    assert len(set(ids)) == 2
    for peer, (proposal,) in proposals.items():
        assert proposal.block.round == 2
        replica = craft.started(peer)
        if peer != 0:
            craft.propose(replica, craft.block(1, payload=(craft.request(),)))
        assert replica.verifier.proposal(proposal, replica.mempool) is None
    voters = [craft.started(peer) for peer in (2, 3)]
    for voter in voters:
        craft.propose(voter, craft.block(1, payload=(craft.request(),)))
        assert vote_of(voter.step(Received(1, proposals[voter.me][0]))) is not None
    assert len({vote.vote_info.id for _, vote in sent(effects, VoteMsg)}) == 2


def test_a_block_with_requests_is_told_apart_by_the_first_of_them() -> None:
    craft = Craft()
    leader = acting(craft, EquivocatingLeader, me=0)
    effects = leader.step(Requests((craft.request(1), craft.request(2))))
    blocks = {message.block.id: message.block for _, message in sent(effects, ProposalMsg)}
    assert sorted([len(block.payload) for block in blocks.values()]) == [1, 2]


def test_before_it_has_met_a_request_it_proposes_once() -> None:
    craft = Craft(Config(n=4, rest=False))
    leader = acting(craft, EquivocatingLeader, me=1)
    block = craft.block(1)
    leader.step(Received(0, craft.proposal(block)))
    effects: list[Effect] = []
    for sender in (0, 2):
        effects += leader.step(Received(sender, craft.vote(block, sender)))
    (proposal,) = [effect for effect in effects if isinstance(effect, Broadcast)]
    assert isinstance(proposal.message, ProposalMsg)


def test_the_others_report_it_and_are_unharmed() -> None:
    results = run_among_correct("equivocating_leader")
    assert all(result.held for result in results), [result.violations for result in results]
    assert sum([result.reached.equivocations for result in results]) > 0
