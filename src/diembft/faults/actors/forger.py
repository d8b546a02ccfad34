"""An actor that makes certificates up: without signatures, or with garbage in the names of others."""

from __future__ import annotations

from typing import ClassVar

from typing_extensions import override

from diembft.consensus.block_tree import Node
from diembft.consensus.effects import Effect, Send
from diembft.consensus.events import Event, Received
from diembft.consensus.replica import Replica
from diembft.faults.actors.actor import Actor
from diembft.messages.types import (
    QC,
    TC,
    Block,
    BlockRequest,
    LedgerCommitInfo,
    Signatures,
    SyncInfo,
    VoteInfo,
)

ODDS = 0.5
"""How often it forges when it enters a round."""

GARBAGE_SIZE = 35

MAX_LIES = 16
"""How many of its inventions it remembers, to answer questions about them."""


class Forger(Actor):
    """Tells two validators of two different chains that nobody voted for, and gives them the blocks if they ask."""

    sentence: ClassVar[str] = "Makes up certificates, and tells different validators of different chains."

    def __init__(self, replica: Replica, seed: int) -> None:
        super().__init__(replica, seed)
        self._round = 0
        self._lies: dict[bytes, Replica] = {}
        """By the id of the last block of an invented chain: a copy of the replica that holds it."""

    @override
    def step(self, event: Event) -> list[Effect]:
        """And inventions."""
        if isinstance(event, Received) and isinstance(event.message, BlockRequest):
            deluded = self._lies.get(event.message.id)
            if deluded is not None:
                return deluded.fork().step(event)
        effects = self.replica.step(event)
        if self.current_round > self._round:
            self._round = self.current_round
            if self.random.random() < ODDS and len(self.peers) >= 2:
                for distance, victim in enumerate(self.random.sample(self.peers, 2)):
                    effects += self._delude(victim, self.current_round + distance)
        return effects

    def _delude(self, victim: int, round_: int) -> list[Effect]:
        """Invent two certified blocks on the high QC, the second of which commits the first."""
        deluded = self.replica.fork()
        if deluded.tree.high_qc.vote_info.id not in deluded.tree.nodes or round_ <= deluded.tree.high_qc.round:
            return []
        for forged_round in (round_, round_ + 1):
            block = self.block(forged_round, (), deluded)
            node = deluded.tree.execute(block)
            deluded.tree.insert(node)
            deluded.tree.process_qc(self._forged_qc(block, node, deluded))
        qc = deluded.tree.high_qc
        if len(self._lies) >= MAX_LIES:
            del self._lies[next(iter(self._lies))]
        self._lies[qc.vote_info.id] = deluded
        tc = self._forged_tc(round_ + 2, qc) if self.random.random() < ODDS else None
        return [Send(victim, SyncInfo(round_ + 2, qc, qc, tc))]

    def _forged_qc(self, block: Block, node: Node, deluded: Replica) -> QC:
        parent = block.qc.vote_info
        info = VoteInfo(block.id, block.round, parent.id, parent.round, node.state_id)
        commits = self.safety.commit_state_id_candidate(block.round, block.qc, deluded.tree.nodes[parent.id].state_id)
        return QC(
            info,
            LedgerCommitInfo(commits, self.digests.vote_info(info)),
            self._signatures(),
            self.me,
            self.random.randbytes(GARBAGE_SIZE),
        )

    def _forged_tc(self, round_: int, qc: QC) -> TC:
        signatures = self._signatures()
        return TC(round_, (qc.vote_info.round,) * len(signatures), signatures, qc)

    def _signatures(self) -> Signatures:
        """Garbage in the names of a quorum."""
        signers = sorted(self.random.sample(range(self.replica.config.n), self.replica.config.quorum))
        return tuple([(signer, self.random.randbytes(GARBAGE_SIZE)) for signer in signers])
