"""Sync: what is fetched, from whom, and which part of an answer may be used."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from msgspec import Struct

from diembft.consensus.block_tree import BlockTree
from diembft.messages.sizes import block_bytes
from diembft.messages.types import QC, Block


class Fetch(Struct, frozen=True, array_like=True, gc=False, cache_hash=True):
    """A request for missing blocks under way: whom it may be put to, whose turn it is, and what its answers brought."""

    peers: tuple[int, ...]
    turn: int = 0
    known: bytes | None = None
    """The last block that this peer's answers brought: it is asked for what follows; None: what follows the root."""
    known_round: int = -1

    @property
    def peer(self) -> int:
        """Who is asked now."""
        return self.peers[self.turn]

    def next_peer(self) -> Fetch:
        """Move on to the next peer, round and round, and begin again from the root: an answer may have led astray."""
        return Fetch(self.peers, (self.turn + 1) % len(self.peers))

    def beyond(self, block: Block) -> Fetch:
        """Ask the same peer for what follows this block."""
        return Fetch(self.peers, self.turn, block.id, block.round)


class Chain(NamedTuple):
    """The part of an answer that may be used."""

    held: Block | None
    """The last of the blocks at its beginning that are held or committed already; None if there are none."""
    connected: bool
    """Whether what follows these begins on a held block."""
    blocks: list[Block]
    """What is to be executed."""
    certificate: QC | None
    """Certifies the last of `blocks`; None if a certificate that is held does."""


def chain_from(blocks: Sequence[Block], tree: BlockTree, certified: Sequence[bytes]) -> Chain:
    """The blocks of an answer that form a chain on a held block and are certified.

    Blocks that are held or committed are skipped. A block is certified by the QC inside its successor; the last one
    either by a certificate that is held (`certified` are the ids of their blocks), or else it only serves to certify
    the one before it.
    """
    start = 0
    while start < len(blocks) and (blocks[start].id in tree.nodes or blocks[start].id in tree.committed):
        start += 1
    held = blocks[start - 1] if start else None
    if start == len(blocks):
        return Chain(held, True, [], None)
    if blocks[start].qc.vote_info.id not in tree.nodes:
        return Chain(held, False, [], None)
    chain = [blocks[start]]
    for block in blocks[start + 1 :]:
        if block.qc.vote_info.id != chain[-1].id:
            break
        chain.append(block)
    if chain[-1].id in certified:
        return Chain(held, True, chain, None)
    last = chain.pop()
    return Chain(held, True, chain, last.qc)


def within_bytes(blocks: Sequence[Block], limit: int) -> list[Block]:
    """The first blocks that stay within so many bytes on the wire, but at least two if there are two.

    Two, because the last block of an answer may serve only to certify the one before it.
    """
    taken: list[Block] = []
    space = limit
    for block in blocks:
        space -= block_bytes(block)
        if space < 0 and len(taken) >= 2:
            break
        taken.append(block)
    return taken
