from __future__ import annotations

from diembft.consensus.events import Received
from diembft.faults.actors.flooder import AT_ONCE, ROUNDS_AHEAD, Flooder
from diembft.messages.types import BlockRequest, Relay, VoteMsg
from tests.consensus.rig import Craft
from tests.faults.actors.acting import acting, messages_to, run_among_correct


def test_each_round_everybody_gets_far_more_than_a_share() -> None:
    craft = Craft()
    flooder = Flooder(craft.replica(2), 1)
    victim = craft.started(1)
    blocks = craft.chain([1, 2, 3, 4, 5, 6])
    kinds = set()
    rounds_ahead = []
    for block in blocks:
        effects = flooder.step(Received(block.author, craft.proposal(block)))
        for peer in flooder.peers:
            assert len(messages_to(effects, peer)) >= AT_ONCE
        for message in messages_to(effects, 1):
            kinds.add(type(message))
            if isinstance(message, VoteMsg):
                assert message.sender == 2
                assert victim.verifier.vote(message) is None, "it is well signed"
                rounds_ahead.append(message.vote_info.round - flooder.current_round)
            victim.step(Received(2, message))
    assert {VoteMsg, BlockRequest, Relay} <= kinds
    assert craft.config.max_rounds_ahead < max(rounds_ahead) <= ROUNDS_AHEAD
    assert len(victim.tree.votes) <= craft.config.max_rounds_ahead + 2
    assert all(len(buckets) <= 2 for buckets in victim.tree.votes.values())
    assert len(victim.mempool) == 0, "nobody signed the requests"


def test_in_one_round_it_floods_once() -> None:
    craft = Craft()
    flooder = acting(craft, Flooder, me=2)
    flooder.step(Received(3, craft.timeout(1, 3)))
    assert len(flooder.step(Received(0, craft.vote(craft.block(1), 0)))) == 0


def test_the_others_are_unharmed() -> None:
    for result in run_among_correct("flooder"):
        assert result.held, result.violations
