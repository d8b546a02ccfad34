"""A block is committed as soon as it is certified, without a certified successor."""

from __future__ import annotations

from typing_extensions import override

from diembft.consensus.block_tree import BlockTree
from diembft.consensus.replica import Replica
from diembft.messages.types import QC


class CommitsTheCertified(BlockTree):
    """A QC commits the block that it certifies."""

    __slots__ = ()

    @override
    def committed_by(self, qc: QC) -> tuple[bytes, int] | None:
        """The block itself, not its parent."""
        return qc.vote_info.id, qc.vote_info.round


class DeliversTheCertified(Replica):
    """Any QC counts, also one that is not of the round after its parent's."""

    def _deliver(self, qc: QC) -> None:
        super()._deliver(self.tree.high_qc)
