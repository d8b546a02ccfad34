"""Main: what the rules and traps do not already show: odd states, what drivers read."""

from __future__ import annotations

import pytest

from diembft.consensus.config import Config
from diembft.consensus.effects import Broadcast, CancelTimer, Commit, Ignored, Persist, Reason, Send, SetTimer
from diembft.consensus.events import Connected, Received, Requests, Started, Timer, TimerFired
from diembft.consensus.kit import CORRECT, Kit
from diembft.consensus.recovery import Recovered
from diembft.consensus.replica import Replica
from diembft.consensus.rest import REST_TIMER_DELTAS
from diembft.messages.types import QC, Block, BlockRequest, BlockResponse, SyncInfo
from tests.consensus.rig import Craft, Rig, all_of, ignored, sent, vote_of


@pytest.fixture
def craft() -> Craft:
    return Craft()


def told(replica: Replica, qc: QC, high_commit_qc: QC) -> None:
    replica.step(Received(3, SyncInfo(qc.round + 1, qc, high_commit_qc, None)))


def forked(craft: Craft) -> tuple[Replica, Block, Block]:
    """A replica whose high QC certifies the second of two certified forks, and that lacks the first: both blocks."""
    replica = craft.started()
    first = craft.block(1)
    craft.propose(replica, first)
    missing = craft.block(2, craft.qc(first))
    other = craft.block(3, craft.qc(first))
    craft.propose(replica, other, craft.tc(2, craft.qc(first)))
    told(replica, craft.qc(other), craft.qc(first))
    assert replica.sync.fetch is None
    return replica, missing, other


# --- proposals in odd states


def test_an_unsafe_proposal_is_kept_but_not_voted_for_however_often_it_comes(craft: Craft) -> None:
    first, second = craft.chain([1, 2])
    replica = craft.started()
    craft.propose(replica, first)
    craft.propose(replica, second)
    unsafe = craft.block(4, craft.qc(first))
    tc = craft.tc(3, craft.qc(second), {0: 0, 1: 2, 2: 1})
    for _ in range(2):
        effects = craft.propose(replica, unsafe, tc)
        assert vote_of(effects) is None
        assert ignored(effects) is Reason.NOT_SAFE
        assert unsafe.id in replica.tree.nodes


def test_an_unsafe_proposal_does_not_stand_in_the_way_of_a_safe_one(craft: Craft) -> None:
    first, second = craft.chain([1, 2])
    replica = craft.started()
    craft.propose(replica, first)
    craft.propose(replica, second)
    tc = craft.tc(3, craft.qc(second), {0: 0, 1: 2, 2: 1})
    craft.propose(replica, craft.block(4, craft.qc(first)), tc)
    assert vote_of(craft.propose(replica, craft.block(4, craft.qc(second)), tc)) is not None


def test_a_proposal_beside_the_last_commit_is_ignored(craft: Craft) -> None:
    blocks = craft.chain([1, 2, 3])
    replica = craft.started()
    for block in blocks:
        craft.propose(replica, block)
    told(replica, craft.qc(blocks[2]), craft.qc(blocks[2]))
    assert replica.tree.height == 2
    beside = craft.block(5, craft.qc(blocks[0]))
    effects = craft.propose(replica, beside, craft.tc(4, craft.qc(blocks[0])))
    assert ignored(effects) is Reason.CONFLICTS_WITH_COMMIT
    assert sent(effects, BlockRequest) == []


def test_the_missing_parent_of_a_proposal_on_a_fork_is_fetched(craft: Craft) -> None:
    """The high QC's block is there; what is missing is only the parent of what the leader proposes."""
    replica, missing, other = forked(craft)
    proposal = craft.proposal(craft.block(5, craft.qc(missing), author=2), craft.tc(4, craft.qc(missing)))
    effects = replica.step(Received(2, proposal))
    assert ignored(effects) is Reason.UNKNOWN_PARENT
    assert [request.id for _, request in sent(effects, BlockRequest)] == [missing.id]
    effects = replica.step(Received(2, BlockResponse(5, (craft.blocks[missing.qc.vote_info.id], missing))))
    vote = vote_of(effects)
    assert vote is not None
    assert vote.vote_info.id == proposal.block.id
    assert replica.sync.fetch is None
    assert other.id in replica.tree.nodes


def test_a_proposal_without_its_parent_is_considered_when_it_comes_only_if_it_is_the_leaders(craft: Craft) -> None:
    replica, missing, _ = forked(craft)
    proposal = craft.proposal(craft.block(5, craft.qc(missing), author=3), craft.tc(4, craft.qc(missing)))
    replica.step(Received(3, proposal))
    effects = replica.step(Received(3, BlockResponse(5, (missing,))))
    assert missing.id in replica.tree.nodes
    assert vote_of(effects) is None


def test_a_commit_beside_the_high_qc_is_fetched_too(craft: Craft) -> None:
    """More than f faults certified two chains: what is committed beside the chain of the high QC is asked for."""
    replica, missing, _ = forked(craft)
    commits = craft.qc(craft.block(3, craft.qc(missing), author=3))
    assert commits.commits
    effects = replica.step(Received(3, SyncInfo(4, craft.genesis_qc, commits, None)))
    ((to, request),) = sent(effects, BlockRequest)
    assert (to, request.id) == (3, commits.vote_info.id)


# --- timers and peers


