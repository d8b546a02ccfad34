"""A key of an execution under way: executions with equal keys go on alike, if their scripts do.

Blocks are numbered as they are met, so that the key holds how they descend from one another and not what is in them.
Dropped is what cannot matter any more: signatures, who signed what all nodes have, what all nodes have committed,
what was sent to be durable. Kept besides the state are the facts that oracles may yet hold against what is still to
come: votes and timeouts of correct replicas in rounds that somebody may still vote in, and the highest block that f
+ 1 of them committed by their votes. An execution in which something was violated already has no key.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

import msgspec

from diembft.consensus.effects import Broadcast, CancelTimer, Commit, Effect, Send, SetTimer
from diembft.consensus.events import Received
from diembft.consensus.replica import Replica
from diembft.messages.types import (
    QC,
    TC,
    Block,
    BlockRequest,
    BlockResponse,
    Message,
    ProposalMsg,
    SyncInfo,
    TimeoutMsg,
    VoteMsg,
    round_of,
)
from diembft.twins.executor import PASSES_ON_SENDING
from diembft.twins.oracles.verdict import Terms, judged_rounds
from diembft.twins.record import Cast
from diembft.twins.shared_execution import SharedExecution

_encode = msgspec.msgpack.Encoder().encode

OLD = -1
"""In place of a block that every node is past."""


def state_key(execution: SharedExecution, terms: Terms) -> bytes:
    """The key of a paused execution whose nodes all run. Forget the past first."""
    return _Keeper(execution, terms).digest()


class _Keeper:
    """Writes one state down."""

    def __init__(self, execution: SharedExecution, terms: Terms) -> None:
        self.execution = execution
        self.terms = terms
        self.blocks: dict[bytes, Block] = {
            message.block.id: message.block
            for _, _, message in execution.record.sent
            if isinstance(message, ProposalMsg)
        }
        """All that were proposed, or are about to be."""
        assert execution.pending is not None, "because it is paused"
        for effect in execution.pending[1]:
            if isinstance(effect, Broadcast) and isinstance(effect.message, ProposalMsg):
                self.blocks[effect.message.block.id] = effect.message.block
        self.replicas = [replica for replica in execution.replicas if replica is not None]
        assert len(self.replicas) == len(execution.replicas), "because executions with crashes have no key"
        lowest = min([replica.tree.root.block for replica in self.replicas], key=lambda block: block.round)
        self.base_round = lowest.round
        self.numbers: dict[bytes, int] = {lowest.id: 0}
        self.rows: list[tuple[int, int]] = []
        """Of each number from 1 on: the round, and the parent's number."""
        self.held_by_all = frozenset.intersection(
            *[frozenset(replica.tree.nodes) | frozenset(replica.tree.committed) for replica in self.replicas]
        )

    def digest(self) -> bytes:
        execution = self.execution
        now = execution.now
        state: list[Any] = [
            [self.node(node, replica) for node, replica in enumerate(self.replicas)],
            [
                [due - now if due <= now + (1 << 32) else None for due in dues]
                for dues in (execution.round_due, execution.fetch_due)
            ],
            self.arrivals(),
            now - execution.changed_at,
            self.sendings(),
            self.pending(),
            self.votes(),
            self.progress(),
        ]
        # Last, when all blocks that anything refers to are known: what else a node holds is dead.
        state.append([self.holdings(replica) for replica in self.replicas])
        return blake2b(_encode((state, self.rows)), digest_size=16).digest()

    # --- blocks and certificates

    def number(self, block: bytes, round_: int) -> int:
        """The number of a block; new ones get theirs, and their ancestors before them."""
        known = self.numbers.get(block)
        if known is not None:
            return known
        if round_ <= self.base_round:
            return OLD
        parent = self.blocks[block].qc.vote_info
        above = self.number(parent.id, parent.round)
        self.rows.append((round_, above))
        number = self.numbers[block] = len(self.rows)
        return number

    def qc(self, qc: QC) -> Any:
        """A QC: its block, and whom to ask for it if not all have it."""
        info = qc.vote_info
        number = self.number(info.id, info.round)
        if number <= 0 or info.id in self.held_by_all:
            return number
        return (number, [signer for signer, _ in qc.signatures])

    def tc(self, tc: TC | None) -> Any:
        """A TC: its round and what a block after it must extend."""
        return None if tc is None else (tc.round, max(self.base_round, *tc.tmo_high_qc_rounds), self.qc(tc.high_qc))

    # --- nodes

    def node(self, node: int, replica: Replica) -> Any:
        """A replica's state, and of the execution what belongs to the node."""
        tree, safety, pacemaker, execution = replica.tree, replica.safety, replica.pacemaker, self.execution
        round_ = pacemaker.current_round
        fetch = replica.fetch
        # What was signed matters in this round alone; and no QC that was extended by a vote is above the high QC.
        signed = safety.highest_vote_round >= round_
        assert safety.highest_qc_round <= tree.high_qc.vote_info.round, (
            "because a QC is processed before it is voted on"
        )
        voted = None
        if signed and safety.voted_id is not None:
            voted = self.number(safety.voted_id, safety.highest_vote_round)
        return (
            round_,
            safety.highest_vote_round if signed else None,
            voted,
            self.qc(tree.high_qc),
            self.qc(tree.high_commit_qc),
            self.number(tree.root.block.id, tree.root.block.round),
            [
                (of_round, sorted([self.bucket(votes) for votes in buckets.values()]))
                for of_round, buckets in sorted(tree.votes.items())
                if of_round >= round_ - 1
            ],
            self.tc(pacemaker.last_round_tc),
            [(sender, self.qc(timeout.high_qc)) for sender, timeout in sorted(pacemaker.timeouts.items())],
            [(author, self.message(proposal)) for author, proposal in sorted(replica.proposals.items())],
            None if fetch is None else (fetch.peers, fetch.turn),
            execution.round_of_timer[node],
            execution.gave_up[node] >= round_,
        )

    def bucket(self, votes: dict[int, VoteMsg]) -> Any:
        """Votes for one block: which, and whose."""
        first = next(iter(votes.values())).vote_info
        return (self.number(first.id, first.round), sorted(votes))

    def holdings(self, replica: Replica) -> Any:
        """Which of the blocks that anything refers to a replica holds, committed or pending."""
        tree, numbers = replica.tree, self.numbers
        committed = [numbers[block] for block in tree.committed if block in numbers]
        return committed, sorted([numbers[block] for block in tree.nodes if block in numbers])

    # --- messages

    def arrivals(self) -> Any:
        """The messages under way: to whom, from whom, what; without those that will change nothing."""
        kept = []
        for node, event, _ in self.execution.under_way():
            assert isinstance(event, Received), "because nothing else is under way"
            if not _pointless(self.replicas[node], event.message):
                kept.append((node, event.peer, self.message(event.message)))
        return kept

    def message(self, message: Message) -> Any:
        """What a message tells."""
        if isinstance(message, VoteMsg):
            info = message.vote_info
            return (1, message.sender, self.number(info.id, info.round), self.qc(message.high_commit_qc))
        if isinstance(message, ProposalMsg):
            block = message.block
            number = self.number(block.id, block.round)
            return (
                2,
                block.author,
                number,
                self.qc(block.qc),
                self.tc(message.last_round_tc),
                self.qc(message.high_commit_qc),
            )
        if isinstance(message, TimeoutMsg):
            info_ = message.tmo_info
            return (
                3,
                info_.sender,
                info_.round,
                self.qc(info_.high_qc),
                self.tc(message.last_round_tc),
                self.qc(message.high_commit_qc),
            )
        if isinstance(message, SyncInfo):
            return (
                4,
                message.round,
                self.qc(message.high_qc),
                self.qc(message.high_commit_qc),
                self.tc(message.last_round_tc),
            )
        if isinstance(message, BlockRequest):
            return (5, message.round, self.named(message.id), self.named(message.known))
        assert isinstance(message, BlockResponse), "because there are no requests of clients to relay"
        return (6, message.round, [self.named(block.id) for block in message.blocks])

    def named(self, block: bytes) -> int:
        """The number of a block of which only the id is given."""
        known = self.blocks.get(block)
        return self.number(block, 0 if known is None else known.round)

    # --- what the executor and the oracles remember

    def sendings(self) -> Any:
        """How often exceptions kept timeouts back, where that may still matter."""
        return sorted(
            [
                (key, min(times, PASSES_ON_SENDING))
                for key, times in self.execution.sendings.items()
                if key[2] >= self.execution.rounds[key[0]]
            ]
        )

    def pending(self) -> Any:
        """The node that is about to enter a new round, and what it is about to do."""
        assert self.execution.pending is not None, "because it is paused"
        node, effects = self.execution.pending
        return (node, [self.effect(effect) for effect in effects])

    def effect(self, effect: Effect) -> Any:
        """What the executor will carry out."""
        if isinstance(effect, Send):
            return (1, effect.to, self.message(effect.message))
        if isinstance(effect, Broadcast):
            return (2, self.message(effect.message))
        if isinstance(effect, SetTimer):
            return (3, effect.timer.value, effect.delay_s, effect.round)
        if isinstance(effect, CancelTimer):
            return (4, effect.timer.value)
        if isinstance(effect, Commit):
            return (5, self.number(effect.block.id, effect.block.round))
        return None

    def votes(self) -> Any:
        """What is still to be held against votes to come: see `forget_the_past`."""
        execution = self.execution
        correct = execution.system.cast.correct
        votes: list[tuple[int, ...]] = []
        timeouts: list[tuple[int, ...]] = []
        for _, node, message in execution.record.sent:
            if node in correct:
                if isinstance(message, VoteMsg):
                    info = message.vote_info
                    votes.append((info.round, node, self.number(info.id, info.round)))
                elif isinstance(message, TimeoutMsg):
                    timeouts.append((message.tmo_info.round, node))
        return sorted(frozenset(votes)), sorted(frozenset(timeouts))

    def progress(self) -> Any:
        """What liveness oracles have seen: of each judged round that was entered when, and who has committed its block
        when, until all have in time; whether one is decided so; who has committed anything since gst."""
        record, terms = self.execution.record, self.terms
        now = self.execution.now
        entries: dict[int, int] = {}
        for tick, node, round_ in record.entered:
            if round_ > terms.gst and round_ not in entries and node in terms.cast.correct:
                entries[round_] = tick
        if not entries:
            return None
        began = min(entries.values())
        since = [commit for commit in record.committed if commit.tick >= began and commit.node in terms.judged]
        open_rounds = []
        decided = False
        for judged in judged_rounds(terms):
            entry = min([tick for round_, tick in entries.items() if round_ >= judged], default=None)
            if entry is None:
                break
            commits = [
                (commit.node, self.number(commit.block.id, judged), commit.tick - entry <= terms.bound)
                for commit in since
                if commit.block.round == judged
            ]
            if {node for node, _, in_time in commits if in_time} == set(terms.judged):
                decided = True
            else:
                open_rounds.append((judged, entry - now, commits))
        return open_rounds, decided, sorted({commit.node for commit in since})


