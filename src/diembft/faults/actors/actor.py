"""What all actors share."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import ClassVar, TypeAlias

from diembft.consensus.block_tree import BlockTree
from diembft.consensus.effects import Effect
from diembft.consensus.events import Event
from diembft.consensus.pacemaker import Pacemaker
from diembft.consensus.replica import Replica
from diembft.consensus.safety import Safety
from diembft.messages.digests import Digests
from diembft.messages.types import Block, Payload


class Actor:
    """Stands where a driver expects a Replica. This one plays by the rules; a subclass overrides `step`.

    `seed` fixes all that is left to chance.
    """

    sentence: ClassVar[str] = "Plays by the rules."
    """What it does."""

    def __init__(self, replica: Replica, seed: int) -> None:
        self.replica = replica
        self.random = Random(seed)
        self.digests = Digests(replica.config.chain_id, replica.config.epoch)
        self.peers = tuple([peer for peer in range(replica.config.n) if peer != replica.me])

    def step(self, event: Event) -> list[Effect]:
        """Handle one event; the effects to carry out, in their order."""
        return self.replica.step(event)

    @property
    def me(self) -> int:
        """The validator whose key it holds."""
        return self.replica.me

    @property
    def current_round(self) -> int:
        """The round that the replica is in."""
        return self.replica.current_round

    def leader(self, round_: int) -> int:
        """Who leads a round, as far as the replica knows."""
        return self.replica.leader(round_)

    @property
    def tree(self) -> BlockTree:
        """The replica's."""
        return self.replica.tree

    @property
    def safety(self) -> Safety:
        """The replica's."""
        return self.replica.safety

    @property
    def pacemaker(self) -> Pacemaker:
        """The replica's."""
        return self.replica.pacemaker

    def unlocked(self) -> Replica:
        """A copy that remembers of nothing that it signed: its signatures may contradict the replica's."""
        copy = self.replica.fork()
        copy.safety.highest_vote_round = 0
        copy.safety.highest_qc_round = 0
        return copy

    def block(self, round_: int, payload: Payload, parent: Replica) -> Block:
        """A block of its own on the high QC of some replica that holds its block."""
        qc = parent.tree.high_qc
        time_ms = parent.tree.nodes[qc.vote_info.id].block.time_ms
        block_id = self.digests.block(self.me, round_, time_ms, payload, qc)
        return Block(self.me, round_, time_ms, payload, qc, block_id)


MakeActor: TypeAlias = Callable[[Replica, int], Actor]
"""Makes an actor of a replica and a seed."""
