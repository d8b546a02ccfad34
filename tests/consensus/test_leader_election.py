"""Leader election: reputation over the committed chain, round robin where there is none."""

from __future__ import annotations

import pytest

from diembft.consensus.block_tree import BlockTree
from diembft.consensus.config import Config
from diembft.consensus.leader_election import REMEMBERED_LEADERS, LeaderElection, draw
from diembft.consensus.quorums import Quorums
from diembft.messages.types import QC, Block
from tests.consensus.rig import Craft, make_machine


def tree_of(craft: Craft, blocks: list[Block], *qcs: QC) -> BlockTree:
    """A tree that holds these blocks and processed their QCs and these."""
    tree = BlockTree(craft.config, craft.digests, craft.genesis, make_machine(), Quorums(craft.config))
    for block in blocks:
        tree.process_qc(block.qc)
        tree.commit(block.qc)
        tree.insert(tree.execute(block))
    for qc in qcs:
        tree.process_qc(qc)
        tree.commit(qc)
    return tree


def build(craft: Craft, spec: list[tuple[int, int, list[int]]]) -> tuple[list[Block], QC]:
    """A chain of (round, author, signers of its QC), and the QC of its last block."""
    blocks: list[Block] = []
    qc = craft.genesis_qc
    for round_, author, signers in spec:
        blocks.append(craft.block(round_, qc, author=author))
        qc = craft.qc(blocks[-1], signers)
    return blocks, qc


def test_round_robin_gives_each_validator_two_rounds() -> None:
    craft = Craft()
    election = LeaderElection(craft.config)
    tree = tree_of(craft, [])
    assert [election.leader(round_, tree) for round_ in range(1, 12)] == [0, 1, 1, 2, 2, 3, 3, 0, 0, 1, 1]


def test_the_vote_collector_is_the_leader_of_the_next_round() -> None:
    craft = Craft()
    election = LeaderElection(craft.config)
    tree = tree_of(craft, [])
    assert [election.vote_collector(round_, tree) for round_ in range(1, 6)] == [1, 1, 2, 2, 3]


@pytest.mark.parametrize("rounds", [[1, 2, 3, 4, 5, 6, 7], [2, 3, 5, 6, 7, 8, 9]])
def test_drawn_from_the_active_less_the_last_authors(rounds: list[int]) -> None:
    """The window is 4 QCs: the last, and those inside the last 3 committed blocks, of whose last the author is out."""
    craft = Craft()
    signers = [[0, 1, 2]] * 2 + [[0, 1, 3]] * 5
    blocks, qc = build(craft, list(zip(rounds, [2, 2, 3, 3, 1, 0, 2], signers, strict=True)))
    tree = tree_of(craft, blocks, qc)
    election = LeaderElection(craft.config)
    last = rounds[-1]
    candidates = [1, 3]
    assert election.leader(last + 2, tree) == candidates[draw(last, 2)]
    assert election.elect_reputation_leader(qc, tree.committed) == candidates[draw(last, 2)]


def test_excluded_are_distinct_authors() -> None:
    """One author of many blocks counts once; the walk goes on beyond the window for the next."""
    craft = Craft(Config(n=4, window_size=2, exclude_size=2))
    authors = [3, 1, 3, 2, 2, 2, 0]
    blocks, qc = build(craft, [(round_, author, [0, 1, 2, 3]) for round_, author in enumerate(authors, 1)])
    tree = tree_of(craft, blocks, qc)
    candidates = [0, 1]
    assert LeaderElection(craft.config).leader(9, tree) == candidates[draw(7, 2)]


def test_the_walk_ends_after_twice_the_window() -> None:
    """However few authors it met: the author of block 2 is one block too far back to be excluded."""
    craft = Craft(Config(n=4, window_size=2, exclude_size=2))
    authors = [3, 1, 2, 2, 2, 2, 0]
    blocks, qc = build(craft, [(round_, author, [0, 1, 2, 3]) for round_, author in enumerate(authors, 1)])
    tree = tree_of(craft, blocks, qc)
    candidates = [0, 1, 3]
    assert LeaderElection(craft.config).leader(9, tree) == candidates[draw(7, 3)]


def test_all_draw_the_same_though_some_have_committed_one_block_more() -> None:
    """What a validator keeps suffices for a walk of full length, also if one block above its beginning is committed."""
    craft = Craft(Config(n=4, window_size=2, exclude_size=2, sync_batch=1))
    blocks, qc = build(craft, [(round_, 2, [0, 1, 2, 3]) for round_ in range(1, 10)])
    less = tree_of(craft, blocks[:-1], blocks[-1].qc)
    more = tree_of(craft, blocks, qc)
    assert (less.height, more.height) == (7, 8)
    leaders = [LeaderElection(craft.config).leader(10, tree) for tree in (less, more)]
    assert leaders == [[0, 1, 3][draw(8, 3)]] * 2
    assert leaders[0] != LeaderElection(craft.config).round_robin(10)


