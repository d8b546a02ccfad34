"""The rules of the report, one test each, at a whole replica.

Each test names the module and the procedure of the report (DiemBFT v4, 2021-08-17) that it checks. The conjuncts of
Safety's rules are taken apart in test_safety.py, those of certificates in test_verification.py; what the report leaves
out is in test_traps.py.
"""

from __future__ import annotations

import pytest

from diembft.consensus.config import Config
from diembft.consensus.effects import Broadcast, Commit, Persist, Reason, Rejected, Send, SendReply, SetTimer
from diembft.consensus.events import Received, Requests, Timer, TimerFired
from diembft.consensus.replica import Replica
from diembft.messages.types import QC, Block, ProposalMsg, SyncInfo, TimeoutMsg, VoteMsg
from tests.consensus.rig import Craft, Rig, all_of, ignored, sent, vote_of


@pytest.fixture
def craft() -> Craft:
    return Craft()


def at_round(craft: Craft, round_: int, me: int = 0) -> tuple[Replica, Block, QC]:
    """A replica in this round, by the QC of the round before, with the blocks up to it; the last one and its QC.

    It rests, for it has no work.
    """
    replica = craft.started(me)
    blocks = craft.chain(range(1, round_))
    for block in blocks:
        craft.propose(replica, block)
    qc = craft.qc(blocks[-1])
    replica.step(Received(3, SyncInfo(round_, qc, craft.high_commit_qc(qc), None)))
    assert replica.current_round == round_
    return replica, blocks[-1], qc


# --- Main


