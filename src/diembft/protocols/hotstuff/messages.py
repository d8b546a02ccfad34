"""Blocks, certificates and messages of chained HotStuff.

A certificate holds its block, and a block the certificate of its parent, so that whatever is sent brings its whole
chain and nothing has to be fetched. Signatures are left out: a certificate names its signers, whom no twin forges.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TypeAlias

from msgspec import Struct


class Block(Struct, frozen=True, eq=False, weakref=True):
    """A proposed block; its `id` is a digest of all else, and what it is compared by."""

    id: bytes
    author: int
    round: int
    marker: str
    """What it carries: the name of the node that proposed it; with the round it names one request."""
    justify: QC | None
    """Certifies its parent; None in genesis."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Block) and self.id == other.id

    def __hash__(self) -> int:
        return hash(self.id)

    @property
    def parent(self) -> Block:
        """The block that it extends. Genesis has none."""
        assert self.justify is not None, "because nobody asks for the parent of genesis"
        return self.justify.block


class QC(Struct, frozen=True, cache_hash=True):
    """A quorum voted for a block."""

    round: int
    block: Block
    signers: tuple[int, ...]


class TC(Struct, frozen=True, cache_hash=True):
    """A quorum gave a round up. `high_round` is that of the highest certificate that its signers knew."""

    round: int
    high_round: int
    signers: tuple[int, ...]


class Proposal(Struct, frozen=True, cache_hash=True):
    """A leader's block; `tc` ends the round before it, where no certificate of a block does."""

    block: Block
    tc: TC | None


class Vote(Struct, frozen=True, cache_hash=True):
    """A vote, for the leader of the next round."""

    block: Block
    voter: int


class Timeout(Struct, frozen=True, cache_hash=True):
    """A replica gives a round up: HotStuff's new-view message, to all. `tc` is as in a proposal."""

    round: int
    high_qc: QC
    tc: TC | None
    voter: int
    again: bool
    """It has said so before: it hears nothing that leads on."""


class News(Struct, frozen=True, cache_hash=True):
    """Answers a repeated timeout of a round that its receiver has left: what leads on from there."""

    round: int
    high_qc: QC
    tc: TC | None


Message: TypeAlias = Proposal | Vote | Timeout | News


def block_of(author: int, round_: int, marker: str, justify: QC) -> Block:
    """A new block on the block that `justify` certifies."""
    told = f"{author} {round_} {marker} ".encode() + justify.block.id
    return Block(blake2b(told, digest_size=32).digest(), author, round_, marker, justify)


GENESIS = Block(bytes(32), 0, 0, "", None)
GENESIS_QC = QC(0, GENESIS, ())
