"""Each planted bug breaks its rule, and what stands beside it holds: always against a correct replica."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from msgspec import structs

from diembft.consensus.config import Config
from diembft.consensus.effects import Commit, Effect, Persist, Reason, Rejected, Send
from diembft.consensus.events import Received, Requests, Timer, TimerFired
from diembft.consensus.replica import Replica
from diembft.faults.registry import BUGS
from diembft.messages.types import OK, QC, Block, BlockRequest, BlockResponse, ProposalMsg, SyncInfo, VoteMsg
from tests.consensus.rig import Craft, all_of, altered, only, rejected, sent, vote_of
from tests.faults.planted import planted


@pytest.fixture
def craft() -> Craft:
    return Craft()


def tell(craft: Craft, replica: Replica, qc: QC) -> list[Effect]:
    """Let the replica learn of a QC."""
    return replica.step(Received(3, SyncInfo(qc.round + 1, qc, craft.high_commit_qc(qc), None)))


def propose_all(craft: Craft, replica: Replica, blocks: Iterable[Block]) -> None:
    for block in blocks:
        craft.propose(replica, block)


def given_up(craft: Craft, *bugs: str) -> Replica:
    """A replica that timed out in round 1."""
    replica = planted(craft, *bugs, me=2)
    replica.step(Requests((craft.request(9),)))
    replica.step(TimerFired(Timer.ROUND, 1))
    return replica


def rivals(craft: Craft) -> tuple[Block, Block]:
    """Two blocks of the leader of round 1."""
    return craft.block(1), craft.block(1, payload=(craft.request(),))


OVERRIDDEN = {
    "conflicting_votes": {"ConflictingVotes.above_last_vote"},
    "count_messages": {
        "CountVoteMessages.counted_as",
        "CountTimeoutMessages.counted_as",
        "CountSignatures.distinct",
    },
    "forgets_on_restart": {"ForgetsOnRestart._record"},
    "gap_commit": {"GapVotes.commit_state_id_candidate", "GapVerifier.commit_rule"},
    "ignore_tc_high_qc": {"IgnoreTcHighQc.safe_to_extend"},
    "late_replay": set(),
    "long_commit_chain": {"LongCommitChain._block_request", "LongCommitChain._block_response"},
    "no_timeout_lock": {"NoTimeoutLock.stop_voting"},
    "no_vote_lock": {"NoVoteLock.above_last_vote"},
    "one_chain_commit": {"CommitsTheCertified.committed_by", "DeliversTheCertified._deliver"},
    "small_quorum": {"SmallQuorum.__init__"},
    "stale_leader": {"StaleLeader.process_timeout_qc"},
    "unsigned_certificates": {"UnsignedCertificates.qc_signatures", "UnsignedCertificates.tc_signatures"},
    "vote_leader_current_round": {"VoteLeaderCurrentRound.vote_collector"},
}


def test_a_bug_overrides_its_rule_and_nothing_else() -> None:
    found = {
        name: {
            f"{override.__name__}.{attribute}"
            for override in bug.overrides
            for attribute, value in vars(override).items()
            if callable(value)
        }
        for name, bug in BUGS.items()
    }
    assert found == OVERRIDDEN


class TestConflictingVotes:
    """May vote again in the round it last voted in."""

    def test_it_votes_for_both_blocks_of_a_round(self, craft: Craft) -> None:
        first, second = rivals(craft)
        for bugs, votes_twice in (((), False), (("conflicting_votes",), True)):
            replica = planted(craft, *bugs, me=2)
            assert vote_of(craft.propose(replica, first)) is not None
            vote = vote_of(craft.propose(replica, second))
            assert (vote is not None) == votes_twice
        assert vote == craft.vote(second, 2)

    def test_a_round_that_it_gave_up_is_closed(self, craft: Craft) -> None:
        replica = given_up(craft, "conflicting_votes")
        assert vote_of(craft.propose(replica, craft.block(1))) is None

    def test_rounds_before_its_last_vote_are_closed(self, craft: Craft) -> None:
        replica = planted(craft, "conflicting_votes", me=2)
        propose_all(craft, replica, craft.chain([1, 2]))
        assert replica.safety.above_last_vote(2)
        assert not replica.safety.above_last_vote(1)


class TestCountMessages:
    """Counts messages, not distinct signers, towards a quorum."""

    def test_three_times_the_same_vote_make_a_qc(self, craft: Craft) -> None:
        block = craft.block(1)
        for bugs, signers in (((), []), (("count_messages",), [2, 2, 2])):
            replica = planted(craft, *bugs, me=1)
            for _ in range(3):
                replica.step(Received(2, craft.vote(block, 2)))
            assert [signer for signer, _ in replica.tree.high_qc.signatures] == signers

    def test_twice_the_same_timeout_and_ones_own_make_a_tc(self, craft: Craft) -> None:
        for bugs, round_ in (((), 1), (("count_messages",), 2)):
            replica = planted(craft, *bugs, me=1)
            for _ in range(3):
                replica.step(Received(2, craft.timeout(1, 2)))
            assert replica.current_round == round_

    def test_one_name_three_times_is_a_quorum_in_a_certificate(self, craft: Craft) -> None:
        qc = craft.qc(craft.block(1), [2, 2, 2])
        assert planted(craft).verifier.qc(qc) is Reason.NO_QUORUM
        assert planted(craft, "count_messages").verifier.qc(qc) is None
        assert planted(craft, "count_messages").verifier.qc(craft.qc(craft.block(1), [2, 2])) is Reason.NO_QUORUM


class TestForgetsOnRestart:
    """Does not persist the state of Safety."""

    def test_only_the_record_of_safety_is_empty(self, craft: Craft) -> None:
        blocks = craft.chain([1, 2])
        correct, forgetful = planted(craft), planted(craft, "forgets_on_restart")
        for block in blocks:
            right, wrong = craft.propose(correct, block), craft.propose(forgetful, block)
        record = only(right, Persist).record
        assert (record.highest_vote_round, record.highest_qc_round) == (2, 1)
        bare = structs.replace(record, highest_vote_round=0, highest_qc_round=0, last_sent=None)
        assert wrong == [structs.replace(only(right, Persist), record=bare), *right[1:]]

    def test_until_it_crashes_it_keeps_the_rules(self, craft: Craft) -> None:
        first, second = rivals(craft)
        replica = planted(craft, "forgets_on_restart")
        craft.propose(replica, first)
        assert vote_of(craft.propose(replica, second)) is None


class TestGapCommit:
    """Commits by a 2-chain of rounds that need not be consecutive."""

    def test_a_vote_after_a_gap_commits_the_parent(self, craft: Craft) -> None:
        first = craft.block(1)
        gap = craft.block(3, craft.qc(first))
        for bugs, state_id in (((), None), (("gap_commit",), craft.state_id(first))):
            replica = planted(craft, *bugs)
            craft.propose(replica, first)
            vote = vote_of(craft.propose(replica, gap, craft.tc(2, gap.qc)))
            assert vote is not None
            assert vote.ledger_commit_info.commit_state_id == state_id

    def test_a_qc_after_a_gap_has_to_commit(self, craft: Craft) -> None:
        first = craft.block(1)
        gap = craft.block(3, craft.qc(first))
        vote_info = craft.vote_info(gap)
        committing = altered(craft.commit_info(vote_info), commit_state_id=craft.state_id(first))
        qcs = (craft.qc(gap), craft.signed_qc(vote_info, committing))
        assert [planted(craft).verifier.qc(qc) for qc in qcs] == [None, Reason.BAD_COMMIT_RULE]
        assert [planted(craft, "gap_commit").verifier.qc(qc) for qc in qcs] == [Reason.BAD_COMMIT_RULE, None]

    def test_consecutive_rounds_commit_as_ever(self, craft: Craft) -> None:
        blocks = craft.chain([1, 2, 3])
        effects = []
        for bugs in ((), ("gap_commit",)):
            replica = planted(craft, *bugs)
            propose_all(craft, replica, blocks[:2])
            effects.append(craft.propose(replica, blocks[2]))
        assert effects[0] == effects[1]
        assert only(effects[0], Commit).block == blocks[0]


class TestIgnoreTcHighQc:
    """Does not check q >= max(tmo_high_qc_rounds)."""

    def test_it_votes_below_what_a_signer_of_the_tc_held(self, craft: Craft) -> None:
        first, second = craft.chain([1, 2])
        low = craft.block(4, craft.qc(first))
        tc = craft.tc(3, craft.qc(second), {0: 0, 1: 2, 2: 1})
        for bugs, votes in (((), False), (("ignore_tc_high_qc",), True)):
            replica = planted(craft, *bugs)
            propose_all(craft, replica, (first, second))
            assert (vote_of(craft.propose(replica, low, tc)) is not None) == votes

    def test_the_tc_is_still_of_the_round_before(self, craft: Craft) -> None:
        safety = planted(craft, "ignore_tc_high_qc").safety
        assert safety.safe_to_vote(4, 1, craft.tc(3))
        assert not safety.safe_to_vote(5, 1, craft.tc(3))
        assert not safety.safe_to_vote(4, 1, None)


class TestLateReplay:
    """Forgets executed requests too early."""

    def test_a_request_that_comes_again_after_another_executes_twice(self, craft: Craft) -> None:
        one, two = craft.request(1, b"one"), craft.request(2, b"two")
        blocks = craft.chain([1, 2, 3, 4], {1: (one,), 2: (two,), 3: (one,)})
        for bugs, replies in (((), [None]), (("late_replay",), [(b"2",)])):
            replica = planted(craft, *bugs)
            propose_all(craft, replica, blocks)
            commits = all_of(tell(craft, replica, craft.qc(blocks[3])), Commit)
            (again,) = [commit for commit in commits if commit.block.round == 3]
            assert [reply and reply.results for reply in again.results] == replies

    def test_its_last_request_is_remembered(self, craft: Craft) -> None:
        one = craft.request(1, b"one")
        blocks = craft.chain([1, 2], {1: (one, one)})
        replica = planted(craft, "late_replay")
        propose_all(craft, replica, blocks)
        (commit,) = all_of(tell(craft, replica, craft.qc(blocks[1])), Commit)
        assert [reply and reply.status for reply in commit.results] == [OK, None]


class TestLongCommitChain:
    """Sync answers start one block too early, and the receiver commits it again."""

    def test_an_answer_begins_with_the_block_that_the_asker_has(self, craft: Craft) -> None:
        blocks = craft.chain([1, 2, 3, 4, 5, 6])
        for bugs, rounds in (((), [3, 4, 5, 6]), (("long_commit_chain",), [2, 3, 4, 5, 6])):
            replica = planted(craft, *bugs)
            propose_all(craft, replica, blocks)
            effects = replica.step(Received(3, BlockRequest(7, blocks[5].id, blocks[1].id, 50)))
            ((to, response),) = sent(effects, BlockResponse)
            assert to == 3
            assert [block.round for block in response.blocks] == rounds

    def test_the_receiver_commits_its_last_block_again(self, craft: Craft) -> None:
        blocks = craft.chain([1, 2, 3, 4, 5, 6])
        for bugs, rounds in (((), [3, 4, 5]), (("long_commit_chain",), [2, 3, 4, 5])):
            replica = planted(craft, *bugs)
            propose_all(craft, replica, blocks[:4])
            assert replica.tree.root.block == blocks[1]
            tell(craft, replica, craft.qc(blocks[5]))
            effects = replica.step(Received(3, BlockResponse(7, tuple(blocks[1:]))))
            assert [commit.block.round for commit in all_of(effects, Commit)] == rounds

    def test_an_answer_that_begins_where_it_should_commits_once(self, craft: Craft) -> None:
        blocks = craft.chain([1, 2, 3, 4, 5, 6])
        replica = planted(craft, "long_commit_chain")
        propose_all(craft, replica, blocks[:4])
        tell(craft, replica, craft.qc(blocks[5]))
        effects = replica.step(Received(3, BlockResponse(7, tuple(blocks[2:]))))
        assert [commit.block.round for commit in all_of(effects, Commit)] == [3, 4, 5]


class TestNoTimeoutLock:
    """Does not raise highest_vote_round by a timeout."""

    def test_it_votes_in_a_round_that_it_gave_up(self, craft: Craft) -> None:
        assert vote_of(craft.propose(given_up(craft), craft.block(1))) is None
        assert vote_of(craft.propose(given_up(craft, "no_timeout_lock"), craft.block(1))) is not None

    def test_it_votes_once_in_a_round(self, craft: Craft) -> None:
        first, second = rivals(craft)
        replica = given_up(craft, "no_timeout_lock")
        craft.propose(replica, first)
        assert vote_of(craft.propose(replica, second)) is None


class TestNoVoteLock:
    """Does not check highest_vote_round."""

    def test_it_votes_for_whatever_the_leader_proposes(self, craft: Craft) -> None:
        first, second = rivals(craft)
        replica = planted(craft, "no_vote_lock", me=2)
        assert vote_of(craft.propose(replica, first)) is not None
        assert vote_of(craft.propose(replica, second)) is not None
        assert vote_of(craft.propose(given_up(craft, "no_vote_lock"), first)) is not None

    def test_the_other_rules_for_votes_hold(self, craft: Craft) -> None:
        first, second = craft.chain([1, 2])
        replica = planted(craft, "no_vote_lock")
        propose_all(craft, replica, (first, second))
        low = craft.block(4, craft.qc(first))
        assert vote_of(craft.propose(replica, low, craft.tc(3, craft.qc(second), {0: 0, 1: 2, 2: 1}))) is None


class TestOneChainCommit:
    """Commits a block when it is certified."""

    def test_a_certified_block_is_committed_without_a_successor(self, craft: Craft) -> None:
        first = craft.block(1)
        for bugs, rounds in (((), []), (("one_chain_commit",), [1])):
            replica = planted(craft, *bugs)
            craft.propose(replica, first)
            effects = tell(craft, replica, craft.qc(first))
            assert [commit.block.round for commit in all_of(effects, Commit)] == rounds

    def test_also_one_that_follows_a_gap(self, craft: Craft) -> None:
        first = craft.block(1)
        gap = craft.block(3, craft.qc(first))
        replica = planted(craft, "one_chain_commit")
        craft.propose(replica, first)
        craft.propose(replica, gap, craft.tc(2, gap.qc))
        effects = tell(craft, replica, craft.qc(gap))
        assert [commit.block.round for commit in all_of(effects, Commit)] == [3]


class TestSmallQuorum:
    """Makes and accepts certificates from 2f signers."""

    @pytest.mark.parametrize(("n", "enough"), [(1, 1), (2, 2), (3, 2), (4, 2), (5, 2), (7, 4), (13, 8)])
    def test_its_quorum(self, n: int, enough: int) -> None:
        replica = planted(Craft(Config(n=n)), "small_quorum")
        assert replica.quorums.quorum == enough
        assert replica.quorums.at_least_one_correct == replica.config.f + 1

    def test_two_of_four_certify(self, craft: Craft) -> None:
        block = craft.block(1)
        for bugs, signers in (((), 0), (("small_quorum",), 2)):
            replica = planted(craft, *bugs, me=1)
            for sender in (0, 2):
                replica.step(Received(sender, craft.vote(block, sender)))
            assert len(replica.tree.high_qc.signatures) == signers
        assert replica.verifier.tc(craft.tc(1, None, {0: 0, 3: 0})) is None
        assert replica.verifier.qc(craft.qc(block, [3])) is Reason.NO_QUORUM


class TestStaleLeader:
    """Ignores the QCs in timeouts when it leads."""

    @pytest.mark.parametrize(
        ("bugs", "qc_rounds"), [((), [1]), (("stale_leader",), []), (("ignore_tc_high_qc", "stale_leader"), [0])]
    )
    def test_it_does_not_build_on_a_qc_that_only_timeouts_held(
        self, craft: Craft, bugs: tuple[str, ...], qc_rounds: list[int]
    ) -> None:
        """Alone it wastes its round: Safety does not vote for a lower block, not even for one's own."""
        first = craft.block(1)
        tc = craft.tc(2, craft.qc(first), {0: 0, 2: 1, 3: 0})
        leader = planted(craft, *bugs, me=1)
        craft.propose(leader, first)
        leader.step(Requests((craft.request(),)))
        effects = leader.step(Received(3, craft.timeout(3, 3, craft.genesis_qc, tc)))
        assert leader.current_round == 3
        assert [proposal.block.qc.round for _, proposal in sent(effects, ProposalMsg)] == qc_rounds

    def test_a_qc_by_which_a_round_is_entered_is_taken(self, craft: Craft) -> None:
        first = craft.block(1)
        replica = planted(craft, "stale_leader", me=2)
        replica.step(Received(3, craft.timeout(2, 3, craft.qc(first))))
        assert (replica.current_round, replica.tree.high_qc) == (2, craft.qc(first))


