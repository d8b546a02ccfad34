"""Chained HotStuff for exhaustion: what of a node can still matter between two rounds.

A node is what it votes, locks, extends and passes on by: its highest certificate, its lock, and the proposal that it
has made for the round to come. Dead are who signed a certificate, and the TC by which a node entered its round: there
is one if its highest certificate is not of the round before, and whoever passes it on knows a certificate as high as
those that signed it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, assert_never

from typing_extensions import override

from diembft.protocols.cast import Cast
from diembft.protocols.chain_keys import ChainKeys, NodeView, Rule
from diembft.protocols.hotstuff.messages import QC, TC, Block, Message, News, Proposal, Timeout, Vote
from diembft.protocols.hotstuff.replica import Replica
from diembft.protocols.interface import NOBODY, Exploring, System
from diembft.protocols.states import NodeState

NO_ROUND = -1
"""As the rounds that a TC tells: there is no TC."""


class ChainedExploring(Exploring):
    """Explores a variant of chained HotStuff. `make` makes the nodes of a cast."""

    def __init__(self, make: Callable[[Cast, tuple[str, ...]], System], chain: int) -> None:
        self._make = make
        self._chain = chain

    @override
    def system(self, cast: Cast, bugs: tuple[str, ...]) -> System:
        return self._make(cast, bugs)

    @override
    def keys(self, system: System, bugs: tuple[str, ...], *, crashes: bool) -> ChainKeys:
        return ChainKeys(system.cast, Rule(self._chain), view_of, parent_of)

    @override
    def order(self, message: Message, proposers: Mapping[bytes, int]) -> tuple[int, ...]:
        match message:
            case Proposal(block=block):
                return (0, block.round)
            case Vote(block=block):
                return (1, block.round, proposers.get(block.id, NOBODY))
            case Timeout(round=round_, high_qc=high_qc, tc=tc):
                return (2, round_, -high_qc.round, *_tc(tc))
            case News(round=round_, high_qc=high_qc, tc=tc):
                return (3, round_, -high_qc.round, *_tc(tc))
            case _:
                assert_never(message)

    @override
    def root(self, replica: Replica) -> Block:
        return replica.root

    @override
    def has_committed(self, replica: Replica, block: bytes) -> bool:
        committed = replica.root
        while committed.round and committed.id != block:
            committed = committed.parent
        return committed.id == block

    @override
    def certificates(self, replica: Replica) -> tuple[QC | TC, ...]:
        return (replica.high_qc,) if replica.tc is None else (replica.high_qc, replica.tc)


def _tc(tc: TC | None) -> tuple[int, int]:
    return (NO_ROUND, NO_ROUND) if tc is None else (tc.round, tc.high_round)


def parent_of(block: Block) -> Block:
    """The parent of a block."""
    return block.parent


def view_of(state: NodeState) -> NodeView:
    """What of a node can still matter."""
    replica: Replica = state.replica
    round_ = replica.current_round
    kept: list[tuple[Any, ...]] = []
    extended: list[Block] = []
    waits = False
    for to, message in state.kept:
        match message:
            case Proposal(block=block):
                kept.append(("proposal", block.round))
                extended.append(block.parent)
            case Vote(block=block) if to == NOBODY and block.marker == replica.marker:
                kept.append(("vote", block.round))
                extended.append(block.parent)
            case _:
                waits = True
    return NodeView(
        round_,
        replica.root,
        replica.high_qc.block,
        replica.locked if replica.locks else None,
        (replica.voted >= round_, replica.gave_up >= round_),
        tuple(kept),
        tuple(extended),
        waits,
    )
