"""Canonical bytes and digests.

Everything that is hashed or signed is first written in one canonical form (MessagePack arrays, as msgspec writes them)
behind a domain: what kind of thing it is, on which chain, in which epoch. So no signature can be replayed as another.

The function is BLAKE2b. Nearly all that is hashed is short, and there it was the quickest of three: 100 bytes took 0.31
us, with BLAKE3 0.48, with SHA-256 0.53 (one core of a Xeon with AVX-512 and SHA instructions). Requests of 512 bytes
took 0.96, 0.90 and 0.74 us, which is little beside the check of a signature. BLAKE3 is far ahead from some kilobytes on
(32 KB: 13 us, not 41), but nothing hashes so much at once, as a payload is hashed by its requests' digests.
"""

from __future__ import annotations

from hashlib import blake2b

import msgspec

from diembft.messages.sizes import request_bytes
from diembft.messages.types import QC, LedgerCommitInfo, Operations, Payload, Request, Signatures, VoteInfo

_encode = msgspec.msgpack.Encoder().encode

DIGEST_SIZE = 32

REMEMBERED_BYTES = 4_000_000
"""How much the requests may take whose digests are remembered; and as much again of older ones."""


class Digests:
    """The digests of one chain and epoch.

    Each method takes what the name says and returns 32 bytes (BLAKE2b). What votes sign is asked for time and again in
    a round, by the votes and the QC of one block: the last answers are remembered. So are the digests of the last
    requests: a request is met when it comes, and again in a block. Neither ever changes an answer, so that forks share
    them.
    """

    __slots__ = (
        "_block",
        "_last_qc",
        "_last_vote",
        "_last_vote_info",
        "_older",
        "_payload",
        "_proposal",
        "_qc",
        "_recent",
        "_request",
        "_room",
        "_signed_request",
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
        self._signed_request = domain("signed-request")
        self._state = domain("state")
        self._timeout = domain("timeout")
        self._vote = domain("vote")
        self._vote_info = domain("vote-info")
        self._last_qc: tuple[LedgerCommitInfo | None, Signatures, bytes] = (None, (), b"")
        self._last_vote_info: tuple[VoteInfo | None, bytes] = (None, b"")
        self._last_vote: tuple[LedgerCommitInfo | None, bytes] = (None, b"")
        self._recent: dict[Request, bytes] = {}
        self._older: dict[Request, bytes] = {}
        self._room = REMEMBERED_BYTES
        self.genesis = domain("genesis").digest()
        self.empty_payload = _digest(self._payload, b"")

    def payload(self, payload: Payload) -> bytes:
        """Of the requests of a block, in their order: of their digests, which cover the clients' signatures."""
        if not payload:
            return self.empty_payload
        known = self._recent.get
        return _digest(self._payload, b"".join([known(request) or self.signed_request(request) for request in payload]))

    def block(self, author: int, round_: int, time_ms: int, payload: Payload, qc: QC) -> bytes:
        """The id of a block (report, section 3: H(author, round, payload, qc.vote_info.id, qc.signatures)).

        Of the payload it covers the digest, of the signatures what the QC's author signs, which covers them.
        """
        contents = self.payload(payload) if payload else self.empty_payload
        signatures = self.qc(qc.ledger_commit_info, qc.signatures)
        return _digest(self._block, _encode((author, round_, time_ms, contents, qc.vote_info.id, signatures)))

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
        known_info, known_signatures, digest = self._last_qc
        # Nearly always it is the very same tuple, and to compare takes the longer the more have signed.
        if (signatures is not known_signatures and signatures != known_signatures) or info != known_info:
            digest = _digest(self._qc, _encode((info, signatures)))
            self._last_qc = info, signatures, digest
        return digest

    def proposal(self, block_id: bytes) -> bytes:
        """What a proposal signs."""
        return _digest(self._proposal, block_id)

    def timeout(self, round_: int, high_qc_round: int) -> bytes:
        """What a timeout signs."""
        return _digest(self._timeout, _encode((round_, high_qc_round)))

    def request(self, request: Request) -> bytes:
        """What the client of this request signs: all of it but for the signature."""
        content = self._content(request)
        if request.signature:
            self._remember(request, content)
        return content

    def signed_request(self, request: Request) -> bytes:
        """Of all of a request: of what its client signs, and of the signature."""
        known = self._recent.get(request) or self._older.get(request)
        return known or self._remember(request, self._content(request))

    def _content(self, request: Request) -> bytes:
        signed = request.client, request.session, request.number, request.kind, request.operations
        return _digest(self._request, _encode(signed))

    def _remember(self, request: Request, content: bytes) -> bytes:
        if self._room <= 0:
            self._older, self._recent = self._recent, {}
            self._room = REMEMBERED_BYTES
        self._room -= request_bytes(request)
        digest = self._recent[request] = _digest(self._signed_request, content + request.signature)
        return digest

    def state(self, parent_state_id: bytes, block_id: bytes, state_root: bytes) -> bytes:
        """The id of the ledger's state after a block."""
        return _digest(self._state, parent_state_id + block_id + state_root)


def operations_digest(operations: Operations) -> bytes:
    """The digest by which a reply names the operations that were executed."""
    return blake2b(_encode(operations), digest_size=DIGEST_SIZE).digest()


def _digest(domain: blake2b, data: bytes) -> bytes:
    """Of the domain and then the data; a copy of the hash of the domain is quicker than hashing it anew."""
    digest = domain.copy()
    digest.update(data)
    return digest.digest()
