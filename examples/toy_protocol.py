"""Streamlet (Chan and Shi, 2020), a protocol of three rules, as a protocol under test: see docs/protocols.md.

1. A round takes a fixed time. Its leader proposes a block on the longest notarized chain that it knows.
2. Everybody votes once in a round, if the block extends a notarized chain that is as long as any it knows. A block is
   notarized when a quorum voted for it.
3. Of three notarized blocks in a row, of consecutive rounds, the second is final, with all before it.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any, TypeAlias

from msgspec import Struct
from typing_extensions import override

from diembft.protocols import (
    ANSWER,
    NOBODY,
    PROPOSAL,
    VOTE,
    Broadcast,
    Cast,
    ChainKeys,
    Commit,
    Leaders,
    NodeState,
    NodeView,
    Received,
    Rule,
    Send,
    SetTimer,
    Started,
    Timer,
    TimerFired,
    interface,
)

ROUND_BOUNDS = 2
"""How long a round takes, in delay bounds: the proposal's way, and the votes'."""


class Block(Struct, frozen=True, cache_hash=True):
    """A block; it holds its parent with all votes for it, and so its whole chain."""

    id: bytes
    round: int
    author: int
    marker: str
    length: int
    parent: Notarized | None


class Notarized(Struct, frozen=True, cache_hash=True):
    """A block that a quorum voted for."""

    block: Block
    voters: tuple[int, ...]


class Proposal(Struct, frozen=True, cache_hash=True):
    """A leader's block."""

    block: Block


class Vote(Struct, frozen=True, cache_hash=True):
    """A vote, to all."""

    block: Block
    voter: int


class Longer(Struct, frozen=True, cache_hash=True):
    """An answer to a proposal: there is a longer chain."""

    round: int
    notarized: Notarized


Message: TypeAlias = Proposal | Vote | Longer
GENESIS = Notarized(Block(b"genesis", 0, 0, "", 0, None), ())


class Node:
    """One replica."""

    def __init__(self, me: int, name: str, n: int, leaders: Leaders, delay_bound_s: float) -> None:
        self.me, self.name, self.leaders = me, name, leaders
        self.quorum = n - (n - 1) // 3
        self.round_s = ROUND_BOUNDS * delay_bound_s
        self.current_round = 0
        self.voted = 0
        """The last round that it voted in."""
        self.longest = GENESIS
        self.final = GENESIS.block
        self.height = 0
        self.votes: dict[Block, frozenset[int]] = {}
        """In the current round."""

    def fork(self) -> Node:
        """An independent copy."""
        twin = copy.copy(self)
        twin.votes = dict(self.votes)
        return twin

    def settle(self, *, settles: bool) -> None:
        """Nothing is dead here: a round began with new votes, perhaps its own."""

    def state_key(self) -> tuple[object, ...]:
        """The whole state as a value."""
        votes = tuple([(block.id, tuple(sorted(voters))) for block, voters in self.votes.items()])
        return (self.name, self.current_round, self.voted, self.longest.block.id, self.final.id, votes)

    def step(self, event: Any) -> list[Any]:
        """Handle one event."""
        self.out: list[Any] = []
        match event:
            case Started():
                self.enter(1)
            case TimerFired(timer=Timer.ROUND, round=self.current_round):
                self.enter(self.current_round + 1)
            case Received(message=Proposal(block)) if block.author == self.leaders.leader(block.round):
                self.proposed(block)
            case Received(message=Vote(block, voter)):
                self.count(block, voter)
            case Received(message=Longer(notarized=notarized)):
                self.learn(notarized)
        return self.out

    def enter(self, round_: int) -> None:
        """A round begins."""
        self.current_round, self.votes = round_, {}
        self.out.append(SetTimer(Timer.ROUND, self.round_s, round_))
        if self.leaders.leader(round_) == self.me:
            parent = self.longest
            digest = blake2b(f"{round_} {self.name} ".encode() + parent.block.id, digest_size=32).digest()
            block = Block(digest, round_, self.me, self.name, parent.block.length + 1, parent)
            self.out.append(Broadcast(Proposal(block)))
            self.proposed(block)

    def proposed(self, block: Block) -> None:
        """Vote for the block of this round's leader, if it may."""
        assert block.parent is not None
        self.learn(block.parent)
        if block.round == self.current_round and self.voted < block.round and self.may_vote(block):
            self.voted = block.round
            self.out.append(Broadcast(Vote(block, self.me)))
            self.count(block, self.me)
        elif block.length <= self.longest.block.length:
            self.out.append(Send(block.author, Longer(block.round, self.longest)))

    def may_vote(self, block: Block) -> bool:
        """Whether a block extends a chain that is as long as any."""
        return block.length > self.longest.block.length

    def count(self, block: Block, voter: int) -> None:
        """A vote."""
        if block.round == self.current_round:
            voters = self.votes[block] = self.votes.get(block, frozenset()) | {voter}
            if len(voters) == self.quorum:
                self.learn(Notarized(block, tuple(sorted(voters))))

    def learn(self, notarized: Notarized) -> None:
        """A block is notarized: what is longest, and what is final?"""
        top = notarized.block
        if top.length > self.longest.block.length:
            self.longest = notarized
        if top.parent is None or top.parent.block.parent is None:
            return
        middle, bottom = top.parent.block, top.parent.block.parent.block
        if (bottom.round + 2, middle.round + 1) == (top.round, top.round):
            self.finalize(middle, notarized)

    def finalize(self, block: Block, by: Notarized) -> None:
        """Commit a block, and before it those that it extends."""
        if block.length > self.height:
            assert block.parent is not None
            self.finalize(block.parent.block, by)
            if block.parent.block.id == self.final.id:
                self.height, self.final = block.length, block
                self.out.append(Commit(self.height, block, by))


