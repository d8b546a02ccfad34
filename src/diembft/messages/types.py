"""Values and messages of DiemBFT v4, under the names of the report (section 3 and its pseudocode).

Every value is frozen and hashable, so that replicas may share it, fork cheaply, and compare by content. A validator is
an index into the list of validators (`ReplicaId`); names and keys live in the configuration. Constraints that make a
value well formed by itself stand in the types and are enforced where bytes become values (`diembft.messages.codec`);
what needs keys or other values is checked in `diembft.consensus.verification`.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Annotated, TypeAlias, final

from msgspec import Meta, Struct

ReplicaId: TypeAlias = Annotated[int, Meta(ge=0, lt=1 << 16)]
"""A validator: its index in the configured list of validators."""

Round: TypeAlias = Annotated[int, Meta(ge=0, lt=1 << 62)]
"""A round number. Genesis has round 0; the first round in which somebody leads is 1."""

Digest: TypeAlias = Annotated[bytes, Meta(min_length=32, max_length=32)]
"""A 32-byte digest (see `diembft.messages.digests`)."""

Signature: TypeAlias = Annotated[bytes, Meta(max_length=96)]
"""A signature; its meaning belongs to the scheme in use (`diembft.crypto`)."""

Milliseconds: TypeAlias = Annotated[int, Meta(ge=0, lt=1 << 62)]
"""A time by some clock, in milliseconds."""

ClientId: TypeAlias = Annotated[str, Meta(min_length=1, max_length=64)]
"""The name of a client whose key the validators know."""

SESSION_SIZE = 16

SessionId: TypeAlias = Annotated[bytes, Meta(min_length=SESSION_SIZE, max_length=SESSION_SIZE)]
"""One run of a client; the numbers of its requests mean something within it only."""

RequestNumber: TypeAlias = Annotated[int, Meta(ge=0, lt=1 << 62)]
"""A client's own number for a request; each is executed at most once in a session."""

Operations: TypeAlias = Annotated[tuple[bytes, ...], Meta(min_length=1)]
"""What a request asks for, in the order of execution."""

Signatures: TypeAlias = tuple[tuple[ReplicaId, Signature], ...]
"""Signers with their signatures, sorted by signer."""


class RequestKind(IntEnum):
    """Whom a request is for. Only ordinary ones are executed so far; the others are refused."""

    ORDINARY = 0
    """The application executes its operations."""
    READMISSION = 1
    """A validator that lost its disk asks to sign again."""
    CONFIGURATION = 2
    """The operators change the set of validators."""


@final
class Request(Struct, frozen=True, array_like=True, gc=False, cache_hash=True):
    """Operations of a client, executed together and in their order. The signature covers all else."""

    client: ClientId
    session: SessionId
    number: RequestNumber
    kind: RequestKind
    operations: Operations
    signature: Signature


Payload: TypeAlias = tuple[Request, ...]
"""What a block carries: requests in the order of their execution."""


class VoteInfo(Struct, frozen=True, array_like=True, gc=False, cache_hash=True):
    """What a vote is about.

    `exec_state_id` is the speculated state of the ledger after the block was executed.
    """

    id: Digest
    round: Round
    parent_id: Digest
    parent_round: Round
    exec_state_id: Digest


class LedgerCommitInfo(Struct, frozen=True, array_like=True, gc=False, cache_hash=True):
    """The signed part of a vote.

    `commit_state_id` is set if and only if a QC made of this vote commits the parent of the block.
    """

    commit_state_id: Digest | None
    vote_info_hash: Digest


class QC(Struct, frozen=True, array_like=True, gc=False, cache_hash=True):
    """A quorum certificate: a quorum of distinct validators voted for `vote_info.id`."""

    vote_info: VoteInfo
    ledger_commit_info: LedgerCommitInfo
    signatures: Signatures
    author: ReplicaId
    author_signature: Signature

    @property
    def round(self) -> int:
        """The round of the certified block."""
        return self.vote_info.round

    @property
    def commits(self) -> bool:
        """Whether this certificate commits the parent of the block that it certifies."""
        return self.ledger_commit_info.commit_state_id is not None


class Block(Struct, frozen=True, array_like=True, gc=False, cache_hash=True):
    """A proposed block. `qc` certifies its parent; `id` is the digest of all else.

    `time_ms` is at least the parent's: its author's clock, as far as that allows.
    """

    author: ReplicaId
    round: Round
    time_ms: Milliseconds
    payload: Payload
    qc: QC
    id: Digest


