"""What the report leaves out, and what goes wrong there: each test is named after what it prevents.

The classes are in the order of the list "Deviations" of docs/protocol.md.
"""

from __future__ import annotations

import pytest

from diembft.consensus.config import Config
from diembft.consensus.effects import (
    Broadcast,
    CancelTimer,
    Commit,
    Divergence,
    Effect,
    Equivocation,
    Ignored,
    Persist,
    Reason,
    Rejected,
    Send,
    SendReply,
    SetTimer,
)
from diembft.consensus.events import Received, Requests, Started, Timer, TimerFired
from diembft.consensus.replica import Replica
from diembft.ledger.append_log import AppendLog
from diembft.ledger.sessions import Sessions
from diembft.messages.types import (
    OK,
    QC,
    STALE,
    Block,
    BlockRequest,
    BlockResponse,
    ProposalMsg,
    Relay,
    RequestKind,
    SyncInfo,
    TimeoutMsg,
    VoteMsg,
)
from tests.consensus.rig import Craft, Rig, all_of, altered, ignored, only, rejected, sent, vote_of
from tests.making import reply_to


@pytest.fixture
def craft() -> Craft:
    return Craft()


def tell(craft: Craft, replica: Replica, qc: QC, round_: int | None = None) -> None:
    """Let the replica learn of a QC."""
    replica.step(Received(3, SyncInfo(round_ or qc.round + 1, qc, craft.high_commit_qc(qc), None)))


def holding(craft: Craft, rounds: list[int], me: int = 0) -> tuple[Replica, list[Block]]:
    """A replica that was proposed a chain of these rounds."""
    replica = craft.started(me)
    blocks = craft.chain(rounds)
    for block in blocks:
        gap = block.round != block.qc.round + 1
        craft.propose(replica, block, craft.tc(block.round - 1, block.qc) if gap else None)
    return replica, blocks


def know(craft: Craft, block: Block) -> Block:
    """Let the craft execute a block that a replica made."""
    return craft.block(block.round, block.qc, block.payload, block.author)


class TestAdvanceFirst:
    """1. The leader of a round is computed when asked, from the QC of two rounds before."""

    def test_leaders_differ_by_how_a_round_was_entered(self) -> None:
        """One validator enters round 10 by the QC of round 9; another by a TC, and the QC comes late."""
        craft = Craft()
        blocks = craft.chain(list(range(1, 10)))
        by_qc, by_tc = (replica_of(craft, blocks[:8]) for _ in range(2))
        craft_propose(craft, by_qc, blocks[8])
        craft_propose(craft, by_tc, blocks[8])
        tell(craft, by_qc, craft.qc(blocks[8]))
        tc = craft.tc(9, blocks[8].qc)
        by_tc.step(Received(3, SyncInfo(10, blocks[8].qc, blocks[8].qc, tc)))
        assert by_qc.current_round == by_tc.current_round == 10
        leaders = [by_qc.leader(10), by_tc.leader(10)]
        tell(craft, by_tc, craft.qc(blocks[8]))
        leaders.append(by_tc.leader(10))
        assert leaders == [leaders[0]] * 3
        assert leaders[0] != by_qc.election.round_robin(10), "it is reputation that all three agree on"

    def test_a_qc_counts_only_when_it_is_met_a_second_time(self) -> None:
        """The first time suffices: the leader of the round two after a QC is known as soon as the QC is."""
        craft = Craft()
        blocks = craft.chain(list(range(1, 11)))
        replica = replica_of(craft, blocks[:9])
        assert replica.tree.high_qc.round == 8
        assert replica.leader(10) == replica.election.elect_reputation_leader(blocks[8].qc, replica.tree.committed)


def replica_of(craft: Craft, blocks: list[Block], me: int = 0) -> Replica:
    """A replica that fetched these blocks."""
    replica = craft.started(me)
    tell(craft, replica, blocks[-1].qc)
    replica.step(Received(3, BlockResponse(1, tuple(blocks))))
    craft_propose(craft, replica, blocks[-1])
    assert blocks[-1].id in replica.tree.nodes
    return replica


def craft_propose(craft: Craft, replica: Replica, block: Block) -> None:
    """Bring the replica a block in its round, and if its author does not lead, by way of the next QC."""
    replica.step(Received(block.author, craft.proposal(block)))
    if block.id not in replica.tree.nodes:
        replica.tree.insert(replica.tree.execute(block))


class TestTcCarriesItsQc:
    """2. A TC brings the QC of the highest round that its signers held."""

    def test_a_leader_that_enters_by_somebody_elses_tc_wastes_its_round(self, craft: Craft) -> None:
        """The leader of round 3 never saw the QC of round 1 but for the TC of round 2 that others made."""
        first = craft.block(1)
        leader, voter = craft.started(1), craft.started(0)
        for replica in (leader, voter):
            craft.propose(replica, first)
            replica.step(Requests((craft.request(),)))
        tc = craft.tc(2, craft.qc(first), {0: 0, 2: 1, 3: 0})
        effects = leader.step(Received(3, craft.timeout(3, 3, craft.genesis_qc, tc)))
        ((_, proposal),) = sent(effects, ProposalMsg)
        assert proposal.block.qc == craft.qc(first)
        assert vote_of(voter.step(Received(1, proposal))) is not None

    def test_a_tc_of_its_own_making_has_no_qc_for_the_highest_round(self, craft: Craft) -> None:
        """The maker of a TC has the QCs of all timeouts, so it can put the highest into it."""
        first = craft.block(1)
        replica = craft.started(1)
        tc = craft.tc(1)
        for sender, qc in ((0, craft.genesis_qc), (3, craft.qc(first))):
            attached = tc if qc.round == 0 else None
            replica.step(Received(sender, craft.timeout(2, sender, qc, attached)))
        assert replica.pacemaker.last_round_tc is not None
        assert replica.pacemaker.last_round_tc.high_qc == craft.qc(first)
        assert max(replica.pacemaker.last_round_tc.tmo_high_qc_rounds) == 1

    @pytest.mark.parametrize("highest", [0, 2])
    def test_a_tc_lies_about_its_highest_qc(self, craft: Craft, highest: int) -> None:
        first, second = craft.chain([1, 2])
        qcs = {0: craft.genesis_qc, 2: craft.qc(second)}
        tc = altered(craft.tc(4, craft.qc(first)), high_qc=qcs[highest])
        effects = craft.started().step(Received(3, SyncInfo(5, craft.genesis_qc, craft.genesis_qc, tc)))
        assert effects == [Rejected(Reason.BAD_TC)]

    def test_a_tc_of_a_round_that_a_signer_held_a_qc_of(self, craft: Craft) -> None:
        """It would lead back from a round that is over."""
        second = craft.chain([1, 2])[1]
        tc = craft.tc(2, craft.qc(second), {0: 0, 1: 2, 2: 1})
        effects = craft.started().step(Received(3, SyncInfo(3, craft.genesis_qc, craft.genesis_qc, tc)))
        assert effects == [Rejected(Reason.BAD_TC)]

    @pytest.mark.parametrize("round_", [1, 2])
    def test_a_timeout_of_a_round_that_its_own_qc_ended(self, craft: Craft, round_: int) -> None:
        second = craft.chain([1, 2])[1]
        effects = craft.started().step(Received(1, craft.timeout(round_, 1, craft.qc(second))))
        assert effects == [Rejected(Reason.BAD_ROUND)]