class TestMain:
    def test_a_certificate_goes_to_the_block_tree_then_to_the_pacemaker(self, craft: Craft) -> None:
        """Main.process_certificate_qc: Block-Tree.process_qc, then Pacemaker.advance_round."""
        replica, _, _ = at_round(craft, 4)
        assert replica.current_round == 4
        assert replica.tree.high_qc.round == replica.tree.high_commit_qc.round == 3
        assert replica.tree.height == 2

    def test_the_certificates_of_a_proposal_take_effect_also_if_nothing_else_does(self, craft: Craft) -> None:
        """Main.process_proposal_msg: P.block.qc, P.high_commit_qc, P.last_round_tc, before anything is asked."""
        first, second = craft.chain([1, 2])
        qc = craft.qc(second)
        block = craft.block(7, craft.qc(first), author=3)
        tc = craft.tc(6, craft.qc(first))
        replica = craft.started()
        effects = replica.step(Received(3, craft.proposal(block, tc, qc)))
        assert vote_of(effects) is None, "the parent is not there"
        assert replica.current_round == 7
        assert replica.pacemaker.last_round_tc == tc
        assert replica.tree.high_qc == replica.tree.high_commit_qc == qc

    def test_a_proposal_of_a_past_round_is_not_voted_for(self, craft: Craft) -> None:
        """Main.process_proposal_msg: only if P.block.round is the current round."""
        replica, block, _ = at_round(craft, 4)
        late = craft.block(3, block.qc, payload=(craft.request(),))
        effects = craft.propose(replica, late)
        assert vote_of(effects) is None
        assert ignored(effects) is Reason.STALE
        assert late.id not in replica.tree.nodes

    def test_a_proposal_of_another_than_the_leader_is_not_voted_for(self, craft: Craft) -> None:
        """Main.process_proposal_msg: only if sender and author are the leader of the current round."""
        replica, _, qc = at_round(craft, 4)
        for author in (0, 1, 3):
            block = craft.block(4, qc, author=author)
            effects = craft.propose(replica, block)
            assert vote_of(effects) is None
            assert ignored(effects) is Reason.NOT_LEADER
            assert block.id not in replica.tree.nodes

    def test_a_proposal_that_its_author_did_not_sign_is_refused(self, craft: Craft) -> None:
        """Main.process_proposal_msg: who sent it is what the signature says."""
        replica, _, qc = at_round(craft, 4)
        proposal = craft.proposal(craft.block(4, qc), signer=3)
        assert replica.step(Received(2, proposal)) == [Rejected(Reason.BAD_SIGNATURE)]

    def test_a_valid_proposal_is_executed_inserted_and_voted_for(self, craft: Craft) -> None:
        """Main.process_proposal_msg: execute_and_insert, make_vote, send to the leader of the next round."""
        replica, _, qc = at_round(craft, 3)
        block = craft.block(3, qc, (craft.request(),))
        effects = craft.propose(replica, block)
        ((to, vote),) = sent(effects, VoteMsg)
        assert (block.author, to) == (1, 2) == (replica.leader(3), replica.leader(4))
        assert vote == craft.vote(block, 0, high_commit_qc=qc)
        assert replica.tree.nodes[block.id].state_id == craft.state_id(block)

    def test_a_vote_that_completes_a_qc_starts_the_new_round(self, craft: Craft) -> None:
        """Main.process_vote_msg: when a QC comes of it, process_certificate_qc and process_new_round_event."""
        replica, _, qc = at_round(craft, 4, me=2)
        ((_, proposal),) = sent(replica.step(Requests((craft.request(),))), ProposalMsg)
        assert proposal.block.round == 4
        assert replica.step(Received(0, craft.vote(self.known(craft, proposal.block), 0))) == []
        effects = replica.step(Received(1, craft.vote(proposal.block, 1)))
        assert replica.current_round == 5
        ((to, following),) = sent(effects, ProposalMsg)
        assert to is None
        assert following.block.qc.vote_info.id == proposal.block.id
        assert qc.round == 3

    @staticmethod
    def known(craft: Craft, block: Block) -> Block:
        """Let the craft execute a block that a replica made."""
        return craft.block(block.round, block.qc, block.payload, block.author)

    def test_the_certificates_of_a_timeout_take_effect(self, craft: Craft) -> None:
        """Main.process_timeout_msg: high_qc, high_commit_qc and last_round_tc, then the pacemaker."""
        first, second = craft.chain([1, 2])
        replica = craft.started()
        tc = craft.tc(4, craft.qc(first))
        replica.step(Received(3, craft.timeout(5, 3, craft.qc(first), tc, craft.qc(second))))
        assert replica.current_round == 5
        assert replica.pacemaker.last_round_tc == tc
        assert replica.tree.high_commit_qc == craft.qc(second)
        assert list(replica.pacemaker.timeouts) == [3]
        replica.step(Received(3, craft.timeout(6, 3, craft.qc(craft.block(5, craft.qc(first))))))
        assert (replica.current_round, replica.tree.high_qc.round) == (6, 5)

    def test_timeouts_of_a_quorum_start_the_next_round(self, craft: Craft) -> None:
        """Main.process_timeout_msg: a TC: advance_round_tc and process_new_round_event."""
        replica, _, qc = at_round(craft, 3, me=2)
        replica.step(Requests((craft.request(),)))
        replica.step(Received(0, craft.timeout(3, 0, qc)))
        effects = replica.step(Received(1, craft.timeout(3, 1, qc)))
        assert replica.current_round == 4
        ((_, proposal),) = sent(effects, ProposalMsg)
        assert proposal.block.qc == qc
        assert proposal.last_round_tc == replica.pacemaker.last_round_tc

    def test_the_leader_proposes_one_block_on_the_high_qc(self, craft: Craft) -> None:
        """Main.process_new_round_event: the leader of the current round, and nobody else."""
        for me in range(4):
            replica, _, qc = at_round(craft, 4, me)
            effects = replica.step(Requests((craft.request(),)))
            proposals = sent(effects, ProposalMsg)
            assert len(proposals) == (me == 2)
            if proposals:
                ((to, proposal),) = proposals
                assert to is None
                assert proposal.block == craft.block(4, qc, (craft.request(),))
                assert proposal.high_commit_qc == qc
            assert sent(replica.step(Requests((craft.request(2),))), ProposalMsg) == [], "once a round"


# --- Ledger