class TimeoutInfo(Struct, frozen=True, array_like=True, gc=False, cache_hash=True):
    """A validator gives up on `round`. The signature covers (round, high_qc.round)."""

    round: Round
    high_qc: QC
    sender: ReplicaId
    signature: Signature


class TC(Struct, frozen=True, array_like=True, gc=False, cache_hash=True):
    """A timeout certificate: a quorum of distinct validators gave up on `round`.

    `tmo_high_qc_rounds[i]` is what `tmo_signatures[i]` signed beside the round. `high_qc` is the QC of the highest of
    these rounds, which the report leaves out (docs/protocol.md, "Deviations").
    """

    round: Round
    tmo_high_qc_rounds: tuple[Round, ...]
    tmo_signatures: Signatures
    high_qc: QC


@final
class ProposalMsg(Struct, frozen=True, array_like=True, gc=False, cache_hash=True, tag=1):
    """A leader's proposal. The signature covers `block.id` and is the author's."""

    block: Block
    last_round_tc: TC | None
    high_commit_qc: QC
    signature: Signature


@final
class VoteMsg(Struct, frozen=True, array_like=True, gc=False, cache_hash=True, tag=2):
    """A vote, sent to the leader of the next round. The signature covers `ledger_commit_info`."""

    vote_info: VoteInfo
    ledger_commit_info: LedgerCommitInfo
    high_commit_qc: QC
    sender: ReplicaId
    signature: Signature


@final
class TimeoutMsg(Struct, frozen=True, array_like=True, gc=False, cache_hash=True, tag=3):
    """A timeout, sent to all."""

    tmo_info: TimeoutInfo
    last_round_tc: TC | None
    high_commit_qc: QC


class SyncInfo(Struct, frozen=True, array_like=True, gc=False, cache_hash=True, tag=4):
    """What brings a peer up to date; never answered.

    `round` is the round of the timeout that this answers, else the sender's current round.
    """

    round: Round
    high_qc: QC
    high_commit_qc: QC
    last_round_tc: TC | None


class BlockRequest(Struct, frozen=True, array_like=True, gc=False, cache_hash=True, tag=5):
    """Asks for the ancestors of block `id`, itself included, that follow block `known`, oldest first, at most `count`.

    `known` is the last block that the asker committed; `round` is the asker's current round.
    """

    round: Round
    id: Digest
    known: Digest
    count: Annotated[int, Meta(ge=1, lt=1 << 16)]


class BlockResponse(Struct, frozen=True, array_like=True, gc=False, cache_hash=True, tag=6):
    """Answers a BlockRequest, whose `round` it repeats: consecutive blocks, oldest first; empty if there is nothing
    to give."""

    round: Round
    blocks: tuple[Block, ...]


class Relay(Struct, frozen=True, array_like=True, gc=False, cache_hash=True, tag=7):
    """Requests that wait at one validator, passed on to the others. `round` is the sender's current round."""

    round: Round
    requests: Payload


Message: TypeAlias = ProposalMsg | VoteMsg | TimeoutMsg | SyncInfo | BlockRequest | BlockResponse | Relay
"""All that validators send to one another."""


OK = "ok"
"""`Reply.status`: the request was executed (errors of the application are in the result)."""

STALE = "stale"
"""`Reply.status`: the number is too old; the request will not be executed (it may have been, long ago)."""


@final
class Reply(Struct, frozen=True, array_like=True, gc=False, cache_hash=True, tag=9):
    """A validator's answer to a client, sent once the request is committed and durable.

    `operations_digest` names the operations that were executed under this number (the first in chain order win);
    `status` is `ok`, or `stale` if the number is older than the window of requests that the ledger remembers.
    `results` has one for each operation; none if the request is stale.
    """

    client: ClientId
    session: SessionId
    number: RequestNumber
    operations_digest: bytes
    status: str
    results: tuple[bytes, ...]


def round_of(message: Message) -> int:
    """The round that a message belongs to (for partitions, failure rules and pictures)."""
    # By the identity of the kind: a match costs several times as much, and this is asked for each receiver.
    if type(message) is VoteMsg:
        return message.vote_info.round
    if type(message) is ProposalMsg:
        return message.block.round
    if type(message) is TimeoutMsg:
        return message.tmo_info.round
    return message.round


_KINDS = {
    ProposalMsg: "proposal",
    VoteMsg: "vote",
    TimeoutMsg: "timeout",
    SyncInfo: "sync_info",
    BlockRequest: "block_request",
    BlockResponse: "block_response",
    Relay: "relay",
}


def kind_of(message: Message) -> str:
    """The type of a message as configurations and traces name it."""
    return _KINDS[type(message)]