class AnyChain(Node):
    """The bug: votes for a block on any notarized chain, however short."""

    @override
    def may_vote(self, block: Block) -> bool:
        return True


class Reading(interface.Reading):
    """What oracles are told."""

    def told(self, message: Message) -> interface.Told:
        """A proposal brings a block, a vote is for one, an answer brings a certificate."""
        match message:
            case Proposal(block):
                return interface.Told(blocks=(block,))
            case Vote(block):
                link = self.link(block)
                vote = interface.Vote(block.round, block.id, link.parent, link.parent_round, content=block.id)
                return interface.Told(vote=vote)
            case Longer(notarized=notarized):
                return interface.Told(qcs=(notarized,))

    def link(self, block: Block) -> interface.Link:
        """The parent of a block."""
        assert block.parent is not None
        parent = block.parent.block
        return interface.Link(parent.id, block.round, block.author, parent.round, block.parent)

    def certificate(self, certificate: Notarized) -> interface.Certificate:
        """Who voted."""
        return interface.Certificate(certificate.block.round, certificate.block.id, certificate.voters)

    def requests(self, block: Block) -> list[tuple[str, int, Any]]:
        """The marker."""
        return [(block.marker, block.round, None)]


class System(interface.System):
    """The nodes of one test."""

    def __init__(self, cast: Cast, delay_bound_s: float, kind: type[Node]) -> None:
        self.cast, self.delay_bound_s, self.kind = cast, delay_bound_s, kind
        self.leaders = Leaders()

    def node(self, node: int, recovered: Any = None) -> Node:
        """A new node."""
        cast = self.cast
        return self.kind(cast.identity[node], cast.names[node], cast.n, self.leaders, self.delay_bound_s)


class Exploring(interface.Exploring):
    """What exhaustion needs besides."""

    def system(self, cast: Cast, bugs: tuple[str, ...]) -> System:
        """The nodes."""
        return STREAMLET.system(cast, bugs)

    def keys(self, system: System, bugs: tuple[str, ...], *, crashes: bool) -> ChainKeys:
        """What of a state can still matter: chains are compared by length, and the second of three is final."""
        return ChainKeys(system.cast, Rule(chain=3, above=1), view, parent, measure=length)

    def order(self, message: Message, proposers: Mapping[bytes, int]) -> tuple[int, ...]:
        """What arrives at the same time: proposals, votes by the node that proposed, answers by what they tell."""
        match message:
            case Proposal(block):
                return (0, block.round)
            case Vote(block):
                return (1, block.round, proposers.get(block.id, NOBODY))
            case Longer(notarized=notarized):
                return (2, -notarized.block.length, notarized.block.round)

    def root(self, replica: Node) -> Block:
        """The last block that it committed."""
        return replica.final

    def has_committed(self, replica: Node, block: bytes) -> bool:
        """Whether a block is among those."""
        final = replica.final
        while final.id != block and final.round:
            final = parent(final)
        return final.id == block

    def certificates(self, replica: Node) -> tuple[Notarized, ...]:
        """What it would pass on."""
        return (replica.longest,)


def parent(block: Block) -> Block:
    """The parent of a block."""
    assert block.parent is not None
    return block.parent.block


def length(block: Block) -> int:
    """The length of the chain up to a block."""
    return block.length


def view(state: NodeState) -> NodeView:
    """What of a node can still matter: its longest chain, whether it voted, its proposal, and the vote for that."""
    node: Node = state.replica
    extended = tuple([parent(message.block) for _, message in state.kept])
    kept = tuple([(type(message).__name__, message.block.round) for _, message in state.kept])
    voted = (node.voted >= node.current_round,)
    return NodeView(node.current_round, node.final, node.longest.block, None, voted, kept, extended)


class Streamlet(interface.UnderTest):
    """The protocol under test."""

    name = "toy_protocol:STREAMLET"
    reading = Reading()
    kinds = {Proposal: PROPOSAL, Vote: VOTE, Longer: ANSWER}  # noqa: RUF012  # a Mapping
    chain = 3
    exploring = Exploring()
    timed_rounds = True
    commit_bounds = 4 * ROUND_BOUNDS
    bugs = {"any_chain": "votes for blocks on any notarized chain, however short"}  # noqa: RUF012  # a Mapping

    def round_of(self, message: Message) -> int:
        """The block's, or that of the proposal that is answered."""
        return message.round if isinstance(message, Longer) else message.block.round

    def system(self, cast: Cast, bugs: tuple[str, ...] = (), *, delay_bound_s: float = 1.0, **_: Any) -> System:
        """The nodes of a test."""
        return System(cast, delay_bound_s, AnyChain if "any_chain" in bugs else Node)


STREAMLET = Streamlet()
