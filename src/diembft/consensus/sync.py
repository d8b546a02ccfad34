"""Sync: what is fetched, from whom, and which part of an answer may be used."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from msgspec import Struct

from diembft.consensus.block_tree import BlockTree
from diembft.messages.types import QC, Block


class Fetch(Struct, frozen=True, array_like=True, gc=False, cache_hash=True):
    """A request for missing blocks under way: whom it may be put to, and whose turn it is."""

    peers: tuple[int, ...]
    turn: int

    @property
    def peer(self) -> int:
        """Who is asked now."""
        return self.peers[self.turn]

    def next_peer(self) -> Fetch:
        """Move on to the next peer, round and round."""
        return Fetch(self.peers, (self.turn + 1) % len(self.peers))


class Chain(NamedTuple):
    """The part of an answer that may be used: blocks to execute, and the QC that certifies the last of them."""

    blocks: list[Block]
    certificate: QC | None
    """None if a certificate that is held certifies the last block."""


def chain_from(blocks: Sequence[Block], tree: BlockTree, certified: Sequence[bytes]) -> Chain:
    """The blocks of an answer that form a chain on a held block and are certified.

    Blocks that are held or committed are skipped. A block is certified by the QC inside its successor; the last one
    either
    by a certificate that is held (`certified` are the ids of their blocks), or else it only serves to certify the one
    before
    it. No blocks if there is nothing to use.
    """
    start = 0
    while start < len(blocks) and (blocks[start].id in tree.nodes or blocks[start].id in tree.committed):
        start += 1
    if start == len(blocks) or blocks[start].qc.vote_info.id not in tree.nodes:
        return Chain([], None)
    chain = [blocks[start]]
    for block in blocks[start + 1 :]:
        if block.qc.vote_info.id != chain[-1].id:
            break
        chain.append(block)
    if chain[-1].id in certified:
        return Chain(chain, None)
    last = chain.pop()
    return Chain(chain, last.qc)


def within_bytes(blocks: Sequence[Block], limit: int) -> list[Block]:
    """The first blocks whose operations stay within so many bytes, but at least two if there are two.

    Two, because the last block of an answer may serve only to certify the one before it.
    """
    taken: list[Block] = []
    space = limit
    for block in blocks:
        space -= sum(len(request.operation) for request in block.payload)
        if space < 0 and len(taken) >= 2:
            break
        taken.append(block)
    return taken
