"""Requests and replies of one operation, as the clients of the tests make them: a session each, by their names."""

from __future__ import annotations

from diembft.client.requests import session_of
from diembft.messages.digests import operations_digest
from diembft.messages.types import OK, Reply, Request, RequestKind


def request_by(client: str, number: int, operation: bytes = b"", signature: bytes = b"") -> Request:
    return Request(client, session_of(client), number, RequestKind.ORDINARY, (operation,), signature)


def reply_to(client: str, number: int, operation: bytes, result: bytes = b"", status: str = OK) -> Reply:
    """A reply of status ok has the result of the operation."""
    results = (result,) if status == OK else ()
    return Reply(client, session_of(client), number, operations_digest((operation,)), status, results)
