"""Sync: whom to ask, what of an answer may be used, and the whole of it between replicas."""

from __future__ import annotations

import pytest

from diembft.consensus.block_tree import BlockTree
from diembft.consensus.config import Config
from diembft.consensus.effects import CancelTimer, Commit, Ignored, ReadBlocks, Reason, Rejected, SetTimer
from diembft.consensus.events import BlocksRead, Received, Timer, TimerFired
from diembft.consensus.quorums import Quorums
from diembft.consensus.replica import Replica
from diembft.consensus.sync import FETCH_TIMER_DELTAS, Fetch, chain_from, within_bytes
from diembft.messages.sizes import block_bytes
from diembft.messages.types import QC, Block, BlockRequest, BlockResponse, SyncInfo, VoteMsg
from tests.consensus.rig import Craft, Rig, all_of, altered, ignored, make_machine, only, rejected, sent


@pytest.fixture
def craft() -> Craft:
    return Craft()


def tree_with(craft: Craft, *blocks: Block) -> BlockTree:
    tree = BlockTree(craft.config, craft.digests, craft.genesis, make_machine(), Quorums(craft.config))
    for block in blocks:
        tree.insert(tree.execute(block))
    return tree


# --- whom to ask


def test_peers_are_asked_in_turn(craft: Craft) -> None:
    fetch = Fetch((3, 1, 2))
    asked = []
    for _ in range(4):
        asked.append(fetch.peer)
        fetch = fetch.next_peer()
    assert asked == [3, 1, 2, 3]


def test_what_one_peer_brought_is_not_asked_of_the_next(craft: Craft) -> None:
    block = craft.block(4)
    fetch = Fetch((3, 1)).beyond(block)
    assert (fetch.peer, fetch.known, fetch.known_round) == (3, block.id, 4)
    assert fetch.next_peer() == Fetch((3, 1), 1)


# --- chain_from


def test_a_chain_up_to_a_certified_block(craft: Craft) -> None:
    blocks = craft.chain([1, 2, 3])
    chain = chain_from(blocks, tree_with(craft), [blocks[2].id])
    assert chain == (None, True, blocks, None)


def test_an_uncertified_last_block_only_certifies_the_one_before(craft: Craft) -> None:
    blocks = craft.chain([1, 2, 3])
    chain = chain_from(blocks, tree_with(craft), [])
    assert chain == (None, True, blocks[:2], blocks[2].qc)


def test_held_and_committed_blocks_are_skipped(craft: Craft) -> None:
    blocks = craft.chain([1, 2, 3, 4, 5])
    tree = tree_with(craft, *blocks[:4])
    tree.commit(craft.qc(blocks[2]))
    assert list(tree.nodes) == [block.id for block in blocks[1:4]]
    chain = chain_from(blocks, tree, [blocks[4].id])
    assert chain == (blocks[3], True, [blocks[4]], None)
    assert chain_from(blocks[:4], tree, []) == (blocks[3], True, [], None)
    assert chain_from([], tree, []) == (None, True, [], None)


def test_a_chain_begins_on_a_held_block(craft: Craft) -> None:
    blocks = craft.chain([1, 2, 3])
    assert chain_from(blocks[1:], tree_with(craft), [blocks[2].id]) == (None, False, [], None)
    tree = tree_with(craft, blocks[0])
    assert chain_from([blocks[0], blocks[2]], tree, [blocks[2].id]) == (blocks[0], False, [], None)


def test_a_chain_ends_where_it_breaks(craft: Craft) -> None:
    blocks = craft.chain([1, 2, 3, 4])
    chain = chain_from([blocks[0], blocks[1], blocks[3]], tree_with(craft), [])
    assert chain == (None, True, blocks[:1], blocks[1].qc)


def test_one_uncertified_block_is_of_no_use(craft: Craft) -> None:
    block = craft.block(1)
    assert chain_from([block], tree_with(craft), []) == (None, True, [], craft.genesis_qc)


# --- within_bytes


def test_an_answer_is_bounded_in_bytes_but_holds_two_blocks(craft: Craft) -> None:
    blocks = craft.chain([1, 2, 3, 4])
    size = block_bytes(blocks[-1])
    assert within_bytes(blocks, 10 * size) == blocks
    assert within_bytes(blocks, 3 * size) == blocks[:3]
    assert within_bytes(blocks, 1) == blocks[:2]
    assert within_bytes([], 1) == []


