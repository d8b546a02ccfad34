"""Answers of sync begin one block too early, and the receiver commits that block again."""

from __future__ import annotations

from msgspec import structs
from typing_extensions import override

from diembft.consensus.effects import Commit
from diembft.consensus.replica import Replica
from diembft.messages.types import BlockRequest, BlockResponse


class LongCommitChain(Replica):
    """Off by one, on both sides of sync."""

    @override
    def _block_request(self, message: BlockRequest, peer: int) -> None:
        block = self.tree.committed.get(message.known)
        if block is not None and self.tree.committed_after(block.qc.vote_info.id) is not None:
            message = structs.replace(message, known=block.qc.vote_info.id)
        super()._block_request(message, peer)

    @override
    def _block_response(self, message: BlockResponse) -> bool:
        root, height = self.tree.root, self.tree.height
        changed = super()._block_response(message)
        if self.tree.height > height and message.blocks[0].id == root.block.id:
            first = next(index for index, effect in enumerate(self._out) if isinstance(effect, Commit))
            again = Commit(height, root.block, message.blocks[0].qc, root.state_id, root.results)
            self._out.insert(first, again)
        return changed
