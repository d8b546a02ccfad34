from __future__ import annotations

from diembft.consensus.events import Received, Requests
from diembft.faults.actors.actor import Actor
from tests.consensus.rig import Craft, vote_of
from tests.faults.actors.acting import acting


def test_it_stands_where_a_replica_is_expected() -> None:
    craft = Craft()
    actor, replica = acting(craft, Actor, me=1), craft.started(1)
    block = craft.block(1)
    for event in (Requests((craft.request(),)), Received(0, craft.proposal(block)), Received(3, craft.timeout(1, 3))):
        assert actor.step(event) == replica.step(event)
    assert actor.replica.state_key() == replica.state_key()
    assert (actor.me, actor.peers) == (1, (0, 2, 3))
    assert actor.current_round == replica.current_round
    assert actor.leader(2) == replica.leader(2)
    assert actor.tree is actor.replica.tree
    assert actor.safety is actor.replica.safety
    assert actor.pacemaker is actor.replica.pacemaker


def test_what_an_unlocked_copy_signs_leaves_the_replica_as_it_was() -> None:
    craft = Craft()
    actor = acting(craft, Actor)
    craft.propose(actor.replica, craft.block(1))
    key = actor.replica.state_key()
    rival = craft.block(1, payload=(craft.request(),))
    assert vote_of(craft.propose(actor.unlocked(), rival)) is not None
    assert actor.replica.state_key() == key
    assert vote_of(craft.propose(actor.replica, rival)) is None


def test_a_block_of_its_own_is_well_formed() -> None:
    craft = Craft()
    actor = acting(craft, Actor, me=2)
    block = actor.block(5, (craft.request(),), actor.replica)
    assert (block.author, block.round, block.qc) == (2, 5, craft.genesis_qc)
    assert actor.replica.verifier.block(block) is None
