"""Block tree: certificates, speculation, commits, votes."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from diembft.client.requests import session_of
from diembft.consensus.block_tree import BlockTree
from diembft.consensus.config import Config
from diembft.consensus.quorums import Quorums
from tests.consensus.rig import Craft, make_machine


@pytest.fixture
def craft() -> Craft:
    return Craft()


def make(craft: Craft) -> BlockTree:
    return BlockTree(craft.config, craft.digests, craft.genesis, make_machine(), Quorums(craft.config))


def holding(craft: Craft, rounds: list[int]) -> BlockTree:
    tree = make(craft)
    for block in craft.chain(rounds):
        tree.insert(tree.execute(block))
    return tree


# --- certificates


def test_two_independent_maxima(craft: Craft) -> None:
    first = craft.block(1)
    second = craft.block(2, craft.qc(first))
    gap = craft.block(5, craft.qc(second))
    tree = make(craft)
    assert tree.process_qc(craft.qc(gap))
    assert (tree.high_qc, tree.high_commit_qc) == (craft.qc(gap), craft.genesis_qc), "a QC after a gap commits nothing"
    assert tree.process_qc(craft.qc(second))
    assert (tree.high_qc, tree.high_commit_qc) == (craft.qc(gap), craft.qc(second))
    assert not tree.process_qc(craft.qc(first))
    assert not tree.process_qc(craft.qc(gap))
    assert (tree.high_qc, tree.high_commit_qc) == (craft.qc(gap), craft.qc(second))


def test_what_a_qc_commits(craft: Craft) -> None:
    first = craft.block(1)
    second = craft.block(2, craft.qc(first))
    tree = make(craft)
    assert tree.committed_by(craft.qc(second)) == (first.id, 1)
    assert tree.committed_by(craft.qc(craft.block(4, craft.qc(second)))) is None


def test_qc_of_round(craft: Craft) -> None:
    tree = holding(craft, [1, 2, 4])
    blocks = list(tree.nodes.values())
    high_qc = craft.qc(blocks[-1].block)
    tree.process_qc(high_qc)
    assert tree.qc_of_round(4) == high_qc
    assert tree.qc_of_round(2) == blocks[-1].block.qc
    assert tree.qc_of_round(3) is None
    assert tree.qc_of_round(1) is None
    without_block = make(craft)
    without_block.process_qc(high_qc)
    assert without_block.qc_of_round(2) is None
    assert make(craft).qc_of_round(0) == craft.genesis_qc


# --- speculation


def test_execute_speculates_on_the_parent(craft: Craft) -> None:
    first = craft.block(1, payload=(craft.request(1, b"a"),))
    second = craft.block(3, craft.qc(first), payload=(craft.request(2, b"b"), craft.request(1, b"a")))
    tree = make(craft)
    tree.insert(tree.execute(first))
    node = tree.execute(second)
    assert node.state_id == craft.state_id(second)
    assert [reply and reply.results for reply in node.results] == [(b"1",), None]
    assert node.request_keys == {("alice", session_of("alice"), number) for number in (1, 2)}
    assert tree.root.block == craft.genesis.block
    assert second.id not in tree.nodes


def test_a_state_id_binds_parent_block_and_state(craft: Craft) -> None:
    """exec_state_id = H(parent's state id, block id, state root): equal roots of different chains differ."""
    one, other = craft.block(1), craft.block(1, author=3)
    tree = make(craft)
    assert tree.execute(one).state_id != tree.execute(other).state_id
    child = craft.block(2, craft.qc(one))
    tree.insert(tree.execute(one))
    assert tree.execute(child).state_id not in (tree.execute(one).state_id, craft.genesis.state_id)


def test_a_block_without_its_parent_is_not_inserted(craft: Craft) -> None:
    blocks = craft.chain([1, 2])
    tree = make(craft)
    tree.insert(tree.execute(blocks[0]))
    node = tree.execute(blocks[1])
    with pytest.raises(AssertionError, match="executed on a parent that is held"):
        make(craft).insert(node)


def test_work_and_commit_rounds(craft: Craft) -> None:
    """The round of the last non-empty block, and of the last block that a QC inside the chain commits."""
    tree = make(craft)
    for block in craft.chain([1, 2, 3, 5, 6, 7], {2: (craft.request(),)}):
        tree.insert(tree.execute(block))
    nodes = list(tree.nodes.values())[1:]
    assert [node.work_round for node in nodes] == [0, 2, 2, 2, 2, 2]
    assert [node.commit_round for node in nodes] == [0, 0, 1, 2, 2, 5]


# --- commits


def test_a_commit_takes_all_uncommitted_ancestors_oldest_first(craft: Craft) -> None:
    tree = holding(craft, [1, 3, 6, 7])
    blocks = [node.block for node in tree.nodes.values()]
    assert [node.block.round for node in tree.commit(craft.qc(blocks[-1]))] == [1, 3, 6]
    assert tree.height == 3
    assert tree.root.block == blocks[3]
    assert list(tree.committed) == [block.id for block in blocks[1:4]]
    assert list(tree.nodes) == [blocks[3].id, blocks[4].id]


def test_each_block_is_committed_once(craft: Craft) -> None:
    tree = holding(craft, [1, 2, 3])
    qcs = [craft.qc(node.block) for node in list(tree.nodes.values())[1:]]
    assert len(tree.commit(qcs[2])) == 2
    assert tree.commit(qcs[2]) == []
    assert tree.commit(qcs[1]) == []
    assert tree.height == 2


def test_a_qc_with_a_gap_commits_nothing(craft: Craft) -> None:
    tree = holding(craft, [1, 3])
    assert tree.commit(craft.qc(list(tree.nodes.values())[-1].block)) == []
    assert tree.height == 0


def test_what_is_missing_is_not_committed_yet(craft: Craft) -> None:
    blocks = craft.chain([1, 2, 3])
    tree = make(craft)
    assert tree.commit(craft.qc(blocks[2])) == []
    for block in blocks[:2]:
        tree.insert(tree.execute(block))
    assert [node.block for node in tree.commit(craft.qc(blocks[2]))] == blocks[:2]


def test_pruning_forgets_what_does_not_descend_from_the_commit(craft: Craft) -> None:
    first = craft.block(1)
    second = craft.block(2, craft.qc(first))
    third = craft.block(3, craft.qc(second))
    fork = craft.block(2, craft.qc(first), author=3)
    grandchild = craft.block(4, craft.qc(fork))
    tree = make(craft)
    for block in (first, fork, second, grandchild, third):
        tree.insert(tree.execute(block))
    tree.commit(craft.qc(third))
    assert list(tree.nodes) == [second.id, third.id]


def test_committed_blocks_at_hand_are_bounded() -> None:
    craft = Craft(Config(n=4, window_size=1, sync_batch=1))
    tree = holding(craft, list(range(1, 9)))
    blocks = [node.block for node in tree.nodes.values()][1:]
    tree.commit(craft.qc(blocks[-1]))
    assert tree.height == 7
    assert list(tree.committed) == [block.id for block in blocks[4:7]]
    assert tree.committed_after(blocks[3].id) is None
    assert tree.committed_after(blocks[4].id) == blocks[5:7]
    assert tree.committed_after(blocks[6].id) == []
    assert tree.committed_after(craft.genesis.block.id) is None


def test_committed_after_genesis(craft: Craft) -> None:
    tree = holding(craft, [1, 2, 3])
    blocks = [node.block for node in tree.nodes.values()][1:]
    assert tree.committed_after(craft.genesis.block.id) == []
    tree.commit(craft.qc(blocks[-1]))
    assert tree.committed_after(craft.genesis.block.id) == blocks[:2]
    assert tree.committed_after(bytes(32)) is None


def test_path(craft: Craft) -> None:
    tree = holding(craft, [1, 2, 3])
    nodes = list(tree.nodes.values())
    assert tree.path(nodes[2].block.id) == nodes[1:3]
    assert tree.path(craft.genesis.block.id) == []
    assert tree.path(bytes(32)) == []


def test_pending_blocks_are_bounded() -> None:
    """Forks go first; the chains of the high QC and of the new block stay."""
    craft = Craft(Config(n=4, max_pending_blocks=4))
    tree = holding(craft, [1, 2])
    first, second = [node.block for node in tree.nodes.values()][1:]
    tree.process_qc(craft.qc(second))
    forks = [craft.block(round_, craft.qc(first), author=3) for round_ in (3, 4, 5)]
    for fork in forks[:2]:
        tree.insert(tree.execute(fork))
    assert len(tree.nodes) == 5
    tree.insert(tree.execute(forks[2]))
    assert list(tree.nodes) == [craft.genesis.block.id, first.id, second.id, forks[2].id]


def test_restore(craft: Craft) -> None:
    lived = holding(craft, [1, 2, 4, 5, 6])
    blocks = [node.block for node in lived.nodes.values()][1:]
    lived.commit(craft.qc(blocks[-1]))
    assert lived.height == 4
    tree = make(craft)
    tree.restore(tuple(blocks[1:4]), 4, lived.root.state_id, lived.root.ledger)
    assert (tree.height, tree.root.block, tree.root.state_id) == (4, blocks[3], craft.state_id(blocks[3]))
    assert list(tree.nodes) == [blocks[3].id]
    assert list(tree.committed) == [block.id for block in blocks[1:4]]
    assert tree.execute(blocks[4]) == lived.execute(blocks[4])


# --- votes


def test_votes_are_collected_per_commit_info_as_a_set_of_signers(craft: Craft) -> None:
    block = craft.block(1)
    tree = make(craft)
    vote, again = craft.vote(block, 1), craft.vote(block, 1, high_commit_qc=craft.qc(block))
    other_state = craft.vote(block, 2, state_id=bytes(32))
    assert tree.add_vote(vote) == {1: vote}
    assert tree.add_vote(again) == {1: again}, "an author counts once"
    assert tree.add_vote(other_state) == {2: other_state}, "another commit info is another bucket"
    assert tree.bucket(vote) == {1: again}
    assert tree.bucket(other_state) == {2: other_state}
    assert tree.bucket(craft.vote(craft.block(2), 1)) == {}


def test_other_votes_are_those_of_the_author_in_the_round_for_something_else(craft: Craft) -> None:
    block = craft.block(1)
    tree = make(craft)
    votes = [craft.vote(block, 1), craft.vote(block, 1, state_id=bytes(32)), craft.vote(block, 2, state_id=bytes(32))]
    for vote in votes:
        tree.add_vote(vote)
    assert tree.other_votes(votes[0]) == [votes[1]]
    assert tree.other_votes(votes[1]) == [votes[0]]
    assert tree.other_votes(votes[2]) == []
    assert tree.other_votes(craft.vote(craft.block(1, author=3), 1)) == votes[:2]
    assert tree.other_votes(craft.vote(craft.block(2), 1)) == []


def test_votes_of_past_rounds_are_forgotten(craft: Craft) -> None:
    tree = make(craft)
    for round_ in (1, 2, 3):
        tree.add_vote(craft.vote(craft.block(round_), 1))
    tree.forget_votes(3)
    assert list(tree.votes) == [3]
    tree.forget_votes(4)
    tree.forget_votes(5)
    assert tree.votes == {}


# --- forks


def test_fork_and_state_key(craft: Craft) -> None:
    tree = holding(craft, [1, 2, 3])
    blocks = [node.block for node in tree.nodes.values()][1:]
    tree.add_vote(craft.vote(blocks[2], 1))
    key = tree.state_key()
    changes: list[Callable[[BlockTree], object]] = [
        lambda fork: fork.process_qc(craft.qc(blocks[0])),
        lambda fork: fork.commit(craft.qc(blocks[2])),
        lambda fork: fork.insert(fork.execute(craft.block(4, craft.qc(blocks[2])))),
        lambda fork: fork.add_vote(craft.vote(blocks[2], 2)),
        lambda fork: fork.add_vote(craft.vote(blocks[2], 2, state_id=bytes(32))),
        lambda fork: fork.add_vote(craft.vote(craft.block(4), 2)),
        lambda fork: fork.forget_votes(9),
        lambda fork: setattr(fork, "root", replace(fork.root, work_round=1)),
        lambda fork: setattr(fork, "root", replace(fork.root, commit_round=1)),
    ]
    keys = [key]
    for change in changes:
        fork = tree.fork()
        assert fork.state_key() == key
        change(fork)
        keys.append(fork.state_key())
        assert tree.state_key() == key
    assert len(set(keys)) == len(keys)


def test_votes_count_in_the_key_in_whatever_order_their_authors_came(craft: Craft) -> None:
    block = craft.block(1)
    trees = [make(craft), make(craft)]
    for tree, order in zip(trees, ((0, 3), (3, 0)), strict=True):
        for sender in order:
            tree.add_vote(craft.vote(block, sender))
    assert trees[0].state_key() == trees[1].state_key()
