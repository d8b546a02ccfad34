from __future__ import annotations

import pytest

from diembft.consensus.effects import Checkpoint
from diembft.host.storage import Storage
from tests.simulation.chains import GENESIS, chain, child, persist


def test_nothing_is_recovered_from_an_empty_disk() -> None:
    assert Storage().recover(10) is None


def test_what_was_persisted_is_recovered() -> None:
    storage = Storage()
    blocks = chain(4)
    storage.persist(persist(blocks[:2], []))
    storage.persist(persist(blocks[2:], blocks[:2], vote_round=4, ledger={"ledger": 2}))
    recovered = storage.recover(10)
    assert recovered is not None
    assert recovered.record is not None
    assert recovered.record.highest_vote_round == 4
    assert recovered.committed == tuple(blocks[:2])
    assert recovered.checkpoint == Checkpoint(GENESIS.qc, 2, b"state", {"ledger": 2})
    assert recovered.pending == tuple(blocks[2:])


def test_only_the_last_commits_are_recovered() -> None:
    storage = Storage()
    blocks = chain(5)
    storage.persist(persist(blocks, blocks))
    recovered = storage.recover(2)
    assert recovered is not None
    assert recovered.committed == tuple(blocks[3:])
    assert recovered.checkpoint is not None
    assert recovered.checkpoint.height == storage.height == 5


def test_forks_are_forgotten_once_something_is_committed() -> None:
    storage = Storage()
    first, second, third = chain(3)
    fork = child(GENESIS.block, 4, author=1)
    on_fork, late_fork = child(fork, 5), child(first, 6, author=2)
    storage.persist(persist([first, fork, second, on_fork, late_fork, third], []))
    storage.persist(persist([], [first]))
    recovered = storage.recover(10)
    assert recovered is not None
    assert recovered.pending == (second, late_fork, third)


def test_a_commit_of_a_block_that_was_never_persisted_is_a_bug() -> None:
    with pytest.raises(StopIteration):
        Storage().persist(persist([], chain(1)))


def test_a_block_may_be_committed_again_by_a_planted_bug() -> None:
    storage = Storage()
    blocks = chain(2)
    storage.persist(persist(blocks, [blocks[0]]))
    storage.persist(persist([], blocks))
    assert storage.height == 3
    assert storage.read(blocks[1].id, 10, 10, GENESIS.block.id) == ()


def test_read_gives_consecutive_blocks() -> None:
    storage = Storage()
    blocks = chain(6)
    storage.persist(persist(blocks[:3], blocks[:2]))
    assert storage.read(GENESIS.block.id, 10, 1000, GENESIS.block.id) == tuple(blocks[:2])
    storage.persist(persist(blocks[3:], blocks[2:5]))
    assert storage.read(GENESIS.block.id, 3, 1000, GENESIS.block.id) == tuple(blocks[:3])
    assert storage.read(blocks[1].id, 10, 1000, GENESIS.block.id) == tuple(blocks[2:5])
    assert storage.read(blocks[4].id, 10, 1000, GENESIS.block.id) == ()
    assert storage.read(blocks[5].id, 10, 1000, GENESIS.block.id) == (), "not committed"


def test_read_keeps_within_the_bytes_but_gives_one_block_at_least() -> None:
    storage = Storage()
    blocks = chain(4, operation=b"12345")
    storage.persist(persist(blocks, blocks))
    assert storage.read(GENESIS.block.id, 10, 10, GENESIS.block.id) == tuple(blocks[:2])
    assert storage.read(GENESIS.block.id, 10, 14, GENESIS.block.id) == tuple(blocks[:2])
    assert storage.read(GENESIS.block.id, 10, 1, GENESIS.block.id) == tuple(blocks[:1])
