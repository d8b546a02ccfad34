"""The canonical key of a global state between two steps: states of equal keys behave alike for ever.

docs/exhaustion.md has the argument: what is kept, what is dropped and why it is dead, why renaming is sound. In short:
blocks are replaced by ranks, because what matters of the certificates that are still alive is their order, how they
descend from one another, and which of them follow their parent's round directly; what lies at or below the lowest
commit of the nodes in the current round is one point; correct validators are interchangeable.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import NamedTuple

from diembft.consensus.effects import SafetyRecord
from diembft.messages.digests import Digests
from diembft.messages.types import TC, ProposalMsg, VoteMsg
from diembft.twins.explore.world import CHAIN_ID, NodeState, World

GENESIS = Digests(CHAIN_ID, 0).genesis

OLD = -1
"""As a rank: none."""


class Facts(NamedTuple):
    """What of one node's state can still matter, blocks by id; no bytes and -1 stand for none."""

    round: int
    voted: bool
    """Whether it signed something in its round already."""
    high_qc: bytes
    high_qc_round: int
    high_commit: bytes
    high_commit_round: int
    root: bytes
    root_round: int
    tc_high: int
    """The highest QC round in the TC by which the round was entered."""
    proposal_qc: bytes
    proposal_tc_high: int
    proposal_commit: bytes
    sent: tuple[str, ...]
    """What else is under way from it."""
    blocks: frozenset[bytes]
    durable: Facts | None
    """The same, if it crashed now; only where nodes may crash."""
    bound: int
    """The highest round of a parent that it voted on, as an observer knows; only where nodes may crash."""


class Registry:
    """Parents and rounds of all blocks that were met."""

    def __init__(self) -> None:
        self.parent: dict[bytes, bytes] = {}
        self.round: dict[bytes, int] = {}

    def facts(self, state: NodeState, *, crashes: bool) -> Facts:
        """Reduce a node's state to what can still matter, and note its blocks."""
        replica = state.replica
        tree, pacemaker = replica.tree, replica.pacemaker
        for block_id, node in tree.nodes.items():
            if block_id not in self.parent:
                self.parent[block_id] = node.block.qc.vote_info.id
                self.round[block_id] = node.block.round
        high_qc, high_commit = tree.high_qc.vote_info, tree.high_commit_qc.vote_info
        proposal_qc, proposal_commit, proposal_tc_high = b"", b"", -1
        sent: list[str] = []
        for _, message in state.held:
            match message:
                case ProposalMsg():
                    proposal_qc = message.block.qc.vote_info.id
                    proposal_commit = message.high_commit_qc.vote_info.id
                    proposal_tc_high = tc_high(message.last_round_tc)
                case VoteMsg():
                    pass  # it goes with its proposal
                case _:
                    sent.append(type(message).__name__)
        return Facts(
            pacemaker.current_round,
            replica.safety.highest_vote_round >= pacemaker.current_round,
            high_qc.id,
            high_qc.round,
            high_commit.id,
            high_commit.round,
            tree.root.block.id,
            tree.root.block.round,
            tc_high(pacemaker.tc_for(tree.high_qc)),
            proposal_qc,
            proposal_tc_high,
            proposal_commit,
            tuple(sent),
            frozenset(tree.nodes),
            self._durable_facts(state) if crashes else None,
            state.signed.parent_round if crashes else -1,
        )

    def _durable_facts(self, state: NodeState) -> Facts:
        record, committed = state.durable.record, state.durable.committed
        pending = frozenset([block.id for block in state.durable.blocks]) - frozenset(committed)
        root = committed[-1] if committed else GENESIS
        if record is None:
            return Facts(1, False, GENESIS, 0, GENESIS, 0, root, 0, -1, b"", -1, b"", (), pending, None, -1)
        return Facts(
            _round_after(record),
            record.highest_vote_round >= _round_after(record),
            record.high_qc.vote_info.id,
            record.high_qc.vote_info.round,
            record.high_commit_qc.vote_info.id,
            record.high_commit_qc.vote_info.round,
            root,
            self.round[root] if committed else 0,
            tc_high(record.last_round_tc),
            b"",
            -1,
            b"",
            (type(record.last_sent).__name__,) if record.last_sent else (),
            pending | {root},
            None,
            -1,
        )


def tc_high(tc: TC | None) -> int:
    """The highest QC round that a TC's signers signed; -1 without a TC."""
    return -1 if tc is None else max(tc.tmo_high_qc_rounds)


def _round_after(record: SafetyRecord) -> int:
    tc = record.last_round_tc
    return max(record.high_qc.vote_info.round, tc.round if tc else 0, record.highest_vote_round - 1) + 1


class Chain(NamedTuple):
    """How a named block descends from the next named one. Ranks count named blocks from 1, by round; 0 is the base."""

    below: int
    on_base: bool
    """Not if it descends from below the base, and so conflicts with a commit."""
    of_last_round: bool
    consecutive: bool
    """Its parent is of the round before, so that its QC commits its parent."""
    has_between: bool
    """There are blocks in between that nobody points at."""
    commits_between: bool
    """The QC of one of these commits another."""
    commits_below: bool
    """The QC of the lowest of these commits the named block below."""


class View(NamedTuple):
    """What of a node can still matter, by ranks; OLD is none."""

    in_round: bool
    voted: bool
    incomplete: bool
    """It lacks the block of its high QC."""
    high_qc: int
    high_commit: int
    root: int
    tc_high: int
    proposal_qc: int
    proposal_tc_high: int
    proposal_commit: int
    sent: tuple[str, ...]
    held: tuple[int, ...]