class TestLedger:
    def test_speculation_does_not_change_the_committed_state(self, craft: Craft) -> None:
        """Ledger.speculate and Ledger.pending_state: applied above the committed state, and not to it."""
        replica = craft.started()
        block = craft.block(1, payload=(craft.request(),))
        craft.propose(replica, block)
        node = replica.tree.nodes[block.id]
        assert [reply and reply.results for reply in node.results] == [(b"0",)]
        assert replica.machine.answer(replica.tree.root.ledger, craft.request()) is None
        assert replica.machine.answer(node.ledger, craft.request()) is not None

    def test_commit_exports_the_pending_prefix(self, craft: Craft) -> None:
        """Ledger.commit: the block and its ancestors become the committed state, and their clients are answered."""
        replica = craft.started()
        requests = [craft.request(number, b"op%d" % number) for number in range(3)]
        blocks = craft.chain([1, 2, 3], dict(zip([1, 2, 3], [(request,) for request in requests], strict=True)))
        for block in blocks:
            craft.propose(replica, block)
        qc = craft.qc(blocks[2])
        effects = replica.step(Received(3, SyncInfo(4, qc, qc, None)))
        commits = all_of(effects, Commit)
        assert [(commit.height, commit.block, commit.state_id) for commit in commits] == [
            (2, blocks[1], craft.state_id(blocks[1]))
        ]
        assert [effect.reply.number for effect in all_of(effects, SendReply)] == [1]
        assert commits[0].certificate == qc
        assert replica.machine.answer(replica.tree.root.ledger, requests[1]) == commits[0].results[0]


# --- Block-Tree


class TestBlockTree:
    def test_a_committing_qc_commits_the_parent_and_its_ancestors_and_prunes(self, craft: Craft) -> None:
        """Block-Tree.process_qc: Ledger.commit(qc.vote_info.parent_id), pending_block_tree.prune."""
        replica = craft.started()
        first = craft.block(1)
        other = craft.block(2, craft.qc(first), payload=(craft.request(),))
        gap = craft.block(4, craft.qc(first))
        last = craft.block(5, craft.qc(gap))
        craft.propose(replica, first)
        craft.propose(replica, other)
        craft.propose(replica, gap, craft.tc(3, craft.qc(first)))
        craft.propose(replica, last)
        assert replica.tree.height == 0
        qc = craft.qc(last)
        effects = replica.step(Received(3, SyncInfo(6, qc, qc, None)))
        assert [effect.block for effect in all_of(effects, Commit)] == [first, gap]
        assert list(replica.tree.nodes) == [gap.id, last.id]

    def test_a_qc_of_rounds_with_a_gap_commits_nothing(self, craft: Craft) -> None:
        """Block-Tree.process_qc: only if commit_state_id is set."""
        replica = craft.started()
        first = craft.block(1)
        gap = craft.block(3, craft.qc(first))
        craft.propose(replica, first)
        craft.propose(replica, gap, craft.tc(2, craft.qc(first)))
        effects = replica.step(Received(3, SyncInfo(4, craft.qc(gap), craft.genesis_qc, None)))
        assert all_of(effects, Commit) == []
        assert replica.tree.high_qc == craft.qc(gap)
        assert replica.tree.high_commit_qc == craft.qc(first)

    def test_high_qc_and_high_commit_qc_are_independent_maxima(self, craft: Craft) -> None:
        """Block-Tree.process_qc: high_commit_qc = max over those that commit, high_qc = max over all."""
        first, second, gap = craft.chain([1, 2, 5])
        replica = craft.started()
        replica.step(Received(3, SyncInfo(6, craft.qc(gap), craft.genesis_qc, None)))
        assert (replica.tree.high_qc.round, replica.tree.high_commit_qc.round) == (5, 0)
        replica.step(Received(3, SyncInfo(6, craft.qc(first), craft.qc(second), None)))
        assert (replica.tree.high_qc.round, replica.tree.high_commit_qc.round) == (5, 2)

    def test_a_qc_needs_votes_of_a_quorum_for_the_same_thing(self, craft: Craft) -> None:
        """Block-Tree.process_vote: votes are counted per hash of ledger_commit_info, each signer once."""
        block = craft.block(1)
        replica = craft.started(1)
        replica.step(Received(0, craft.vote(block, 0)))
        replica.step(Received(0, craft.vote(block, 0, high_commit_qc=craft.genesis_qc)))
        replica.step(Received(2, craft.vote(block, 2, state_id=bytes(32))))
        replica.step(Received(3, craft.vote(block, 3)))
        assert replica.current_round == 1
        replica.step(Received(2, craft.vote(block, 2)))
        assert replica.current_round == 2
        assert replica.tree.high_qc == craft.qc(block, [0, 2, 3], author=1)

    def test_a_proposal_carries_the_mempools_requests_on_the_high_qc(self, craft: Craft) -> None:
        """Block-Tree.generate_block: author, round, payload, high_qc and id."""
        replica, _, qc = at_round(craft, 4, me=2)
        requests = (craft.request(1), craft.request(2))
        ((_, proposal),) = sent(replica.step(Requests(requests)), ProposalMsg)
        assert proposal.block == craft.block(4, qc, requests)
        assert proposal.block.author == 2


