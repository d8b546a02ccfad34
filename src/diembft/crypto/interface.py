"""The interface of a signature scheme: who holds a key signs, everybody verifies."""

from __future__ import annotations

from typing import Final, Literal, Protocol, TypeAlias, get_args

Crypto: TypeAlias = Literal["symbolic", "ed25519"]
"""How messages are signed: by symbolic signatures, for simulation alone, or by real ones."""

CRYPTO: Final[tuple[str, ...]] = get_args(Crypto)
"""The names of the schemes."""


class Signer(Protocol):
    """Holds one private key."""

    def sign(self, digest: bytes) -> bytes:
        """The signature over a 32-byte digest; deterministic."""
        ...


class KeyRing(Protocol):
    """Holds the public keys of all validators and clients."""

    def verify(self, replica: int, digest: bytes, signature: bytes) -> bool:
        """Whether validator `replica` signed the digest. An unknown validator signed nothing."""
        ...

    def verify_client(self, client: str, digest: bytes, signature: bytes) -> bool:
        """Whether the client signed the digest. An unknown client signed nothing."""
        ...