class Entry(NamedTuple):
    """A node in a summary."""

    leads: bool
    view: View
    durable: View | None = None
    bound: int = OLD


class Summary(NamedTuple):
    """All of a global state that can still matter: how the named blocks descend, and an entry for each node."""

    chains: tuple[Chain, ...]
    entries: tuple[Entry, ...]

    def key(self, world: World, *, rename: bool = True) -> Hashable:
        """The canonical key; `rename=False` keeps the names of correct validators apart."""
        if not rename:
            return self
        faulty, n = world.faulty, world.n
        return (self.chains, tuple(sorted(self.entries[faulty:n])), self.entries[:faulty], self.entries[n:])

    def sorted(self, world: World) -> tuple[Summary, tuple[int, ...]]:
        """The summary with correct nodes in the order of their entries, and which node stands at each place."""
        order = sorted(range(world.faulty, world.n), key=lambda node: self.entries[node])
        places = (*range(world.faulty), *order, *range(world.n, world.nodes))
        return Summary(self.chains, tuple([self.entries[node] for node in places])), places

    def alike(self, world: World) -> list[list[int]]:
        """The correct nodes that may change places without changing the state, in classes."""
        classes: dict[Entry, list[int]] = {}
        for node in range(world.faulty, world.n):
            classes.setdefault(self.entries[node], []).append(node)
        return list(classes.values())


def summary(world: World, registry: Registry, nodes: Sequence[Facts], round_: int, leader: int) -> Summary | None:
    """The state before step `round_`, which validator `leader` leads; None if nobody is in that round."""
    current = [facts for facts in nodes if facts.round == round_]
    if not current:
        return None
    parent, rounds = registry.parent, registry.round
    whole = [facts for facts in current if facts.high_qc in facts.blocks] or current
    base = min([facts.root_round for facts in whole])
    old_qc = min([facts.high_qc_round for facts in current])
    old_commit = min([facts.high_commit_round for facts in current])
    views = [*nodes, *[facts.durable for facts in nodes if facts.durable is not None]]

    # Certificates that somebody may still send, or act on.
    pointers: set[bytes] = set()
    for facts in views:
        in_round = facts.round == round_
        if in_round or facts.high_qc_round > old_qc:
            pointers.add(facts.high_qc)
        if in_round or facts.high_commit_round > old_commit:
            pointers.add(facts.high_commit)
        pointers.add(facts.root)
        if facts.proposal_qc:
            pointers.add(facts.proposal_qc)
            pointers.add(facts.proposal_commit)

    # Their chains down to the lowest commit.
    alive: set[bytes] = set()
    children: dict[bytes, int] = {}
    for block_id in pointers:
        while block_id not in alive and rounds[block_id] > base:
            alive.add(block_id)
            block_id = parent[block_id]
            children[block_id] = children.get(block_id, 0) + 1

    # Named are blocks that are pointed at, where chains part, and where what a node holds of them ends.
    named = {block_id for block_id in alive if block_id in pointers or children.get(block_id, 0) > 1}
    held = [alive & facts.blocks for facts in views]
    for blocks in held:
        named.update(blocks - {parent[block_id] for block_id in blocks})
    ordered = sorted(named, key=lambda block_id: (rounds[block_id], block_id))
    rank = {block_id: place for place, block_id in enumerate(ordered, 1)}
    rank_of_round = {rounds[block_id]: place for place, block_id in enumerate(ordered, 1)}

    def chain(block_id: bytes) -> Chain:
        """How a named block descends from the next named one: what the QCs in between commit."""
        consecutive = rounds[parent[block_id]] + 1 == rounds[block_id]
        between: list[bool] = []
        below = parent[block_id]
        while below in alive and below not in named:
            between.append(rounds[parent[below]] + 1 == rounds[below])
            below = parent[below]
        return Chain(
            rank.get(below, 0),
            rounds[below] >= base,
            rounds[block_id] == round_ - 1,
            consecutive,
            len(between) > 0,
            any(between[:-1]),
            bool(between and between[-1]),
        )

    def tc_rank(qc_round: int) -> int:
        """Where a round stands among those of the named blocks: on one (even) or between two (odd)."""
        if qc_round < 0:
            return OLD
        place = rank_of_round.get(qc_round)
        if place is not None:
            return 2 * place
        return 2 * len([block_id for block_id in ordered if rounds[block_id] < qc_round]) + 1 if qc_round > base else 0

    def view(facts: Facts, blocks: frozenset[bytes] | set[bytes]) -> View:
        in_round = facts.round == round_
        return View(
            in_round,
            in_round and facts.voted,
            in_round and facts.high_qc not in facts.blocks,
            rank.get(facts.high_qc, 0),
            rank.get(facts.high_commit, 0),
            rank.get(facts.root, 0),
            tc_rank(facts.tc_high) if in_round else OLD,
            rank.get(facts.proposal_qc, 0) if facts.proposal_qc else OLD,
            tc_rank(facts.proposal_tc_high),
            rank.get(facts.proposal_commit, 0) if facts.proposal_qc else OLD,
            facts.sent if in_round else (),
            tuple(sorted([rank[block_id] for block_id in blocks if block_id in rank])),
        )

    entries: list[Entry] = []
    durables = iter(held[len(nodes) :])
    for index, facts in enumerate(nodes):
        leads = world.identity(index) == leader
        if facts.durable is None:
            entries.append(Entry(leads, view(facts, held[index])))
        else:
            durable = view(facts.durable, next(durables))
            entries.append(Entry(leads, view(facts, held[index]), durable, tc_rank(facts.bound)))
    return Summary(tuple([chain(block_id) for block_id in ordered]), tuple(entries))