# --- Safety


class TestSafety:
    def test_one_vote_a_round(self, craft: Craft) -> None:
        """Safety.safe_to_vote: block_round > highest_vote_round."""
        replica, _, qc = at_round(craft, 4)
        assert vote_of(craft.propose(replica, craft.block(4, qc))) is not None
        assert vote_of(craft.propose(replica, craft.block(4, qc, (craft.request(),)))) is None

    def test_no_vote_after_a_timeout_of_the_round(self, craft: Craft) -> None:
        """Safety.make_timeout: increase_highest_vote_round(round): stop voting for it."""
        replica, _, qc = at_round(craft, 4)
        replica.step(Requests((craft.request(),)))
        ((_, timeout),) = sent(replica.step(TimerFired(Timer.ROUND, 4)), TimeoutMsg)
        assert timeout == craft.timeout(4, 0, qc, None, qc)
        assert vote_of(craft.propose(replica, craft.block(4, qc))) is None
        assert replica.safety.highest_vote_round == 4

    def test_after_a_tc_the_parent_is_as_high_as_any_qc_of_the_tc(self, craft: Craft) -> None:
        """Safety.safe_to_extend: block_round == tc.round + 1 and qc_round >= max(tc.tmo_high_qc_rounds)."""
        first, second = craft.chain([1, 2])
        tc = craft.tc(3, craft.qc(second), {0: 0, 1: 2, 2: 1})
        for parent, allowed in ((first, False), (second, True)):
            replica = craft.started()
            craft.propose(replica, first)
            craft.propose(replica, second)
            effects = craft.propose(replica, craft.block(4, craft.qc(parent)), tc)
            assert (vote_of(effects) is not None) == allowed
            assert (ignored(effects) is Reason.NOT_SAFE) == (not allowed)

    def test_a_vote_raises_both_rounds(self, craft: Craft) -> None:
        """Safety.make_vote: update_highest_qc_round(qc_round), increase_highest_vote_round(block_round)."""
        replica, _, qc = at_round(craft, 4)
        before = (replica.safety.highest_vote_round, replica.safety.highest_qc_round)
        craft.propose(replica, craft.block(4, qc))
        assert before == (3, 2)
        assert (replica.safety.highest_vote_round, replica.safety.highest_qc_round) == (4, 3)

    def test_a_vote_tells_what_it_would_commit_exactly_if_rounds_are_consecutive(self, craft: Craft) -> None:
        """Safety.commit_state_id_candidate: the parent's state if consecutive(block_round, qc.round), else none."""
        replica = craft.started()
        first = craft.block(1, payload=(craft.request(),))
        vote = vote_of(craft.propose(replica, first))
        assert vote is not None
        assert vote.ledger_commit_info.commit_state_id == craft.genesis.state_id
        vote = vote_of(craft.propose(replica, craft.block(3, craft.qc(first)), craft.tc(2, craft.qc(first))))
        assert vote is not None
        assert vote.ledger_commit_info.commit_state_id is None
        assert vote.ledger_commit_info.vote_info_hash == craft.digests.vote_info(vote.vote_info)

    def test_what_does_not_verify_is_refused_and_changes_nothing(self, craft: Craft) -> None:
        """Safety.valid_signatures: on every message, before anything else."""
        replica, block, qc = at_round(craft, 4)
        weak = craft.qc(block, [0, 1])
        key = replica.state_key()
        for message in (
            craft.proposal(craft.block(4, weak)),
            craft.vote(craft.block(4, qc), 1, high_commit_qc=weak),
            craft.timeout(4, 1, weak),
            SyncInfo(4, weak, qc, None),
        ):
            assert replica.step(Received(1, message)) == [Rejected(Reason.NO_QUORUM)]
            assert replica.state_key() == key


