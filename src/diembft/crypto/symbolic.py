"""Symbolic signatures for simulation: a signature is the signer's name before what it signs.

Unforgeable by agreement, not by arithmetic: code that plays an attacker never makes one in another's name. Verifying is
one comparison, so that a simulation measures the protocol and not the arithmetic of a curve.
"""

from __future__ import annotations

from typing_extensions import override

from diembft.crypto.interface import KeyRing, Signer


class SymbolicSigner(Signer):
    """Signs in the name of one validator or client."""

    __slots__ = ("_prefix",)

    def __init__(self, prefix: bytes) -> None:
        self._prefix = prefix

    @override
    def sign(self, digest: bytes) -> bytes:
        return self._prefix + digest


class SymbolicKeyRing(KeyRing):
    """Knows `n` validators and, if given, only these clients; otherwise every client name."""

    __slots__ = ("_clients", "_prefixes")

    def __init__(self, n: int, clients: tuple[str, ...] | None = None) -> None:
        self._prefixes = tuple(replica_prefix(replica) for replica in range(n))
        self._clients = None if clients is None else frozenset(clients)

    @override
    def verify(self, replica: int, digest: bytes, signature: bytes) -> bool:
        return 0 <= replica < len(self._prefixes) and signature == self._prefixes[replica] + digest

    @override
    def verify_client(self, client: str, digest: bytes, signature: bytes) -> bool:
        return (self._clients is None or client in self._clients) and signature == client_prefix(client) + digest


def replica_prefix(replica: int) -> bytes:
    """The name of a validator in its signatures."""
    return b"r" + replica.to_bytes(2, "big")


def client_prefix(client: str) -> bytes:
    """The name of a client in its signatures: shortened by its first 60 bytes, which suffices for simulated clients."""
    return b"c" + client.encode()[:60]


def replica_signer(replica: int) -> SymbolicSigner:
    """The signer of a validator."""
    return SymbolicSigner(replica_prefix(replica))


def client_signer(client: str) -> SymbolicSigner:
    """The signer of a client."""
    return SymbolicSigner(client_prefix(client))
