"""A storage in memory: what survives a crash of a replica that some driver runs, and nothing else."""

from __future__ import annotations

from diembft.consensus.effects import Checkpoint, Persist, SafetyRecord
from diembft.consensus.recovery import Recovered
from diembft.messages.sizes import operations_bytes
from diembft.messages.types import Block


class Storage:
    """The disk of one replica.

    All committed blocks are kept, for peers that are far behind; of the pending ones only those that a replica may
    still need: those that descend from the last committed block.
    """

    __slots__ = ("_checkpoint", "_committed", "_heights", "_indexed", "_pending", "_record")

    def __init__(self) -> None:
        self._record: SafetyRecord | None = None
        self._pending: dict[bytes, Block] = {}
        self._committed: list[Block] = []
        self._heights: dict[bytes, int] = {}
        """Of the committed blocks that were there when somebody last asked."""
        self._indexed = 0
        self._checkpoint: Checkpoint | None = None

    @property
    def height(self) -> int:
        """How many blocks are committed."""
        return len(self._committed)

    def persist(self, effect: Persist) -> None:
        """Make durable what the effect says: all of it, or nothing."""
        self._record = effect.record
        self._checkpoint = effect.checkpoint or self._checkpoint
        pending = self._pending
        for block in effect.blocks:
            pending[block.id] = block
        if effect.committed:
            committed = self._committed
            for block_id in effect.committed:
                new = pending.pop(block_id, None)
                # A replica with a planted bug may commit a block again.
                committed.append(self._committed_block(block_id) if new is None else new)
            if pending:
                self._forget_forks(effect.committed[-1])

    def recover(self, kept_commits: int) -> Recovered | None:
        """What a restarted replica finds; None if nothing was ever written. `kept_commits` as in Config."""
        if self._record is None:
            return None
        return Recovered(
            record=self._record,
            committed=tuple(self._committed[-kept_commits:]),
            checkpoint=self._checkpoint,
            pending=tuple(self._pending.values()),
        )

    def read(self, after: bytes, count: int, max_bytes: int, genesis_id: bytes) -> tuple[Block, ...]:
        """The answer to ReadBlocks: up to `count` committed blocks that follow `after`, oldest first.

        Together at most `max_bytes` of operations, but at least one block if there is one. Empty if `after` is no
        committed block.
        """
        heights, indexed = self._heights, self._indexed
        for above, block in enumerate(self._committed[indexed:], 1):
            heights[block.id] = indexed + above
        self._indexed = len(self._committed)
        height = 0 if after == genesis_id else heights.get(after)
        if height is None:
            return ()
        found: list[Block] = []
        left = max_bytes
        for block in self._committed[height : height + count]:
            left -= sum(map(operations_bytes, block.payload))
            if found and left < 0:
                break
            found.append(block)
        return tuple(found)

    def _committed_block(self, block_id: bytes) -> Block:
        return next(block for block in reversed(self._committed) if block.id == block_id)

    def _forget_forks(self, last_committed: bytes) -> None:
        """Forget pending blocks that do not descend from the last committed one. Parents come before children."""
        kept: dict[bytes, Block] = {}
        for block_id, block in self._pending.items():
            parent = block.qc.vote_info.id
            if parent == last_committed or parent in kept:
                kept[block_id] = block
        self._pending = kept
