"""Requests and blocks as the ledger sees them: signatures and certificates are checked elsewhere."""

from __future__ import annotations

from collections.abc import Iterable

from diembft.messages.types import QC, Block, LedgerCommitInfo, Request, VoteInfo
from tests.making import request_by

_ZERO = bytes(32)
_QC = QC(VoteInfo(_ZERO, 0, _ZERO, 0, _ZERO), LedgerCommitInfo(None, _ZERO), (), 0, b"")


def request(client: str, number: int, operation: bytes) -> Request:
    return request_by(client, number, operation)


def block(*requests: Request) -> Block:
    return Block(0, 1, 0, requests, _QC, _ZERO)


def blocks(requests: list[Request], cuts: Iterable[int]) -> list[Block]:
    """The requests, in order, cut into blocks at these places; a place that repeats gives an empty block."""
    ends = [*sorted(min(cut, len(requests)) for cut in cuts), len(requests)]
    return [block(*requests[start:end]) for start, end in zip([0, *ends], ends, strict=False)]
