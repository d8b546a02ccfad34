"""What follows from an event follows in its step, once, at its end: after a step there is nothing left to do.

A procedure that handles something says whether it changed the replica, and only then the step settles. Each test here
is an event in which one change alone has a consequence: a block to propose, a timer, a fetch. `Rig` asks the same of
every step that it makes.
"""

from __future__ import annotations

from random import Random

import pytest

from diembft.consensus.config import Config
from diembft.consensus.effects import Effect, Reason, SetTimer
from diembft.consensus.events import Event, Received, Requests, Started, Timer, TimerFired
from diembft.consensus.replica import Replica
from diembft.messages.types import BlockRequest, BlockResponse, ProposalMsg, SyncInfo, TimeoutMsg, VoteMsg
from tests.consensus.harvest import harvest
from tests.consensus.rig import Craft, all_of, ignored, sent, unsettled


@pytest.fixture
def craft() -> Craft:
    return Craft()


def step(replica: Replica, event: Event) -> list[Effect]:
    """One step, after which nothing may be left to do."""
    effects = replica.step(event)
    assert unsettled(replica) == []
    return effects


def round_timers(effects: list[Effect]) -> list[int]:
    return [effect.round for effect in all_of(effects, SetTimer) if effect.timer is Timer.ROUND]


@pytest.mark.parametrize("seed", range(20))
def test_nothing_is_left_to_do_after_any_step(seed: int) -> None:
    """In a run, and when it goes on with events of any other time in it."""
    config, events = harvest()
    random = Random(seed)
    replica = Craft(config).replica(2)
    for event in (*events[: random.randrange(len(events))], *random.choices(events, k=100)):
        step(replica, event)


# --- certificates


def test_a_qc_that_starts_a_round(craft: Craft) -> None:
    """Replica 1 leads rounds 2 and 3. With work, it proposes as soon as it enters."""
    replica = craft.started(1)
    first = craft.block(1, payload=(craft.request(),))
    step(replica, Received(0, craft.proposal(first)))
    effects = step(replica, Received(2, SyncInfo(2, craft.qc(first), craft.genesis_qc, None)))
    assert [message.block.round for _, message in sent(effects, ProposalMsg)] == [2]


def test_a_higher_qc_in_a_round_entered_by_a_tc(craft: Craft) -> None:
    """It starts no round, and tells of a block that is missing, and of work."""
    replica = craft.started(0)
    first = craft.block(1, payload=(craft.request(),))
    step(replica, Received(3, SyncInfo(4, craft.genesis_qc, craft.genesis_qc, craft.tc(3))))
    assert replica.current_round == 4
    effects = step(replica, Received(3, craft.timeout(4, 3, craft.qc(first), craft.tc(3, craft.qc(first)))))
    assert replica.current_round == 4
    assert [to for to, _ in sent(effects, BlockRequest)] == [3]
    assert round_timers(effects) == [4]


def test_a_tc_that_starts_a_round(craft: Craft) -> None:
    replica = craft.started(2)
    step(replica, Requests((craft.request(),)))
    effects = step(replica, Received(3, SyncInfo(4, craft.genesis_qc, craft.genesis_qc, craft.tc(3))))
    assert [message.block.round for _, message in sent(effects, ProposalMsg)] == [4]
    assert round_timers(effects) == [4]


def test_the_qc_in_a_tc_of_a_past_round(craft: Craft) -> None:
    """The TC starts nothing; the QC that it carries tells of a block that is missing."""
    replica = craft.started(0)
    first = craft.block(1)
    step(replica, Received(3, SyncInfo(5, craft.genesis_qc, craft.genesis_qc, craft.tc(4))))
    tc = craft.tc(3, craft.qc(first))
    effects = step(replica, Received(3, SyncInfo(4, craft.genesis_qc, craft.genesis_qc, tc)))
    assert replica.current_round == 5
    assert [message.id for _, message in sent(effects, BlockRequest)] == [first.id]


# --- proposals


def test_the_certificates_of_a_late_proposal(craft: Craft) -> None:
    """The proposal is of a past round; the QC inside its block is higher than what was known."""
    replica = craft.started(0)
    first = craft.block(1, payload=(craft.request(),))
    second = craft.block(2, craft.qc(first))
    step(replica, Received(3, SyncInfo(5, craft.genesis_qc, craft.genesis_qc, craft.tc(4))))
    effects = step(replica, Received(1, craft.proposal(second)))
    assert ignored(effects) is Reason.STALE
    assert [message.id for _, message in sent(effects, BlockRequest)] == [first.id]
    assert round_timers(effects) == [5]