def test_at_rest_one_peer_after_the_other_is_told(craft: Craft) -> None:
    replica = craft.started(2)
    told_peers = []
    for _ in range(5):
        effects = replica.step(TimerFired(Timer.REST, 1))
        ((to, message),) = sent(effects, SyncInfo)
        assert message == SyncInfo(1, craft.genesis_qc, craft.genesis_qc, None)
        assert effects[-1] == SetTimer(Timer.REST, REST_TIMER_DELTAS * craft.config.delta_s, 1)
        told_peers.append(to)
    assert told_peers == [3, 0, 1, 3, 0]


def test_a_peer_that_connects_is_told(craft: Craft) -> None:
    assert craft.started().step(Connected(2)) == [Send(2, SyncInfo(1, craft.genesis_qc, craft.genesis_qc, None))]


def test_timers_of_a_busy_replica_run_for_its_round(craft: Craft) -> None:
    replica = craft.started(2)
    effects = replica.step(Requests((craft.request(),)))
    assert effects == [SetTimer(Timer.ROUND, 5.0, 1), CancelTimer(Timer.REST)]
    assert replica.step(Requests((craft.request(2),))) == []


def test_a_missing_block_of_the_high_qc_is_work(craft: Craft) -> None:
    """Nobody knows what it holds."""
    replica = craft.started(2)
    block = craft.block(1)
    effects = replica.step(Received(3, SyncInfo(2, craft.qc(block), craft.genesis_qc, None)))
    assert SetTimer(Timer.ROUND, 5.0, 2) in effects


# --- recovery from odd storage


def test_pending_blocks_that_connect_to_nothing_are_passed_over(craft: Craft) -> None:
    """A driver may keep forks that the last commit cut off."""
    blocks = craft.chain([1, 2, 3])
    rig = Rig(4)
    for block in blocks:
        rig.step(2, Received(block.author, craft.proposal(block)))
    rig.step(2, Received(3, SyncInfo(4, craft.qc(blocks[2]), craft.qc(blocks[2]), None)))
    recovered = rig.nodes[2].disk.recover(100)
    assert recovered is not None
    cut_off = craft.block(2, craft.qc(blocks[0]), author=3)
    pending = (cut_off, *recovered.pending)
    replica = craft.replica(
        2,
        recovered=Recovered(recovered.record, recovered.committed, recovered.checkpoint, pending),
    )
    assert list(replica.tree.nodes) == [blocks[1].id, blocks[2].id]
    assert replica.tree.height == 2


def test_requests_in_pending_blocks_are_held_again() -> None:
    rig = Rig(4)
    block = rig.craft.block(1, payload=(rig.craft.request(),))
    rig.step(2, Received(0, rig.craft.proposal(block)))
    rig.crash(2)
    rig.restart(2)
    assert len(rig[2].mempool) == 1
    assert Timer.ROUND in rig.nodes[2].timers


def test_commits_that_were_certified_but_not_durable_are_delivered_at_the_start() -> None:
    """The record has a QC that commits a durable block; the crash came before the commit was written."""
    rig = Rig(4)
    craft = rig.craft
    blocks = craft.chain([1, 2])
    for block in blocks:
        rig.step(2, Received(block.author, craft.proposal(block)))
    recovered = rig.nodes[2].disk.recover(100)
    assert recovered is not None
    assert recovered.record is not None
    qc = craft.qc(blocks[1])
    rig.crash(2)
    rig.nodes[2].disk.record = type(recovered.record)(2, 1, recovered.record.last_sent, qc, qc, None)
    effects = rig.restart(2)
    assert isinstance(effects[0], Persist)
    assert [commit.block for commit in all_of(effects, Commit)] == [blocks[0]]


# --- what makes a replica


def test_a_replica_is_one_of_the_validators(craft: Craft) -> None:
    signer, keys = craft.keys.replicas[0], craft.keys.ring
    for me in (-1, 4):
        with pytest.raises(AssertionError, match="one of the validators"):
            Replica(craft.config, me, signer, keys, craft.machine)


def test_the_parts_of_a_replica_can_be_replaced(craft: Craft) -> None:
    class NoVotes(CORRECT.safety):  # type: ignore[misc, name-defined]  # a class that a value names
        def safe_to_vote(self, block_round: int, qc_round: int, tc: object) -> bool:
            return False

    replica = craft.replica(kit=Kit(safety=NoVotes))
    replica.step(Started())
    assert vote_of(craft.propose(replica, craft.block(1))) is None
    assert isinstance(replica.fork().safety, NoVotes)
    assert vote_of(craft.propose(craft.started(), craft.block(1))) is not None


def test_what_is_ignored_has_no_other_effect_than_certificates(craft: Craft) -> None:
    replica = craft.started()
    craft.propose(replica, craft.block(1))
    key = replica.state_key()
    assert craft.propose(replica, craft.block(1)) == [Ignored(Reason.DUPLICATE)]
    assert replica.state_key() == key


def test_messages_a_commit_are_linear_in_n() -> None:
    """On the fast path: one proposal to each other validator, one vote of each."""
    for n in (4, 7, 13):
        rig = Rig(n, config=Config(n=n, rest=False))
        rig.run(until=20)
        sent_before, height_before = len_of(rig), rig[0].tree.height
        rig.run(until=60)
        commits = rig[0].tree.height - height_before
        assert (len_of(rig) - sent_before) / commits <= 2 * n


def len_of(rig: Rig) -> int:
    """How many messages were sent so far."""
    return rig._numbers


def test_broadcasts_are_for_all_others(craft: Craft) -> None:
    effects = craft.started().step(Requests((craft.request(),)))
    assert len([effect for effect in effects if isinstance(effect, Broadcast)]) == 1
