"""How a client makes its requests."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

from msgspec.structs import replace

from diembft.crypto.interface import Signer
from diembft.messages.digests import Digests
from diembft.messages.types import SESSION_SIZE, Request, RequestKind


def session_of(client: str, seed: int | float | str = 0) -> bytes:
    """The session of a client whose run must be repeatable: drawn by its name and a seed."""
    return blake2b(f"{seed}/{client}".encode(), digest_size=SESSION_SIZE, person=b"diembft-session").digest()


def signed_request(
    signer: Signer,
    digests: Digests,
    client: str,
    session: bytes,
    number: int,
    operations: Sequence[bytes],
    kind: RequestKind = RequestKind.ORDINARY,
) -> Request:
    """A request with its client's signature."""
    request = Request(client, session, number, kind, tuple(operations), b"")
    return replace(request, signature=signer.sign(digests.request(request)))