def test_the_commit_qc_of_a_late_proposal(craft: Craft) -> None:
    """Of all that a late proposal brings only the commit is new: there is no more work, and the timer stops."""
    replica = craft.started(2)
    first, second = craft.chain([1, 2], {1: (craft.request(),)})
    for block in (first, second):
        step(replica, Received(block.author, craft.proposal(block)))
    tc = craft.tc(3, craft.qc(first))
    step(replica, Received(3, SyncInfo(4, craft.qc(first), craft.genesis_qc, tc)))
    late = craft.block(2, craft.qc(first), author=1)
    effects = step(replica, Received(1, craft.proposal(late, high_commit_qc=craft.qc(second))))
    assert replica.tree.root.block.id == first.id
    assert replica.tree.high_qc == craft.qc(second)
    assert ignored(effects) is Reason.STALE


def test_the_tc_of_a_late_proposal(craft: Craft) -> None:
    """The TC of a proposal of round 3 carries a QC that is higher than the one inside the block."""
    replica = craft.started(0)
    first = craft.block(1)
    step(replica, Received(3, SyncInfo(6, craft.genesis_qc, craft.genesis_qc, craft.tc(5))))
    late = craft.block(3)
    effects = step(replica, Received(1, craft.proposal(late, craft.tc(2, craft.qc(first)))))
    assert replica.tree.high_qc == craft.qc(first)
    assert [message.id for _, message in sent(effects, BlockRequest)] == [first.id]


def test_the_block_of_a_late_proposal(craft: Craft) -> None:
    """It was fetched, and is no longer missing; replica 1 can propose on it."""
    replica = craft.started(1)
    first = craft.block(1, payload=(craft.request(),))
    effects = step(replica, Received(3, SyncInfo(2, craft.qc(first), craft.genesis_qc, None)))
    assert sent(effects, ProposalMsg) == []
    effects = step(replica, Received(0, craft.proposal(first)))
    assert [message.block.qc for _, message in sent(effects, ProposalMsg)] == [craft.qc(first)]
    assert replica.sync.fetch is None


def test_the_first_proposal_of_a_round_whose_parent_is_missing(craft: Craft) -> None:
    """All its certificates are known."""
    replica = craft.started(0)
    first = craft.block(1)
    step(replica, Received(3, SyncInfo(3, craft.genesis_qc, craft.genesis_qc, craft.tc(2, craft.genesis_qc))))
    third = craft.block(3, craft.qc(first))
    effects = step(replica, Received(1, craft.proposal(third, craft.tc(2, craft.qc(first)))))
    assert ignored(effects) is Reason.UNKNOWN_PARENT
    assert [to for to, _ in sent(effects, BlockRequest)] == [1]
    again = step(replica, Received(1, craft.proposal(third, craft.tc(2, craft.qc(first)))))
    assert sent(again, BlockRequest) == [], "once is enough"


def test_a_proposal_on_an_older_certificate_than_is_known(craft: Craft) -> None:
    """Nothing is news but the proposal itself: whoever proposed it is asked for its parent."""
    replica = craft.started(0)
    first, second = craft.block(2), craft.block(3)
    step(replica, Received(1, craft.proposal(second, craft.tc(2))))
    step(replica, Received(3, SyncInfo(5, craft.qc(second), craft.genesis_qc, craft.tc(4))))
    tc = craft.tc(4, craft.qc(first))
    effects = step(replica, Received(2, craft.proposal(craft.block(5, craft.qc(first)), tc)))
    assert ignored(effects) is Reason.UNKNOWN_PARENT
    assert [(to, message.id) for to, message in sent(effects, BlockRequest)] == [(2, first.id)]


def test_a_proposal_below_the_last_commit_that_starts_a_round() -> None:
    craft = Craft(Config(n=4, rest=False))
    replica = craft.started(0)
    first, second, third = craft.chain([1, 2, 3])
    for block in (first, second, third):
        step(replica, Received(block.author, craft.proposal(block)))
    step(replica, Received(2, SyncInfo(4, craft.qc(third), craft.qc(third), None)))
    assert replica.tree.root.block.id == second.id
    stray = craft.block(9, craft.qc(first))
    effects = step(replica, Received(stray.author, craft.proposal(stray, craft.tc(8, craft.qc(first)))))
    assert ignored(effects) is Reason.CONFLICTS_WITH_COMMIT
    assert round_timers(effects) == [9]