class TestWhenATcIsAttached:
    """3. If and only if high_qc is not of the previous round, however the round was entered."""

    def test_a_late_qc_makes_a_proposal_with_a_superfluous_tc(self, craft: Craft) -> None:
        """Round 3 was entered by the TC of round 2; the last vote of round 2 comes late, before there is work."""
        replica, (first, second) = holding(craft, [1, 2], me=1)
        for sender in (0, 2):
            replica.step(Received(sender, craft.vote(second, sender)))
        assert replica.current_round == 3
        other, _ = holding(craft, [1, 2], me=1)
        other.step(Received(3, SyncInfo(3, craft.qc(first), craft.qc(first), craft.tc(2, craft.qc(first)))))
        assert other.pacemaker.last_round_tc is not None
        effects = [effect for sender in (0, 2) for effect in other.step(Received(sender, craft.vote(second, sender)))]
        effects += other.step(Requests((craft.request(),)))
        assert other.current_round == 3
        proposals = sent(effects, ProposalMsg)
        assert [(proposal.block.qc.round, proposal.last_round_tc) for _, proposal in proposals] == [(2, None)]

    def test_a_timeout_lacks_its_tc(self, craft: Craft) -> None:
        replica, (first,) = holding(craft, [1])
        tc = craft.tc(2, craft.qc(first))
        replica.step(Received(3, SyncInfo(3, craft.qc(first), craft.qc(first), tc)))
        replica.step(Requests((craft.request(),)))
        ((_, timeout),) = sent(replica.step(TimerFired(Timer.ROUND, 3)), TimeoutMsg)
        assert timeout == craft.timeout(3, 0, craft.qc(first), tc, craft.qc(first))

    def test_a_superfluous_or_missing_tc_is_accepted(self, craft: Craft) -> None:
        replica, (first,) = holding(craft, [1])
        second = craft.block(2, craft.qc(first))
        gap = craft.block(3, craft.qc(first))
        for message, reason in (
            (craft.proposal(second, craft.tc(1)), Reason.SUPERFLUOUS_TC),
            (craft.proposal(gap), Reason.MISSING_TC),
            (craft.proposal(gap, craft.tc(1)), Reason.MISSING_TC),
            (craft.timeout(2, 1, craft.qc(first), craft.tc(1)), Reason.SUPERFLUOUS_TC),
            (craft.timeout(3, 1, craft.qc(first)), Reason.MISSING_TC),
        ):
            assert replica.step(Received(1, message)) == [Rejected(reason)]

    def test_no_tc_is_a_null_dereference(self, craft: Craft) -> None:
        """A vote is asked for with a gap and no TC: Safety says no, and does not stumble."""
        safety = craft.started().safety
        assert not safety.safe_to_vote(5, 2, None)
        assert not safety.safe_to_timeout(5, 2, None)


class TestDurability:
    """4. What is durable, before what."""

    def test_a_vote_leaves_before_it_is_durable(self, craft: Craft) -> None:
        replica, blocks = holding(craft, [1, 2])
        third = craft.block(3, craft.qc(blocks[1]))
        effects = craft.propose(replica, third)
        persist = effects[0]
        assert isinstance(persist, Persist)
        record = persist.record
        vote = vote_of(effects)
        assert vote is not None
        assert (record.highest_vote_round, record.highest_qc_round, record.last_sent) == (3, 2, vote)
        assert (record.high_qc, record.high_commit_qc, record.last_round_tc) == (third.qc, third.qc, None)
        assert persist.blocks == (third,)

    def test_a_timeout_leaves_before_it_is_durable(self, craft: Craft) -> None:
        replica, (first,) = holding(craft, [1])
        tc = craft.tc(2, craft.qc(first))
        replica.step(Received(3, SyncInfo(3, craft.qc(first), craft.qc(first), tc)))
        replica.step(Requests((craft.request(),)))
        effects = replica.step(TimerFired(Timer.ROUND, 3))
        persist = effects[0]
        assert isinstance(persist, Persist)
        ((_, timeout),) = sent(effects, TimeoutMsg)
        record = persist.record
        assert (record.highest_vote_round, record.last_sent) == (3, timeout)
        assert (record.high_qc, record.high_commit_qc, record.last_round_tc) == (craft.qc(first), craft.qc(first), tc)

    def test_the_ancestors_of_a_block_voted_for_are_lost(self, craft: Craft) -> None:
        """Blocks that were inserted without a vote are made durable with the next vote."""
        replica, (first,) = holding(craft, [1])
        replica.step(Requests((craft.request(),)))
        tell(craft, replica, craft.qc(first))
        replica.step(TimerFired(Timer.ROUND, 2))
        second = craft.block(2, craft.qc(first))
        effects = craft.propose(replica, second)
        assert vote_of(effects) is None
        assert all_of(effects, Persist) == []
        third = craft.block(3, craft.qc(second))
        effects = craft.propose(replica, third)
        assert vote_of(effects) is not None
        assert only(effects, Persist).blocks == (second, third)

    def test_replies_leave_before_the_commit_is_durable(self, craft: Craft) -> None:
        replica = craft.started()
        blocks = craft.chain([1, 2], {1: (craft.request(),)})
        for block in blocks:
            craft.propose(replica, block)
        qc = craft.qc(blocks[1])
        effects = replica.step(Received(3, SyncInfo(3, qc, qc, None)))
        kinds = [type(effect) for effect in effects]
        assert kinds[0] is Persist
        assert kinds.index(Commit) < kinds.index(SendReply)
        assert only(effects, Persist).committed == (blocks[0].id,)

    @pytest.mark.parametrize("n", [4, 7])
    def test_all_lose_power_after_voting_and_nobody_can_time_out(self, n: int) -> None:
        """Everybody votes, nothing arrives, all restart: the high QC that the votes extend is on every disk."""
        rig = Rig(n)
        rig.request(1, b"a")
        rig.run(lambda flight: not isinstance(flight.message, VoteMsg))
        for _ in range(3):
            for index in range(n):
                rig.crash(index)
            rig.drop()
            for index in range(n):
                rig.restart(index)
            rig.drop()
        for _ in range(12):
            for index in range(n):
                if Timer.ROUND in rig.nodes[index].timers:
                    rig.fire(index)
            rig.run()
        assert all(rig.executed(index) == [b"a"] for index in range(n))

    def test_a_restart_forgets_the_vote_and_votes_again(self) -> None:
        rig = Rig(4)
        craft = rig.craft
        block, other = craft.block(1), craft.block(1, payload=(craft.request(),))
        assert vote_of(rig.step(2, Received(0, craft.proposal(block)))) is not None
        rig.crash(2)
        rig.restart(2)
        assert rig[2].safety.highest_vote_round == 1
        effects = rig.step(2, Received(0, craft.proposal(other)))
        assert vote_of(effects) is None

    def test_a_restart_forgets_the_timeout_and_votes(self) -> None:
        rig = Rig(4)
        rig.request(to=[2])
        rig.fire(2)
        rig.crash(2)
        rig.restart(2)
        assert vote_of(rig.step(2, Received(0, rig.craft.proposal(rig.craft.block(1))))) is None

    def test_a_restart_begins_below_its_last_signature(self) -> None:
        """The round is the one after the certificates, and at least that of the last vote or timeout."""
        rig = Rig(4)
        craft = rig.craft
        first, second, gap = craft.chain([1, 2, 4])
        for block in (first, second):
            rig.step(2, Received(block.author, craft.proposal(block)))
        rig.step(2, Received(gap.author, craft.proposal(gap, craft.tc(3, gap.qc))))
        tc = craft.tc(5, craft.qc(gap))
        rig.step(2, Received(3, SyncInfo(6, craft.qc(gap), craft.qc(second), tc)))
        rig.request(to=[2])
        rig.fire(2)
        rig.crash(2)
        rig.restart(2)
        replica = rig[2]
        assert replica.current_round == 6
        assert replica.pacemaker.last_round_tc == tc
        assert (replica.tree.high_qc, replica.tree.high_commit_qc) == (craft.qc(gap), craft.qc(second))
        assert (replica.safety.highest_vote_round, replica.safety.highest_qc_round) == (6, 2)
        record = rig.nodes[2].disk.record
        assert record is not None
        rig.crash(2)
        rig.nodes[2].disk.record = altered(record, last_round_tc=None)
        rig.restart(2)
        assert rig[2].current_round == 6

    def test_what_was_sent_last_is_lost_with_the_crash(self) -> None:
        rig = Rig(4)
        rig.request()
        rig.run(lambda flight: not isinstance(flight.message, VoteMsg))
        (vote,) = [flight.message for flight in rig.flights_of(VoteMsg) if flight.source == 3]
        rig.crash(3)
        assert [message for _, message in sent(rig.restart(3), VoteMsg)] == [vote]

    def test_a_timeout_of_a_past_round_is_sent_again(self) -> None:
        """A QC ended the round that was given up, and committed, which made the new round durable."""
        rig = Rig(4)
        craft = rig.craft
        first, second, third = craft.chain([1, 2, 3])
        for block in (first, second):
            rig.step(2, Received(block.author, craft.proposal(block)))
        rig.step(2, Received(3, SyncInfo(3, craft.qc(second), craft.qc(second), None)))
        rig.request(to=[2])
        assert len(sent(rig.fire(2), TimeoutMsg)) == 1
        rig.step(2, Received(3, SyncInfo(4, craft.qc(third), craft.qc(third), None)))
        rig.crash(2)
        effects = rig.restart(2)
        assert rig[2].current_round == 4
        assert sent(effects, TimeoutMsg) == sent(effects, VoteMsg) == []

    def test_what_was_sent_in_a_past_round_is_sent_again(self) -> None:
        rig = Rig(4)
        craft = rig.craft
        first = craft.block(1)
        rig.step(3, Received(0, craft.proposal(first)))
        rig.step(3, Received(2, SyncInfo(2, craft.qc(first), craft.qc(first), None)))
        rig.request(to=[3])
        rig.fire(3)
        rig.step(3, Received(2, SyncInfo(3, craft.qc(first), craft.qc(first), craft.tc(2, craft.qc(first)))))
        second = craft.block(3, craft.qc(first))
        rig.step(3, Received(1, craft.proposal(second, craft.tc(2, craft.qc(first)))))
        rig.step(3, Received(2, SyncInfo(4, craft.qc(second), craft.qc(first), None)))
        third = craft.block(4, craft.qc(second))
        rig.step(3, Received(2, SyncInfo(5, craft.qc(third), craft.qc(third), None)))
        rig.step(3, Received(2, BlockResponse(5, (third,))))
        assert rig.committed_rounds(3) == [1, 3], "which makes round 5 durable, and no vote or timeout of it"
        rig.crash(3)
        effects = rig.restart(3)
        assert rig[3].current_round == 5
        assert len(sent(effects, SyncInfo)) == 1
        assert sent(effects, VoteMsg) == sent(effects, TimeoutMsg) == sent(effects, ProposalMsg) == []