# --- a replica that lacks blocks


def told(craft: Craft, replica: Replica, qc: QC, peer: int = 3) -> BlockRequest:
    """The replica learns of a QC; what it asks for."""
    effects = replica.step(Received(peer, SyncInfo(qc.round + 1, qc, craft.high_commit_qc(qc), None)))
    ((to, request),) = sent(effects, BlockRequest)
    assert to == peer
    (timer,) = [effect for effect in all_of(effects, SetTimer) if effect.timer is Timer.FETCH]
    assert timer.delay_s == FETCH_TIMER_DELTAS * craft.config.delta_s
    assert isinstance(request, BlockRequest)
    return request


def test_missing_blocks_are_fetched_executed_and_committed(craft: Craft) -> None:
    blocks = craft.chain([1, 2, 3], {1: (craft.request(),)})
    replica = craft.started()
    request = told(craft, replica, craft.qc(blocks[2]))
    assert request == BlockRequest(4, blocks[2].id, craft.genesis.block.id, craft.config.sync_batch + 1)
    effects = replica.step(Received(3, BlockResponse(4, tuple(blocks))))
    assert [effect.block for effect in all_of(effects, Commit)] == blocks[:2]
    assert CancelTimer(Timer.FETCH) in effects
    assert replica.sync.fetch is None
    assert replica.tree.height == 2


def test_the_timer_moves_on_to_the_signers_of_the_qc(craft: Craft) -> None:
    blocks = craft.chain([1, 2])
    replica = craft.started(1)
    told(craft, replica, craft.qc(blocks[1], [0, 1, 3]), peer=2)
    asked = []
    for _ in range(4):
        effects = replica.step(TimerFired(Timer.FETCH, 3))
        ((to, request),) = sent(effects, BlockRequest)
        assert request.id == blocks[1].id
        assert only(effects, SetTimer).timer is Timer.FETCH
        asked.append(to)
    assert asked == [0, 3, 2, 0]


def test_nothing_missing_nothing_fetched(craft: Craft) -> None:
    replica = craft.started()
    assert replica.step(TimerFired(Timer.FETCH, 1)) == []
    response = BlockResponse(1, tuple(craft.chain([1, 2])))
    assert replica.step(Received(1, response)) == [Ignored(Reason.UNSOLICITED)]


def test_a_quorum_that_includes_only_oneself_has_nobody_to_ask() -> None:
    craft = Craft(Config(n=1))
    block = craft.block(1)
    replica = craft.started()
    effects = replica.step(Received(0, SyncInfo(2, craft.qc(block), craft.qc(block), None)))
    assert sent(effects, BlockRequest) == []
    assert replica.sync.fetch is None


@pytest.mark.parametrize("what", ["unconnected", "wrong id", "wrong qc", "wrong last qc", "wrong round"])
def test_a_wrong_answer_is_refused_and_changes_nothing(craft: Craft, what: str) -> None:
    blocks = craft.chain([1, 2, 3, 4])
    high_qc = craft.qc(blocks[3])
    forged = craft.qc(blocks[1], [0, 1])
    match what:
        case "unconnected":
            answer, reason = blocks[1:], Reason.BAD_CHAIN
        case "wrong id":
            answer, reason = [altered(blocks[0], payload=(craft.request(),)), *blocks[1:]], Reason.BAD_BLOCK_ID
        case "wrong qc":
            answer = [*blocks[:2], craft.block(3, forged), craft.block(4, craft.qc(craft.block(3, forged)))]
            reason = Reason.NO_QUORUM
        case "wrong last qc":
            answer, reason = [*blocks[:2], craft.block(3, forged)], Reason.NO_QUORUM
        case _:
            low = craft.block(1, craft.qc(blocks[0]))
            answer, reason = [blocks[0], low, craft.block(5, craft.qc(low))], Reason.BAD_ROUND
    replica = craft.started()
    told(craft, replica, high_qc)
    key = replica.state_key()
    assert replica.step(Received(3, BlockResponse(5, tuple(answer)))) == [Rejected(reason)]
    assert replica.state_key() == key