# --- Pacemaker


class TestPacemaker:
    def test_a_qc_advances_the_round_and_clears_the_tc(self, craft: Craft) -> None:
        """Pacemaker.advance_round_qc: if qc.round >= current_round: last_round_tc none, start_timer(qc.round + 1)."""
        replica = craft.started()
        replica.step(Received(3, SyncInfo(3, craft.genesis_qc, craft.genesis_qc, craft.tc(2))))
        assert (replica.current_round, replica.pacemaker.last_round_tc) == (3, craft.tc(2))
        block = craft.block(3)
        replica.step(Received(3, SyncInfo(4, craft.qc(block), craft.genesis_qc, None)))
        assert (replica.current_round, replica.pacemaker.last_round_tc) == (4, None)

    def test_a_tc_advances_the_round_and_is_kept(self, craft: Craft) -> None:
        """Pacemaker.advance_round_tc: if tc.round >= current_round: last_round_tc = tc, start_timer(tc.round + 1)."""
        replica, _, qc = at_round(craft, 3)
        replica.step(Received(3, SyncInfo(6, qc, qc, craft.tc(5, qc))))
        assert (replica.current_round, replica.pacemaker.last_round_tc) == (6, craft.tc(5, qc))
        replica.step(Received(3, SyncInfo(5, qc, qc, craft.tc(4, qc))))
        assert (replica.current_round, replica.pacemaker.last_round_tc) == (6, craft.tc(5, qc))

    def test_a_new_round_restarts_the_timer(self, craft: Craft) -> None:
        """Pacemaker.start_timer: stop the timer, start one for the new round."""
        replica = craft.started()
        replica.step(Requests((craft.request(),)))
        effects = replica.step(Received(3, SyncInfo(3, craft.genesis_qc, craft.genesis_qc, craft.tc(2))))
        assert SetTimer(Timer.ROUND, 6.0, 3) in effects

    def test_the_timer_takes_five_deltas_and_grows_without_commits(self, craft: Craft) -> None:
        """Pacemaker.get_round_timer: the report's pseudocode says 4 delta, its proofs need 5; growth is ours."""
        replica = craft.started()
        effects = replica.step(Requests((craft.request(),)))
        assert SetTimer(Timer.ROUND, 5.0, 1) in effects
        for tc_round, delay_s in ((1, 5.0), (2, 6.0), (3, 7.2)):
            tc = craft.tc(tc_round)
            effects = replica.step(Received(3, SyncInfo(tc_round + 1, craft.genesis_qc, craft.genesis_qc, tc)))
            (timer,) = all_of(effects, SetTimer)
            assert (timer.timer, timer.round) == (Timer.ROUND, tc_round + 1)
            assert timer.delay_s == pytest.approx(delay_s)
        blocks = craft.chain([4, 5, 6])
        for block in blocks:
            effects = craft.propose(replica, block, craft.tc(3) if block.round == 4 else None)
        assert replica.tree.height == 1
        assert SetTimer(Timer.ROUND, 5.0, 6) in effects, "it shrinks again after a commit"

    def test_a_local_timeout_tells_everybody(self, craft: Craft) -> None:
        """Pacemaker.local_timeout_round: save_consensus_state, then broadcast the timeout."""
        replica, _, qc = at_round(craft, 3)
        replica.step(Requests((craft.request(),)))
        effects = replica.step(TimerFired(Timer.ROUND, 3))
        assert isinstance(effects[0], Persist)
        assert effects[1] == Broadcast(craft.timeout(3, 0, qc, None, qc))
        assert list(replica.pacemaker.timeouts) == [0], "its own counts"

    def test_f_plus_1_timeouts_are_joined(self, craft: Craft) -> None:
        """Pacemaker.process_remote_timeout: f + 1 senders: one of them is correct, so time out as well (Bracha)."""
        replica, _, qc = at_round(craft, 3)
        effects = replica.step(Received(1, craft.timeout(3, 1, qc)))
        assert sent(effects, TimeoutMsg) == []
        effects = replica.step(Received(1, craft.timeout(3, 1, qc)))
        assert sent(effects, TimeoutMsg) == [], "one sender counts once"
        effects = replica.step(Received(2, craft.timeout(3, 2, qc)))
        assert [to for to, _ in sent(effects, TimeoutMsg)] == [None]

    def test_a_quorum_of_timeouts_makes_a_tc(self, craft: Craft) -> None:
        """Pacemaker.process_remote_timeout: 2f + 1 (n - f): TC of the round with each sender's high QC round."""
        replica, block, qc = at_round(craft, 3)
        older = block.qc
        tc = craft.tc(2, older)
        replica.step(Received(1, craft.timeout(3, 1, older, tc)))
        replica.step(Received(2, craft.timeout(3, 2, qc)))
        assert replica.current_round == 4
        assert replica.pacemaker.last_round_tc == craft.tc(3, qc, {0: 2, 1: 1, 2: 2})

    def test_timeouts_of_past_rounds_do_not_count(self, craft: Craft) -> None:
        """Pacemaker.process_remote_timeout: tmo_info.round < current_round: none."""
        replica, block, _ = at_round(craft, 4)
        for sender in (1, 2, 3):
            effects = replica.step(Received(sender, craft.timeout(3, sender, block.qc)))
            assert ignored(effects) is Reason.STALE
        assert replica.pacemaker.timeouts == {}