class TestTheLeaderVotesFirst:
    """5. A leader's own vote, durable with its block, is what binds it to one proposal a round."""

    def test_a_leader_that_crashes_before_sending_proposes_a_second_block(self) -> None:
        rig = Rig(4)
        request = rig.craft.request(1, b"first")
        effects = rig.step(0, Requests((request,)), crash_after=1)
        ((_, proposal),) = sent(effects, ProposalMsg)
        rig.restart(0)
        rig.request(2, b"second", to=[0])
        proposals = [flight.message for flight in rig.flights_of(ProposalMsg)]
        assert proposals == [proposal] * 3
        votes = [flight.message for flight in rig.flights_of(VoteMsg)]
        assert votes == [vote_of(effects)], "its vote is not lost"

    def test_the_proposal_leaves_before_the_leaders_vote(self, craft: Craft) -> None:
        effects = craft.started().step(Requests((craft.request(),)))
        persist = effects[0]
        assert isinstance(persist, Persist)
        ((_, proposal),) = sent(effects, ProposalMsg)
        vote = vote_of(effects)
        assert vote is not None
        assert persist.record.last_sent == vote
        assert persist.blocks == (proposal.block,)
        assert vote.vote_info.id == proposal.block.id
        order = [type(effect.message) for effect in effects if isinstance(effect, Broadcast | Send)]
        assert order == [ProposalMsg, VoteMsg], "the next leader gets the block before the vote for it"

    def test_a_leader_votes_twice_for_its_own_proposal(self, craft: Craft) -> None:
        replica = craft.started()
        ((_, proposal),) = sent(replica.step(Requests((craft.request(),))), ProposalMsg)
        effects = replica.step(Received(0, proposal))
        assert effects == [Ignored(Reason.DUPLICATE)]

    def test_a_leader_that_timed_out_proposes(self, craft: Craft) -> None:
        """A leader that gave up on its round, for it lacked the block to build on, must not vote in it any more."""
        first, second = craft.chain([1, 2])
        replica = craft.started(1)
        tell(craft, replica, craft.qc(second))
        assert replica.current_round == 3
        assert replica.leader(3) == 1
        replica.step(TimerFired(Timer.ROUND, 3))
        effects = replica.step(Received(3, BlockResponse(3, (first, second))))
        assert replica.sync.fetch is None
        assert sent(effects, ProposalMsg) == []


class TestCertificatesTakeEffectAtOnce:
    """6. Block known or not: only executing, voting, proposing and delivering wait for the block."""

    def test_a_certificate_waits_for_its_block(self, craft: Craft) -> None:
        blocks = craft.chain([1, 2, 3])
        replica = craft.started()
        qc = craft.qc(blocks[2])
        effects = replica.step(Received(3, SyncInfo(4, qc, qc, None)))
        assert (replica.current_round, replica.tree.high_qc, replica.tree.high_commit_qc) == (4, qc, qc)
        assert all_of(effects, Commit) == []

    def test_commits_that_waited_for_blocks_are_forgotten(self, craft: Craft) -> None:
        blocks = craft.chain([1, 2, 3])
        replica = craft.started()
        tell(craft, replica, craft.qc(blocks[2]))
        effects = replica.step(Received(3, BlockResponse(4, tuple(blocks))))
        assert [commit.block for commit in all_of(effects, Commit)] == blocks[:2]

    def test_a_leader_without_its_parent_is_stuck(self, craft: Craft) -> None:
        """It fetches the block, and proposes if it is still in that round."""
        first, second = craft.chain([1, 2])
        replica = craft.started(1)
        tell(craft, replica, craft.qc(second))
        effects = replica.step(Requests((craft.request(),)))
        assert sent(effects, ProposalMsg) == []
        assert replica.sync.fetch is not None
        effects = replica.step(Received(3, BlockResponse(3, (first, second))))
        ((_, proposal),) = sent(effects, ProposalMsg)
        assert (proposal.block.round, proposal.block.qc) == (3, craft.qc(second))

    def test_a_proposal_whose_parent_comes_late_gets_no_vote(self, craft: Craft) -> None:
        first, second, third = craft.chain([1, 2, 3])
        replica = craft.started()
        effects = craft.propose(replica, third)
        assert ignored(effects) is Reason.UNKNOWN_PARENT
        assert sent(effects, BlockRequest)[0][0] == third.author, "its author is asked first"
        effects = replica.step(Received(1, BlockResponse(3, (first, second))))
        vote = vote_of(effects)
        assert vote is not None
        assert vote.vote_info.id == third.id

    def test_a_late_proposal_of_the_certified_block_is_thrown_away(self, craft: Craft) -> None:
        """The vote that completed its QC overtook it: the block is wanted, though its round is over."""
        replica, (first, second) = holding(craft, [1, 2])
        third = craft.block(3, craft.qc(second))
        tell(craft, replica, craft.qc(third))
        assert replica.sync.fetch is not None
        effects = craft.propose(replica, third)
        assert ignored(effects) is None
        assert third.id in replica.tree.nodes
        assert replica.tree.height == 2
        assert replica.sync.fetch is None
        assert CancelTimer(Timer.FETCH) in effects
        assert first.id in replica.tree.committed