def test_round_robin_without_a_qc_of_two_rounds_ago() -> None:
    craft = Craft()
    blocks, qc = build(craft, [(round_, 0, [0, 1, 2]) for round_ in range(1, 9)])
    tree = tree_of(craft, blocks, qc)
    election = LeaderElection(craft.config)
    for round_ in (8, 11, 12, 13):
        assert election.leader(round_, tree) == election.round_robin(round_)


@pytest.mark.parametrize("rounds", [[1, 2, 3, 4, 5, 6, 8], [1, 2, 3, 4, 5, 6, 8, 9]])
def test_round_robin_if_the_parent_is_not_of_the_round_before(rounds: list[int]) -> None:
    """Also if that parent is committed by now, as by the QC of round 9: not all that hold the QC of round 8 know."""
    craft = Craft()
    blocks, qc = build(craft, [(round_, 0, [0, 2, 3]) for round_ in rounds])
    tree = tree_of(craft, blocks, qc)
    election = LeaderElection(craft.config)
    qc_of_8 = tree.qc_of_round(8)
    assert qc_of_8 is not None
    assert election.elect_reputation_leader(qc_of_8, tree.committed) != election.round_robin(10)
    assert election.leader(10, tree) == election.round_robin(10)


def test_a_walk_that_ended_too_early_is_made_again_once_more_is_committed() -> None:
    """The last block arrives after the QC that certifies it; until then the block before it is not committed."""
    craft = Craft()
    blocks, qc = build(craft, [(round_, 0, [0, 1, 2]) for round_ in range(1, 8)])
    tree = tree_of(craft, blocks[:-1])
    tree.process_qc(qc)
    election = LeaderElection(craft.config)
    assert [election.leader(9, tree) for _ in range(2)] == [election.round_robin(9)] * 2
    tree.process_qc(blocks[-1].qc)
    tree.commit(blocks[-1].qc)
    tree.insert(tree.execute(blocks[-1]))
    tree.commit(qc)
    drawn = election.elect_reputation_leader(qc, tree.committed)
    assert drawn is not None
    assert drawn != election.round_robin(9)
    assert election.leader(9, tree) == drawn


def test_round_robin_if_the_walk_meets_genesis() -> None:
    craft = Craft()
    blocks, qc = build(craft, [(round_, 3, [1, 2, 3]) for round_ in range(1, 5)])
    tree = tree_of(craft, blocks, qc)
    election = LeaderElection(craft.config)
    assert election.leader(6, tree) == election.round_robin(6)


def test_the_qc_may_be_the_one_inside_the_block_of_the_high_qc() -> None:
    craft = Craft()
    blocks, qc = build(craft, [(round_, 0, [1, 2, 3]) for round_ in range(1, 9)])
    tree = tree_of(craft, blocks, qc)
    assert LeaderElection(craft.config).leader(9, tree) == [1, 2, 3][draw(7, 3)]


def test_what_is_remembered_changes_no_answer_and_is_bounded() -> None:
    craft = Craft()
    election = LeaderElection(craft.config)
    for last in range(6, 20):
        blocks, qc = build(craft, [(round_, round_ % 4, [0, 1, 2]) for round_ in range(1, last)])
        tree = tree_of(craft, blocks, qc)
        fresh = LeaderElection(craft.config)
        for round_ in (last, last + 1):
            expected = fresh.leader(round_, tree)
            assert [election.leader(round_, tree) for _ in range(2)] == [expected] * 2
            assert election.fork().leader(round_, tree) == expected
        assert len(election._drawn) <= REMEMBERED_LEADERS
        assert len(election._signers) <= 2 * craft.config.window
    fork = election.fork()
    fork._drawn.clear()
    assert election._drawn != {}


def test_the_draw_is_fixed_and_uniform() -> None:
    assert [draw(seed, 1000) for seed in range(5)] == [462, 415, 593, 944, 5]
    counts = [0] * 4
    for seed in range(4000):
        counts[draw(seed, 4)] += 1
    assert all(900 < count < 1100 for count in counts)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_without_faults_all_signers_are_candidates(n: int) -> None:
    craft = Craft(Config(n=n))
    blocks, qc = build(craft, [(round_, 0, list(range(n))) for round_ in range(1, 9)])
    tree = tree_of(craft, blocks, qc)
    assert LeaderElection(craft.config).leader(10, tree) == draw(8, n)
