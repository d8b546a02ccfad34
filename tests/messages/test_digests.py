"""Digests: fixed, of everything they should cover, and of nothing twice."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diembft.messages.digests import DIGEST_SIZE, Digests, operation_digest
from diembft.messages.types import LedgerCommitInfo, VoteInfo
from tests.consensus.rig import Craft, altered

DIGESTS = Digests("diembft", 0)
GENESIS, BLOCK, TIMEOUT = "9bf0efbadcb49817", "ffa9c547ae747568", "cb5bf8ac7ae0d07f"

A, B = b"a" * 32, b"b" * 32


def test_digests_are_fixed() -> None:
    """They are part of the protocol: validators of two versions must agree on them."""
    craft = Craft()
    assert DIGESTS.genesis.hex()[:16] == craft.genesis.block.id.hex()[:16] == GENESIS
    assert craft.block(1, payload=(craft.request(),)).id.hex()[:16] == BLOCK
    assert DIGESTS.timeout(3, 2).hex()[:16] == TIMEOUT
    assert DIGESTS.empty_payload == DIGESTS.payload(())


def test_each_is_of_one_size() -> None:
    craft = Craft()
    qc = craft.qc(craft.block(1))
    digests = [
        DIGESTS.genesis,
        DIGESTS.payload((craft.request(),)),
        DIGESTS.block(0, 1, (), qc),
        DIGESTS.vote_info(qc.vote_info),
        DIGESTS.vote(qc.ledger_commit_info),
        DIGESTS.qc(qc.ledger_commit_info, qc.signatures),
        DIGESTS.proposal(A),
        DIGESTS.timeout(1, 0),
        DIGESTS.request("alice", 1, b""),
        DIGESTS.request_of(craft.request()),
        DIGESTS.state(A, A, A),
        operation_digest(b""),
    ]
    assert {len(digest) for digest in digests} == {DIGEST_SIZE}
    assert len(set(digests)) == len(digests)


def test_what_a_block_id_covers() -> None:
    """Report: author, round, payload, the parent's id and the QC's signatures."""
    craft = Craft()
    parent = craft.block(1)
    qc = craft.qc(parent)
    payload = (craft.request(),)
    ids = [
        DIGESTS.block(0, 2, payload, qc),
        DIGESTS.block(1, 2, payload, qc),
        DIGESTS.block(0, 3, payload, qc),
        DIGESTS.block(0, 2, (), qc),
        DIGESTS.block(0, 2, (*payload, *payload), qc),
        DIGESTS.block(0, 2, (altered(payload[0], signature=b"?"),), qc),
        DIGESTS.block(0, 2, payload, craft.qc(parent, [1, 2, 3])),
        DIGESTS.block(0, 2, payload, altered(qc, vote_info=altered(qc.vote_info, id=A))),
    ]
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("field", ["id", "round", "parent_id", "parent_round", "exec_state_id"])
def test_what_a_vote_info_hash_covers(field: str) -> None:
    info = VoteInfo(A, 1, A, 0, A)
    changes: dict[str, Any] = {field: 7 if "round" in field else B}
    assert DIGESTS.vote_info(altered(info, **changes)) != DIGESTS.vote_info(info)


def test_what_a_vote_signs() -> None:
    infos = [LedgerCommitInfo(commit, hash_) for commit in (None, A, B) for hash_ in (A, B)]
    assert len({DIGESTS.vote(info) for info in infos}) == 6


@given(st.lists(st.tuples(st.sampled_from((A, B)), st.sampled_from((None, A, B))), max_size=12))
def test_what_is_remembered_never_changes_an_answer(asked: list[tuple[bytes, bytes | None]]) -> None:
    digests = Digests("diembft", 0)
    for id_, commit in asked:
        vote_info, info = VoteInfo(id_, 1, A, 0, A), LedgerCommitInfo(commit, id_)
        assert digests.vote_info(vote_info) == Digests("diembft", 0).vote_info(vote_info)
        assert digests.vote(info) == Digests("diembft", 0).vote(info)


def test_what_a_request_signs() -> None:
    signed = {
        DIGESTS.request(client, number, operation)
        for client in ("a", "ab")
        for number in (1, 2)
        for operation in (b"", b"b")
    }
    assert len(signed) == 8


def test_a_request_is_signed_as_its_fields() -> None:
    request = Craft().request(3, b"x")
    assert DIGESTS.request_of(request) == DIGESTS.request("alice", 3, b"x")


@given(st.integers(0, 2**62 - 1), st.integers(0, 2**62 - 1), st.integers(0, 2**62 - 1), st.integers(0, 2**62 - 1))
def test_timeouts_of_other_rounds_are_other_timeouts(round_: int, qc_round: int, other: int, other_qc: int) -> None:
    same = (round_, qc_round) == (other, other_qc)
    assert (DIGESTS.timeout(round_, qc_round) == DIGESTS.timeout(other, other_qc)) == same


def test_a_state_binds_its_history() -> None:
    assert len({DIGESTS.state(*ids) for ids in ((A, A, A), (B, A, A), (A, B, A), (A, A, B))}) == 4