class TestUnsignedCertificates:
    """Does not verify the signatures in certificates."""

    def test_names_without_signatures_are_a_certificate(self, craft: Craft) -> None:
        qc = craft.qc(craft.block(1))
        garbage = tuple([(signer, b"garbage") for signer, _ in qc.signatures])
        forged_qc, forged_tc = altered(qc, signatures=garbage), altered(craft.tc(1), tmo_signatures=garbage)
        correct, gullible = planted(craft).verifier, planted(craft, "unsigned_certificates").verifier
        assert (correct.qc(forged_qc), correct.tc(forged_tc)) == (Reason.BAD_QC, Reason.BAD_TC)
        assert (gullible.qc(forged_qc), gullible.tc(forged_tc)) == (None, None)

    def test_everything_else_is_verified(self, craft: Craft) -> None:
        block = craft.block(1)
        replica = planted(craft, "unsigned_certificates")
        assert replica.verifier.qc(craft.qc(block, [0, 1])) is Reason.NO_QUORUM
        assert replica.verifier.qc(altered(craft.qc(block), vote_info=craft.vote_info(craft.block(2)))) is not None
        vote = altered(craft.vote(block, 2), signature=b"garbage")
        assert replica.step(Received(2, vote)) == [Rejected(Reason.BAD_SIGNATURE)]
        assert rejected(replica.step(Received(2, altered(craft.timeout(1, 2), tmo_info=craft.timeout(2, 2).tmo_info))))


class TestVoteLeaderCurrentRound:
    """Sends votes to this round's leader."""

    def test_votes_go_to_the_leader_of_their_round(self, craft: Craft) -> None:
        blocks = craft.chain([1, 2])
        for bugs, receivers in (((), [1, 1]), (("vote_leader_current_round",), [0, 1])):
            replica = planted(craft, *bugs, me=3)
            sends = [effect for block in blocks for effect in all_of(craft.propose(replica, block), Send)]
            assert [send.to for send in sends if isinstance(send.message, VoteMsg)] == receivers

    def test_leaders_are_the_same(self, craft: Craft) -> None:
        replica = planted(craft, "vote_leader_current_round")
        assert [replica.leader(round_) for round_ in range(1, 9)] == [0, 1, 1, 2, 2, 3, 3, 0]
