"""Digests: fixed, of everything they should cover, and of nothing twice."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diembft.messages.digests import DIGEST_SIZE, REMEMBERED_BYTES, Digests, operations_digest
from diembft.messages.sizes import request_bytes
from diembft.messages.types import Block, LedgerCommitInfo, Request, RequestKind, VoteInfo
from tests.consensus.rig import Craft, altered
from tests.making import request_by

DIGESTS = Digests("diembft", 0)
GENESIS, BLOCK, TIMEOUT = "9bf0efbadcb49817", "adf6a808dc92d729", "cb5bf8ac7ae0d07f"

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
        DIGESTS.block(0, 1, 0, (), qc),
        DIGESTS.vote_info(qc.vote_info),
        DIGESTS.vote(qc.ledger_commit_info),
        DIGESTS.qc(qc.ledger_commit_info, qc.signatures),
        DIGESTS.proposal(A),
        DIGESTS.timeout(1, 0),
        DIGESTS.request(craft.request()),
        DIGESTS.signed_request(craft.request()),
        DIGESTS.state(A, A, A),
        operations_digest((b"",)),
    ]
    assert {len(digest) for digest in digests} == {DIGEST_SIZE}
    assert len(set(digests)) == len(digests)


# Each field of a block, a certificate and a request, with a value that the examples do not have.
REQUEST_CHANGES: dict[str, Any] = {
    "client": "bob",
    "session": bytes(16),
    "number": 2,
    "kind": RequestKind.READMISSION,
    "operations": (b"op", b""),
    "signature": b"?",
}
BLOCK_CHANGES: dict[str, Any] = {"author": 3, "round": 9, "time_ms": 1}


def id_of(block: Block) -> bytes:
    return DIGESTS.block(block.author, block.round, block.time_ms, block.payload, block.qc)


def changed(craft: Craft, block: Block) -> dict[str, Block]:
    """The block with one thing in it changed at a time."""
    (request,), qc = block.payload, block.qc
    return {
        **{field: altered(block, **{field: value}) for field, value in BLOCK_CHANGES.items()},
        **{
            f"request: {field}": altered(block, payload=(altered(request, **{field: value}),))
            for field, value in REQUEST_CHANGES.items()
        },
        "no request": altered(block, payload=()),
        "a request twice": altered(block, payload=(request, request)),
        "another order": altered(block, payload=(craft.request(2), request)),
        "and back": altered(block, payload=(request, craft.request(2))),
        "other signers": altered(block, qc=craft.qc(craft.blocks[qc.vote_info.id], [1, 2, 3])),
        "no signers": altered(block, qc=altered(qc, signatures=())),
        "another parent": altered(block, qc=altered(qc, vote_info=altered(qc.vote_info, id=A))),
    }


def test_a_block_id_covers_each_field() -> None:
    """Report: author, round, payload, the parent's id and the QC's signatures; here the time too, and of each request
    all fields, the client's signature included."""
    craft = Craft()
    block = craft.block(2, craft.qc(craft.block(1)), (craft.request(),))
    assert set(REQUEST_CHANGES) == set(Request.__struct_fields__)
    assert {*BLOCK_CHANGES, "payload", "qc", "id"} == set(Block.__struct_fields__)
    ids = {"nothing": block.id, **{what: id_of(other) for what, other in changed(craft, block).items()}}
    assert id_of(block) == block.id
    assert len(set(ids.values())) == len(ids), ids


def test_a_block_id_is_not_of_what_others_may_add() -> None:
    """Of the certificate it covers what is certified and the signatures, not who put them together."""
    craft = Craft()
    block = craft.block(2, craft.qc(craft.block(1)))
    assert id_of(altered(block, qc=altered(block.qc, author=3, author_signature=b"?"))) == block.id


@pytest.mark.parametrize("field", REQUEST_CHANGES)
def test_what_a_client_signs_covers_each_field_but_the_signature(field: str) -> None:
    request = Craft().request()
    other = altered(request, **{field: REQUEST_CHANGES[field]})
    assert (DIGESTS.request(other) == DIGESTS.request(request)) == (field == "signature")
    assert DIGESTS.signed_request(other) != DIGESTS.signed_request(request)


operations = st.lists(st.binary(max_size=4), min_size=1, max_size=4).map(tuple)
any_requests = st.builds(
    Request,
    st.sampled_from(["a", "ab", "b"]),
    st.sampled_from([bytes(16), b"1" * 16]),
    st.integers(0, 3),
    st.sampled_from(RequestKind),
    operations,
    st.sampled_from([b"", b"s", b"t"]),
)


@given(any_requests, any_requests)
def test_other_requests_have_other_digests(one: Request, other: Request) -> None:
    assert (DIGESTS.signed_request(one) == DIGESTS.signed_request(other)) == (one == other)
    unsigned = (altered(one, signature=b""), altered(other, signature=b""))
    assert (DIGESTS.request(one) == DIGESTS.request(other)) == (unsigned[0] == unsigned[1])


@given(operations, operations)
def test_replies_name_the_operations(one: tuple[bytes, ...], other: tuple[bytes, ...]) -> None:
    assert (operations_digest(one) == operations_digest(other)) == (one == other)


@given(st.lists(any_requests, max_size=30))
def test_remembered_requests_are_bounded_and_change_no_answer(asked: list[Request]) -> None:
    digests = Digests("diembft", 0)
    size = request_bytes(asked[0]) if asked else 1
    digests._room = size  # as if much had been asked for already
    for request in [*asked, *asked]:
        fresh = Digests("diembft", 0)
        assert digests.request(request) == fresh.request(request)
        assert digests.signed_request(request) == fresh.signed_request(request)
        assert digests.payload((request,)) == fresh.payload((request,))


def test_no_more_than_so_many_bytes_of_requests_are_remembered() -> None:
    digests = Digests("diembft", 0)
    big = bytes(REMEMBERED_BYTES // 8)
    requests = [request_by("a", number, big, b"s") for number in range(40)]
    for request in requests:
        digests.request(request)
        held = [*digests._recent, *digests._older]
        assert sum(map(request_bytes, held)) <= 2 * (REMEMBERED_BYTES + request_bytes(request))
    assert requests[-1] in digests._recent
    assert requests[0] not in digests._recent
    assert requests[0] not in digests._older


def test_a_request_is_hashed_once() -> None:
    """What it takes to check its signature serves its block as well, and that of an equal one off the wire."""
    digests = Digests("diembft", 0)
    request = Craft().request()
    digests.request(request)
    remembered = digests._recent[request] = b"r" * DIGEST_SIZE
    assert digests.signed_request(altered(request)) is remembered


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
        for signatures in ((), ((0, id_),)):
            for other in (info, LedgerCommitInfo(B, B)):
                assert digests.qc(other, signatures) == Digests("diembft", 0).qc(other, signatures)


@given(st.integers(0, 2**62 - 1), st.integers(0, 2**62 - 1), st.integers(0, 2**62 - 1), st.integers(0, 2**62 - 1))
def test_timeouts_of_other_rounds_are_other_timeouts(round_: int, qc_round: int, other: int, other_qc: int) -> None:
    same = (round_, qc_round) == (other, other_qc)
    assert (DIGESTS.timeout(round_, qc_round) == DIGESTS.timeout(other, other_qc)) == same


def test_a_state_binds_its_history() -> None:
    assert len({DIGESTS.state(*ids) for ids in ((A, A, A), (B, A, A), (A, B, A), (A, A, B))}) == 4
