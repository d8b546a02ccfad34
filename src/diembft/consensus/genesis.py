"""The genesis block and QC: known to all, signed by nobody."""

from __future__ import annotations

from msgspec import Struct

from diembft.messages.digests import DIGEST_SIZE, Digests
from diembft.messages.types import QC, Block, LedgerCommitInfo, VoteInfo


class Genesis(Struct, frozen=True):
    """Where every chain begins."""

    block: Block
    qc: QC
    state_id: bytes


def genesis(digests: Digests) -> Genesis:
    """The genesis of one chain and epoch: a block of round 0 whose QC certifies itself and needs no signatures."""
    block_id = digests.genesis
    state_id = digests.state(bytes(DIGEST_SIZE), block_id, b"")
    vote_info = VoteInfo(block_id, 0, block_id, 0, state_id)
    qc = QC(vote_info, LedgerCommitInfo(state_id, digests.vote_info(vote_info)), (), 0, b"")
    return Genesis(Block(0, 0, 0, (), qc, block_id), qc, state_id)
