"""Blocks for tests: chains whose certificates nobody signed, which storage and network do not look at."""

from __future__ import annotations

from typing import Any

from diembft.consensus.effects import Checkpoint, Persist, SafetyRecord
from diembft.consensus.genesis import genesis
from diembft.messages.digests import DIGEST_SIZE, Digests
from diembft.messages.types import QC, Block, VoteInfo
from tests.making import request_by

DIGESTS = Digests("diembft", 0)
GENESIS = genesis(DIGESTS)


def child(parent: Block, round_: int, *, author: int = 0, operations: tuple[bytes, ...] = ()) -> Block:
    """A block on another, with one request for each of the operations."""
    if parent.id == GENESIS.block.id:
        qc = GENESIS.qc
    else:
        grand = parent.qc.vote_info
        info = VoteInfo(parent.id, parent.round, grand.id, grand.round, bytes(DIGEST_SIZE))
        qc = QC(info, GENESIS.qc.ledger_commit_info, (), 0, b"")
    payload = tuple([request_by("client0", number, operation) for number, operation in enumerate(operations)])
    return Block(author, round_, 0, payload, qc, DIGESTS.block(author, round_, 0, payload, qc))


def chain(length: int, operation: bytes = b"") -> list[Block]:
    """Blocks of rounds 1 to `length`, each on the one before; with an operation, each has a request."""
    blocks = [GENESIS.block]
    for round_ in range(1, length + 1):
        blocks.append(child(blocks[-1], round_, operations=(operation,) if operation else ()))
    return blocks[1:]


def persist(
    blocks: list[Block], committed: list[Block], vote_round: int = 1, height: int = 0, ledger: Any = None
) -> Persist:
    """A Persist of new blocks and commits."""
    record = SafetyRecord(vote_round, 0, None, GENESIS.qc, GENESIS.qc, None)
    checkpoint = Checkpoint(GENESIS.qc, height or len(committed), b"state", ledger) if committed else None
    return Persist(record, tuple(blocks), tuple([block.id for block in committed]), checkpoint)