def _pointless(replica: Replica, message: Message) -> bool:
    """Whether a message will change nothing and be answered by nothing, whenever the replica receives it."""
    tree, round_ = replica.tree, replica.current_round
    if isinstance(message, VoteMsg):
        return message.vote_info.round < round_ - 1 or replica.quorums.is_quorum(len(tree.bucket(message)))
    if isinstance(message, SyncInfo):
        return _no_news(replica, message.high_qc, message.high_commit_qc, message.last_round_tc)
    if isinstance(message, ProposalMsg):
        block = message.block
        if block.round >= round_ or not _no_news(replica, block.qc, message.high_commit_qc, message.last_round_tc):
            return False
        high_qc = tree.high_qc.vote_info
        return block.id in tree.nodes or (block.round <= high_qc.round and block.id != high_qc.id)
    if isinstance(message, BlockResponse):
        return all(block.id in tree.nodes or block.id in tree.committed for block in message.blocks)
    return False


def _no_news(replica: Replica, qc: QC, high_commit_qc: QC, tc: TC | None) -> bool:
    tree = replica.tree
    if qc.round > tree.high_qc.round or high_commit_qc.round > tree.high_commit_qc.round:
        return False
    return tc is None or (tc.round < replica.current_round and tc.high_qc.round <= tree.high_qc.round)