class TestSyncInfo:
    """7. What brings a peer up to date (fetching itself: test_sync.py)."""

    def test_a_laggard_times_out_in_a_past_round_for_ever(self, craft: Craft) -> None:
        replica, (first, second) = holding(craft, [1, 2])
        effects = replica.step(Received(3, craft.timeout(1, 3)))
        assert sent(effects, SyncInfo) == [(3, SyncInfo(1, craft.qc(first), craft.qc(first), None))]
        assert ignored(effects) is Reason.STALE
        assert second.id in replica.tree.nodes
        tc = craft.tc(2, craft.qc(first))
        replica.step(Received(2, SyncInfo(3, craft.qc(first), craft.qc(first), tc)))
        effects = replica.step(Received(3, craft.timeout(2, 3, craft.qc(first))))
        assert sent(effects, SyncInfo) == [(3, SyncInfo(2, craft.qc(first), craft.qc(first), tc))], (
            "also if all that it lacks is the TC"
        )

    def test_a_peer_with_an_older_high_qc_in_the_same_round_stays_behind(self, craft: Craft) -> None:
        replica, (first,) = holding(craft, [1])
        tc = craft.tc(2, craft.qc(first))
        replica.step(Received(2, SyncInfo(3, craft.qc(first), craft.qc(first), tc)))
        effects = replica.step(Received(3, craft.timeout(3, 3, craft.genesis_qc, craft.tc(2))))
        assert sent(effects, SyncInfo) == [(3, SyncInfo(3, craft.qc(first), craft.qc(first), tc))]
        effects = replica.step(Received(2, craft.timeout(3, 2, craft.qc(first), tc)))
        assert sent(effects, SyncInfo) == [], "who knows as much is told nothing"

    def test_sync_infos_answer_one_another_for_ever(self, craft: Craft) -> None:
        replica, (first, second) = holding(craft, [1, 2])
        tell(craft, replica, craft.qc(second))
        for qc in (craft.genesis_qc, craft.qc(first), craft.qc(second)):
            effects = replica.step(Received(3, SyncInfo(1, qc, craft.high_commit_qc(qc), None)))
            assert [effect for effect in effects if isinstance(effect, Send | Broadcast)] == []

    def test_a_peer_that_comes_back_is_told_nothing(self) -> None:
        rig = Rig(4)
        rig.request()
        rig.run()
        effects = rig.connect(1, 3)
        tree = rig[1].tree
        expected = SyncInfo(rig[1].current_round, tree.high_qc, tree.high_commit_qc, None)
        assert sent(effects, SyncInfo) == [(3, expected)]

    def test_a_laggard_stays_behind_while_all_rest(self) -> None:
        rig = Rig(4)
        rig.request(1, b"a", to=[0, 1, 2])
        rig.run(lambda flight: flight.to != 3)
        rig.drop()
        rig.crash(3)
        rig.restart(3)
        rig.drop()
        assert rig.executed(3) == []
        for _ in range(4):
            rig.fire(1, Timer.REST)
        told = [flight.to for flight in rig.flights_of(SyncInfo)]
        assert told == [2, 3, 0, 2], "one peer after the other"
        rig.run()
        assert rig.executed(3) == [b"a"]


class TestCommitOrder:
    """8. Oldest first, each once, whatever gaps there are in the rounds."""

    def test_the_walk_stops_at_a_round_instead_of_a_block(self, craft: Craft) -> None:
        replica, blocks = holding(craft, [2, 3, 7, 9, 10])
        delivered = list(replica.tree.committed)
        assert delivered == [blocks[0].id]
        qc = craft.qc(blocks[4])
        effects = replica.step(Received(3, SyncInfo(11, qc, qc, None)))
        commits = all_of(effects, Commit)
        assert [(commit.height, commit.block.round) for commit in commits] == [(2, 3), (3, 7), (4, 9)]
        assert replica.step(Received(3, SyncInfo(11, qc, qc, None))) == []


