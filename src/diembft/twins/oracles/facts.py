"""What oracles read: an execution's record sorted by what was signed, certified and committed.

The one place that knows the messages of the protocol; oracles know votes, timeouts, certificates, blocks and commits.
"""

from __future__ import annotations

from typing import NamedTuple

from diembft.messages.types import (
    QC,
    TC,
    Block,
    BlockResponse,
    LedgerCommitInfo,
    ProposalMsg,
    SyncInfo,
    TimeoutMsg,
    VoteMsg,
)
from diembft.twins.record import Committed, Ending, Record


class Vote(NamedTuple):
    """A vote as it was sent. Equal votes of one node are one."""

    order: int
    """Its place among all that was sent."""
    node: int
    round: int
    block: bytes
    parent: bytes
    parent_round: int
    content: LedgerCommitInfo
    """What the signature covers."""
    message: VoteMsg


class Timeout(NamedTuple):
    """A timeout as it was sent. Repetitions of one are one."""

    order: int
    node: int
    round: int
    high_round: int
    """The round of the highest QC that its sender said it knew."""
    message: TimeoutMsg


class Link(NamedTuple):
    """A block as a link of a chain."""

    parent: bytes
    round: int
    author: int


class Facts(NamedTuple):
    """See the module. Nodes are numbers; lists are in order of time."""

    votes: list[Vote]
    timeouts: list[Timeout]
    qcs: dict[QC, int]
    """All quorum certificates that were sent, or by which a commit was learnt of, with the first node that did."""
    tcs: dict[TC, int]
    blocks: dict[bytes, Link]
    """All blocks that were proposed, sent or committed."""
    commits: dict[int, list[Committed]]
    """By node."""
    first_entries: dict[tuple[int, int], int]
    """(node, round): the tick at which the node entered that round first."""
    highest_entry: tuple[int, int]
    """The highest round that was entered, and the node that did so first."""
    restarts: dict[int, list[int]]
    """By node: for each restart, how much had been sent by all until then."""
    ending: Ending
    end: int


def facts_of(record: Record) -> Facts:
    """Sort a record."""
    votes: list[Vote] = []
    timeouts: list[Timeout] = []
    qcs: dict[QC, int] = {}
    tcs: dict[TC, int] = {}
    blocks: dict[bytes, Link] = {}
    seen: set[tuple[int, VoteMsg | TimeoutMsg]] = set()
    for order, (_, node, message) in enumerate(record.sent):
        qc: QC
        tc: TC | None
        if isinstance(message, VoteMsg):
            if (node, message) in seen:
                continue
            seen.add((node, message))
            about = message.vote_info
            votes.append(
                Vote(
                    order,
                    node,
                    about.round,
                    about.id,
                    about.parent_id,
                    about.parent_round,
                    message.ledger_commit_info,
                    message,
                )
            )
            if message.high_commit_qc not in qcs:
                qcs[message.high_commit_qc] = node
            continue
        if isinstance(message, TimeoutMsg):
            if (node, message) in seen:
                continue
            seen.add((node, message))
            qc, tc = message.tmo_info.high_qc, message.last_round_tc
            timeouts.append(Timeout(order, node, message.tmo_info.round, qc.vote_info.round, message))
        elif isinstance(message, ProposalMsg):
            block = message.block
            qc, tc = block.qc, message.last_round_tc
            blocks[block.id] = Link(qc.vote_info.id, block.round, block.author)
        elif isinstance(message, SyncInfo):
            qc, tc = message.high_qc, message.last_round_tc
        elif isinstance(message, BlockResponse):
            for block in message.blocks:
                _add_block(block, node, blocks, qcs)
            continue
        else:
            continue
        if qc not in qcs:
            qcs[qc] = node
        if message.high_commit_qc not in qcs:
            qcs[message.high_commit_qc] = node
        if tc is not None and tc not in tcs:
            tcs[tc] = node
            if tc.high_qc not in qcs:
                qcs[tc.high_qc] = node
    commits: dict[int, list[Committed]] = {}
    for committed in record.committed:
        commits.setdefault(committed.node, []).append(committed)
        block = committed.block
        if block.id not in blocks:
            _add_block(block, committed.node, blocks, qcs)
        if committed.certificate not in qcs:
            qcs[committed.certificate] = committed.node
    first_entries: dict[tuple[int, int], int] = {}
    highest = (0, 0)
    for tick, node, round_ in record.entered:
        first_entries.setdefault((node, round_), tick)
        if round_ > highest[0]:
            highest = (round_, node)
    restarts: dict[int, list[int]] = {}
    for restarted in record.restarted:
        restarts.setdefault(restarted.node, []).append(restarted.sent)
    return Facts(
        votes, timeouts, qcs, tcs, blocks, commits, first_entries, highest, restarts, record.ending, record.end
    )


def _add_block(block: Block, node: int, blocks: dict[bytes, Link], qcs: dict[QC, int]) -> None:
    blocks[block.id] = Link(block.qc.vote_info.id, block.round, block.author)
    if block.qc not in qcs:
        qcs[block.qc] = node