def test_a_vote_for_a_second_proposal_after_one_that_waits(craft: Craft) -> None:
    """The leader of round 3 proposes twice. The first block's parent is missing; the vote for the second completes a
    QC."""
    replica = craft.started(2)
    step(replica, Received(3, SyncInfo(3, craft.genesis_qc, craft.genesis_qc, craft.tc(2))))
    waits = craft.block(3, craft.qc(craft.block(1)))
    effects = step(replica, Received(1, craft.proposal(waits, craft.tc(2, waits.qc))))
    assert ignored(effects) is Reason.UNKNOWN_PARENT
    second = craft.block(3, payload=(craft.request(),))
    for voter in (0, 3):
        step(replica, Received(voter, craft.vote(second, voter)))
    effects = step(replica, Received(1, craft.proposal(second, craft.tc(2))))
    assert [message.block.round for _, message in sent(effects, ProposalMsg)] == [4]


def test_a_proposal_that_is_not_the_leaders(craft: Craft) -> None:
    """Its certificates bring work and a round; itself it comes to nothing."""
    replica = craft.started(0)
    first = craft.block(1, payload=(craft.request(),))
    step(replica, Received(0, craft.proposal(first)))
    second = craft.block(2, craft.qc(first), author=3)
    effects = step(replica, Received(3, craft.proposal(second)))
    assert ignored(effects) is Reason.NOT_LEADER
    assert round_timers(effects) == [2]


def test_a_vote_for_oneself_as_the_next_leader() -> None:
    """It is counted in the step that casts it: with the two that came before, it makes a QC."""
    craft = Craft()
    replica = craft.started(1)
    first = craft.block(1, payload=(craft.request(),))
    for voter in (0, 2):
        step(replica, Received(voter, craft.vote(first, voter)))
    effects = step(replica, Received(0, craft.proposal(first)))
    assert len(sent(effects, VoteMsg)) == 2, "for both rounds"
    assert [message.block.round for _, message in sent(effects, ProposalMsg)] == [2]


def test_a_block_that_was_not_voted_for(craft: Craft) -> None:
    """It has work, so the timer of the round starts anew although the replica gave the round up, alone, before."""
    replica = craft.started(2)
    step(replica, TimerFired(Timer.ROUND, 1))
    step(replica, Received(0, craft.proposal(craft.block(1))))
    assert replica.safety.highest_vote_round == 1


# --- votes


def test_the_commit_qc_of_a_vote_that_ends_the_votes_round(craft: Craft) -> None:
    replica = craft.started(0)
    first, _, third = craft.chain([1, 2, 3], {1: (craft.request(),)})
    vote = craft.vote(first, 3, high_commit_qc=craft.qc(third))
    effects = step(replica, Received(3, vote))
    assert ignored(effects) is Reason.STALE
    assert replica.current_round == 4
    assert [message.id for _, message in sent(effects, BlockRequest)] == [third.id]
    assert round_timers(effects) == [4]


def test_the_vote_that_completes_a_qc(craft: Craft) -> None:
    replica = craft.started(1)
    first = craft.block(1, payload=(craft.request(),))
    step(replica, Received(0, craft.proposal(first)))
    step(replica, Received(0, craft.vote(first, 0)))
    effects = step(replica, Received(3, craft.vote(first, 3)))
    assert [message.block.round for _, message in sent(effects, ProposalMsg)] == [2]


def test_a_vote_whose_block_is_missing_completes_a_qc(craft: Craft) -> None:
    """The one whose vote it was is asked first."""
    replica = craft.started(1)
    first = craft.block(1)
    for voter in (0, 2):
        assert sent(step(replica, Received(voter, craft.vote(first, voter))), BlockRequest) == []
    effects = step(replica, Received(3, craft.vote(first, 3)))
    assert [to for to, _ in sent(effects, BlockRequest)] == [3]