class TestEarlyVotes:
    """9. Votes of the last round up to a bounded number of rounds ahead are kept, block known or not."""

    def test_votes_for_an_unknown_block_are_lost(self, craft: Craft) -> None:
        block = craft.block(1)
        replica = craft.started(1)
        for sender in (0, 2, 3):
            replica.step(Received(sender, craft.vote(block, sender)))
        assert replica.current_round == 2
        assert replica.tree.high_qc == craft.qc(block, [0, 2, 3], author=1)

    def test_votes_of_a_round_ahead_are_lost(self, craft: Craft) -> None:
        """Their block is not even proposed here yet; the QC moves the validator there."""
        first, second = craft.chain([1, 2])
        replica = craft.started(1)
        for sender in (0, 2, 3):
            replica.step(Received(sender, craft.vote(second, sender)))
        assert replica.current_round == 3
        assert first.id not in replica.tree.nodes

    def test_the_last_votes_of_a_round_that_timed_out_are_lost(self, craft: Craft) -> None:
        first = craft.block(1)
        replica = craft.started(1)
        craft.propose(replica, first)
        replica.step(Received(3, SyncInfo(2, craft.genesis_qc, craft.genesis_qc, craft.tc(1))))
        assert replica.current_round == 2
        for sender in (0, 2):
            replica.step(Received(sender, craft.vote(first, sender)))
        assert replica.tree.high_qc == craft.qc(first, [0, 1, 2], author=1)
        assert replica.pacemaker.last_round_tc is None

    def test_votes_of_older_rounds_are_kept(self, craft: Craft) -> None:
        replica, (first, second) = holding(craft, [1, 2])
        tell(craft, replica, craft.qc(second))
        effects = replica.step(Received(2, craft.vote(first, 2)))
        assert effects == [Ignored(Reason.STALE)]
        effects = replica.step(Received(2, altered(craft.vote(first, 2), signature=b"broken")))
        assert effects == [Ignored(Reason.STALE)], "and not verified either"

    def test_a_vote_whose_own_certificate_ends_its_round_is_kept(self, craft: Craft) -> None:
        first, _, third = craft.chain([1, 2, 3])
        replica = craft.started(1)
        effects = replica.step(Received(2, craft.vote(first, 2, high_commit_qc=craft.qc(third))))
        assert replica.current_round == 4
        assert ignored(effects) is Reason.STALE
        assert replica.tree.votes == {}

    def test_an_author_counts_twice(self, craft: Craft) -> None:
        block = craft.block(1)
        replica = craft.started(1)
        replica.step(Received(0, craft.vote(block, 0)))
        second, _ = craft.chain([1, 2])
        for vote in (craft.vote(block, 0), craft.vote(block, 0, high_commit_qc=craft.qc(second))):
            effects = replica.step(Received(0, vote))
            assert effects == [Ignored(Reason.DUPLICATE)], "sent again with another certificate it is the same vote"
        replica.step(Received(2, craft.vote(block, 2)))
        assert replica.current_round == 1

    def test_a_second_vote_is_not_noticed(self, craft: Craft) -> None:
        block, other = craft.block(1), craft.block(1, payload=(craft.request(),))
        replica = craft.started(1)
        votes = [craft.vote(block, 2), craft.vote(other, 2)]
        replica.step(Received(2, votes[0]))
        assert replica.step(Received(2, votes[1])) == [Equivocation(2, votes[0], votes[1])]
        assert replica.step(Received(2, votes[1])) == [Ignored(Reason.DUPLICATE)]
        assert replica.step(Received(2, votes[0])) == [Ignored(Reason.DUPLICATE)]

    def test_an_author_fills_the_buckets(self, craft: Craft) -> None:
        """At most two of one author in one round are kept: the second is evidence, more prove nothing new."""
        replica = craft.started(1)
        blocks = [craft.block(1, payload=(craft.request(number),)) for number in range(5)]
        effects = [replica.step(Received(2, craft.vote(block, 2))) for block in blocks]
        assert [len(all_of(each, Equivocation)) for each in effects] == [0, 1, 0, 0, 0]
        assert sum(len(bucket) for bucket in replica.tree.votes[1].values()) == 2
        assert replica.step(Received(3, craft.vote(blocks[4], 3))) == [], "others are heard as before"

    def test_two_proposals_of_one_leader_are_not_noticed(self, craft: Craft) -> None:
        block, other = craft.block(1), craft.block(1, payload=(craft.request(),))
        replica = craft.started()
        craft.propose(replica, block)
        effects = craft.propose(replica, other)
        assert only(effects, Equivocation) == Equivocation(0, craft.proposal(block), craft.proposal(other))
        assert vote_of(effects) is None
        assert other.id not in replica.tree.nodes

    def test_votes_for_another_state_of_a_block_are_not_noticed(self, craft: Craft) -> None:
        block = craft.block(1)
        replica = craft.started(1)
        craft.propose(replica, block)
        vote = craft.vote(block, 3, state_id=bytes(32))
        effects = replica.step(Received(3, vote))
        assert only(effects, Divergence) == Divergence(block.id, craft.state_id(block), None, vote)
        assert all_of(replica.step(Received(2, craft.vote(block, 2))), Divergence) == []

    def test_a_certified_state_that_differs_is_not_noticed(self, craft: Craft) -> None:
        """This replica computed another state than a quorum certified: it says so, and goes on."""
        first = craft.block(1)
        qc = craft.qc(first, state_id=bytes(32))
        second = craft.block(2, qc)
        replica = craft.started()
        craft.propose(replica, first)
        effects = craft.propose(replica, second)
        assert only(effects, Divergence) == Divergence(first.id, craft.state_id(first), qc)
        third = craft.block(3, craft.qc(second))
        info = altered(craft.commit_info(craft.vote_info(third)), commit_state_id=bytes(32))
        craft.propose(replica, third)
        commit_qc = craft.signed_qc(craft.vote_info(third), info)
        effects = replica.step(Received(3, SyncInfo(4, commit_qc, commit_qc, None)))
        assert only(effects, Divergence) == Divergence(second.id, craft.state_id(second), commit_qc)
        assert [commit.block for commit in all_of(effects, Commit)] == [second]


class TestTimeoutsAreRepeated:
    """10. Each time the timer fires again."""

    def test_the_loss_of_one_timeout_stops_everybody_for_ever(self, craft: Craft) -> None:
        replica = craft.started(2)
        replica.step(Requests((craft.request(),)))
        for _ in range(3):
            effects = replica.step(TimerFired(Timer.ROUND, 1))
            assert [message for _, message in sent(effects, TimeoutMsg)] == [craft.timeout(1, 2)]
            assert SetTimer(Timer.ROUND, 5.0, 1) in effects
        assert list(replica.pacemaker.timeouts) == [2]

    def test_a_repeated_timeout_has_an_outdated_qc(self, craft: Craft) -> None:
        first, second = craft.chain([1, 2])
        replica = craft.started(2)
        tc = craft.tc(2, craft.qc(first))
        replica.step(Received(3, SyncInfo(3, craft.qc(first), craft.qc(first), tc)))
        replica.step(Requests((craft.request(),)))
        ((_, timeout),) = sent(replica.step(TimerFired(Timer.ROUND, 3)), TimeoutMsg)
        assert timeout == craft.timeout(3, 2, craft.qc(first), tc, craft.qc(first))
        tell(craft, replica, craft.qc(second), 3)
        assert replica.current_round == 3
        ((_, timeout),) = sent(replica.step(TimerFired(Timer.ROUND, 3)), TimeoutMsg)
        assert timeout == craft.timeout(3, 2, craft.qc(second), None, craft.qc(second))


def resting_leader(rig: Rig) -> int:
    """Who leads the highest round, and left it without a proposal."""
    highest = max(rig.nodes, key=lambda node: node.running.current_round).running
    assert highest.leader(highest.current_round) == highest.me
    return highest.me


