"""Ed25519 by PyNaCl (libsodium)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import blake2b

from nacl.bindings import crypto_sign, crypto_sign_open, crypto_sign_seed_keypair
from nacl.exceptions import BadSignatureError
from typing_extensions import override

from diembft.crypto.interface import KeyRing, Signer

SIGNATURE_SIZE = 64


class Ed25519Signer(Signer):
    """Holds one private key. `seed` is its 32 secret bytes."""

    __slots__ = ("_secret", "public_key")

    def __init__(self, seed: bytes) -> None:
        self.public_key, self._secret = crypto_sign_seed_keypair(seed)

    @override
    def sign(self, digest: bytes) -> bytes:
        """Crypto.interface.Signer`; 64 bytes."""
        return crypto_sign(digest, self._secret)[:SIGNATURE_SIZE]


class Ed25519KeyRing(KeyRing):
    """Public keys of validators by index and of clients by name, 32 bytes each."""

    __slots__ = ("_clients", "_replicas")

    def __init__(self, replicas: Sequence[bytes], clients: Mapping[str, bytes]) -> None:
        self._replicas = tuple(replicas)
        self._clients = dict(clients)

    @override
    def verify(self, replica: int, digest: bytes, signature: bytes) -> bool:
        return 0 <= replica < len(self._replicas) and _verify(self._replicas[replica], digest, signature)

    @override
    def verify_client(self, client: str, digest: bytes, signature: bytes) -> bool:
        key = self._clients.get(client)
        return key is not None and _verify(key, digest, signature)


def _verify(public_key: bytes, digest: bytes, signature: bytes) -> bool:
    if len(signature) != SIGNATURE_SIZE:
        return False
    try:
        return crypto_sign_open(signature + digest, public_key) == digest
    except BadSignatureError:
        return False


def derived_signer(name: str, seed: int) -> Ed25519Signer:
    """A signer whose key follows from a name and a seed: for simulations and tests, never for a real service."""
    return Ed25519Signer(blake2b(f"{seed}/{name}".encode(), digest_size=32, person=b"diembft-test-key").digest())
