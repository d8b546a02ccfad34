"""Start and restart: what was durable is enough to go on from, and what was sent last is sent again."""

from __future__ import annotations

import pytest

from diembft.consensus.config import Config
from diembft.consensus.effects import Persist, SetTimer
from diembft.consensus.events import Received, Requests, Started, Timer
from diembft.consensus.recovery import Recovered
from diembft.messages.types import ProposalMsg, SyncInfo, TimeoutMsg, VoteMsg
from tests.consensus.rig import Craft, Rig, all_of, sent


def test_a_first_start_says_nothing_and_rests() -> None:
    effects = Craft().replica().step(Started())
    assert [effect.timer for effect in all_of(effects, SetTimer)] == [Timer.REST]
    assert len(effects) == 1


def test_a_single_validator_commits_by_itself_and_rests() -> None:
    rig = Rig(1)
    rig.request(1, b"a")
    rig.request(2, b"b")
    assert rig.executed(0) == [b"a", b"b"]
    assert rig.nodes[0].timers == {}
    rig.crash(0)
    rig.restart(0)
    rig.request(3, b"c")
    assert rig.executed(0) == [b"a", b"b", b"c"]


@pytest.mark.parametrize("crashed", range(4))
def test_the_vote_of_the_first_round_is_sent_again_after_a_crash(crashed: int) -> None:
    rig = Rig(4)
    rig.request()
    rig.run(lambda flight: isinstance(flight.message, ProposalMsg))
    votes = {flight.source: flight.message for flight in rig.flights_of(VoteMsg)}
    rig.crash(crashed)
    effects = rig.restart(crashed)
    if crashed in votes:
        assert [message for _, message in sent(effects, VoteMsg)] == [votes[crashed]]


def test_the_timeout_of_the_first_round_is_sent_again_after_a_crash() -> None:
    rig = Rig(4)
    rig.request(to=[2])
    effects = rig.fire(2)
    rig.crash(2)
    assert sent(rig.restart(2), TimeoutMsg) == sent(effects, TimeoutMsg)


def test_a_leader_that_crashes_before_it_sends_proposes_the_same_block_after_its_restart() -> None:
    rig = Rig(4, start=False)
    for node in rig.nodes:
        rig.start(node.index)
    request = rig.craft.request()
    effects = rig.step(0, Requests((request,)), crash_after=1)
    assert isinstance(effects[0], Persist)
    assert rig.flights == []
    again = rig.restart(0)
    assert sent(again, ProposalMsg) == sent(effects, ProposalMsg)
    assert sent(again, VoteMsg) == sent(effects, VoteMsg)


def test_at_a_restart_a_validator_tells_all_what_it_knows() -> None:
    rig = Rig(4)
    rig.request()
    rig.run()
    high_qc = rig[1].tree.high_qc
    rig.crash(1)
    ((to, message),) = sent(rig.restart(1), SyncInfo)
    assert to is None
    assert message.high_qc == high_qc
    assert rig[1].current_round == high_qc.round + 1


def test_a_restarted_leader_does_not_send_a_proposal_whose_tc_is_gone() -> None:
    """The leader of round 3 enters it by a TC and proposes on the QC of round 1. Then the late QC of round 2 makes the
    TC superfluous, and commits, which makes that durable. Without its TC the proposal would be refused by all."""
    rig = Rig(4)
    craft = rig.craft
    first = craft.block(1, payload=(craft.request(),))
    second = craft.block(2, craft.qc(first))
    rig.step(1, Received(0, craft.proposal(first)))
    rig.step(1, Received(1, craft.proposal(second)))
    effects = rig.step(1, Received(2, SyncInfo(3, craft.qc(first), craft.genesis_qc, craft.tc(2, craft.qc(first)))))
    ((_, proposal),) = sent(effects, ProposalMsg)
    assert proposal.last_round_tc is not None
    rig.step(1, Received(2, SyncInfo(3, craft.qc(second), craft.qc(second), None)))
    assert rig.committed_rounds(1) == [1]
    rig.crash(1)
    effects = rig.restart(1)
    assert sent(effects, ProposalMsg) == []
    assert [message.vote_info.id for _, message in sent(effects, VoteMsg)] == [proposal.block.id]


def test_recovery_from_nothing_is_a_first_start() -> None:
    craft = Craft()
    recovered = Recovered(None, (), None, ())
    replica = craft.replica(recovered=recovered)
    assert replica.state_key() == craft.replica().state_key()
    assert replica.step(Started()) == craft.replica().step(Started())


def test_the_configuration_of_a_single_validator_must_rest() -> None:
    with pytest.raises(AssertionError, match="because a single validator that never rests"):
        Craft(Config(n=1, rest=False)).replica()
