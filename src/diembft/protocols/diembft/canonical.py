"""The canonical key of a global state between two steps: states of equal keys behave alike for ever.

docs/exhaustion.md has the argument: what is kept, what is dropped and why it is dead, why renaming is sound. In short:
blocks are replaced by ranks, because what matters of the certificates that are still alive is their order, how they
descend from one another, and which of them commit their parent; what lies at or below the lowest commit of the nodes
that are *active* (in the current round, or in one whose timers are still to fire) is one point; correct validators are
interchangeable.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from typing import NamedTuple

from diembft.consensus.effects import SafetyRecord
from diembft.messages.digests import Digests
from diembft.messages.types import TC, ProposalMsg, VoteInfo, VoteMsg
from diembft.protocols.cast import Cast
from diembft.protocols.diembft.system import CHAIN_ID
from diembft.protocols.states import NodeState, Step, Summary, VoteSigned

GENESIS = Digests(CHAIN_ID, 0).genesis

OLD = -1
"""As a rank: none."""

NO_ROUND = -1
"""As a round: none, for there is no TC that would tell it, or nothing that is bound to it."""

BEHIND, LAST_ROUND, IN_ROUND = 0, 1, 2
"""Where a node stands: not active, in the last round with a timer that is still to fire (model lazy), in the round."""


class NodeFacts(NamedTuple):
    """What of one node's state can still matter, blocks by id; no bytes and NO_ROUND stand for none."""

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
    wanted: tuple[bytes, ...]
    """Parents that it lacks of blocks that were proposed to it."""
    blocks: frozenset[bytes]
    durable: NodeFacts | None
    """The same, if it crashed now; only where nodes may crash."""
    bound: int
    """The highest round of a parent that it voted on, as an observer knows; only where nodes may crash."""
    bound_before: int
    """The same of its votes before its last restart."""


class BlockRegistry:
    """Parents and rounds of all blocks that were met."""

    def __init__(self) -> None:
        self.parent: dict[bytes, bytes] = {GENESIS: GENESIS}
        self.round: dict[bytes, int] = {GENESIS: 0}

    def facts(self, state: NodeState, *, crashes: bool) -> NodeFacts:
        """Reduce a node's state to what can still matter, and note its blocks."""
        replica = state.replica
        tree, pacemaker = replica.tree, replica.pacemaker
        for block_id, node in tree.nodes.items():
            if block_id not in self.parent:
                self.parent[block_id] = node.block.qc.vote_info.id
                self.round[block_id] = node.block.round
        high_qc, high_commit = tree.high_qc.vote_info, tree.high_commit_qc.vote_info
        self._certified(high_qc)
        self._certified(high_commit)
        proposal_qc, proposal_commit, proposal_tc_high = b"", b"", NO_ROUND
        sent: list[str] = []
        for _, message in state.kept:
            match message:
                case ProposalMsg():
                    proposal_qc = message.block.qc.vote_info.id
                    proposal_commit = message.high_commit_qc.vote_info.id
                    proposal_tc_high = tc_high(message.last_round_tc)
                    self._certified(message.block.qc.vote_info)
                case VoteMsg():
                    pass  # it goes with its proposal
                case _:
                    sent.append(type(message).__name__)
        return NodeFacts(
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
            tuple(
                [
                    self._certified(message.block.qc.vote_info)
                    for message in replica.proposals.values()
                    if message.block.qc.vote_info.id not in tree.nodes
                ]
            ),
            frozenset(tree.nodes),
            self._durable_facts(state) if crashes else None,
            _highest_parent(state.signed.votes) if crashes else NO_ROUND,
            _highest_parent(state.signed.votes_before) if crashes else NO_ROUND,
        )

    def _certified(self, about: VoteInfo) -> bytes:
        """Note a block by what its certificate says of it."""
        if about.id not in self.parent:
            self.parent[about.id] = about.parent_id
            self.round[about.id] = about.round
        return about.id

    def _durable_facts(self, state: NodeState) -> NodeFacts:
        durable = state.durable
        record, blocks, committed = (None, (), ()) if durable is None else durable[:3]
        if record is not None:
            self._certified(record.high_qc.vote_info)
            self._certified(record.high_commit_qc.vote_info)
        pending = frozenset([block.id for block in blocks]) - frozenset(committed)
        root = committed[-1] if committed else GENESIS
        if record is None:
            return NodeFacts(
                1,
                False,
                GENESIS,
                0,
                GENESIS,
                0,
                root,
                0,
                NO_ROUND,
                b"",
                NO_ROUND,
                b"",
                (),
                (),
                pending | {root},
                None,
                NO_ROUND,
                NO_ROUND,
            )
        return NodeFacts(
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
            NO_ROUND,
            b"",
            (type(record.last_sent).__name__,) if record.last_sent else (),
            (),
            pending | {root},
            None,
            NO_ROUND,
            NO_ROUND,
        )

    def on_one_chain(self, block_id: bytes, others: Sequence[bytes]) -> bool:
        """Whether of `others`, those that are no higher than this block are among its ancestors."""
        lower = {other for other in others if self.round[other] <= self.round[block_id]}
        lowest = min([self.round[other] for other in lower])
        while True:
            lower.discard(block_id)
            if not lower or self.round[block_id] <= lowest:
                return not lower
            block_id = self.parent[block_id]