def test_an_answer_of_known_blocks_or_none_changes_nothing(craft: Craft) -> None:
    blocks = craft.chain([1, 2, 3])
    replica = craft.started()
    craft.propose(replica, blocks[0])
    told(craft, replica, craft.qc(blocks[2]))
    assert replica.step(Received(3, BlockResponse(4, ()))) == [Ignored(Reason.DUPLICATE)]
    effects = replica.step(Received(3, BlockResponse(4, (craft.genesis.block,))))
    assert ignored(effects) is Reason.DUPLICATE


def test_far_behind_it_goes_on_batch_by_batch() -> None:
    craft = Craft(Config(n=4, sync_batch=2))
    blocks = craft.chain(list(range(1, 8)))
    replica = craft.started()
    told(craft, replica, craft.qc(blocks[-1]))
    for last in (2, 4):
        effects = replica.step(Received(3, BlockResponse(8, tuple(blocks[last - 2 : last + 1]))))
        ((to, request),) = sent(effects, BlockRequest)
        assert to == 3
        assert request == BlockRequest(8, blocks[-1].id, blocks[last - 1].id, 3)
    replica.step(Received(3, BlockResponse(8, tuple(blocks[4:]))))
    assert replica.sync.fetch is None
    assert replica.tree.height == 6


def test_a_chain_without_commits_longer_than_a_batch_is_fetched_whole() -> None:
    """Rounds 1, 3, 5 ...: nothing is committed, so the root stays, and what follows the root would be the same batch
    for ever."""
    rig = Rig(config=Config(n=4, sync_batch=2))
    craft = rig.craft
    blocks = craft.chain(list(range(1, 20, 2)))
    for block in blocks:
        tc = craft.tc(block.round - 1, block.qc) if block.round > 1 else None
        rig.step(1, Received(0, craft.proposal(block, tc)))
    high_qc = craft.qc(blocks[-1])
    for index in (1, 0):
        rig.step(index, Received(3, SyncInfo(20, high_qc, craft.genesis_qc, None)))
    assert len(rig[1].tree.nodes) == 11
    rig.drop()
    while not rig.flights_of(BlockRequest, to=1):
        rig.fire(0, Timer.FETCH)
    rig.run(lambda flight: isinstance(flight.message, BlockRequest | BlockResponse))
    assert len(rig[0].tree.nodes) == 11
    assert rig[0].sync.fetch is None


def test_after_a_retry_it_begins_again_from_the_root_and_passes_over_what_it_has() -> None:
    craft = Craft(Config(n=4, sync_batch=2))
    blocks = craft.chain([1, 3, 5, 7, 9])
    replica = craft.started()
    told(craft, replica, craft.qc(blocks[-1]))
    replica.step(Received(3, BlockResponse(10, tuple(blocks[:3]))))
    effects = replica.step(TimerFired(Timer.FETCH, 10))
    ((to, request),) = sent(effects, BlockRequest)
    assert to is not None
    assert to != 3
    assert request.known == craft.genesis.block.id
    effects = replica.step(Received(to, BlockResponse(10, tuple(blocks[:3]))))
    assert ignored(effects) is Reason.DUPLICATE
    assert [request.known for _, request in sent(effects, BlockRequest)] == [blocks[1].id]
    effects = replica.step(Received(to, BlockResponse(10, tuple(blocks[:3]))))
    assert sent(effects, BlockRequest) == [], "the same answer brings nothing new, and asks for nothing"


# --- a replica that is asked


def asked(replica: Replica, block_id: bytes, known: bytes, count: int = 100) -> tuple[Block, ...] | Reason | None:
    effects = replica.step(Received(2, BlockRequest(1, block_id, known, count)))
    assert len(effects) == 1
    answers = sent(effects, BlockResponse)
    if not answers:
        return ignored(effects)
    ((to, answer),) = answers
    assert (to, answer.round) == (2, 1)
    blocks: tuple[Block, ...] = answer.blocks
    return blocks


def chain_replica(craft: Craft) -> tuple[Replica, list[Block]]:
    replica = craft.started()
    blocks: list[Block] = []
    qc = craft.genesis_qc
    for round_ in range(1, 7):
        author = replica.leader(round_) if round_ == replica.current_round else replica.election.round_robin(round_)
        block = craft.block(round_, qc, author=author)
        craft.propose(replica, block)
        blocks.append(block)
        qc = craft.qc(block)
    assert replica.tree.height == 4
    return replica, blocks


