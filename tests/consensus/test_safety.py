"""Safety: each conjunct of its rules by itself, and what it signs. See also test_naive.py."""

from __future__ import annotations

import pytest

from diembft.consensus.safety import Safety, consecutive
from diembft.messages.types import QC, TC, Block
from tests.consensus.rig import Craft

ME = 2


@pytest.fixture
def craft() -> Craft:
    return Craft()


def make(craft: Craft, highest_vote_round: int = 0, highest_qc_round: int = 0) -> Safety:
    safety = Safety(ME, craft.keys.replicas[ME], craft.digests)
    safety.highest_vote_round = highest_vote_round
    safety.highest_qc_round = highest_qc_round
    return safety


def chain_to(craft: Craft, round_: int) -> tuple[Block, QC]:
    block = craft.block(round_)
    return block, craft.qc(block)


def tc_of(craft: Craft, round_: int, *qc_rounds: int) -> TC:
    """A TC of these high-QC rounds; its signatures are of no interest here."""
    return TC(round_, qc_rounds, (), craft.genesis_qc)


def test_consecutive() -> None:
    assert consecutive(3, 4)
    assert not consecutive(3, 5)
    assert not consecutive(4, 4)
    assert not consecutive(4, 3)


# --- safe_to_vote: b.round > max(highest_vote_round, q) and (b.round == q + 1 or TC rule)


@pytest.mark.parametrize(("vote_round", "allowed"), [(6, True), (7, False), (8, False)])
def test_votes_only_above_the_highest_vote_round(craft: Craft, vote_round: int, allowed: bool) -> None:
    assert make(craft, highest_vote_round=vote_round).safe_to_vote(7, 6, None) == allowed


def test_votes_only_above_the_round_of_the_qc(craft: Craft) -> None:
    """Even if a TC of the previous round is there."""
    assert make(craft).safe_to_vote(7, 6, tc_of(craft, 6, 3))
    assert not make(craft).safe_to_vote(7, 7, tc_of(craft, 6, 3))
    assert not make(craft).safe_to_vote(7, 8, tc_of(craft, 6, 3))


def test_votes_with_a_gap_only_with_a_tc(craft: Craft) -> None:
    assert not make(craft).safe_to_vote(7, 5, None)
    assert make(craft).safe_to_vote(7, 5, tc_of(craft, 6, 5))


@pytest.mark.parametrize("tc_round", [4, 5, 7, 8])
def test_the_tc_is_of_the_previous_round(craft: Craft, tc_round: int) -> None:
    assert not make(craft).safe_to_vote(7, 5, tc_of(craft, tc_round, 5))


@pytest.mark.parametrize(("qc_rounds", "allowed"), [((3, 4, 5), True), ((5, 5, 5), True), ((3, 6, 4), False)])
def test_extends_the_highest_qc_of_the_tc(craft: Craft, qc_rounds: tuple[int, ...], allowed: bool) -> None:
    assert make(craft).safe_to_vote(8, 5, tc_of(craft, 7, *qc_rounds)) == allowed


def test_a_consecutive_block_needs_no_tc_and_an_unfit_one_does_not_hurt(craft: Craft) -> None:
    assert make(craft).safe_to_vote(7, 6, tc_of(craft, 2, 6))


# --- safe_to_timeout: q >= highest_qc_round and r > max(highest_vote_round - 1, q) and (r == q + 1 or t fits)


@pytest.mark.parametrize(("qc_lock", "allowed"), [(4, True), (5, True), (6, False)])
def test_no_timeout_with_an_older_qc_than_was_voted_on(craft: Craft, qc_lock: int, allowed: bool) -> None:
    assert make(craft, highest_qc_round=qc_lock).safe_to_timeout(6, 5, None) == allowed


@pytest.mark.parametrize(("vote_round", "allowed"), [(6, True), (7, True), (8, False)])
def test_no_timeout_of_a_round_below_the_last_vote(craft: Craft, vote_round: int, allowed: bool) -> None:
    """But one of the round of the last vote, and one more of a round timed out in."""
    assert make(craft, highest_vote_round=vote_round).safe_to_timeout(7, 6, None) == allowed


@pytest.mark.parametrize("qc_round", [7, 8])
def test_no_timeout_of_a_round_that_has_a_qc(craft: Craft, qc_round: int) -> None:
    assert not make(craft).safe_to_timeout(7, qc_round, tc_of(craft, 6, 3))


def test_a_timeout_needs_a_certificate_of_the_previous_round(craft: Craft) -> None:
    assert make(craft).safe_to_timeout(7, 6, None)
    assert not make(craft).safe_to_timeout(7, 5, None)
    assert make(craft).safe_to_timeout(7, 5, tc_of(craft, 6, 5))
    assert not make(craft).safe_to_timeout(7, 5, tc_of(craft, 5, 5))
    assert not make(craft).safe_to_timeout(7, 5, tc_of(craft, 7, 5))