def _highest_parent(votes: Sequence[VoteSigned]) -> int:
    """The highest round of a parent of a block that was voted for."""
    return max([vote.parent_round for vote in votes], default=0)


def tc_high(tc: TC | None) -> int:
    """The highest QC round that a TC's signers signed; NO_ROUND without a TC."""
    return NO_ROUND if tc is None else max(tc.tmo_high_qc_rounds)


def _round_after(record: SafetyRecord) -> int:
    tc = record.last_round_tc
    return max(record.high_qc.vote_info.round, tc.round if tc else 0, record.highest_vote_round - 1) + 1


class Descent(NamedTuple):
    """How a named block descends from the next named one. Ranks count named blocks from 1, by round; 0 is the base."""

    below: int
    on_base: bool
    """Not if it descends from below the base, and so conflicts with a commit."""
    age: int
    """How many rounds it is older than the round: 1, or in the model lazy 1 or 2; 0 if more."""
    commits: bool
    """Its QC commits its parent, in the shipped core because that is of the round before; then that is the next named
    one."""


class View(NamedTuple):
    """What of a node can still matter, by ranks; OLD is none."""

    stage: int
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
    wanted: tuple[int, ...]
    blocks: tuple[int, ...]
    """ALL_BLOCKS, or 0 (or IN_DOUBT) and the ranks of those that it holds."""


class NodeEntry(NamedTuple):
    """A node in a summary."""

    leads: bool
    view: View
    durable: View | None = None
    bound: int = OLD
    bound_before: int = OLD


class Rules(NamedTuple):
    """What replicas and models have besides the protocol."""

    crashes: bool
    """Correct nodes may crash."""
    commits: Callable[[int, int], bool]
    """Whether a certificate of the second round commits the parent, of the first: as the verifier that runs says."""


def summary(
    cast: Cast, rules: Rules, registry: BlockRegistry, nodes: Sequence[NodeFacts], step: Step
) -> Summary | None:
    """The state before a step; None if no node is active."""
    round_, last = step.round, step.last
    views = [*nodes, *[facts.durable for facts in nodes if facts.durable is not None]]
    stages = [
        IN_ROUND if facts.round == round_ else LAST_ROUND if last and facts.round == round_ - 1 else BEHIND
        for facts in views
    ]
    if not any(stages[: len(nodes)]):
        return None
    active = [facts for facts, stage in zip(views, stages, strict=True) if stage]
    whole = [facts for facts in active if facts.high_qc in facts.blocks] or active
    lowest = min(whole, key=_root_round)
    found = _summary(cast, rules, registry, nodes, views, stages, lowest.root_round, step)
    if not all(chain.on_base for chain in found.chains) or (
        not registry.on_one_chain(lowest.root, [facts.root for facts in views])
    ):
        # Something conflicts with a commit: how is kept down to genesis.
        return _summary(cast, rules, registry, nodes, views, stages, 0, step)
    return found


ALL_BLOCKS: tuple[int, ...] = ()
"""In the place of ranks: which blocks a node holds does not matter, and then it is as if it held all."""

IN_DOUBT = -1
"""Before the ranks: some node lacks a block that it knows to be certified itself."""


def _has_own_blocks(facts: NodeFacts, registry: BlockRegistry, alive: Set[bytes]) -> bool:
    """Whether a node has all blocks that it knows to be certified, or committed, and that still matter."""
    own = alive & {facts.high_qc, registry.parent[facts.high_commit]}
    return not facts.wanted and _holds(facts, registry, own)


def _holds(facts: NodeFacts, registry: BlockRegistry, blocks: Set[bytes]) -> bool:
    """Whether a node has these blocks, but for what it has committed past."""
    return all(block_id in facts.blocks or registry.round[block_id] <= facts.root_round for block_id in blocks)


def _holdings(
    cast: Cast, registry: BlockRegistry, views: Sequence[NodeFacts], alive: Set[bytes], pointers: Set[bytes]
) -> tuple[bool, list[Set[bytes] | None]]:
    """Whether some node lacks a block that it knows to be certified itself; and which blocks each node holds, None
    where that does not matter.

    Who lacks a block that another one knows of gets it at once from whoever tells of it. That is too late for one
    node alone: a copy of a leader that comes into the round by the other copy's proposal votes for it if it has the
    parent, and otherwise proposes first, so that it votes for its own.
    """
    if not all(_has_own_blocks(facts, registry, alive) for facts in views):
        return True, [alive & facts.blocks for facts in views]
    faulty, n, nodes = len(cast.faulty), cast.n, len(cast.names)
    told = alive & pointers
    return False, [
        None if faulty <= index < n or index >= nodes or _holds(facts, registry, told) else alive & facts.blocks
        for index, facts in enumerate(views)
    ]


def _root_round(facts: NodeFacts) -> int:
    return facts.root_round