def test_answers_are_the_blocks_after_the_known_one_oldest_first(craft: Craft) -> None:
    replica, blocks = chain_replica(craft)
    genesis = craft.genesis.block.id
    assert asked(replica, blocks[5].id, genesis) == tuple(blocks)
    assert asked(replica, blocks[5].id, blocks[1].id) == tuple(blocks[2:])
    assert asked(replica, blocks[5].id, blocks[3].id) == tuple(blocks[4:])
    assert asked(replica, blocks[5].id, blocks[4].id) == (blocks[5],)
    assert asked(replica, blocks[4].id, blocks[2].id) == tuple(blocks[3:5])
    assert asked(replica, blocks[2].id, blocks[0].id) == tuple(blocks[1:4])
    assert asked(replica, blocks[5].id, genesis, 2) == tuple(blocks[:2])


def test_what_is_unknown_is_not_answered(craft: Craft) -> None:
    replica, blocks = chain_replica(craft)
    assert asked(replica, blocks[5].id, bytes(32)) is Reason.UNKNOWN_PARENT
    assert asked(replica, bytes(32), blocks[3].id) is Reason.UNKNOWN_PARENT


def test_answers_are_bounded() -> None:
    craft = Craft(Config(n=4, sync_batch=2))
    replica, blocks = chain_replica(craft)
    assert asked(replica, blocks[5].id, craft.genesis.block.id) == tuple(blocks[:3])
    heavy = Craft(Config(n=4, sync_batch_bytes=2, max_block_bytes=1, max_request_bytes=1))
    replica, blocks = chain_replica(heavy)
    assert asked(replica, blocks[5].id, heavy.genesis.block.id) == tuple(blocks[:2])
    effects = replica.step(BlocksRead(3, 1, tuple(blocks[:4])))
    assert sent(effects, BlockResponse) == [(3, BlockResponse(1, tuple(blocks[:2])))]
    assert replica.step(BlocksRead(3, 1, ())) == []


def test_old_blocks_are_read_from_storage() -> None:
    craft = Craft(Config(n=4, window_size=1, sync_batch=1))
    replica, blocks = chain_replica(craft)
    assert len(replica.tree.committed) == 3
    effects = replica.step(Received(2, BlockRequest(9, blocks[5].id, craft.genesis.block.id, 50)))
    assert effects == [ReadBlocks(2, 9, craft.genesis.block.id, 2, craft.config.sync_batch_bytes)]
    effects = replica.step(BlocksRead(2, 9, tuple(blocks[:2])))
    assert sent(effects, BlockResponse) == [(2, BlockResponse(9, tuple(blocks[:2])))]


# --- between replicas


@pytest.mark.parametrize("sync_batch", [1, 2, 100])
def test_a_replica_that_was_away_catches_up(sync_batch: int) -> None:
    rig = Rig(config=Config(n=4, sync_batch=sync_batch, window_size=2))
    rig.crash(3)
    for number in range(12):
        rig.request(number, b"op%d" % number)
        rig.run()
        while any(Timer.ROUND in rig.nodes[index].timers for index in (0, 1, 2)):
            for index in (0, 1, 2):
                if Timer.ROUND in rig.nodes[index].timers:
                    rig.fire(index)
            rig.run()
    rig.restart(3)
    rig.connect(1, 3)
    rig.run()
    assert rig.executed(3) == rig.executed(1) == [b"op%d" % number for number in range(12)]
    assert rig[3].current_round == rig[1].current_round


def test_a_vote_that_completes_a_qc_of_an_unknown_block_fetches_it(craft: Craft) -> None:
    block = craft.block(1)
    replica = craft.started(1)
    for sender in (0, 2):
        assert replica.step(Received(sender, craft.vote(block, sender))) == []
    effects = replica.step(Received(3, craft.vote(block, 3)))
    assert sent(effects, BlockRequest) == [(3, BlockRequest(2, block.id, craft.genesis.block.id, 101))]
    assert sent(effects, VoteMsg) == []
    assert rejected(effects) is None