class TestRest:
    """11. A leader rests only when all that have its parent can reply; then timers stand still."""

    def test_leaders_go_on_for_ever_without_work(self) -> None:
        rig = Rig(4)
        rig.request(1, b"a")
        rig.run()
        assert all(rig.executed(index) == [b"a"] for index in range(4))
        assert all(list(node.timers) == [Timer.REST] for node in rig.nodes)
        assert rig[0].current_round < 6

    def test_leaders_rest_before_others_know_of_the_commit(self) -> None:
        """Whoever has the block that the high QC certifies can reply, at every replica."""
        rig = Rig(4)
        rig.request(1, b"a")
        rig.run()
        tree = rig[resting_leader(rig)].tree
        parent = tree.nodes[tree.high_qc.vote_info.id]
        assert (parent.block.round, parent.work_round, parent.commit_round) == (3, 1, 1)
        assert all(parent.block.id in node.running.tree.nodes for node in rig.nodes)
        assert all(rig.executed(index) == [b"a"] for index in range(4))

    def test_a_leader_rests_after_a_gap_that_left_the_request_uncommitted(self, craft: Craft) -> None:
        """Rounds 1, 3, 4: the QC of round 4 commits 3 and 1, but no QC inside a block does so yet."""
        first = craft.block(1, payload=(craft.request(),))
        second = craft.block(3, craft.qc(first))
        third = craft.block(4, craft.qc(second))
        replica = craft.started(2)
        craft.propose(replica, first)
        craft.propose(replica, second, craft.tc(2, craft.qc(first)))
        craft.propose(replica, third)
        qc = craft.qc(third)
        effects = replica.step(Received(3, SyncInfo(5, qc, qc, None)))
        assert len(all_of(effects, Commit)) == 2
        ((_, proposal),) = sent(effects, ProposalMsg)
        assert (proposal.block.round, proposal.block.payload) == (5, ())

    def test_a_leader_with_requests_waits(self) -> None:
        """At rest for however long: the moment that the leader holds a request, it proposes it."""
        rig = Rig(4)
        rig.request(1, b"a")
        rig.run()
        rig.request(2, b"b", to=[resting_leader(rig)])
        assert [flight.message.block.payload for flight in rig.flights if isinstance(flight.message, ProposalMsg)] == [
            (rig.craft.request(2, b"b"),)
        ] * 3

    def test_timers_run_at_rest(self, craft: Craft) -> None:
        replica = craft.started(2)
        effects = replica.step(Requests((craft.request(),)))
        assert SetTimer(Timer.ROUND, 5.0, 1) in effects
        assert CancelTimer(Timer.REST) in effects
        blocks = craft.chain([1, 2], {1: (craft.request(),)})
        for block in blocks:
            craft.propose(replica, block)
        qc = craft.qc(blocks[1])
        effects = replica.step(Received(3, SyncInfo(3, qc, qc, None)))
        assert CancelTimer(Timer.ROUND) in effects
        assert SetTimer(Timer.REST, 20.0, 3) in effects

    def test_a_timer_that_was_stopped_fires(self, craft: Craft) -> None:
        replica = craft.started(2)
        assert replica.step(TimerFired(Timer.ROUND, 1)) == [Ignored(Reason.STALE)]
        replica.step(Requests((craft.request(),)))
        assert replica.step(TimerFired(Timer.REST, 1)) == []

    def test_an_uncommitted_block_of_others_is_not_waited_for(self, craft: Craft) -> None:
        """Not its request, but the block tells this validator that there is work."""
        replica = craft.started(2)
        effects = craft.propose(replica, craft.block(1, payload=(craft.request(),)))
        assert SetTimer(Timer.ROUND, 5.0, 1) in effects

    def test_a_block_of_nothing_but_duplicates_is_not_waited_for(self, craft: Craft) -> None:
        """Its requests were executed, so nobody holds them; but its commit is waited for, as for any block with
        requests: its author may be waiting to rest."""
        request = craft.request()
        blocks = craft.chain([1, 2, 3], {1: (request,), 3: (request,)})
        replica = craft.started()
        for block in blocks[:2]:
            craft.propose(replica, block)
        tell(craft, replica, craft.qc(blocks[1]))
        assert len(replica.mempool) == 0
        effects = craft.propose(replica, blocks[2])
        assert SetTimer(Timer.ROUND, 5.0, 3) in effects
        effects = replica.step(Received(3, SyncInfo(4, craft.qc(blocks[2]), craft.qc(blocks[2]), None)))
        assert SetTimer(Timer.ROUND, 5.0, 4) in effects

    def test_the_timer_does_not_start_in_full_when_work_arrives(self) -> None:
        """It was stopped at rest; what remained of it does not count."""
        rig = Rig(4)
        rig.request(1, b"a")
        rig.run()
        assert Timer.ROUND not in rig.nodes[3].timers
        rig.request(2, b"b", to=[3])
        assert rig.nodes[3].timers[Timer.ROUND].delay_s == 5.0

    def test_a_request_that_only_one_holds_is_stuck_while_the_others_rest(self) -> None:
        rig = Rig(4)
        rig.request(1, b"a", to=[3])
        assert rig.flights == []
        effects = rig.fire(3)
        assert [message.requests for _, message in sent(effects, Relay)] == [(rig.craft.request(1, b"a"),)]
        rig.run()
        assert all(rig.executed(index) == [b"a"] for index in range(4))

    def test_a_relayed_request_is_answered_by_whoever_got_it(self, craft: Craft) -> None:
        """A relay comes from a peer, not from the client: an executed request in it is nobody's question."""
        replica = craft.started()
        blocks = craft.chain([1, 2], {1: (craft.request(),)})
        for block in blocks:
            craft.propose(replica, block)
        tell(craft, replica, craft.qc(blocks[1]))
        assert replica.step(Received(3, Relay(1, (craft.request(),)))) == []
        assert len(all_of(replica.step(Requests((craft.request(),))), SendReply)) == 1

    def test_without_rest_leaders_go_on_and_timers_run(self) -> None:
        rig = Rig(4, config=Config(n=4, rest=False))
        rig.run(until=10)
        assert all(list(node.timers) == [Timer.ROUND] for node in rig.nodes)
        assert rig[0].tree.height >= 6


class TestRequestsOnce:
    """12. Each request executes at most once, and only if its client signed it."""

    def test_a_request_that_its_client_did_not_sign_is_taken(self, craft: Craft) -> None:
        forged = altered(craft.request(), operations=(b"forged",))
        replica = craft.started()
        key = replica.state_key()
        assert replica.step(Requests((forged,))) == [Rejected(Reason.BAD_REQUEST)]
        assert replica.step(Received(3, Relay(1, (forged,)))) == [Rejected(Reason.BAD_REQUEST)]
        assert rejected(craft.propose(replica, craft.block(1, payload=(forged,)))) is Reason.BAD_PAYLOAD
        assert replica.state_key() == key

    def test_one_bad_request_takes_the_good_ones_with_it(self, craft: Craft) -> None:
        replica = craft.started(2)
        effects = replica.step(Requests((altered(craft.request(1), number=9), craft.request(2))))
        assert len(replica.mempool) == 1
        assert all_of(effects, Rejected) == all_of(effects, Ignored) == []

    def test_a_block_over_the_limits_gets_a_vote(self) -> None:
        craft = Craft(Config(n=4, max_block_requests=1))
        replica = craft.started()
        effects = craft.propose(replica, craft.block(1, payload=(craft.request(1), craft.request(2))))
        assert effects == [Rejected(Reason.BAD_PAYLOAD)]

    def test_what_an_uncommitted_ancestor_has_is_proposed_again(self, craft: Craft) -> None:
        request, other = craft.request(1), craft.request(2)
        replica = craft.started(1)
        first = craft.block(1, payload=(request,))
        craft.propose(replica, first)
        replica.step(Requests((request, other)))
        for sender in (0, 2):
            effects = replica.step(Received(sender, craft.vote(first, sender)))
        ((_, proposal),) = sent(effects, ProposalMsg)
        assert proposal.block.payload == (other,)

    def test_a_duplicate_in_the_chain_is_executed_twice(self, craft: Craft) -> None:
        request = craft.request(1, b"once")
        blocks = craft.chain([1, 2, 3, 4], {1: (request, request), 2: (request,), 3: (craft.request(2, b"next"),)})
        replica = craft.started()
        for block in blocks:
            craft.propose(replica, block)
        effects = replica.step(Received(3, SyncInfo(5, craft.qc(blocks[3]), craft.qc(blocks[3]), None)))
        (last,) = all_of(effects, Commit)
        assert [reply.results for reply in last.results] == [(b"1",)], "it is the second entry of the log"

    def test_the_second_of_two_operations_under_one_number_wins(self, craft: Craft) -> None:
        first, second = craft.request(1, b"first"), craft.request(1, b"second")
        blocks = craft.chain([1, 2], {1: (first, second)})
        replica = craft.started(2)
        replica.step(Requests((second,)))
        for block in blocks:
            craft.propose(replica, block)
        effects = replica.step(Received(3, SyncInfo(3, craft.qc(blocks[1]), craft.qc(blocks[1]), None)))
        replies = [effect.reply for effect in all_of(effects, SendReply)]
        assert replies == [reply_to("alice", 1, b"first", b"0")]
        assert len(replica.mempool) == 0, "the other is not waiting any more"
        assert [effect.reply for effect in all_of(replica.step(Requests((second,))), SendReply)] == replies

    def test_the_operations_of_a_request_are_torn_apart(self, craft: Craft) -> None:
        rig = Rig()
        request = rig.craft.request(1, b"one", "alice", b"two", b"three")
        for node in rig.nodes:
            rig.step(node.index, Requests((request,)))
        rig.run()
        assert rig.executed(0) == [b"one", b"two", b"three"]
        (reply,) = rig.nodes[0].replies
        assert (reply.number, reply.results) == (1, (b"0", b"1", b"2"))

    def test_another_session_gets_the_answer(self, craft: Craft) -> None:
        """A client that starts anew counts anew: its first request is no duplicate of its last life's."""
        first, anew = craft.request(1, b"first"), craft.request(1, b"anew", session=bytes(16))
        replica = craft.started(2)
        replica.step(Requests((anew,)))
        blocks = craft.chain([1, 2, 3], {1: (first,)})
        for block in blocks:
            craft.propose(replica, block)
        assert all_of(replica.step(Requests((anew,))), SendReply) == []
        assert replica.mempool.holds(anew), "it waits still"
        payload = replica.mempool.select(9, replica.tree.path(blocks[-1].id))
        assert payload == (anew,), "and is proposed beside the other"

    @pytest.mark.parametrize("kind", [RequestKind.READMISSION, RequestKind.CONFIGURATION])
    def test_a_request_of_a_kind_without_a_meaning_is_executed(self, craft: Craft, kind: RequestKind) -> None:
        request = craft.request(kind=kind)
        replica = craft.started(2)
        assert replica.step(Requests((request,))) == [Rejected(Reason.BAD_KIND)]
        assert replica.step(Received(1, Relay(1, (request,)))) == [Rejected(Reason.BAD_KIND)]
        effects = craft.propose(replica, craft.block(1, payload=(request,)))
        assert effects == [Rejected(Reason.BAD_PAYLOAD)]

    def test_a_repeated_request_is_executed_again_instead_of_answered(self, craft: Craft) -> None:
        request = craft.request()
        blocks = craft.chain([1, 2], {1: (request,)})
        replica = craft.started()
        for block in blocks:
            craft.propose(replica, block)
        tell(craft, replica, craft.qc(blocks[1]))
        key = replica.state_key()
        (effect,) = replica.step(Requests((request,)))
        assert isinstance(effect, SendReply)
        assert (effect.reply.number, effect.reply.status) == (1, OK)
        assert replica.state_key() == key

    def test_a_request_too_old_to_tell_whether_it_was_executed_is_executed(self) -> None:
        craft = Craft()
        craft.machine = Sessions(AppendLog(), window=2)
        blocks = craft.chain([1, 2], {1: tuple(craft.request(number) for number in range(1, 5))})
        replica = Replica(craft.config, 0, craft.keys.replicas[0], craft.keys.ring, Sessions(AppendLog(), window=2))
        replica.step(Started())
        for block in blocks:
            craft.propose(replica, block)
        tell(craft, replica, craft.qc(blocks[1]))
        (effect,) = replica.step(Requests((craft.request(1),)))
        assert isinstance(effect, SendReply)
        assert effect.reply.status == STALE

    def test_requests_that_waited_are_lost_with_a_block_that_came_to_nothing(self, craft: Craft) -> None:
        """Whoever saw a request in a block holds it until it is committed."""
        replica = craft.started()
        craft.propose(replica, craft.block(1, payload=(craft.request(),)))
        assert len(replica.mempool) == 1