def _summary(
    cast: Cast,
    rules: Rules,
    registry: BlockRegistry,
    nodes: Sequence[NodeFacts],
    views: Sequence[NodeFacts],
    stages: Sequence[int],
    base: int,
    step: Step,
) -> Summary:
    """The summary over what lies above round `base`."""
    parent, rounds = registry.parent, registry.round
    round_, leader, last = step.round, step.leader, step.last
    active = [facts for facts, stage in zip(views, stages, strict=True) if stage]
    old_qc = min([facts.high_qc_round for facts in active])
    old_commit = min([facts.high_commit_round for facts in active])

    # Certificates that somebody may still send, or act on.
    pointers: set[bytes] = set()
    for facts, stage in zip(views, stages, strict=True):
        if stage or facts.high_qc_round > old_qc:
            pointers.add(facts.high_qc)
        if stage or facts.high_commit_round > old_commit:
            pointers.add(facts.high_commit)
        pointers.add(facts.root)
        pointers.update(facts.wanted)
        if facts.proposal_qc:
            pointers.add(facts.proposal_qc)
            pointers.add(facts.proposal_commit)

    # Their chains down to the base.
    alive: set[bytes] = set()
    children: dict[bytes, int] = {}
    for block_id in pointers:
        while block_id not in alive and rounds[block_id] > base:
            alive.add(block_id)
            block_id = parent[block_id]
            children[block_id] = children.get(block_id, 0) + 1

    # Named are blocks that are pointed at, where chains part, where what a node holds of them ends, and where one
    # commits its parent. What lies between named blocks then commits nothing, and nobody can tell how much it is.
    named = {block_id for block_id in alive if block_id in pointers or children.get(block_id, 0) > 1}
    for block_id in alive:
        if rules.commits(rounds[parent[block_id]], rounds[block_id]):
            named.add(block_id)
            if parent[block_id] in alive:
                named.add(parent[block_id])
    in_doubt, holdings = _holdings(cast, registry, views, alive, pointers)
    for blocks in holdings:
        if blocks is not None:
            named.update(blocks - {parent[block_id] for block_id in blocks})
    ordered = sorted(named, key=lambda block_id: (rounds[block_id], block_id))
    rank = {block_id: place for place, block_id in enumerate(ordered, 1)}
    rank_of_round = {rounds[block_id]: place for place, block_id in enumerate(ordered, 1)}
    oldest = 2 if last else 1

    def age(of_round: int) -> int:
        return round_ - of_round if round_ - of_round <= oldest else 0

    def chain(block_id: bytes) -> Descent:
        """How a named block descends from the next named one."""
        below = parent[block_id]
        while below in alive and below not in named:
            below = parent[below]
        return Descent(
            rank.get(below, 0),
            rounds[below] >= base,
            age(rounds[block_id]),
            rules.commits(rounds[parent[block_id]], rounds[block_id]),
        )

    def tc_rank(qc_round: int) -> int:
        """Where a round stands among those of the named blocks: on one (even) or between two (odd)."""
        if qc_round == NO_ROUND:
            return OLD
        place = rank_of_round.get(qc_round)
        if place is not None:
            return 2 * place
        return 2 * len([block_id for block_id in ordered if rounds[block_id] < qc_round]) + 1 if qc_round > base else 0

    def ranks_of(blocks: Set[bytes] | None) -> tuple[int, ...]:
        if blocks is None:
            return ALL_BLOCKS
        held = sorted([rank[block_id] for block_id in blocks if block_id in rank])
        return (IN_DOUBT if in_doubt else 0, *held)

    def view(facts: NodeFacts, stage: int, blocks: Set[bytes] | None, *, leads: bool) -> View:
        tells = step.tells or rules.crashes or (leads and not facts.voted)
        return View(
            stage,
            stage == IN_ROUND and facts.voted,
            stage != BEHIND and facts.high_qc not in facts.blocks,
            rank.get(facts.high_qc, 0),
            rank.get(facts.high_commit, 0),
            rank.get(facts.root, 0),
            tc_rank(facts.tc_high) if stage and tells else OLD,
            rank.get(facts.proposal_qc, 0) if facts.proposal_qc else OLD,
            tc_rank(facts.proposal_tc_high),
            rank.get(facts.proposal_commit, 0) if facts.proposal_qc else OLD,
            facts.sent if stage else (),
            tuple([rank[block_id] for block_id in facts.wanted if block_id in rank]),
            ranks_of(blocks),
        )

    entries: list[NodeEntry] = []
    durables = iter(zip(stages[len(nodes) :], holdings[len(nodes) :], strict=True))
    for index, facts in enumerate(nodes):
        leads = cast.identity[index] == leader
        own = view(facts, stages[index], holdings[index], leads=leads)
        if facts.durable is None:
            entries.append(NodeEntry(leads, own))
        else:
            durable = view(facts.durable, *next(durables), leads=leads)
            entries.append(NodeEntry(leads, own, durable, tc_rank(facts.bound), tc_rank(facts.bound_before)))
    return Summary(age(base), tuple([chain(block_id) for block_id in ordered]), tuple(entries), last)
