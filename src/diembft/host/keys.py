"""The keys of one system: who signs, and how everybody verifies."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from diembft.crypto.ed25519 import Ed25519KeyRing, derived_signer
from diembft.crypto.interface import CRYPTO, Crypto, KeyRing, Signer
from diembft.crypto.symbolic import SymbolicKeyRing, client_signer, replica_signer
from diembft.errors import require_one_of


class Keychain(Struct, frozen=True):
    """The keys of one system: who signs, and how everybody verifies."""

    crypto: Crypto
    replicas: tuple[Signer, ...]
    clients: dict[str, Signer]
    ring: KeyRing
    public: dict[str, bytes]
    """As in the header of a trace."""


def make_keys(crypto: Crypto, n: int, clients: Sequence[str], seed: int) -> Keychain:
    """The keys of `n` validators and these clients; with Ed25519 they follow from the seed."""
    require_one_of(crypto, CRYPTO, "crypto")
    if crypto == "symbolic":
        return Keychain(
            crypto,
            tuple([replica_signer(replica) for replica in range(n)]),
            {client: client_signer(client) for client in clients},
            SymbolicKeyRing(n, tuple(clients)),
            {},
        )
    replica_keys = [derived_signer(replica_name(replica), seed) for replica in range(n)]
    client_keys = {client: derived_signer(client, seed) for client in clients}
    public = {replica_name(replica): signer.public_key for replica, signer in enumerate(replica_keys)}
    client_public = {client: signer.public_key for client, signer in client_keys.items()}
    return Keychain(
        crypto,
        tuple(replica_keys),
        dict(client_keys),
        Ed25519KeyRing(tuple(public.values()), client_public),
        public | client_public,
    )


def replica_name(replica: int) -> str:
    """The name of a validator in configurations and traces."""
    return f"replica{replica}"
