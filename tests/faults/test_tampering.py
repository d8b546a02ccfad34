"""Replicas whose attributes failure injection sets."""

from __future__ import annotations

import pytest

from diembft.consensus.config import Config
from diembft.consensus.effects import Reason, Send, SetTimer
from diembft.consensus.events import Received, Requests, Started, Timer, TimerFired
from diembft.consensus.safety import Safety
from diembft.faults.planting import NO_BUGS
from diembft.faults.registry import plant
from diembft.faults.tampering import Tampered, tampered
from diembft.messages.types import ProposalMsg, TimeoutMsg
from tests.consensus.rig import Craft, all_of, ignored, make_machine, sent, vote_of


@pytest.fixture
def craft() -> Craft:
    return Craft()


def started(craft: Craft, me: int = 0) -> Tampered:
    keys = craft.keys
    replica = tampered(NO_BUGS)(craft.config, me, keys.replicas[me], keys.ring, make_machine())
    replica.step(Started())
    return replica


def test_set_attribute_highest_vote_round(craft: Craft) -> None:
    replica = started(craft)
    replica.set_attribute("highest_vote_round", 5)
    assert vote_of(craft.propose(replica, craft.block(1))) is None
    replica.set_attribute("highest_vote_round", 0)
    assert vote_of(craft.propose(replica, craft.block(1))) is not None


def test_set_attribute_highest_qc_round_prevents_timeouts(craft: Craft) -> None:
    replica = started(craft, 2)
    replica.set_attribute("highest_qc_round", 5)
    replica.step(Requests((craft.request(),)))
    effects = replica.step(TimerFired(Timer.ROUND, 1))
    assert sent(effects, TimeoutMsg) == []
    assert ignored(effects) is Reason.NOT_SAFE
    assert SetTimer(Timer.ROUND, 5.0, 1) in effects, "it tries again"


@pytest.mark.parametrize("name", ["current_round", "round"])
def test_set_attribute_current_round(craft: Craft, name: str) -> None:
    replica = started(craft, 2)
    craft.propose(replica, craft.block(1, author=3))
    replica.step(Received(3, craft.timeout(1, 3)))
    replica.set_attribute(name, 4)
    assert replica.current_round == 4
    assert replica.pacemaker.timeouts == {}
    assert replica.proposals == {}
    effects = replica.step(Requests((craft.request(),)))
    assert replica.leader(4) == 2
    assert sent(effects, ProposalMsg) == [], "nothing certifies round 3, so Safety forbids a vote for the block"


def test_a_timer_that_runs_outlives_an_injected_round(craft: Craft) -> None:
    """The timer of the round that failure injection changed fires, and is not the last one."""
    replica = started(craft, 2)
    replica.step(Requests((craft.request(),)))
    replica.set_attribute("current_round", 4)
    effects = replica.step(TimerFired(Timer.ROUND, 1))
    assert ignored(effects) is Reason.NOT_SAFE
    assert [effect.round for effect in all_of(effects, SetTimer)] == [4]


def test_set_attribute_leader_holds_for_the_current_round(craft: Craft) -> None:
    replica = started(craft)
    replica.set_attribute("leader", 3)
    assert [replica.leader(round_) for round_ in (1, 2, 3)] == [3, 1, 1]
    assert ignored(craft.propose(replica, craft.block(1))) is Reason.NOT_LEADER
    assert vote_of(craft.propose(replica, craft.block(1, author=3))) is not None
    replica.set_attribute("current_round", 2)
    replica.set_attribute("leader", 3)
    replica.set_attribute("current_round", 1)
    replica.set_attribute("highest_vote_round", 0)
    effects = craft.propose(replica, craft.block(1, payload=(craft.request(),)))
    assert [effect.to for effect in all_of(effects, Send)] == [3], "the vote goes to who will lead"


def test_set_attribute_duplicate_transactions() -> None:
    """What the block before has is proposed again, within the limits of a block."""
    proposed: list[list[int]] = []
    for most, switch in ((1000, 0), (1000, 1), (2, 1)):
        craft = Craft(Config(n=4, max_block_requests=most))
        replica = started(craft, 1)
        replica.set_attribute("duplicate_transactions", switch)
        block = craft.block(1, payload=(craft.request(1), craft.request(2)))
        craft.propose(replica, block)
        replica.step(Requests((craft.request(3),)))
        effects = [effect for voter in (0, 2, 3) for effect in replica.step(Received(voter, craft.vote(block, voter)))]
        ((_, message),) = sent(effects, ProposalMsg)
        assert (message.block.round, message.block.qc.vote_info.id) == (2, block.id)
        proposed.append([request.number for request in message.block.payload])
        assert replica.mempool.select(2, ()), "its own mempool is as it was"
        assert replica.fork().duplicate_transactions == bool(switch)
    assert proposed == [[3], [1, 2, 3], [1, 2]]


def test_set_attribute_refuses_what_is_none(craft: Craft) -> None:
    with pytest.raises(ValueError, match="no attribute 'height'"):
        started(craft).set_attribute("height", 3)


def test_what_was_set_goes_into_forks_and_into_the_key(craft: Craft) -> None:
    replica = started(craft)
    untouched = replica.fork()
    replica.set_attribute("leader", 3)
    fork = replica.fork()
    assert fork.leader(1) == 3
    assert fork.state_key() == replica.state_key() != untouched.state_key()
    fork.set_attribute("leader", 2)
    assert replica.leader(1) == 3


def test_bugs_are_planted_in_it_as_in_others() -> None:
    kind = tampered(plant(("stale_leader",)))
    assert issubclass(kind, Tampered)
    assert issubclass(kind, plant(("stale_leader",)).replica)
    assert Safety not in kind.__mro__
