"""What oracles read: an execution's record sorted by what was signed, certified and committed.

A protocol's `Reading` tells what is in its messages; oracles know votes, timeouts, certificates, blocks and commits.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, NamedTuple

from diembft.protocols.by_name import default_protocol
from diembft.protocols.interface import Link, Reading
from diembft.twins.runs.record import BlockCommitted, Ending, RunRecord


class SentVote(NamedTuple):
    """A vote as it was sent. Equal votes of one node are one."""

    order: int
    """Its place among all that was sent."""
    node: int
    round: int
    block: bytes
    parent: bytes
    parent_round: int
    content: Hashable
    """What the signature covers."""
    message: Any


class SentTimeout(NamedTuple):
    """A timeout as it was sent. Repetitions of one are one."""

    order: int
    node: int
    round: int
    high_round: int
    """The round of the highest QC that its sender said it knew."""
    message: Any


class Facts(NamedTuple):
    """What one execution sent and committed, sorted. Nodes are numbers; lists are in order of time."""

    votes: list[SentVote]
    timeouts: list[SentTimeout]
    qcs: dict[Any, int]
    """All quorum certificates that were sent, or by which a commit was learnt of, with the first node that did."""
    tcs: dict[Any, int]
    """All certificates that a round was given up, in the same way."""
    blocks: dict[bytes, Link]
    """All blocks that were proposed, sent or committed."""
    commits: dict[int, list[BlockCommitted]]
    """By node."""
    first_entries: dict[tuple[int, int], int]
    """(node, round): the tick at which the node entered that round first."""
    highest_entry: tuple[int, int]
    """The highest round that was entered, and the node that did so first."""
    restarts: dict[int, list[int]]
    """By node: for each restart, how much had been sent by all until then."""
    ending: Ending
    end: int
    reading: Reading
    """Says what is in blocks and certificates."""


def facts_of(record: RunRecord, reading: Reading | None = None) -> Facts:
    """Sort a record, by the reading of the protocol that it is of."""
    reading = reading or default_protocol().reading
    told_by, link_of = reading.told, reading.link
    votes: list[SentVote] = []
    timeouts: list[SentTimeout] = []
    qcs: dict[Any, int] = {}
    tcs: dict[Any, int] = {}
    blocks: dict[bytes, Link] = {}
    seen: set[tuple[int, Any]] = set()
    for order, (_, node, message) in enumerate(record.sent):
        if (node, message) in seen:
            continue
        seen.add((node, message))
        told = told_by(message)
        if (vote := told.vote) is not None:
            assert vote.block is not None, "because replicas under test vote for blocks"
            votes.append(
                SentVote(order, node, vote.round, vote.block, vote.parent, vote.parent_round, vote.content, message)
            )
        if (timeout := told.timeout) is not None:
            timeouts.append(SentTimeout(order, node, timeout.round, timeout.high_round, message))
        for block in told.blocks:
            link = blocks[block.id] = link_of(block)
            if link.certificate is not None and link.certificate not in qcs:
                qcs[link.certificate] = node
        for qc in told.qcs:
            if qc not in qcs:
                qcs[qc] = node
        for tc in told.tcs:
            if tc not in tcs:
                tcs[tc] = node
    commits: dict[int, list[BlockCommitted]] = {}
    for committed in record.committed:
        commits.setdefault(committed.node, []).append(committed)
        block = committed.block
        if block.id not in blocks:
            link = blocks[block.id] = link_of(block)
            if link.certificate is not None and link.certificate not in qcs:
                qcs[link.certificate] = committed.node
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
        votes, timeouts, qcs, tcs, blocks, commits, first_entries, highest, restarts, record.ending, record.end, reading
    )
