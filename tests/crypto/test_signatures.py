"""Both signature schemes behind their interface: what verifies, and what does not."""

from __future__ import annotations

import pytest

from diembft.crypto.ed25519 import SIGNATURE_SIZE, Ed25519KeyRing, Ed25519Signer, derived_signer
from diembft.crypto.symbolic import SymbolicKeyRing, client_signer, replica_signer
from tests.consensus.rig import Crypto, make_keys

DIGEST, OTHER = b"d" * 32, b"o" * 32


@pytest.fixture(params=["symbolic", "ed25519"])
def crypto(request: pytest.FixtureRequest) -> Crypto:
    return request.param  # type: ignore[no-any-return]


def test_validators(crypto: Crypto) -> None:
    keys = make_keys(4, crypto)
    for replica, signer in enumerate(keys.replicas):
        signature = signer.sign(DIGEST)
        assert signature == signer.sign(DIGEST), "deterministic"
        assert len(signature) <= 96
        verified = [other for other in range(-1, 6) if keys.ring.verify(other, DIGEST, signature)]
        assert verified == [replica]
        assert not keys.ring.verify(replica, OTHER, signature)
        assert not keys.ring.verify_client("alice", DIGEST, signature)


def test_clients(crypto: Crypto) -> None:
    keys = make_keys(4, crypto)
    signature = keys.clients["alice"].sign(DIGEST)
    assert keys.ring.verify_client("alice", DIGEST, signature)
    assert not keys.ring.verify_client("bob", DIGEST, signature)
    assert not keys.ring.verify_client("alice", OTHER, signature)
    assert not keys.ring.verify_client("mallory", DIGEST, signature)
    assert not any(keys.ring.verify(replica, DIGEST, signature) for replica in range(4))


@pytest.mark.parametrize("broken", [b"", b"x", bytes(63), bytes(64), bytes(65), bytes(96)])
def test_what_is_no_signature(crypto: Crypto, broken: bytes) -> None:
    keys = make_keys(4, crypto)
    assert not keys.ring.verify(0, DIGEST, broken)
    assert not keys.ring.verify_client("alice", DIGEST, broken)


def test_every_bit_counts(crypto: Crypto) -> None:
    keys = make_keys(4, crypto)
    signature = keys.replicas[0].sign(DIGEST)
    for index in range(len(signature)):
        changed = bytes(byte ^ (index == position) for position, byte in enumerate(signature))
        assert not keys.ring.verify(0, DIGEST, changed)


def test_ed25519_is_the_standard() -> None:
    """RFC 8032, section 7.1, test 3."""
    seed = bytes.fromhex("c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7")
    public = bytes.fromhex("fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025")
    signature = bytes.fromhex(
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
        "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"
    )
    signer = Ed25519Signer(seed)
    assert signer.public_key == public
    assert signer.sign(b"\xaf\x82") == signature
    assert Ed25519KeyRing([public], {}).verify(0, b"\xaf\x82", signature)
    assert len(signature) == SIGNATURE_SIZE


def test_derived_keys_follow_from_name_and_seed() -> None:
    keys = {derived_signer(name, seed).public_key for name in ("a", "b") for seed in (0, 1)}
    assert len(keys) == 4
    assert derived_signer("a", 0).public_key in keys


def test_symbolic_keys_know_any_client_unless_told_whom() -> None:
    ring = SymbolicKeyRing(1)
    assert ring.verify_client("anybody", DIGEST, client_signer("anybody").sign(DIGEST))
    assert not ring.verify_client("anybody", DIGEST, client_signer("somebody").sign(DIGEST))
    assert not ring.verify_client("r", DIGEST, replica_signer(0).sign(DIGEST))
    known = SymbolicKeyRing(1, ("alice",))
    assert not known.verify_client("anybody", DIGEST, client_signer("anybody").sign(DIGEST))
    assert known.verify_client("alice", DIGEST, client_signer("alice").sign(DIGEST))


def test_symbolic_signatures_of_clients_with_long_names_fit() -> None:
    name = "ä" * 64
    signature = client_signer(name).sign(DIGEST)
    assert len(signature) <= 96
    assert SymbolicKeyRing(1).verify_client(name, DIGEST, signature)