# --- LeaderElection and MemPool


class TestLeadersAndRequests:
    def test_leaders_that_went_silent_are_passed_over_once_reputation_knows(self) -> None:
        """LeaderElection.elect_reputation_leader: only active validators are drawn."""
        rig = Rig(4, config=Config(n=4, rest=False))
        rig.crash(3)
        for _ in range(40):
            rig.run(until=rig.lowest_round() + 1)
            if not rig.flights:
                for index in (0, 1, 2):
                    rig.fire(index)
        assert rig[0].tree.height > 8
        start = rig.lowest_round()
        rig.run(until=start + 30)
        assert rig.lowest_round() == start + 30, "no round was lost to the silent leader any more"

    def test_all_that_hold_the_same_chain_draw_the_same_leader(self) -> None:
        """LeaderElection.get_leader: deterministic, from certified data only."""
        rig = Rig(4, config=Config(n=4, rest=False))
        rig.run(until=25)
        for flight in rig.flights_of(ProposalMsg):
            assert isinstance(flight.message, ProposalMsg)
        leaders = {rig[index].leader(rig.lowest_round()) for index in range(4)}
        assert len(leaders) == 1
        assert len({block.author for block in rig.nodes[0].disk.committed}) == 4

    def test_requests_are_proposed_in_the_order_of_arrival(self, craft: Craft) -> None:
        """MemPool.get_transactions: the next transactions for a block."""
        replica = craft.replica()
        numbers = (3, 1, 2)
        ((_, proposal),) = sent(replica.step(Requests(tuple(map(craft.request, numbers)))), ProposalMsg)
        assert [request.number for request in proposal.block.payload] == list(numbers)

    def test_a_send_to_the_next_leader_is_not_a_broadcast(self, craft: Craft) -> None:
        """Main.process_proposal_msg: votes go to one validator, so messages a commit stay linear in n."""
        replica, _, qc = at_round(craft, 4)
        effects = craft.propose(replica, craft.block(4, qc))
        assert len([effect for effect in effects if isinstance(effect, Send)]) == 1
        assert not any(isinstance(effect, Broadcast) for effect in effects)
