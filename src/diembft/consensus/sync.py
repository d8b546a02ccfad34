"""Sync: which blocks are missing, the life of a fetch, answers to the fetches of others, and what of an answer may be
used.

A certificate takes effect at once, its block known or not. So a replica may hold a certificate whose block it lacks; it
fetches that block with its ancestors, one fetch at a time: first from the peer whose message told of it, then from the
signers of the certificate, then from all others, moving on each time that the fetch timer fires. What arrives is
verified back to a held block before any of it counts (`chain_from`).
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from typing import NamedTuple

from msgspec import Struct

from diembft.consensus.block_tree import BlockTree
from diembft.consensus.config import Config
from diembft.consensus.effects import CancelTimer, Effect, Ignored, ReadBlocks, Reason, Send, SetTimer
from diembft.consensus.events import Timer
from diembft.messages.sizes import block_bytes
from diembft.messages.types import QC, Block, BlockRequest, BlockResponse, ProposalMsg

BELOW_GENESIS = -1
"""A round below all rounds."""

FETCH_TIMER_DELTAS = 3
"""How long a peer may take to send blocks, in units of delta: there and back, and some."""


class Fetch(Struct, frozen=True, array_like=True, gc=False, cache_hash=True):
    """A request for missing blocks under way: whom it may be put to, whose turn it is, and what its answers brought."""

    peers: tuple[int, ...]
    turn: int = 0
    known: bytes | None = None
    """The last block that this peer's answers brought: it is asked for what follows; None: what follows the root."""
    known_round: int = BELOW_GENESIS

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


class Sync:
    """The fetch of one replica, if one is under way. What it returns are effects for the driver."""

    __slots__ = ("_config", "_me", "fetch")

    def __init__(self, config: Config, me: int) -> None:
        self._config = config
        self._me = me
        self.fetch: Fetch | None = None

    def fork(self) -> Sync:
        """An independent copy."""
        copy = object.__new__(type(self))
        copy._config = self._config
        copy._me = self._me
        copy.fetch = self.fetch
        return copy

    def state_key(self) -> Hashable:
        """The whole state, exact."""
        return self.fetch

    def start(self, qc: QC, first: int | None, tree: BlockTree, round_: int) -> Sequence[Effect]:
        """Fetch what this QC certifies, anew if a fetch is under way; `first` is asked first, if given."""
        signers = [signer for signer, _ in qc.signatures]
        peers = dict.fromkeys([*([] if first is None else [first]), *signers, *range(self._config.n)])
        peers.pop(self._me, None)
        if not peers:
            return ()
        return self._ask(Fetch(tuple(peers)), qc, tree, round_)

    def update(self, missing: QC | None, tree: BlockTree, round_: int) -> Sequence[Effect]:
        """At the end of a step: begin to fetch what is missing, or end the fetch when nothing is."""
        if missing is None:
            if self.fetch is None:
                return ()
            self.fetch = None
            return [CancelTimer(Timer.FETCH)]
        return () if self.fetch is not None else self.start(missing, None, tree, round_)

    def retry(self, missing: QC | None, tree: BlockTree, round_: int) -> Sequence[Effect]:
        """The fetch timer fired: put the same to the next peer."""
        if self.fetch is None or missing is None:
            return ()
        return self._ask(self.fetch.next_peer(), missing, tree, round_)

    def beyond(self, block: Block | None, missing: QC | None, tree: BlockTree, round_: int) -> Sequence[Effect]:
        """Go on with a peer whose answer came up to this block, further than its last one, if that does not suffice."""
        if block is None or missing is None or self.fetch is None or block.round <= self.fetch.known_round:
            return ()
        return self._ask(self.fetch.beyond(block), missing, tree, round_)

    def _ask(self, fetch: Fetch, qc: QC, tree: BlockTree, round_: int) -> Sequence[Effect]:
        self.fetch = fetch
        known = fetch.known if fetch.known in tree.nodes else tree.root.block.id
        request = BlockRequest(round_, qc.vote_info.id, known, self._config.sync_batch + 1)
        return [Send(fetch.peer, request), SetTimer(Timer.FETCH, FETCH_TIMER_DELTAS * self._config.delta_s, round_)]


def missing(tree: BlockTree, proposals: Iterable[ProposalMsg]) -> QC | None:
    """A certificate that needs a block which is not held: the highest, the one that commits, or a proposal's.

    The highest comes first, because its chain has what is committed too, in one answer.
    """
    nodes, root_round = tree.nodes, tree.root.block.round
    if tree.high_qc.vote_info.id not in nodes and tree.high_qc.vote_info.round > root_round:
        return tree.high_qc
    committed = tree.committed_by(tree.high_commit_qc)
    if committed is not None and committed[1] > root_round and committed[0] not in nodes:
        return tree.high_commit_qc
    for message in proposals:
        qc = message.block.qc
        if qc.vote_info.id not in nodes and qc.vote_info.round > root_round:
            return qc
    return None


def answer(request: BlockRequest, peer: int, tree: BlockTree, config: Config) -> Effect:
    """Give a peer the blocks between what it committed and what it lacks, a bounded batch, oldest first."""
    count = min(request.count, config.sync_batch + 1)
    pending = [node.block for node in tree.path(request.id)]
    if request.known in tree.nodes:
        known_round = tree.nodes[request.known].block.round
        blocks = [block for block in pending if block.round > known_round]
    elif (recent := tree.committed_after(request.known)) is not None:
        blocks = [*recent, *pending]
    elif tree.height > len(tree.committed):
        return ReadBlocks(peer, request.round, request.known, count, config.sync_batch_bytes)
    else:
        return Ignored(Reason.UNKNOWN_PARENT)
    blocks = within_bytes(blocks[:count], config.sync_batch_bytes)
    if not blocks:
        return Ignored(Reason.UNKNOWN_PARENT)
    return Send(peer, BlockResponse(request.round, tuple(blocks)))


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
