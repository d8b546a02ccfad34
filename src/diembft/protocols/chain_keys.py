"""Canonical keys for protocols that grow a tree of certified blocks and commit by chains of consecutive rounds.

A protocol says what it keeps of a node: flags, and the certified blocks that the node may yet extend, send or compare
with. What of a block can matter is then where it stands: its order by round among the others, on what it stands, how
old it is, and for as far down as the commit rule looks, whether the rounds are consecutive. So the blocks that are
pointed at, as many below each as the rule looks at, and those where branches part are named by their rank; what lies
between them is dead, and so is what lies below the *base*, the highest block that they all extend.

What is committed changes nothing that a replica sends. It matters for what may be held against it: of all that correct
nodes committed the highest block, until all extend it. What a node that is left behind points at is dead if it is no
higher than what the node must learn of before it acts again.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from functools import reduce
from typing import Any, NamedTuple

from typing_extensions import override

from diembft.protocols.cast import Cast
from diembft.protocols.interface import OwnBlock
from diembft.protocols.state_keys import StateKeys
from diembft.protocols.states import NodeState, Step, Summary

BEHIND, LAST_ROUND, IN_ROUND = 0, 1, 2
"""Where a node stands: in an earlier round, in the last one with a timer that is still to fire (in models that let it),
in the round of the step."""

NONE = -1
"""As a rank: no block, or none that matters."""


class NodeView(NamedTuple):
    """What of one node can still matter."""

    round: int
    root: Any
    """The last block that it committed."""
    high: Any
    """The highest block that it knows to be certified."""
    lock: Any
    """A block that what it votes for must extend, or be higher than; None if there is none."""
    flags: tuple[Hashable, ...]
    """What matters while it acts, without names of replicas, rounds or blocks."""
    kept: tuple[tuple[Any, ...], ...] = ()
    """What it has sent and waits: for each message flags, and last the round."""
    extended: tuple[Any, ...] = ()
    """The certified blocks in these messages."""
    waits: bool = False
    """It has sent something else, that waits for a later phase of the step."""


class Rule(NamedTuple):
    """A commit rule: of so many certified blocks of consecutive rounds, the one so many above the lowest is committed,
    and all below it."""

    chain: int
    above: int = 0


class ChainLink(NamedTuple):
    """How a named block hangs together with the others. Ranks count from 1, by round; 0 is the base."""

    below: int
    """The next named one below it."""
    direct: bool
    """It is its parent."""
    consecutive: bool
    """The parent is of the round before; False where that commits nothing new any more."""
    age: int
    """How many rounds it is older than the step, if the next block may be of the round after it, or else 0."""
    size: int
    """Its measure, as far as it is above that of the base."""


class ChainEntry(NamedTuple):
    """A node in a summary."""

    leads: bool
    stage: int
    flags: tuple[Hashable, ...]
    high: int
    lock: int
    kept: tuple[tuple[Any, ...], ...]
    extended: tuple[int, ...]


class ChainKeys(StateKeys):
    """Keys by what `view` says of a node; `parent` gives the parent of a block that is not genesis.

    `measure`, if blocks are compared by something else than their rounds, is that: their length, for instance.
    """

    def __init__(
        self,
        cast: Cast,
        rule: Rule,
        view: Callable[[NodeState], NodeView],
        parent: Callable[[Any], Any],
        measure: Callable[[Any], int] = lambda block: 0,
    ) -> None:
        self._cast = cast
        self._rule = rule
        self._view = view
        self._parent = parent
        self._measure = measure

    @override
    def settle(self, replica: Any, *, settles: bool) -> None:
        replica.settle(settles=settles)

    @override
    def raw(self, round_: int, state: NodeState) -> Hashable:
        return (state.replica.state_key(), state.kept, state.signed.since(round_ - 1))

    @override
    def exact(self, state: NodeState) -> Hashable:
        return (state.replica.state_key(), state.kept, state.signed)

    @override
    def facts(self, state: NodeState) -> NodeView:
        return self._view(state)

    @override
    def look(self, facts: NodeView, round_: int) -> tuple[int, ...]:
        return (round_ - facts.round, round_ - facts.high.round, round_ - facts.root.round)

    @override
    def summary(self, nodes: Sequence[NodeView], step: Step) -> Summary | None:
        assert not any(view.waits for view in nodes), "because between two steps only what a leader proposes waits"
        stages = [_stage(view.round, step) for view in nodes]
        active = [view for view, stage in zip(nodes, stages, strict=True) if stage]
        if not active:
            return None
        nodes = [view if stage else self._left_behind(view, active) for view, stage in zip(nodes, stages, strict=True)]
        highs = {block.id: block for view in nodes for block in (view.high, *view.extended) if block is not None}
        common = reduce(self._meet, highs.values())
        nodes = [view._replace(lock=None) if self._extends(common, view.lock) else view for view in nodes]
        committed = max([view.root for view in nodes[len(self._cast.faulty) : self._cast.n]], key=_round)
        locks = {view.lock.id: view.lock for view in nodes if view.lock is not None}
        base = reduce(self._meet, [common, committed, *locks.values()])

        rank, ordered, looked_at = self._named([*highs.values(), *locks.values()], committed, base)
        oldest = 2 if step.last else 1
        size = self._measure(base)

        def age(block: Any) -> int:
            return step.round - block.round if step.round - block.round <= oldest else 0

        def row(block: Any) -> ChainLink:
            parent = below = self._parent(block)
            while below.id not in rank:
                below = self._parent(below)
            decides = block if self._rule.above else parent
            return ChainLink(
                rank[below.id],
                below.id == parent.id,
                block.id in looked_at and parent.round + 1 == block.round and not self._extends(committed, decides),
                age(block),
                self._measure(block) - size,
            )

        rows: list[Any] = [row(block) for block in ordered]
        if committed.id != base.id:
            rows.append(rank[committed.id])
        entries = self._entries(nodes, stages, step, rank)
        return Summary(age(base) if self._rule.above else 0, tuple(rows), entries, step.last)

    def _entries(
        self, nodes: Sequence[NodeView], stages: Sequence[int], step: Step, rank: Mapping[bytes, int]
    ) -> tuple[ChainEntry, ...]:
        """What a summary has of each node."""

        def rank_of(block: Any) -> int:
            return NONE if block is None else rank[block.id]

        return tuple(
            [
                ChainEntry(
                    self._cast.identity[node] == step.leader,
                    stage,
                    view.flags if stage else (),
                    rank_of(view.high),
                    rank_of(view.lock),
                    tuple([(*flags, step.round - of_round) for *flags, of_round in view.kept]),
                    tuple([rank_of(block) for block in view.extended]),
                )
                for node, (view, stage) in enumerate(zip(nodes, stages, strict=True))
            ]
        )

    def _named(
        self, pointers: Sequence[Any], committed: Any, base: Any
    ) -> tuple[dict[bytes, int], list[Any], set[bytes]]:
        """The rank of all blocks that are named, those above the base in their order, and whose distance from their
        parents the commit rule looks at."""
        named: dict[bytes, Any] = {}
        looked_at: set[bytes] = set()
        for block in pointers:
            for further in range(self._rule.chain - 1, -1, -1):
                if block.round <= base.round:
                    break
                named[block.id] = block
                if further:
                    looked_at.add(block.id)
                block = self._parent(block)
        if committed.round > base.round:
            named[committed.id] = committed
        children: dict[bytes, int] = {}
        alive: dict[bytes, Any] = {}
        for block in list(named.values()):
            while block.round > base.round and block.id not in alive:
                alive[block.id] = block
                block = self._parent(block)
                children[block.id] = children.get(block.id, 0) + 1
        named.update({block_id: block for block_id, block in alive.items() if children.get(block_id, 0) > 1})
        ordered = sorted(named.values(), key=lambda block: (block.round, block.id))
        rank = {block.id: place for place, block in enumerate(ordered, 1)}
        rank[base.id] = 0
        return rank, ordered, looked_at

    def _left_behind(self, view: NodeView, active: Iterable[NodeView]) -> NodeView:
        """A node that learns, before it acts again, one of the certificates that those who act may send."""
        known = [block for other in active for block in (other.high, *other.extended)]
        lowest = min([block.round for block in known])
        lowest_lock = min([self._parent(block).round if block.round else 0 for block in known])
        return view._replace(
            high=view.high if view.high.round > lowest else None,
            lock=view.lock if view.lock is not None and view.lock.round > lowest_lock else None,
        )

    def _meet(self, one: Any, other: Any) -> Any:
        """The highest block that both extend or are."""
        while one.id != other.id:
            if one.round >= other.round:
                one = self._parent(one)
            else:
                other = self._parent(other)
        return one

    def _extends(self, block: Any, ancestor: Any) -> bool:
        """Whether a block has this ancestor, or is it."""
        return ancestor is not None and bool(self._meet(block, ancestor).id == ancestor.id)


def _stage(round_: int, step: Step) -> int:
    if round_ == step.round:
        return IN_ROUND
    return LAST_ROUND if step.last and round_ == step.round - 1 else BEHIND


def _round(block: OwnBlock) -> int:
    return block.round
