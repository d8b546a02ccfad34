"""Canonical bytes and digests.

Everything that is hashed or signed is first written in one canonical form (MessagePack arrays, as msgspec writes them)
behind a domain: what kind of thing it is, on which chain, in which epoch. So no signature can be replayed as another.
"""

from __future__ import annotations

from hashlib import blake2b

import msgspec

from diembft.messages.types import QC, LedgerCommitInfo, Payload, Request, Signatures, VoteInfo

_encode = msgspec.msgpack.Encoder().encode

DIGEST_SIZE = 32


class Digests:
    """The digests of one chain and epoch.

    Each method takes what the name says and returns 32 bytes (BLAKE2b). What votes sign is asked for time and again in
    a round, by the votes and the QC of one block: the last answers are remembered.
    """

    __slots__ = (
        "_block",
        "_last_vote",
        "_last_vote_info",
        "_payload",
        "_proposal",
        "_qc",
        "_request",
        "_state",
        "_timeout",
        "_vote",
        "_vote_info",
        "empty_payload",
        "genesis",
    )

    def __init__(self, chain_id: str, epoch: int) -> None:
        def domain(kind: str) -> blake2b:
            return blake2b(_encode(("diembft", kind, chain_id, epoch)), digest_size=DIGEST_SIZE)

        self._block = domain("block")
        self._payload = domain("payload")
        self._proposal = domain("proposal")
        self._qc = domain("qc")
        self._request = domain("request")
        self._state = domain("state")
        self._timeout = domain("timeout")
        self._vote = domain("vote")
        self._vote_info = domain("vote-info")
        self._last_vote_info: tuple[VoteInfo | None, bytes] = (None, b"")
        self._last_vote: tuple[LedgerCommitInfo | None, bytes] = (None, b"")
        self.genesis = domain("genesis").digest()
        self.empty_payload = _digest(self._payload, _encode(()))

    def payload(self, payload: Payload) -> bytes:
        """Of the requests of a block, in their order."""
        return _digest(self._payload, _encode(payload)) if payload else self.empty_payload

    def block(self, author: int, round_: int, payload: Payload, qc: QC) -> bytes:
        """The id of a block (report, section 3: H(author, round, payload, qc.vote_info.id, qc.signatures))."""
        return _digest(self._block, _encode((author, round_, self.payload(payload), qc.vote_info.id, qc.signatures)))

    def vote_info(self, vote_info: VoteInfo) -> bytes:
        """What LedgerCommitInfo.vote_info_hash holds."""
        known, digest = self._last_vote_info
        if vote_info != known:
            digest = _digest(self._vote_info, _encode(vote_info))
            self._last_vote_info = vote_info, digest
        return digest

    def vote(self, info: LedgerCommitInfo) -> bytes:
        """What a vote signs."""
        known, digest = self._last_vote
        if info != known:
            digest = _digest(self._vote, _encode(info))
            self._last_vote = info, digest
        return digest

    def qc(self, info: LedgerCommitInfo, signatures: Signatures) -> bytes:
        """What the author of a QC signs."""
        return _digest(self._qc, _encode((info, signatures)))

    def proposal(self, block_id: bytes) -> bytes:
        """What a proposal signs."""
        return _digest(self._proposal, block_id)

    def timeout(self, round_: int, high_qc_round: int) -> bytes:
        """What a timeout signs."""
        return _digest(self._timeout, _encode((round_, high_qc_round)))

    def request(self, client: str, number: int, operation: bytes) -> bytes:
        """What a client signs."""
        return _digest(self._request, _encode((client, number, operation)))

    def request_of(self, request: Request) -> bytes:
        """What the client of this request signed."""
        return self.request(request.client, request.number, request.operation)

    def state(self, parent_state_id: bytes, block_id: bytes, state_root: bytes) -> bytes:
        """The id of the ledger's state after a block."""
        return _digest(self._state, parent_state_id + block_id + state_root)


def operation_digest(operation: bytes) -> bytes:
    """The digest by which a reply names the operation that was executed."""
    return blake2b(operation, digest_size=DIGEST_SIZE).digest()


def _digest(domain: blake2b, data: bytes) -> bytes:
    """Of the domain and then the data; a copy of the hash of the domain is quicker than hashing it anew."""
    digest = domain.copy()
    digest.update(data)
    return digest.digest()