# --- what is signed, and what changes


def test_make_vote(craft: Craft) -> None:
    parent, qc = chain_to(craft, 1)
    block = craft.block(2, qc)
    safety = make(craft)
    vote = safety.make_vote(block, None, craft.state_id(block), craft.state_id(parent), craft.genesis_qc)
    assert vote == craft.vote(block, ME)
    assert (safety.highest_vote_round, safety.highest_qc_round, safety.voted_id) == (2, 1, block.id)


def test_a_vote_that_is_not_safe_changes_nothing(craft: Craft) -> None:
    block, _ = chain_to(craft, 1)
    safety = make(craft, highest_vote_round=1)
    key = safety.state_key()
    assert safety.make_vote(block, None, craft.state_id(block), craft.genesis.state_id, craft.genesis_qc) is None
    assert safety.state_key() == key


def test_highest_qc_round_does_not_fall(craft: Craft) -> None:
    """After a TC a block may extend an older QC than one extended before."""
    _, qc = chain_to(craft, 1)
    block = craft.block(8, qc)
    safety = make(craft, highest_vote_round=7, highest_qc_round=5)
    assert safety.make_vote(block, tc_of(craft, 7, 1), craft.state_id(block), bytes(32), craft.genesis_qc) is not None
    assert safety.highest_qc_round == 5


def test_commit_state_id_is_set_exactly_when_rounds_are_consecutive(craft: Craft) -> None:
    parent, qc = chain_to(craft, 1)
    state_id = craft.state_id(parent)
    safety = make(craft)
    assert safety.commit_state_id_candidate(2, qc, state_id) == state_id
    assert safety.commit_state_id_candidate(3, qc, state_id) is None
    gap = craft.block(3, qc)
    vote = safety.make_vote(gap, tc_of(craft, 2, 1), craft.state_id(gap), state_id, craft.genesis_qc)
    assert vote is not None
    assert vote.ledger_commit_info.commit_state_id is None


def test_make_timeout(craft: Craft) -> None:
    _, qc = chain_to(craft, 1)
    safety = make(craft, highest_vote_round=1)
    assert safety.make_timeout(2, qc, None) == craft.timeout(2, ME, qc).tmo_info
    assert (safety.highest_vote_round, safety.highest_qc_round, safety.voted_id) == (2, 0, None)
    assert safety.make_timeout(2, qc, None) is not None, "it may be repeated"


def test_a_timeout_that_is_not_safe_changes_nothing(craft: Craft) -> None:
    safety = make(craft, highest_vote_round=3)
    key = safety.state_key()
    assert safety.make_timeout(1, craft.genesis_qc, None) is None
    assert safety.state_key() == key


def test_no_vote_in_a_round_after_a_timeout_of_it(craft: Craft) -> None:
    block, _ = chain_to(craft, 1)
    safety = make(craft)
    assert safety.make_timeout(1, craft.genesis_qc, None) is not None
    assert safety.make_vote(block, None, craft.state_id(block), craft.genesis.state_id, craft.genesis_qc) is None


def test_only_the_block_voted_for_is_signed_as_a_proposal(craft: Craft) -> None:
    block = craft.block(1, author=ME)
    other = craft.block(1, payload=(craft.request(),), author=ME)
    safety = make(craft)
    with pytest.raises(AssertionError, match="votes for its block before"):
        safety.sign_proposal(block)
    safety.make_vote(block, None, craft.state_id(block), craft.genesis.state_id, craft.genesis_qc)
    assert safety.sign_proposal(block) == craft.proposal(block).signature
    with pytest.raises(AssertionError, match="votes for its block before"):
        safety.sign_proposal(other)
    safety.make_timeout(1, craft.genesis_qc, None)
    with pytest.raises(AssertionError, match="votes for its block before"):
        safety.sign_proposal(block)


def test_sign_qc(craft: Craft) -> None:
    block, qc = chain_to(craft, 1)
    assert make(craft).sign_qc(qc.ledger_commit_info, qc.signatures) == craft.qc(block, author=ME).author_signature


def test_fork_and_state_key(craft: Craft) -> None:
    safety = make(craft, 3, 2)
    fork = safety.fork()
    assert fork.state_key() == safety.state_key()
    fork.make_timeout(4, craft.genesis_qc, tc_of(craft, 3, 0))
    fork.highest_qc_round = 9
    assert safety.state_key() == make(craft, 3, 2).state_key() != fork.state_key()
