"""Recovery: a replica built again from what was durable (docs/protocol.md, "Durability").

What a storage hands back is not taken at its word. Everything that one step makes durable is one write, so the parts
fit together unless the storage is damaged, or keeps less than it promised; then the replica must not run. With a ledger
that is not the one of its last commit it would vote for a wrong state for ever and execute requests a second time.
"""

from __future__ import annotations

from msgspec import Struct

from diembft.consensus.block_tree import BlockTree
from diembft.consensus.effects import Checkpoint, SafetyRecord
from diembft.consensus.pacemaker import Pacemaker
from diembft.consensus.safety import Safety
from diembft.messages.types import QC, Block, VoteMsg


class Recovered(Struct, frozen=True):
    """What a crashed replica finds in its storage."""

    record: SafetyRecord | None
    """The record of the last Persist, if there was one."""
    committed: tuple[Block, ...]
    """The last `Config.kept_commits` committed blocks, oldest first."""
    checkpoint: Checkpoint | None
    """Of the last Persist that committed something."""
    pending: tuple[Block, ...]
    """Durable blocks that were not committed, parents before children."""


class Unrecoverable(Exception):
    """What the storage handed back contradicts itself: the replica must not run. Says what contradicts what."""


def restore(recovered: Recovered, tree: BlockTree, safety: Safety, pacemaker: Pacemaker) -> None:
    """Bring the parts of a new replica to where they were. Raises Unrecoverable."""
    record = recovered.record
    if recovered.committed or recovered.checkpoint is not None:
        _restore_committed(recovered, tree)
    for block in recovered.pending:
        if block.qc.vote_info.id in tree.nodes:
            tree.insert(tree.execute(block))
    if record is None:
        return
    safety.highest_vote_round = record.highest_vote_round
    safety.highest_qc_round = record.highest_qc_round
    if isinstance(record.last_sent, VoteMsg):
        safety.voted_id = record.last_sent.vote_info.id
    tree.process_qc(record.high_qc)
    tree.process_qc(record.high_commit_qc)
    pacemaker.advance_round_qc(record.high_qc)
    if record.last_round_tc is not None:
        pacemaker.advance_round_tc(record.last_round_tc)
    pacemaker.resume_at(record.highest_vote_round)


def _restore_committed(recovered: Recovered, tree: BlockTree) -> None:
    checkpoint, committed, record = recovered.checkpoint, recovered.committed, recovered.record
    if checkpoint is None:
        raise Unrecoverable(f"there are {len(committed)} committed blocks, and no ledger that they led to")
    if record is None:
        raise Unrecoverable(f"there are {len(committed)} committed blocks, and no record of what was signed")
    if not 0 < len(committed) <= checkpoint.height:
        raise Unrecoverable(f"the ledger is of height {checkpoint.height}, beside {len(committed)} committed blocks")
    last = committed[-1]
    by_certificate = tree.committed_by(checkpoint.certificate)
    if by_certificate is None or by_certificate[0] != last.id:
        raise Unrecoverable(
            f"the last committed block is of round {last.round}, and the ledger's certificate commits another one"
        )
    known, needed = record.high_qc.vote_info.round, checkpoint.certificate.vote_info.round
    if known < needed:
        raise Unrecoverable(
            f"the record knows of certificates up to round {known}, and the last commit is by the certificate of round "
            f"{needed}"
        )
    pending = [block.qc for block in recovered.pending]
    for qc in (checkpoint.certificate, record.high_qc, record.high_commit_qc, *pending):
        certified = _certified_state(qc, last.id)
        if certified is not None and certified != checkpoint.state_id:
            raise Unrecoverable(
                f"the state after the last committed block, of round {last.round}, is "
                f"{checkpoint.state_id.hex()[:12]} here, and {certified.hex()[:12]} by the certificate of round "
                f"{qc.vote_info.round}"
            )
    tree.restore(committed, checkpoint.height, checkpoint.state_id, checkpoint.ledger)


def _certified_state(qc: QC, block_id: bytes) -> bytes | None:
    """The state after a block, as far as a quorum certified it here.

    A certificate names up to two states: that after the block which it certifies, and that after this block's parent,
    which it commits.
    """
    if qc.vote_info.id == block_id:
        return qc.vote_info.exec_state_id
    return qc.ledger_commit_info.commit_state_id if qc.vote_info.parent_id == block_id else None
