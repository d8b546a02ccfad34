"""Messages, blocks and certificates of DiemBFT as a trace has them: in neutral terms, with the value itself as detail.

Drivers of all kinds meet a certificate many times, so what it became is remembered.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, assert_never

from diembft.messages.types import (
    QC,
    TC,
    Block,
    BlockRequest,
    BlockResponse,
    Message,
    ProposalMsg,
    Relay,
    SyncInfo,
    TimeoutMsg,
    VoteInfo,
    VoteMsg,
)
from diembft.trace import values

PROTOCOL = "diembft"
"""The name of the protocol in traces."""

CHAIN = 2
"""How many blocks of consecutive rounds, each certified by the next, commit the first one."""

_REMEMBERED = 256


def header_detail(chain_id: str, epoch: int, crypto: str, public_keys: Mapping[str, bytes]) -> dict[str, Any]:
    """What the header of a trace has beyond what all protocols have."""
    keys = {name: b64encode(key).decode() for name, key in public_keys.items()}
    detail = {"chain_id": chain_id, "epoch": epoch, "crypto": crypto}
    return {**detail, "public_keys": keys} if keys else detail


@lru_cache(maxsize=_REMEMBERED)
def certificate(qc: QC) -> values.Certificate:
    """A quorum certificate, its detail with it."""
    return _certificate(qc, qc)


@lru_cache(maxsize=_REMEMBERED)
def given_up(tc: TC) -> values.Certificate:
    """A timeout certificate, its detail with it. Its QC stands in the detail alone."""
    return _given_up(tc, tc)


@lru_cache(maxsize=_REMEMBERED)
def block(block: Block) -> values.Block:
    """A block, its detail with it."""
    return _block(block, block)


@lru_cache(maxsize=_REMEMBERED)
def message(message: Message) -> values.Message:
    """A message, its detail with it; what is inside it has none.

    What a node signs it makes durable, sends, and makes durable again with whatever it writes next.
    """
    match message:
        case ProposalMsg():
            block, tc = message.block, message.last_round_tc
            certificates = _inner(message.high_commit_qc, tc)
            blocks = (_inner_block(block),)
            return values.Message(
                "proposal", block.round, None, None, blocks, certificates, detail=message, sender=block.author
            )
        case VoteMsg():
            vote, certificates = vote_of(message), (_inner_qc(message.high_commit_qc),)
            return values.Message("vote", vote.round, vote, None, (), certificates, message, message.sender)
        case TimeoutMsg():
            info = message.tmo_info
            timeout = values.Timeout(info.round, info.high_qc.vote_info.round)
            certificates = (_inner_qc(info.high_qc), *_inner(message.high_commit_qc, message.last_round_tc))
            return values.Message("timeout", info.round, None, timeout, (), certificates, message, info.sender)
        case SyncInfo():
            certificates = (_inner_qc(message.high_qc), *_inner(message.high_commit_qc, message.last_round_tc))
            return values.Message("answer", message.round, None, None, (), certificates, message)
        case BlockRequest():
            return values.Message("request", message.round, detail=message)
        case BlockResponse():
            chain = tuple([_inner_block(block) for block in message.blocks])
            return values.Message("blocks", message.round, blocks=chain, detail=message)
        case Relay():
            return values.Message("relay", message.round, detail=message)
        case _:
            assert_never(message)


def vote_of(message: VoteMsg) -> values.Vote:
    """What a vote says."""
    about = message.vote_info
    return values.Vote(about.round, about.id, about.parent_id, about.parent_round, content_of(message))


def content_of(message: VoteMsg) -> bytes:
    """What the signature of a vote covers."""
    info = message.ledger_commit_info
    return info.vote_info_hash + (info.commit_state_id or b"")


def _certificate(qc: QC, detail: QC | None) -> values.Certificate:
    about: VoteInfo = qc.vote_info
    return values.Certificate(
        about.round,
        about.id,
        tuple([signer for signer, _ in qc.signatures]),
        parent=about.parent_id,
        parent_round=about.parent_round,
        commits=about.parent_id if qc.commits else None,
        detail=detail,
    )


def _given_up(tc: TC, detail: TC | None) -> values.Certificate:
    signers = tuple([signer for signer, _ in tc.tmo_signatures])
    return values.Certificate(tc.round, None, signers, high_rounds=tc.tmo_high_qc_rounds, detail=detail)


def _block(block: Block, detail: Block | None) -> values.Block:
    parent = block.qc.vote_info
    requests = tuple([(request.client, request.number) for request in block.payload])
    return values.Block(
        block.id, block.round, parent.id, parent.round, block.author, _inner_qc(block.qc), requests, detail
    )


@lru_cache(maxsize=_REMEMBERED)
def _inner_qc(qc: QC) -> values.Certificate:
    return _certificate(qc, None)


@lru_cache(maxsize=_REMEMBERED)
def _inner_block(block: Block) -> values.Block:
    return _block(block, None)


def _inner(high_commit_qc: QC, tc: TC | None) -> tuple[values.Certificate, ...]:
    if tc is None:
        return (_inner_qc(high_commit_qc),)
    return (_inner_qc(high_commit_qc), _inner_qc(tc.high_qc), _given_up(tc, None))
