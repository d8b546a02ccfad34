"""States of DiemBFT written down, so that scenarios that come to equal ones share what follows.

Dropped is what cannot matter any more: signatures, who signed what all nodes have, what all nodes have committed, what
was sent to be durable.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from typing_extensions import override

from diembft.consensus.replica import Replica
from diembft.messages.types import (
    QC,
    TC,
    BlockRequest,
    BlockResponse,
    Message,
    ProposalMsg,
    SyncInfo,
    TimeoutMsg,
    VoteMsg,
)
from diembft.protocols.merging import Keeper, Numbering, Sharing


class DiemBftSharing(Sharing):
    """Shares what scenarios of DiemBFT have in common."""

    @override
    def root(self, replica: Replica) -> tuple[bytes, int]:
        block = replica.tree.root.block
        return block.id, block.round

    @override
    def keeper(self, replicas: Sequence[Replica], blocks: Numbering) -> DiemBftKeeper:
        return DiemBftKeeper(replicas, blocks)

    @override
    def pointless(self, replica: Replica, message: Message) -> bool:
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


class DiemBftKeeper(Keeper):
    """Writes the nodes and messages of one global state of DiemBFT down."""

    def __init__(self, replicas: Sequence[Replica], blocks: Numbering) -> None:
        self.blocks = blocks
        self.number = blocks.number
        self.named = blocks.named
        self.base_round = blocks.base_round
        self.in_all_nodes = frozenset.intersection(
            *[frozenset(replica.tree.nodes) | frozenset(replica.tree.committed) for replica in replicas]
        )

    @override
    def node(self, replica: Replica) -> Any:
        tree, safety, pacemaker = replica.tree, replica.safety, replica.pacemaker
        round_ = pacemaker.current_round
        fetch = replica.sync.fetch
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
        )

    @override
    def message(self, message: Message) -> Any:
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

    @override
    def holdings(self, replica: Replica) -> Any:
        tree, numbers = replica.tree, self.blocks.known()
        committed = [numbers[block] for block in tree.committed if block in numbers]
        return committed, sorted([numbers[block] for block in tree.nodes if block in numbers])

    def qc(self, qc: QC) -> Any:
        """A QC: its block, and whom to ask for it if not all have it."""
        info = qc.vote_info
        number = self.number(info.id, info.round)
        if number <= 0 or info.id in self.in_all_nodes:
            return number
        return (number, [signer for signer, _ in qc.signatures])

    def tc(self, tc: TC | None) -> Any:
        """A TC: its round and what a block after it must extend."""
        return None if tc is None else (tc.round, max(self.base_round, *tc.tmo_high_qc_rounds), self.qc(tc.high_qc))

    def bucket(self, votes: dict[int, VoteMsg]) -> Any:
        """Votes for one block: which, and whose."""
        first = next(iter(votes.values())).vote_info
        return (self.number(first.id, first.round), sorted(votes))


def _no_news(replica: Replica, qc: QC, high_commit_qc: QC, tc: TC | None) -> bool:
    tree = replica.tree
    if qc.round > tree.high_qc.round or high_commit_qc.round > tree.high_commit_qc.round:
        return False
    return tc is None or (tc.round < replica.current_round and tc.high_qc.round <= tree.high_qc.round)