def forget_the_past(execution: SharedExecution, gst: int) -> None:
    """Drop from a record what no oracle can hold against anything that is still to come, as nothing is violated yet.

    Proposals hold the chain together and stay. Of the rounds that every correct replica is past, votes stay only
    where two blocks may yet turn out to be certified, or voted for by f + 1 correct replicas; and votes stay for the
    highest block that f + 1 correct replicas committed by their votes, unless all nodes have committed it.
    """
    cast = execution.system.cast
    replicas = [replica for replica in execution.replicas if replica is not None]
    lowest = min([replica.tree.root.block.round for replica in replicas])
    current = min([replicas[node].pacemaker.current_round for node in cast.correct], default=0)
    voters: dict[int, dict[bytes, set[int]]] = {}
    committers: dict[bytes, set[int]] = {}
    committed = (lowest, b"")
    sent = execution.record.sent
    for _, node, message in sent:
        if isinstance(message, VoteMsg) and node in cast.correct:
            info = message.vote_info
            voters.setdefault(info.round, {}).setdefault(info.id, set()).add(node)
            if info.parent_round + 1 == info.round:
                by_parent = committers.setdefault(info.parent_id, set())
                by_parent.add(node)
                if len(by_parent) > cast.f and info.parent_round > committed[0]:
                    committed = (info.parent_round, info.parent_id)
    contested = [round_ for round_, by_block in voters.items() if _contested(by_block, cast)]

    def matters(message: Message) -> bool:
        if isinstance(message, ProposalMsg) or round_of(message) >= current:
            return True
        if not isinstance(message, VoteMsg):
            return False
        return message.vote_info.round in contested or message.vote_info.parent_id == committed[1]

    sent[:] = [entry for entry in sent if matters(entry.message)]
    entered = execution.record.entered
    entered[:] = [entry for entry in entered if entry.round > gst or entry.round >= execution.highest]


def _contested(voters: dict[bytes, set[int]], cast: Cast) -> bool:
    """Whether one block of a round may be certified, if the faulty help, and another has f + 1 correct voters."""
    if len(cast.faulty) > cast.f:
        return True
    enough = cast.quorum - len(cast.faulty)
    return any(
        len(one) > cast.f and any(len(other) >= enough for rival, other in voters.items() if rival != block)
        for block, one in voters.items()
    )