def test_a_vote_without_news_begins_no_fetch_anew(craft: Craft) -> None:
    replica = craft.started(1)
    first = craft.block(1)
    step(replica, Received(2, SyncInfo(2, craft.qc(first), craft.genesis_qc, None)))
    second = craft.block(2, craft.qc(first))
    assert step(replica, Received(3, craft.vote(second, 3))) == []


# --- timeouts


def test_the_certificates_of_a_past_timeout(craft: Craft) -> None:
    replica = craft.started(0)
    first = craft.block(1)
    step(replica, Received(3, SyncInfo(5, craft.genesis_qc, craft.genesis_qc, craft.tc(4))))
    effects = step(replica, Received(3, craft.timeout(2, 3, craft.qc(first))))
    assert ignored(effects) is Reason.STALE
    assert [to for to, _ in sent(effects, BlockRequest)] == [3]
    assert round_timers(effects) == [5]


def test_the_certificates_of_a_timeout_that_comes_again(craft: Craft) -> None:
    """Only the commit QC beside it is new."""
    replica = craft.started(0)
    _, second = craft.chain([1, 2])
    step(replica, Received(3, SyncInfo(4, craft.genesis_qc, craft.genesis_qc, craft.tc(3))))
    step(replica, Received(3, craft.timeout(4, 3, craft.genesis_qc, craft.tc(3))))
    again = craft.timeout(4, 3, craft.genesis_qc, craft.tc(3), high_commit_qc=craft.qc(second))
    effects = step(replica, Received(3, again))
    assert ignored(effects) is Reason.DUPLICATE
    assert [message.id for _, message in sent(effects, BlockRequest)] == [second.id]
    assert round_timers(effects) == [4]


def test_the_timeout_that_makes_a_replica_join(craft: Craft) -> None:
    """Nothing but the timeouts themselves is news: one's own is made, and with it a TC."""
    replica = craft.started(0)
    step(replica, Requests((craft.request(),)))
    step(replica, Received(2, craft.timeout(1, 2)))
    effects = step(replica, Received(3, craft.timeout(1, 3)))
    assert len(sent(effects, TimeoutMsg)) == 1
    assert replica.current_round == 2
    assert round_timers(effects) == [2]


def test_the_timeouts_own_news_are_fetched_from_its_sender(craft: Craft) -> None:
    replica = craft.started(0)
    first = craft.block(1)
    effects = step(replica, Received(3, craft.timeout(2, 3, craft.qc(first))))
    assert [to for to, _ in sent(effects, BlockRequest)] == [3]
    effects = step(replica, Received(2, craft.timeout(2, 2, craft.qc(first))))
    assert sent(effects, BlockRequest) == [], "no news: the fetch goes on"


def test_the_round_timer(craft: Craft) -> None:
    replica = craft.started(0)
    step(replica, Requests((craft.request(),)))
    effects = step(replica, TimerFired(Timer.ROUND, replica.current_round))
    assert round_timers(effects) == [replica.current_round]


# --- the rest


def test_a_request_that_is_taken(craft: Craft) -> None:
    replica = craft.started(3)
    assert round_timers(step(replica, Requests((craft.request(),)))) == [1]


def test_one_request_of_several_that_is_taken(craft: Craft) -> None:
    replica = Craft(Config(n=4, max_waiting_requests=1)).started(3)
    assert round_timers(step(replica, Requests((craft.request(1), craft.request(2))))) == [1]


def test_a_sync_info_without_news_begins_no_fetch_anew(craft: Craft) -> None:
    replica = craft.started(0)
    news = SyncInfo(2, craft.qc(craft.block(1)), craft.genesis_qc, None)
    assert [to for to, _ in sent(step(replica, Received(3, news)), BlockRequest)] == [3]
    assert step(replica, Received(2, news)) == []


def test_blocks_that_arrive(craft: Craft) -> None:
    replica = craft.started(1)
    first = craft.block(1, payload=(craft.request(),))
    step(replica, Received(3, SyncInfo(2, craft.qc(first), craft.genesis_qc, None)))
    effects = step(replica, Received(3, BlockResponse(2, (first,))))
    assert [message.block.qc for _, message in sent(effects, ProposalMsg)] == [craft.qc(first)]
    assert replica.sync.fetch is None


def test_the_start(craft: Craft) -> None:
    replica = Craft(Config(n=4, rest=False)).replica(1)
    assert round_timers(step(replica, Started())) == [1]