class TestEverythingIsBounded:
    """13. A peer cannot make a validator store or verify more than its share."""

    def test_votes_far_ahead_fill_the_memory(self, craft: Craft) -> None:
        replica = craft.started(1)
        limit = 1 + craft.config.max_rounds_ahead
        for round_ in range(1, limit + 6):
            effects = replica.step(Received(2, craft.vote(craft.block(round_), 2)))
            assert effects == ([] if round_ <= limit else [Ignored(Reason.TOO_FAR_AHEAD)])
        assert len(replica.tree.votes) == limit

    def test_votes_beyond_a_quorum_are_verified(self, craft: Craft) -> None:
        """The rest of the votes of a round cost no signature checks: also a broken one is a duplicate then."""
        block = craft.block(1)
        replica = craft.started(1)
        for sender in (0, 2, 3):
            replica.step(Received(sender, craft.vote(block, sender)))
        effects = replica.step(Received(1, altered(craft.vote(block, 1), signature=b"broken")))
        assert effects == [Ignored(Reason.DUPLICATE)]

    def test_requests_of_late_proposals_are_verified(self, craft: Craft) -> None:
        """A block whose round is over counts only if it is certified, so its requests cost no signature checks."""
        replica, (_, second) = holding(craft, [1, 2])
        third = craft.block(3, craft.qc(second), payload=(altered(craft.request(), operations=(b"forged",)),))
        assert rejected(craft.propose(replica, third)) is Reason.BAD_PAYLOAD
        tell(craft, replica, craft.qc(second))
        replica.step(Received(3, SyncInfo(5, craft.qc(second), craft.qc(second), craft.tc(4, craft.qc(second)))))
        assert replica.current_round == 5
        assert craft.propose(replica, third) == [Ignored(Reason.STALE)]
        assert third.id not in replica.tree.nodes

    def test_timeouts_are_kept_for_more_than_one_round(self, craft: Craft) -> None:
        """Certificates lead into the round of a valid timeout, so there is never more than one a validator."""
        replica, (first,) = holding(craft, [1])
        for round_ in (3, 4, 5, 9):
            tc = craft.tc(round_ - 1, craft.qc(first))
            replica.step(Received(3, craft.timeout(round_, 3, craft.qc(first), tc)))
            assert replica.current_round == round_
            assert list(replica.pacemaker.timeouts) == [3]

    def test_proposals_of_one_author_fill_the_memory(self, craft: Craft) -> None:
        """One a round and author is kept, whether it leads or not."""
        replica = craft.started(2)
        for author in (3, 0):
            for number in range(5):
                craft.propose(replica, craft.block(1, payload=(craft.request(number),), author=author))
        assert {author: len(proposal.block.payload) for author, proposal in replica.proposals.items()} == {3: 1, 0: 1}
        assert len(replica.tree.nodes) == 2

    def test_requests_of_one_client_crowd_out_the_others(self) -> None:
        craft = Craft(Config(n=4, max_waiting_requests=5, max_waiting_per_client=3))
        replica = craft.started(2)
        effects = [replica.step(Requests((craft.request(number),))) for number in range(5)]
        assert [ignored(each) for each in effects] == [None, None, None, Reason.FULL, Reason.FULL]
        effects = [replica.step(Requests((craft.request(number, client="bob"),))) for number in range(3)]
        assert [ignored(each) for each in effects] == [None, None, Reason.FULL]

    def test_a_relay_is_verified_without_end(self) -> None:
        craft = Craft(Config(n=4, max_relayed_requests=2))
        replica = craft.started(2)
        replica.step(Received(3, Relay(1, tuple(craft.request(number) for number in range(9)))))
        assert len(replica.mempool) == 2

    def test_a_relay_does_not_fit_into_a_message(self) -> None:
        craft = Craft(Config(n=4, max_relayed_bytes=200_000))
        replica = craft.started(2)
        replica.step(Requests(tuple(craft.request(number, bytes(60_000)) for number in range(9))))
        ((_, relay),) = sent(replica.step(TimerFired(Timer.ROUND, 1)), Relay)
        assert len(relay.requests) == 3

    def test_pending_blocks_fill_the_memory(self) -> None:
        """Certified forks are many only with more than f faults; then only chains that matter are kept."""
        craft = Craft(Config(n=4, max_pending_blocks=10))
        replica = craft.started(2)
        qc = craft.genesis_qc
        for round_ in range(1, 60, 2):
            block = craft.block(round_, qc)
            craft.propose(replica, block, craft.tc(round_ - 1, qc) if round_ > 1 else None)
            if round_ % 4 == 1 and round_ < 17:
                qc = craft.qc(block)
        assert len(replica.tree.nodes) <= 12


