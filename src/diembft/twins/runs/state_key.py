"""A key of an execution under way: executions with equal keys go on alike, if their scripts do.

Blocks are numbered as they are met, so that the key holds how they descend from one another and not what is in them.
The protocol writes its nodes and messages down (`protocols.merging.Keeper`). Kept besides their state are the facts
that oracles may yet hold against what is still to come: votes and timeouts of correct replicas in rounds that somebody
may still vote in, and the highest block that f + 1 of them committed by their votes. An execution in which something
was violated already has no key.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

import msgspec
from typing_extensions import override

from diembft.machine.effects import Broadcast, CancelTimer, Commit, Send, SetTimer
from diembft.machine.events import Received
from diembft.protocols.interface import PROPOSAL, TIMEOUT, VOTE, Link
from diembft.protocols.merging import BELOW_BASE, Numbering, Sharing
from diembft.twins.runs.oracles.commit_chain import head_of
from diembft.twins.runs.oracles.terms import Terms, judged_rounds
from diembft.twins.runs.record import Cast
from diembft.twins.runs.shared import SharedRun
from diembft.twins.runs.timed_nodes import PASSES_ON_SENDING

_encode = msgspec.msgpack.Encoder().encode


def state_key(execution: SharedRun, terms: Terms) -> bytes:
    """The key of a paused execution whose nodes all run. Forget the past first."""
    keeper = _Keeper(execution, terms)
    digest = keeper.digest()
    del keeper.keeper  # which refers back: what runs without garbage collection must make no cycles
    return digest


class _Keeper(Numbering):
    """Writes one state down."""

    def __init__(self, execution: SharedRun, terms: Terms) -> None:
        self.execution = execution
        self.terms = terms
        self.kinds = execution.protocol.kinds
        self.told = execution.protocol.reading.told
        self.blocks: dict[bytes, Link] = proposed(execution)
        """All that were proposed, or are about to be."""
        assert execution.pending is not None, "because it is paused"
        for effect in execution.pending[1]:
            if isinstance(effect, Broadcast) and self.kinds[type(effect.message)] == PROPOSAL:
                for block in self.told(effect.message).blocks:
                    self.blocks[block.id] = execution.protocol.reading.link(block)
        self.replicas = [replica for replica in execution.replicas if replica is not None]
        assert len(self.replicas) == len(execution.replicas), "because executions with crashes have no key"
        self.sharing = sharing_of(execution)
        lowest, self.base_round = min(
            [self.sharing.root(replica) for replica in self.replicas], key=lambda root: root[1]
        )
        self.numbers: dict[bytes, int] = {lowest: 0}
        self.rows: list[tuple[int, int]] = []
        """Of each number from 1 on: the round, and the parent's number."""
        self.keeper = self.sharing.keeper(self.replicas, self)

    def digest(self) -> bytes:
        execution = self.execution
        now = execution.now
        state: list[Any] = [
            [
                (
                    self.keeper.node(replica),
                    execution.round_of_timer[node],
                    execution.gave_up[node] >= replica.current_round,
                )
                for node, replica in enumerate(self.replicas)
            ],
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
        state.append([self.keeper.holdings(replica) for replica in self.replicas])
        return blake2b(_encode((state, self.rows)), digest_size=16).digest()

    # --- blocks

    @override
    def number(self, block: bytes, round_: int) -> int:
        """New blocks get their numbers, and their ancestors before them."""
        known = self.numbers.get(block)
        if known is not None:
            return known
        if round_ <= self.base_round:
            return BELOW_BASE
        link = self.blocks[block]
        above = self.number(link.parent, link.parent_round)
        self.rows.append((round_, above))
        number = self.numbers[block] = len(self.rows)
        return number

    @override
    def named(self, block: bytes) -> int:
        known = self.blocks.get(block)
        return self.number(block, 0 if known is None else known.round)

    @override
    def known(self) -> Mapping[bytes, int]:
        return self.numbers

    # --- messages

    def arrivals(self) -> Any:
        """The messages under way: to whom, from whom, what; without those that will change nothing."""
        kept = []
        for node, event, _ in self.execution.under_way():
            assert isinstance(event, Received), "because nothing else is under way"
            if not self.sharing.pointless(self.replicas[node], event.message):
                kept.append((node, event.peer, self.keeper.message(event.message)))
        return kept

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

    def effect(self, effect: Any) -> Any:
        """What the executor will carry out."""
        if isinstance(effect, Send):
            return (1, effect.to, self.keeper.message(effect.message))
        if isinstance(effect, Broadcast):
            return (2, self.keeper.message(effect.message))
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
                kind = self.kinds[type(message)]
                if kind not in (VOTE, TIMEOUT):
                    continue
                told = self.told(message)
                if told.vote is not None:
                    votes.append((told.vote.round, node, self.number(told.vote.block, told.vote.round)))
                if told.timeout is not None:
                    timeouts.append((told.timeout.round, node))
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


def forget_the_past(execution: SharedRun, gst: int) -> None:
    """Drop from a record what no oracle can hold against anything that is still to come, as nothing is violated yet.

    Proposals hold the chain together and stay. Of the rounds that every correct replica is past, votes stay only
    where two blocks may yet turn out to be certified, or voted for by f + 1 correct replicas; and votes stay for the
    highest block that f + 1 correct replicas committed by their votes, unless all nodes have committed it.
    """
    cast, protocol, sharing = execution.system.cast, execution.protocol, sharing_of(execution)
    kinds, told, steps = protocol.kinds, protocol.reading.told, protocol.chain - 1
    replicas = [replica for replica in execution.replicas if replica is not None]
    lowest = min([sharing.root(replica)[1] for replica in replicas])
    current = min([replicas[node].current_round for node in cast.correct], default=0)
    blocks = proposed(execution) if steps > 1 else {}
    voters: dict[int, dict[bytes, set[int]]] = {}
    committers: dict[bytes, set[int]] = {}
    committed = (lowest, b"")
    sent = execution.record.sent
    for _, node, message in sent:
        if kinds[type(message)] == VOTE and node in cast.correct:
            vote = told(message).vote
            assert vote is not None, "because it is a vote"
            voters.setdefault(vote.round, {}).setdefault(vote.block, set()).add(node)
            head = head_of(vote, steps, blocks)
            if head is not None:
                by_head = committers.setdefault(head, set())
                by_head.add(node)
                if len(by_head) > cast.f and vote.round - steps > committed[0]:
                    committed = (vote.round - steps, head)
    contested = [round_ for round_, by_block in voters.items() if _contested(by_block, cast)]

    def matters(message: Any) -> bool:
        kind = kinds[type(message)]
        if kind == PROPOSAL or protocol.round_of(message) >= current:
            return True
        vote = told(message).vote if kind == VOTE else None
        return vote is not None and (vote.round in contested or head_of(vote, steps, blocks) == committed[1])

    sent[:] = [entry for entry in sent if matters(entry.message)]
    entered = execution.record.entered
    entered[:] = [entry for entry in entered if entry.round > gst or entry.round >= execution.highest]


def proposed(execution: SharedRun) -> dict[bytes, Link]:
    """All blocks that were proposed, by their ids."""
    kinds, reading = execution.protocol.kinds, execution.protocol.reading
    return {
        block.id: reading.link(block)
        for _, _, message in execution.record.sent
        if kinds[type(message)] == PROPOSAL
        for block in reading.told(message).blocks
    }


def sharing_of(execution: SharedRun) -> Sharing:
    """What the protocol supplies for this."""
    sharing = execution.protocol.sharing
    assert sharing is not None, "because scenarios of other protocols are executed alone"
    return sharing


def _contested(voters: dict[bytes, set[int]], cast: Cast) -> bool:
    """Whether one block of a round may be certified, if the faulty help, and another has f + 1 correct voters."""
    if len(cast.faulty) > cast.f:
        return True
    enough = cast.quorum - len(cast.faulty)
    return any(
        len(one) > cast.f and any(len(other) >= enough for rival, other in voters.items() if rival != block)
        for block, one in voters.items()
    )