class TestAnyN:
    """14. The quorum is n - f for every n."""

    @pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 6, 7, 8])
    def test_two_f_plus_one_of_five_certify(self, n: int) -> None:
        config = Config(n=n)
        craft = Craft(config)
        me = (n > 2) + 0
        replica = craft.started(me)
        block = craft.block(1)
        others = [sender for sender in range(n) if sender != me]
        if n > 1:
            craft.propose(replica, block) if block.author != me else None
        for sender in others:
            if replica.current_round > 1:
                break
            replica.step(Received(sender, craft.vote(block, sender)))
        if n > 2:
            assert len(replica.tree.high_qc.signatures) == n - config.f

    @pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 6, 7, 8])
    def test_systems_that_are_not_3f_plus_1_halt(self, n: int) -> None:
        rig = Rig(n)
        for crashed in range(rig.config.f):
            rig.crash(n - 1 - crashed)
        running = range(n - rig.config.f)
        for number in range(4):
            rig.request(number, b"op%d" % number)
            rig.run()
            for _ in range(20):
                if all(len(rig.executed(index)) == number + 1 for index in running):
                    break
                for index in running:
                    if Timer.ROUND in rig.nodes[index].timers:
                        rig.fire(index)
                rig.run()
        assert all(rig.executed(index) == [b"op0", b"op1", b"op2", b"op3"] for index in running)


class TestTime:
    """16. A block's time is at least its parent's, and not far ahead of the clock of whoever votes."""

    LIMIT_MS = Config(n=4).max_clock_ahead_ms

    def propose(self, craft: Craft, replica: Replica, block: Block, now_ms: int) -> list[Effect]:
        return replica.step(Received(block.author, craft.proposal(block), now_ms))

    def test_time_runs_backwards(self, craft: Craft) -> None:
        first = craft.block(1, time_ms=5000)
        replica = craft.started(2)
        assert vote_of(self.propose(craft, replica, first, 5000)) is not None
        before = craft.block(2, craft.qc(first), time_ms=4999)
        effects = self.propose(craft, replica, before, 5000)
        assert (vote_of(effects), ignored(effects)) == (None, Reason.TIME_BACKWARDS)
        assert before.id not in replica.tree.nodes
        same = craft.block(2, craft.qc(first), time_ms=5000)
        assert vote_of(self.propose(craft, replica, same, 5000)) is not None

    def test_time_runs_ahead_of_the_clocks(self, craft: Craft) -> None:
        ahead = craft.block(1, time_ms=self.LIMIT_MS + 1)
        effects = self.propose(craft, craft.started(2), ahead, 0)
        assert (vote_of(effects), ignored(effects)) == (None, Reason.TIME_AHEAD)
        assert vote_of(self.propose(craft, craft.started(2), ahead, 1)) is not None
        limit = craft.block(1, time_ms=self.LIMIT_MS)
        assert vote_of(self.propose(craft, craft.started(2), limit, 0)) is not None

    def test_what_was_refused_too_early_is_refused_for_ever(self, craft: Craft) -> None:
        replica, ahead = craft.started(2), craft.block(1, time_ms=10_000)
        assert ignored(self.propose(craft, replica, ahead, 0)) is Reason.TIME_AHEAD
        assert vote_of(self.propose(craft, replica, ahead, 9000)) is not None

    def test_a_certified_block_is_refused_for_its_time(self, craft: Craft) -> None:
        """A quorum had other clocks: this one's may be slow, and it follows."""
        first = craft.block(1, time_ms=10_000)
        replica = craft.started(3)
        assert ignored(self.propose(craft, replica, first, 0)) is Reason.TIME_AHEAD
        tell(craft, replica, craft.qc(first))
        self.propose(craft, replica, first, 0)
        assert first.id in replica.tree.nodes
        second = craft.block(2, craft.qc(first), time_ms=10_001)
        assert vote_of(self.propose(craft, replica, second, 9000)) is not None

    def test_a_block_on_a_missing_parent_escapes_the_rule(self, craft: Craft) -> None:
        first = craft.block(1, time_ms=5000)
        second = craft.block(2, craft.qc(first), time_ms=4999)
        replica = craft.started(3)
        assert ignored(self.propose(craft, replica, second, 5000)) is Reason.UNKNOWN_PARENT
        effects = replica.step(Received(1, BlockResponse(1, (first,)), 5000))
        assert (vote_of(effects), ignored(effects)) == (None, Reason.TIME_BACKWARDS)
        assert first.id in replica.tree.nodes

    def test_a_late_event_finds_an_old_time(self, craft: Craft) -> None:
        """A proposal that waited for its parent is judged by the time at which the parent came."""
        first = craft.block(1, time_ms=5000)
        second = craft.block(2, craft.qc(first), time_ms=6000)
        replica = craft.started(3)
        self.propose(craft, replica, second, 0)
        effects = replica.step(Received(1, BlockResponse(1, (first,)), 6000))
        assert vote_of(effects) is not None

    def test_a_leader_does_not_say_the_time(self, craft: Craft) -> None:
        effects = craft.started(0).step(Requests((craft.request(),), 7000))
        ((_, message),) = sent(effects, ProposalMsg)
        assert message.block.time_ms == 7000

    def test_a_leader_with_a_slow_clock_proposes_in_vain(self, craft: Craft) -> None:
        """It takes its parent's time, however far ahead that is of its clock."""
        first = craft.block(1, time_ms=50_000)
        leader = craft.started(1)
        assert vote_of(self.propose(craft, leader, first, 50_000)) is not None
        leader.step(Requests((craft.request(),), 0))
        effects = leader.step(Received(3, SyncInfo(2, craft.qc(first), craft.genesis_qc, None), 0))
        ((_, message),) = sent(effects, ProposalMsg)
        assert message.block.time_ms == 50_000

    def test_time_counts_where_drivers_give_none(self) -> None:
        rig = Rig()
        rig.request()
        rig.run()
        assert {block.time_ms for block in rig.nodes[0].disk.committed} == {0}


class TestMessagesToOneself:
    """15. One's own follow the same path at once; one from outside that bears the own id is ordinary input."""

    def test_ones_own_vote_is_missing_in_the_count(self, craft: Craft) -> None:
        replica = craft.started(1)
        block = craft.block(1)
        effects = craft.propose(replica, block)
        assert sent(effects, VoteMsg) == [(1, craft.vote(block, 1))], "said for drivers that run copies of an identity"
        replica.step(Received(0, craft.vote(block, 0)))
        replica.step(Received(2, craft.vote(block, 2)))
        assert replica.tree.high_qc == craft.qc(block, [0, 1, 2], author=1)

    def test_a_message_in_ones_own_name_is_an_assertion(self, craft: Craft) -> None:
        """A twin sends such; so does whoever plays back what one sent before a crash."""
        replica = craft.started(1)
        block, other = craft.block(1), craft.block(1, payload=(craft.request(),))
        craft.propose(replica, block)
        assert replica.step(Received(1, craft.vote(block, 1))) == [Ignored(Reason.DUPLICATE)]
        effects = replica.step(Received(1, craft.vote(other, 1)))
        assert only(effects, Equivocation).culprit == 1
        assert ignored(replica.step(Received(1, craft.timeout(1, 1)))) is None
        assert ignored(replica.step(Received(1, craft.timeout(1, 1)))) is Reason.DUPLICATE
        own = craft.block(1, author=1)
        assert ignored(craft.propose(replica, own)) is Reason.NOT_LEADER
        assert rejected(replica.step(Received(1, craft.timeout(3, 1)))) is Reason.MISSING_TC

    def test_a_twins_third_vote_is_counted(self, craft: Craft) -> None:
        """The twin has voted twice in this name: one's own vote, met last, is one too many and not counted."""
        replica = craft.started(1)
        blocks = [craft.block(1, payload=(craft.request(number),)) for number in range(3)]
        for block in blocks[:2]:
            replica.step(Received(1, craft.vote(block, 1)))
        effects = craft.propose(replica, blocks[2])
        assert vote_of(effects) is not None
        assert sum(len(bucket) for bucket in replica.tree.votes[1].values()) == 2
